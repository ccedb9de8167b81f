package rest

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"nexus"
)

// tidy walks an input after validation: it trims every string and returns the fields that no
// schema catches. Strings hold printable text alone: no control characters, no
// broken Unicode (the decoder left U+FFFD there), nothing that reverses the direction of what
// follows it. A tag says where a field is different:
//
//	text:"lines"   may hold line feeds
//	text:"secret"  is not trimmed
//	format:"uuid"  must be an id, and is put in lower case
func tidy(in any) []nexus.FieldError {
	t := tidier{}
	t.structure(reflect.ValueOf(in).Elem(), "")
	return t.wrong
}

type tidier struct{ wrong []nexus.FieldError }

func (t *tidier) refuse(field, detail string) {
	t.wrong = append(t.wrong, nexus.FieldError{Field: field, Detail: detail})
}

func (t *tidier) structure(v reflect.Value, path string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || f.Name == "RawBody" {
			continue
		}
		sub := path
		if body := f.Name == "Body" && f.Tag.Get("json") == ""; !f.Anonymous && !body {
			sub = join(path, fieldName(f))
		}
		t.value(v.Field(i), sub, f.Tag)
	}
}

func (t *tidier) value(v reflect.Value, path string, tag reflect.StructTag) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(t.text(v.String(), path, tag))
	case reflect.Pointer:
		if !v.IsNil() {
			t.value(v.Elem(), path, tag)
		}
	case reflect.Struct:
		t.structure(v, path)
	case reflect.Slice:
		if n, _ := strconv.Atoi(tag.Get("minItems")); v.Len() < n {
			t.refuse(path, "expected a list that is not empty") // null passes the schema
		}
		for i := range v.Len() {
			t.value(v.Index(i), fmt.Sprintf("%s[%d]", path, i), tag)
		}
	}
}

func (t *tidier) text(s, path string, tag reflect.StructTag) string {
	kind := tag.Get("text")
	if kind == "lines" {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	if !nexus.Printable(s, kind == "lines") {
		t.refuse(path, "holds characters that are not allowed")
		return s
	}
	if kind == "secret" {
		return s
	}
	trimmed := strings.TrimSpace(s)
	if n, _ := strconv.Atoi(tag.Get("minLength")); trimmed != s && utf8.RuneCountInString(trimmed) < n {
		t.refuse(path, "is blank")
	}
	if tag.Get("format") == "uuid" && trimmed != "" {
		if trimmed = strings.ToLower(trimmed); !nexus.ValidID(trimmed) {
			t.refuse(path, "expected an id")
		}
	}
	return trimmed
}

// fieldName is the name that a client knows the field by.
func fieldName(f reflect.StructField) string {
	for _, key := range []string{"path", "query", "header", "cookie", "form", "json"} {
		if name, _, _ := strings.Cut(f.Tag.Get(key), ","); name != "" {
			return name
		}
	}
	return f.Name
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
