package resttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Target is a server that serves /openapi.json.
type Target struct {
	// URL is where it listens, such as http://127.0.0.1:4000.
	URL string
	// Do sends a request. Its limits must let some thousand requests through.
	Do func(*http.Request) (*http.Response, error)
	// Headers returns the credentials of a caller that the operation lets in.
	Headers func(method, path string, op *Operation) http.Header
	// Skip leaves operations out whose inputs the document does not describe; nil skips none.
	Skip func(method, path string) bool
}

// wrong is one wrong input.
type wrong struct {
	name  string
	field string // that the answer must name; empty for a body that cannot be read
	body  []byte
	path  string
	query url.Values
	head  http.Header
}

// Hostile sends every operation wrong inputs made from its description: each field left out, of
// a wrong type, too long, out of its range, unknown, and full of hostile Unicode, and ids of things that do not exist.
// Each must be refused with a 4xx problem that names the field. It returns how many it sent.
func Hostile(t *testing.T, target Target) int {
	t.Helper()
	doc := target.document(t)
	sent := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			if target.Skip != nil && target.Skip(strings.ToUpper(method), path) {
				continue
			}
			t.Run(strings.ToUpper(method)+path, func(t *testing.T) {
				for _, w := range doc.wrongs(path, op) {
					sent++
					target.refuses(t, doc, strings.ToUpper(method), path, op, w)
				}
			})
		}
	}
	return sent
}

// Document fetches the server's description.
func (target Target) document(t *testing.T) *Document {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target.URL+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := target.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	var doc Document
	if err := json.NewDecoder(res.Body).Decode(&doc); err != nil {
		t.Fatalf("read /openapi.json: %v", err)
	}
	return &doc
}

func (target Target) refuses(t *testing.T, doc *Document, method, path string, op *Operation, w wrong) {
	t.Helper()
	u := target.URL + doc.Servers[0].URL + w.path
	if len(w.query) > 0 {
		u += "?" + w.query.Encode()
	}
	r, err := http.NewRequestWithContext(t.Context(), method, u, bytes.NewReader(w.body))
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	r.Header = target.Headers(method, path, op).Clone()
	maps.Copy(r.Header, w.head)
	if w.body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := target.Do(r)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	checkProblem(t, w, res, data)
}

func checkProblem(t *testing.T, w wrong, res *http.Response, data []byte) {
	t.Helper()
	var p struct {
		Type, Title, Detail, Code, Error, RequestID string
		Status                                      int
		Errors                                      []struct{ Field, Detail string }
	}
	err := json.Unmarshal(data, &p)
	switch {
	case res.StatusCode == http.StatusTooManyRequests:
		t.Fatalf("%s: the target limits its caller; the test needs wider limits", w.name)
	case res.StatusCode < 400 || res.StatusCode > 499:
		t.Errorf("%s: status %d, want 4xx: %.300s", w.name, res.StatusCode, data)
	case err != nil || res.Header.Get("Content-Type") != "application/problem+json" ||
		p.Status != res.StatusCode || p.Type == "" || p.Title == "" || p.Detail == "" || p.Code == "" || p.Error != p.Detail || p.RequestID == "":
		t.Errorf("%s: status %d, not a complete problem: %.300s", w.name, res.StatusCode, data)
	case w.field != "" && !slices.ContainsFunc(p.Errors, func(e struct{ Field, Detail string }) bool { return e.Field == w.field }):
		t.Errorf("%s: status %d does not name %s: %.300s", w.name, res.StatusCode, w.field, data)
	}
}

// hostileText is what no text field takes, as JSON writes it.
var hostileText = map[string]string{
	"NUL":            `"a\u0000b"`,
	"lone surrogate": `"a\ud800b"`,
	"reversed":       `"a\u202eb"`,
	"escape":         `"a\u001b[31mb"`,
	"invalid UTF-8":  "\"a\xffb\"",
	"900 kB":         `"` + strings.Repeat("a", 900_000) + `"`,
}

func (d *Document) wrongs(path string, op *Operation) []wrong {
	base := wrong{path: path, query: url.Values{}, head: http.Header{}}
	for _, p := range op.Parameters {
		if p.In == "path" {
			base.path = strings.ReplaceAll(base.path, "{"+p.Name+"}", url.PathEscape(fmt.Sprint(d.example(p.Schema))))
		}
	}
	var all []wrong
	if op.RequestBody != nil {
		if media, ok := op.RequestBody.Content["application/json"]; ok {
			schema := d.resolve(media.Schema)
			base.body, _ = json.Marshal(d.example(schema)) // made of maps and plain values
			all = append(all, broken(base)...)
			d.bodies(schema, func(name, field string, body []byte) {
				w := base
				w.name, w.field, w.body = field+" "+name, field, body
				all = append(all, w)
			})
		}
	}
	for _, p := range op.Parameters {
		all = append(all, d.parameter(path, base, p)...)
	}
	return all
}

// broken are bodies that are no JSON value of ours at all.
func broken(base wrong) []wrong {
	var all []wrong
	for name, body := range map[string]string{
		"no JSON": "{", "empty body": "", "null": "null", "list": "[]", "text": `"x"`, "two values": "{}{}",
		"deep": strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000), "invalid bytes": "\xff\xfe{",
	} {
		w := base
		w.name, w.body = name, []byte(body)
		all = append(all, w)
	}
	return all
}

// bodies yields bodies of the object s that are wrong in one place.
func (d *Document) bodies(s *Schema, yield func(name, field string, body []byte)) {
	d.object(s, "", yield, func(raw string) []byte { return []byte(raw) })
}

// object visits an object's properties; put builds the whole body around the object's JSON.
func (d *Document) object(s *Schema, field string, yield func(name, field string, body []byte), put func(string) []byte) {
	m, _ := d.example(s).(map[string]any)
	for name, p := range s.Properties {
		if slices.Contains(s.Required, name) {
			yield("missing", joined(field, name), put(object(m, name, "")))
		}
		d.value(p, joined(field, name), yield, func(raw string) []byte { return put(object(m, name, raw)) })
	}
	yield("unknown", joined(field, "zzUnknown"), put(object(m, "zzUnknown", "1")))
}

func (d *Document) value(s *Schema, field string, yield func(name, field string, body []byte), put func(string) []byte) {
	s = d.resolve(s)
	for name, raw := range badValues(s) {
		yield(name, field, put(raw))
	}
	switch s.kind() {
	case "object":
		d.object(s, field, yield, put)
	case "array":
		d.value(s.Items, field+"[0]", yield, func(raw string) []byte { return put("[" + raw + "]") })
	}
}

// object writes m with one name replaced by raw JSON, or left out for an empty raw.
func object(m map[string]any, name, raw string) string {
	parts := []string{}
	for k, v := range m {
		if k != name {
			data, _ := json.Marshal(v) // maps and plain values
			parts = append(parts, fmt.Sprintf("%q:%s", k, data))
		}
	}
	if raw != "" {
		parts = append(parts, fmt.Sprintf("%q:%s", name, raw))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func joined(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

// badValues are JSON values that the schema does not take.
func badValues(s *Schema) map[string]string {
	bad := map[string]string{}
	switch s.kind() {
	case "string":
		bad["wrong type"], bad["wrong type list"], bad["wrong type object"] = "42", "[]", "{}"
		maps.Copy(bad, hostileText)
		if s.MaxLength != nil {
			bad["too long"] = `"` + strings.Repeat("a", *s.MaxLength+1) + `"`
		}
		if deref(s.MinLength) > 0 {
			bad["empty"] = `""`
			if s.Format != "password" { // whose blanks count
				bad["blank"] = `"  "`
			}
		}
		if len(s.Enum) > 0 || slices.Contains([]string{"uuid", "date", "date-time", "email"}, s.Format) {
			bad["no such value"] = `"zz-nothing"`
		}
	case "integer", "number":
		bad["wrong type"], bad["wrong type object"] = `"x"`, "{}"
		if s.Maximum != nil {
			bad["too large"] = fmt.Sprintf("%f", *s.Maximum+1)
			bad["huge"] = "1e300"
		}
		if s.Minimum != nil {
			bad["too small"] = fmt.Sprintf("%f", *s.Minimum-1)
		}
		if s.kind() == "integer" {
			bad["fraction"] = "1.5"
		}
	case "boolean":
		bad["wrong type"], bad["wrong type number"] = `"yes"`, "1"
	case "array":
		bad["wrong type"], bad["wrong type text"] = "{}", `"x"`
		if s.MaxItems != nil && *s.MaxItems <= 10_000 {
			bad["too many"] = "[" + strings.TrimSuffix(strings.Repeat("null,", *s.MaxItems+1), ",") + "]"
		}
		if deref(s.MinItems) > 0 {
			bad["none"], bad["null"] = "[]", "null"
		}
	case "object":
		bad["wrong type"], bad["wrong type text"] = "[]", `"x"`
	}
	return bad
}

// parameter yields wrong values of one parameter.
func (d *Document) parameter(template string, base wrong, p Parameter) []wrong {
	values := map[string]string{}
	s := d.resolve(p.Schema)
	for name, raw := range badValues(s) {
		var v any
		isText := json.Unmarshal([]byte(raw), &v) == nil
		str, ok := v.(string)
		if s.kind() == "string" {
			if isText && ok && str != "" && len(str) < 3000 && !strings.ContainsRune(str, '\ufffd') {
				values[name] = str
			}
		} else {
			values[name] = raw
		}
	}
	delete(values, "blank") // a URL's blank is trimmed by clients
	var all []wrong
	for name, value := range values {
		w := base
		w.name = p.In + " " + p.Name + " " + name
		switch p.In {
		case "path":
			w.path = strings.ReplaceAll(template, "{"+p.Name+"}", url.PathEscape(value))
			w.path = placeholders.ReplaceAllString(w.path, "00000000-0000-7000-8000-000000000000")
		case "query":
			w.field, w.query = p.Name, url.Values{p.Name: {value}}
		case "header":
			if !headerSafe(value) {
				continue // no client can send it
			}
			w.field, w.head = p.Name, http.Header{p.Name: {value}}
		default:
			continue
		}
		all = append(all, w)
	}
	if p.In == "path" && s.Format == "uuid" {
		w := base // an id of nobody; everything else is right
		w.name = "path " + p.Name + " of nobody"
		all = append(all, w)
	}
	return all
}

var placeholders = regexp.MustCompile(`\{[^}]+\}`)

func headerSafe(v string) bool {
	return !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' })
}

func matches(pattern, v string) bool {
	ok, err := regexp.MatchString(pattern, v)
	return ok && err == nil
}
