package problem_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport/rest/problem"
)

func TestErrorsBecomeProblems(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.1: secret")
	for _, c := range []struct {
		name   string
		err    error
		status int
		code   nexus.Code
		detail string
		retry  string
	}{
		{"invalid", nexus.InvalidField("at", "is late"), 422, nexus.Invalid, "at: is late", ""},
		{"deep inside", fmt.Errorf("load: %w", nexus.Errorf(nexus.NotFound, "hall x")), 404, nexus.NotFound, "hall x", ""},
		{"wrapped", nexus.Wrap(nexus.Conflict, cause, "taken"), 409, nexus.Conflict, "taken", ""},
		{"stale", nexus.Errorf(nexus.Stale, "changed"), 412, nexus.Stale, "changed", ""},
		{"key", nexus.Errorf(nexus.KeyReused, "another body"), 422, nexus.KeyReused, "another body", ""},
		{"reuse", nexus.Errorf(nexus.TokenReused, "used"), 401, nexus.TokenReused, "used", ""},
		{"slow down", &nexus.Error{Code: nexus.RateLimited, Message: "wait", RetryAfter: 1500 * time.Millisecond}, 429, nexus.RateLimited, "wait", "2"},
		{"away", nexus.Wrap(nexus.Unavailable, cause, "the database is away"), 503, nexus.Unavailable, "the database is away", "1"},
		{"fenced", nexus.Errorf(nexus.Fenced, "epoch 7"), 503, nexus.Unavailable, "please try again", "1"},
		{"late", fmt.Errorf("ask: %w", context.DeadlineExceeded), 503, nexus.Unavailable, "the server took too long", "1"},
		{"unknown", cause, 500, nexus.Internal, "internal error", ""},
		{"internal with words", nexus.Wrap(nexus.Internal, cause, "secret"), 500, nexus.Internal, "internal error", ""},
		{"framework", fiber.NewError(400, `bad "GET /secret"`), 400, nexus.Invalid, "Bad Request", ""},
		{"framework's panic", fiber.NewError(502, "secret"), 500, nexus.Internal, "internal error", ""},
		{"no route", fiber.NewError(404, "Cannot GET /secret"), 404, nexus.NotFound, "no such route", ""},
		{"method", fiber.ErrMethodNotAllowed, 405, nexus.Unsupported, "Method Not Allowed", ""},
		{"headers", fiber.ErrRequestHeaderFieldsTooLarge, 431, nexus.TooLarge, "Request Header Fields Too Large", ""},
	} {
		p := problem.From(c.err)
		if p.Status != c.status || p.Code != c.code || p.Detail != c.detail || p.Words != c.detail || p.GetHeaders().Get("Retry-After") != c.retry {
			t.Errorf("%s: %+v %v", c.name, p, p.GetHeaders())
		}
	}
}

func TestEveryCodeHasAStatus(t *testing.T) {
	for _, c := range []nexus.Code{
		nexus.Invalid, nexus.Unauthenticated, nexus.Forbidden, nexus.NotFound, nexus.Conflict, nexus.Stale, nexus.KeyReused,
		nexus.TooLarge, nexus.Unsupported, nexus.RateLimited, nexus.TokenReused, nexus.Fenced, nexus.Unavailable,
	} {
		if problem.Status(c) == 500 {
			t.Errorf("%s has no status", c)
		}
	}
}
