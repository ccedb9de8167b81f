package live

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"nexus"
)

// form reads what a client sends, field by field, and collects what is wrong with it by name. Names are case-exact, null is as good as
// missing, and what it does not know it passes over.
type form struct {
	values map[string]json.RawMessage
	at     string // before the names of fields, such as "[3]."
	wrong  []nexus.FieldError
}

// openForm takes a JSON object; field names it.
func openForm(raw json.RawMessage, field, at string) (*form, error) {
	f := &form{at: at}
	if err := json.Unmarshal(raw, &f.values); err != nil || f.values == nil {
		return nil, nexus.InvalidField(field, "must be an object")
	}
	return f, nil
}

// err is what is wrong with the fields that were read.
func (f *form) err() error {
	if len(f.wrong) == 0 {
		return nil
	}
	first := f.wrong[0]
	return &nexus.Error{Code: nexus.Invalid, Message: first.Field + ": " + first.Detail, Fields: f.wrong}
}

func (f *form) fail(name, detail string) {
	f.wrong = append(f.wrong, nexus.FieldError{Field: f.at + name, Detail: detail})
}

func (f *form) has(name string) bool {
	v := f.values[name]
	return v != nil && string(v) != "null"
}

// read decodes a field that is there into v, and reports whether it did.
func (f *form) read(name, must string, v any) bool {
	if !f.has(name) {
		return false
	}
	if json.Unmarshal(f.values[name], v) != nil {
		f.fail(name, must)
		return false
	}
	return true
}

func (f *form) flag(name string) (v bool) {
	f.read(name, "must be true or false", &v)
	return v
}

// text reads a text of at most so many characters, on one line.
func (f *form) text(name string, most int) string { return f.chars(name, most, "") }

// lines is text of several lines.
func (f *form) lines(name string, most int) string { return f.chars(name, most, "\n\r\t") }

func (f *form) chars(name string, most int, besides string) (v string) {
	if !f.read(name, "must be a string", &v) {
		return ""
	}
	switch {
	case utf8.RuneCountInString(v) > most:
		f.fail(name, "is too long")
	case strings.ContainsFunc(v, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune(besides, r)
	}):
		f.fail(name, "must not hold control characters or broken text")
	}
	return v
}

// need complains of a field that is missing or empty.
func (f *form) need(name string) {
	missing := !f.has(name) || string(f.values[name]) == `""`
	if missing && !slices.ContainsFunc(f.wrong, func(e nexus.FieldError) bool { return e.Field == f.at+name }) {
		f.fail(name, "is missing")
	}
}

// id reads an id; ids may be in any case, as over HTTP.
func (f *form) id(name string) string {
	v := strings.ToLower(strings.TrimSpace(f.text(name, 100)))
	f.need(name)
	if f.has(name) && v != "" && !nexus.ValidID(v) {
		f.fail(name, "is not an id")
	}
	return v
}

// number reads a number in [least, most]; nil if it is not there.
func (f *form) number(name string, least, most float64) *float64 {
	var v float64
	if !f.read(name, "must be a number", &v) {
		return nil
	}
	if v < least || v > most {
		f.fail(name, "is out of range")
	}
	return &v
}

// integer reads a whole number in [least, most], which 5.0 is too; nil if it is not there.
func (f *form) integer(name string, least, most float64) *int64 {
	v := f.number(name, least, most)
	if v == nil {
		return nil
	}
	if *v != math.Trunc(*v) {
		f.fail(name, "must be a whole number")
	}
	n := int64(*v)
	return &n
}

// when reads a time; zero if it is not there.
func (f *form) when(name string) (v time.Time) {
	f.read(name, "must be a time as RFC 3339 writes it", &v)
	return v
}

// position reads where somebody is; nil if that is not said.
func (f *form) position() *nexus.Position {
	lat, lng, accuracy := f.number("lat", -90, 90), f.number("lng", -180, 180), f.number("accuracy", 0, 1e6)
	switch {
	case lat != nil && lng != nil:
		return &nexus.Position{Lat: *lat, Lng: *lng, Accuracy: accuracy}
	case lat != nil:
		f.need("lng")
	case lng != nil:
		f.need("lat")
	}
	return nil
}

// maxSafe is the greatest whole number that JavaScript counts to exactly.
const maxSafe = 1<<53 - 1
