package rest

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/rest/problem"
)

// translate turns the framework's own errors into problems. The values that it
// would echo stay here: a refused body may hold a password.
func translate(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	var fields []nexus.FieldError
	for _, d := range m.Errors {
		if d != nil {
			fields = append(fields, field(d))
		}
	}
	detail := m.Detail
	switch {
	case m.Status == http.StatusBadRequest, m.Status == http.StatusUnsupportedMediaType:
		if len(fields) > 0 && m.Status == http.StatusBadRequest {
			detail = fields[len(fields)-1].Detail
		} else if m.Status == http.StatusUnsupportedMediaType {
			detail, fields = "the body's media type is not taken", nil
		}
	case len(fields) > 0:
		detail = summary(fields)
	}
	p := problem.FromStatus(m.Status, detail, fields...)
	p.RequestID = OriginOf(ctx.Context()).RequestID
	return p, nil
}

// missing are the words by which the validator names a property that is not there; it gives the
// location of the object around it.
const missing, present = "expected required property ", " to be present"

// field turns a location such as body.events[3].at into the name that a client knows.
func field(d *huma.ErrorDetail) nexus.FieldError {
	where, _ := strings.CutPrefix(d.Location, "body")
	for _, in := range []string{"path.", "query.", "header.", "cookie.", "form."} {
		if name, ok := strings.CutPrefix(d.Location, in); ok {
			where = name
		}
	}
	where = strings.TrimPrefix(where, ".")
	if name, ok := strings.CutPrefix(d.Message, missing); ok {
		return nexus.FieldError{Field: join(where, strings.TrimSuffix(name, present)), Detail: "is required"}
	}
	if where == "" {
		where = "body"
	}
	return nexus.FieldError{Field: where, Detail: d.Message}
}

// summary is the detail of an invalid input.
func summary(fields []nexus.FieldError) string {
	s := fields[0].Field + ": " + fields[0].Detail
	if len(fields) > 1 {
		s += " (and more)"
	}
	return s
}

// problems documents that every error is a problem.
func problems(r huma.Registry, responses map[string]*huma.Response) map[string]*huma.Response {
	if responses == nil {
		responses = map[string]*huma.Response{}
	}
	responses["default"] = &huma.Response{
		Description: "Anything else",
		Content: map[string]*huma.MediaType{
			problem.ContentType: {Schema: r.Schema(reflect.TypeFor[problem.Problem](), true, "Problem")},
		},
	}
	return responses
}

// takesKey reports whether the input carries an Idempotency-Key.
func takesKey[I any]() bool {
	_, ok := reflect.TypeFor[I]().FieldByName("IdempotencyKey")
	return ok
}
