// Package problem turns any error into the one shape that clients see:
// application/problem+json (RFC 9457) with the code of the contract.
//
// It is the only place where codes become HTTP statuses. The text of an internal
// error never passes through it.
package problem

import (
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport/rest/wire"
)

// ContentType is the media type of every error.
const ContentType = "application/problem+json"

// Problem is an error as it is sent.
type Problem struct {
	Type      string             `json:"type" doc:"Always about:blank: the code tells problems apart"`
	Title     string             `json:"title" doc:"The HTTP status in words"`
	Status    int                `json:"status" doc:"The HTTP status"`
	Detail    string             `json:"detail" doc:"What is wrong, in words for a person"`
	Code      nexus.Code         `json:"code" doc:"What is wrong, for a program"`
	Words     string             `json:"error" doc:"The same words as detail"`
	State     string             `json:"state,omitempty" doc:"With state_conflict: the state that things are in"`
	Fields    []nexus.FieldError `json:"errors,omitempty" doc:"The wrong fields of the input"`
	RequestID string             `json:"requestId" doc:"Finds the request in the server's log"`

	retryAfter time.Duration
	cookie     string
}

// New makes a problem from its parts.
func New(status int, code nexus.Code, detail string, fields ...nexus.FieldError) *Problem {
	return &Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: detail, Code: code, Words: detail, Fields: fields,
	}
}

// From maps an error. Errors without a code, and all of the code Internal, become
// "internal error".
func From(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var f *fiber.Error
	if errors.As(err, &f) {
		return FromStatus(f.Code, http.StatusText(f.Code)) // its message may repeat the request
	}
	code := nexus.CodeOf(err)
	var e *nexus.Error
	if !errors.As(err, &e) {
		e = &nexus.Error{Message: "the server took too long"} // only a context that ended has a code here
	}
	switch code {
	case nexus.Internal:
		return New(http.StatusInternalServerError, nexus.Internal, "internal error")
	case nexus.Fenced:
		return New(http.StatusServiceUnavailable, nexus.Unavailable, "please try again").After(time.Second)
	}
	p = New(Status(code), code, e.Message, e.Fields...)
	p.State = e.State
	if code == nexus.Unavailable {
		p.retryAfter = time.Second
	}
	return p.After(e.RetryAfter)
}

// After says when to try again; 0 changes nothing.
func (p *Problem) After(d time.Duration) *Problem {
	if d > 0 {
		p.retryAfter = d
	}
	return p
}

// WithCookie sets a cookie along with the problem.
func (p *Problem) WithCookie(c http.Cookie) *Problem {
	p.cookie = c.String()
	return p
}

// Status is the HTTP status of a code.
func Status(c nexus.Code) int {
	switch c {
	case nexus.Invalid, nexus.KeyReused:
		return http.StatusUnprocessableEntity
	case nexus.Unauthenticated, nexus.TokenReused:
		return http.StatusUnauthorized
	case nexus.Forbidden:
		return http.StatusForbidden
	case nexus.NotFound:
		return http.StatusNotFound
	case nexus.Conflict, nexus.StateConflict, nexus.CourseFull:
		return http.StatusConflict
	case nexus.Stale:
		return http.StatusPreconditionFailed
	case nexus.TooLarge:
		return http.StatusRequestEntityTooLarge
	case nexus.Unsupported:
		return http.StatusUnsupportedMediaType
	case nexus.RateLimited:
		return http.StatusTooManyRequests
	case nexus.Fenced, nexus.Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// FromStatus maps an HTTP status that the framework chose. Its words are shown
// for 4xx alone.
func FromStatus(status int, detail string, fields ...nexus.FieldError) *Problem {
	if status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable {
		return New(http.StatusInternalServerError, nexus.Internal, "internal error")
	}
	code := nexus.Invalid
	for _, c := range []nexus.Code{
		nexus.Unauthenticated, nexus.Forbidden, nexus.NotFound, nexus.Conflict, nexus.Stale, nexus.TooLarge,
		nexus.Unsupported, nexus.RateLimited, nexus.Unavailable,
	} {
		if Status(c) == status {
			code = c
		}
	}
	switch status {
	case http.StatusNotFound:
		detail = "no such route"
	case http.StatusMethodNotAllowed, http.StatusNotAcceptable:
		code = nexus.Unsupported
	case http.StatusRequestHeaderFieldsTooLarge:
		code = nexus.TooLarge
	}
	return New(status, code, detail, fields...)
}

// Error returns the words, so that a problem travels as an error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus tells Huma the status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType tells Huma the media type.
func (p *Problem) ContentType(string) string { return ContentType }

// GetHeaders returns the headers that belong to the status.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.cookie != "" {
		h.Set("Set-Cookie", p.cookie)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="nexus"`)
	}
	return h
}

// Send writes the problem as the answer of a plain Fiber route.
func (p *Problem) Send(c *fiber.Ctx, requestID string) error {
	p.RequestID = requestID
	for name, values := range p.GetHeaders() {
		c.Set(name, values[0])
	}
	body, err := wire.Marshal(p)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, ContentType)
	return c.Status(p.Status).Send(body)
}
