package rest

import (
	"fmt"
	"strconv"
	"strings"

	"nexus"
)

// The structs below are embedded in the inputs of operations.

// Idempotent adds the Idempotency-Key header. The stores find it in the Caller,
// with the hash of the request.
type Idempotent struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"Makes a retry safe: the same key and body give the first answer again"`
}

// Conditional adds the If-Match header.
type Conditional struct {
	IfMatch string `header:"If-Match" maxLength:"100" doc:"The ETag that the change is based on; a stale one gives 412"`
}

// version returns the version that the caller changes, 0 for any. A weak tag
// counts like a strong one: proxies that compress weaken tags on their way out.
func (c Conditional) version() (int64, error) {
	s := strings.TrimPrefix(c.IfMatch, "W/")
	if s == "" || s == "*" {
		return 0, nil
	}
	quoted := len(s) > 2 && s[0] == '"' && s[len(s)-1] == '"'
	if !quoted {
		return 0, nexus.InvalidField("If-Match", "expected one quoted ETag")
	}
	v, err := strconv.ParseInt(s[1:len(s)-1], 10, 64)
	if err != nil || v < 1 {
		return 0, nexus.Errorf(nexus.Stale, "this ETag was never given out")
	}
	return v, nil
}

// etag is the ETag of a version.
func etag(version int64) string { return fmt.Sprintf("%q", strconv.FormatInt(version, 10)) }

// Paged adds a list's cursor and bound.
type Paged struct {
	After string `query:"after" maxLength:"200" doc:"The cursor that the page before gave as next"`
	Limit int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items at most"`
}

func (p Paged) page() nexus.Page { return nexus.Page{After: p.After, Limit: p.Limit} }

// ByID adds the id of the path.
type ByID struct {
	ID string `path:"id" format:"uuid" minLength:"36" maxLength:"36" doc:"A UUID"`
}

// Answer is an output that is a body alone.
type Answer[T any] struct{ Body T }

func answer[T any](v T, err error) (*Answer[T], error) {
	if err != nil {
		return nil, err
	}
	return &Answer[T]{Body: v}, nil
}

// Versioned is an output with an ETag.
type Versioned[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

func versioned[T any](v T, version int64, err error) (*Versioned[T], error) {
	if err != nil {
		return nil, err
	}
	return &Versioned[T]{ETag: etag(version), Body: v}, nil
}

// Done is the body of an answer that has nothing else to say.
type Done struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
}

// done is the answer to a change that gives nothing back.
func done(err error) (*Answer[Done], error) { return answer(Done{Success: true}, err) }
