package nexus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Code says what kind of thing went wrong. Codes cross nodes and reach clients, so
// their texts are part of the contract; identity of an error value does not survive the wire, a code does.
type Code string

// The codes. Each edge maps them once: transport to HTTP statuses and socket
// answers, persistence from the database's errors.
const (
	Invalid         Code = "invalid"         // the input is wrong; Fields says where
	Unauthenticated Code = "unauthenticated" // no valid credentials
	Forbidden       Code = "forbidden"       // known, but may not
	NotFound        Code = "not_found"       // no such thing, or not visible to the caller
	Conflict        Code = "conflict"        // contradicts the present state
	StateConflict   Code = "state_conflict"  // not possible in the present state, which State names
	CourseFull      Code = "course_full"     // no seat is free, and no place in the waitlist
	Stale           Code = "stale"           // the caller's version is not the present one
	KeyReused       Code = "key_reused"      // an idempotency key came with another body
	TooLarge        Code = "too_large"       // a body, file or batch over its bound
	Unsupported     Code = "unsupported"     // a media type or encoding that is not taken
	RateLimited     Code = "rate_limited"    // too often; RetryAfter says when again
	TokenReused     Code = "token_reused"    // a refresh token came twice: its family is revoked
	Fenced          Code = "fenced"          // a newer activation owns the grain; never shown to clients
	Unavailable     Code = "unavailable"     // a part that is needed is away; try again
	Internal        Code = "internal"        // our fault; the cause is logged, never shown
)

// FieldError names one wrong field of an input, as a path such as "events[3].at".
type FieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// Error is an error with a code. Message is fit for the eyes of the caller; the wrapped cause is not.
type Error struct {
	Code       Code
	Message    string
	Fields     []FieldError
	RetryAfter time.Duration // for RateLimited and Unavailable; 0 when unknown
	State      string        // for StateConflict: the state that things are in
	cause      error
}

// Error returns the message, and the cause behind it for the log.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.Message + ": " + e.cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Errorf makes an Error with a code. A %w in the format keeps its operand as the
// cause, whose text then is part of the message: use Wrap where it must not be.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Wrap gives a cause a code and a message for the caller; the cause stays for the log.
func Wrap(code Code, cause error, message string) *Error {
	return &Error{Code: code, Message: message, cause: cause}
}

// InvalidField is the Invalid error of one field.
func InvalidField(field, format string, args ...any) *Error {
	detail := fmt.Sprintf(format, args...)
	return &Error{Code: Invalid, Message: field + ": " + detail, Fields: []FieldError{{Field: field, Detail: detail}}}
}

// InState is the StateConflict error of a thing that is in a state in which this is not possible.
func InState[S ~string](state S, format string, args ...any) *Error {
	return &Error{Code: StateConflict, Message: fmt.Sprintf(format, args...), State: string(state)}
}

// CodeOf returns the code of err: that of the first *Error in its chain,
// Unavailable for a context that ended, Internal for anything else, and "" for nil.
func CodeOf(err error) Code {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Unavailable
	default:
		return Internal
	}
}

// Failure is an error as clients see it, in the answers of sockets: nothing of an internal cause.
type Failure struct {
	Code    Code         `json:"code"`
	Message string       `json:"message"`
	State   string       `json:"state,omitempty"` // with state_conflict
	Errors  []FieldError `json:"errors,omitempty"`
}

// FailureOf returns what a client may see of err.
func FailureOf(err error) *Failure {
	var e *Error
	code := CodeOf(err)
	switch {
	case code == Fenced, code == Unavailable && !errors.As(err, &e):
		return &Failure{Code: Unavailable, Message: "the service is busy, try again"}
	case code == Internal, !errors.As(err, &e):
		return &Failure{Code: Internal, Message: "internal error"}
	default:
		return &Failure{Code: code, Message: e.Message, State: e.State, Errors: e.Fields}
	}
}
