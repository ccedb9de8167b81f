package resttest

import (
	"fmt"
	"slices"
	"strings"
)

// Document is what the generator reads of an OpenAPI 3.1 document.
type Document struct {
	Servers    []struct{ URL string }
	Paths      map[string]map[string]*Operation
	Components struct{ Schemas map[string]*Schema }
}

// Operation is one method of one path.
type Operation struct {
	Parameters  []Parameter
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Schema *Schema }
	}
	Security []map[string][]string
}

// Parameter is an input outside the body.
type Parameter struct {
	Name, In string
	Required bool
	Schema   *Schema
}

// Schema is the part of JSON Schema that our documents use.
type Schema struct {
	Ref        string `json:"$ref"`
	Type       any
	Format     string
	Pattern    string
	Enum       []any
	Default    any
	Examples   []any
	Properties map[string]*Schema
	Required   []string
	Items      *Schema
	OneOf      []*Schema
	AnyOf      []*Schema

	MinLength, MaxLength, MinItems, MaxItems *int
	Minimum, Maximum                         *float64
}

func (d *Document) resolve(s *Schema) *Schema {
	for s != nil && s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndex(s.Ref, "/")+1:]]
	}
	return s
}

// kind is the schema's one type besides null, "any" if it has several or none.
func (s *Schema) kind() string {
	switch t := s.Type.(type) {
	case string:
		return t
	case []any:
		if ts := slices.DeleteFunc(slices.Clone(t), func(v any) bool { return v == "null" }); len(ts) == 1 {
			return fmt.Sprint(ts[0])
		}
	}
	return "any"
}

// example returns a value that the schema takes.
func (d *Document) example(s *Schema) any {
	s = d.resolve(s)
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case s.Default != nil:
		return s.Default
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.kind() {
	case "object":
		m := map[string]any{}
		for name, p := range s.Properties {
			m[name] = d.example(p)
		}
		return m
	case "array":
		return []any{d.example(s.Items)}
	case "integer", "number":
		if s.Minimum != nil {
			return *s.Minimum
		}
		return 1
	case "boolean":
		return true
	case "string":
		return text(s)
	default:
		return "1"
	}
}

func text(s *Schema) string {
	switch s.Format {
	case "uuid":
		return "00000000-0000-7000-8000-000000000000"
	case "date-time":
		return "2026-01-02T03:04:05.000Z"
	case "date":
		return "2026-01-02"
	case "email":
		return "somebody@example.edu"
	}
	for _, guess := range []string{"", "1", "2026-01-02", "en-IN", "+91 1234567", "12:30", "1234"} {
		if fits(s, guess) {
			return guess
		}
	}
	return strings.Repeat("x", max(deref(s.MinLength), 1))
}

func fits(s *Schema, v string) bool {
	return len(v) >= deref(s.MinLength) && (s.MaxLength == nil || len(v) <= *s.MaxLength) && matches(s.Pattern, v)
}

func deref(n *int) int {
	if n == nil {
		return 0
	}
	return *n
}

// Unbounded names every input that has no bound on its size.
func (d *Document) Unbounded() (found []string) {
	var walk func(where string, s *Schema)
	walk = func(where string, s *Schema) {
		s = d.resolve(s)
		switch s.kind() {
		case "object":
			for name, p := range s.Properties {
				walk(where+"."+name, p)
			}
		case "array":
			if s.MaxItems == nil {
				found = append(found, where+": no maxItems")
			}
			walk(where+"[0]", s.Items)
		case "string":
			fixed := s.MaxLength != nil || len(s.Enum) > 0 || s.Format == "date-time" || s.Format == "date" || s.Format == "binary"
			if !fixed {
				found = append(found, where+": no maxLength")
			}
		case "integer", "number":
			if s.Minimum == nil || s.Maximum == nil {
				found = append(found, where+": no minimum or maximum")
			}
		}
	}
	for path, item := range d.Paths {
		for method, op := range item {
			where := strings.ToUpper(method) + " " + path
			for _, p := range op.Parameters {
				walk(where+" "+p.Name, p.Schema)
			}
			if op.RequestBody != nil {
				for _, media := range op.RequestBody.Content {
					walk(where+" body", media.Schema)
				}
			}
		}
	}
	slices.Sort(found)
	return found
}
