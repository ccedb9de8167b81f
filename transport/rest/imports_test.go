package rest_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

const importUsers = rest.Base + "/imports/users"

// handIn hands a file in, with headers in pairs.
func handIn(t *testing.T, h *resttest.House, path, media string, body io.Reader, headers ...string) resttest.Reply {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, body)
	r.Header.Set("Content-Type", media)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := h.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resttest.Reply{Status: res.StatusCode, Header: res.Header, Body: data}
}

func form(t *testing.T, field, content string) (media string, body io.Reader) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile(field, "users.csv")
	if err == nil {
		_, err = part.Write([]byte(content))
	}
	if err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), &b
}

func TestAFileIsHandedIn(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	long := "email,name\n" + strings.Repeat("asha@campus.example,Asha\n", 80_000) // more than any other body may have
	boundary, body := form(t, "file", long)
	for _, c := range []struct {
		name, path, media string
		body              io.Reader
		kind              nexus.ImportKind
		dry               bool
		tz                string
	}{
		{"CSV", importUsers, "text/csv", strings.NewReader(long), nexus.ImportUsers, false, "UTC"},
		{"CSV, to try", importUsers + "?dryRun=true", "text/csv; charset=utf-8", strings.NewReader(long), nexus.ImportUsers, true, "UTC"},
		{"a form", rest.Base + "/imports/courses?dryRun=false", boundary, body, nexus.ImportCourses, false, "UTC"},
		{"a bundle", rest.Base + "/imports/oneroster?tz=Asia/Kolkata", "application/zip", strings.NewReader(long), nexus.ImportOneRoster, false, "Asia/Kolkata"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := handIn(t, h, c.path, c.media, c.body, admin...)
			id, _ := r.JSON()["id"].(string)
			if r.Status != 202 || r.Header.Get("Location") != rest.Base+"/imports/"+id || r.JSON()["state"] != "RUNNING" {
				t.Fatalf("%d %s %.300s", r.Status, r.Header.Get("Location"), r.Body)
			}
			asked, got := h.Imports.Asked[len(h.Imports.Asked)-1], h.Imports.Files[len(h.Imports.Files)-1]
			if asked.Kind != c.kind || asked.DryRun != c.dry || asked.TZ != c.tz {
				t.Errorf("asked %+v", asked)
			}
			if got != long {
				t.Errorf("%d bytes came in, of %d", len(got), len(long))
			}
			if r := handIn(t, h, c.path, "text/csv", strings.NewReader("x"), admin...); c.media == "text/csv" && r.Status != 409 {
				t.Errorf("a second one meanwhile: %d %s", r.Status, r.Body)
			}
			h.Imports.End()
			if r := h.Call("GET", rest.Base+"/imports/"+id, nil, admin...); r.Status != 200 || r.JSON()["state"] != "DONE" || r.JSON()["failure"] != nil {
				t.Errorf("afterwards: %d %s", r.Status, r.Body)
			}
		})
	}
	if strings.Contains(h.Log.String(), "asha@") {
		t.Error("the log holds what the file holds")
	}
}

func TestWrongFilesAreNotTaken(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	boundary, other := form(t, "other", "x")
	large := strings.Repeat("x", resttest.ImportBytes+1)
	for _, c := range []struct {
		name, path, media string
		body              io.Reader
		status            int
		code              nexus.Code
	}{
		{"JSON", importUsers, "application/json", strings.NewReader("{}"), 415, nexus.Unsupported},
		{"a zip for CSV", importUsers, "application/zip", strings.NewReader("x"), 415, nexus.Unsupported},
		{"CSV for a zip", rest.Base + "/imports/oneroster", "text/csv", strings.NewReader("x"), 415, nexus.Unsupported},
		{"no type", importUsers, "", strings.NewReader("x"), 415, nexus.Unsupported},
		{"another field", importUsers, boundary, other, 422, nexus.Invalid},
		{"no form", importUsers, boundary, strings.NewReader("x"), 422, nexus.Invalid},
		{"nothing", importUsers, "text/csv", http.NoBody, 422, nexus.Invalid},
		{"too large", importUsers, "text/csv", strings.NewReader(large), 413, nexus.TooLarge},
		{"no zone", rest.Base + "/imports/oneroster?tz=Mars", "application/zip", strings.NewReader("x"), 422, nexus.Invalid},
		{"perhaps dry", importUsers + "?dryRun=yes", "text/csv", strings.NewReader("x"), 422, nexus.Invalid},
		{"another kind", rest.Base + "/imports/grades", "text/csv", strings.NewReader("x"), 405, nexus.Unsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := handIn(t, h, c.path, c.media, c.body, admin...)
			if r.Status != c.status || r.JSON()["code"] != string(c.code) {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	if len(h.Imports.Files) > 0 {
		t.Errorf("%d were taken", len(h.Imports.Files))
	}
}

func TestNobodyElseHandsFilesIn(t *testing.T) {
	h := resttest.New(t)
	for _, role := range []nexus.Role{nexus.Student, nexus.Faculty, nexus.MessStaff, nexus.Security} {
		if r := handIn(t, h, importUsers, "text/csv", strings.NewReader("email,name\n"), h.As(role)...); r.Status != 403 {
			t.Errorf("%s: %d %s", role, r.Status, r.Body)
		}
	}
	if r := handIn(t, h, importUsers, "text/csv", strings.NewReader("email,name\n")); r.Status != 401 {
		t.Errorf("a stranger: %d %s", r.Status, r.Body)
	}
}

func TestAFileAndItsKey(t *testing.T) {
	h := resttest.New(t)
	admin := append(h.As(nexus.Admin), "Idempotency-Key", "k")
	for _, c := range []struct{ path, body string }{
		{importUsers, "a"}, {importUsers, "a"}, {importUsers, "b"}, {importUsers + "?dryRun=true", "a"}, {rest.Base + "/imports/courses", "a"},
	} {
		if r := handIn(t, h, c.path, "text/csv", strings.NewReader(c.body), admin...); r.Status != 202 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		h.Imports.End()
	}
	seen := map[string]bool{}
	for i, by := range h.Imports.By {
		hash := string(by.Once.Hash)
		if by.Once.Key != "k" || len(hash) != 32 || seen[hash] != (i == 1) {
			t.Errorf("request %d: key %q, hash %x", i, by.Once.Key, hash)
		}
		seen[hash] = true
	}
}

func TestFilesAreLimited(t *testing.T) {
	h := resttest.New(t, func(c *resttest.Config) { c.Limits.Import = limit.Rule{Rate: 0.001, Burst: 2} })
	admin := h.As(nexus.Admin)
	for i, want := range []int{202, 409, 429} {
		r := handIn(t, h, importUsers, "text/csv", strings.NewReader("x"), admin...)
		if r.Status != want {
			t.Errorf("file %d: %d %s", i, r.Status, r.Body)
		}
	}
	if r := h.Call("GET", rest.Base+"/imports", nil, admin...); r.Status != 200 {
		t.Errorf("what else they do: %d", r.Status)
	}
}

func TestImportsAndTheirErrorsAreListed(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	var ids []string
	for range 3 {
		ids = append(ids, handIn(t, h, importUsers, "text/csv", strings.NewReader("x"), admin...).JSON()["id"].(string))
		h.Imports.End(nexus.ImportError{File: "users.csv", Line: 2, Field: "email"}, nexus.ImportError{File: "users.csv", Line: 3, Field: "name"})
	}
	page := h.Call("GET", rest.Base+"/imports?limit=2", nil, admin...).JSON()
	if items := page["items"].([]any); len(items) != 2 || items[0].(map[string]any)["id"] != ids[2] || page["next"] != ids[1] {
		t.Errorf("list: %v", page)
	}
	errs := fmt.Sprintf("%s/imports/%s/errors", rest.Base, ids[0])
	page = h.Call("GET", errs+"?limit=1&after=1", nil, admin...).JSON()
	if items := page["items"].([]any); len(items) != 1 || items[0].(map[string]any)["line"] != 3.0 || page["next"] != nil {
		t.Errorf("errors: %v", page)
	}
	for path, want := range map[string]int{
		rest.Base + "/imports?after=x": 422, errs + "?after=x": 422, rest.Base + "/imports/" + nexus.NewID(): 404, rest.Base + "/imports/" + nexus.NewID() + "/errors": 404,
	} {
		if r := h.Call("GET", path, nil, admin...); r.Status != want {
			t.Errorf("%s: %d, want %d", path, r.Status, want)
		}
	}
}
