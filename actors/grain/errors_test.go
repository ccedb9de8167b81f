package grain_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"nexus"
	"nexus/actors/grain"
)

func TestFailureCarriesAnError(t *testing.T) {
	codes := []nexus.Code{
		nexus.Invalid, nexus.Unauthenticated, nexus.Forbidden, nexus.NotFound, nexus.Conflict, nexus.Stale, nexus.KeyReused,
		nexus.TooLarge, nexus.Unsupported, nexus.RateLimited, nexus.TokenReused, nexus.Unavailable,
	}
	rapid.Check(t, func(t *rapid.T) {
		want := nexus.Errorf(rapid.SampledFrom(codes).Draw(t, "code"), "%s", rapid.String().Draw(t, "message"))
		want.RetryAfter = time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "ms")) * time.Millisecond
		for range rapid.IntRange(0, 5).Draw(t, "fields") {
			want.Fields = append(want.Fields, nexus.FieldError{Field: rapid.String().Draw(t, "field"), Detail: rapid.String().Draw(t, "detail")})
		}
		var err error = want
		if rapid.Bool().Draw(t, "wrapped") {
			err = fmt.Errorf("verb object: %w", want)
		}
		wire, werr := proto.Marshal(grain.Failed(err))
		if werr != nil {
			t.Fatal(werr)
		}
		var f grain.Failure
		if werr = proto.Unmarshal(wire, &f); werr != nil {
			t.Fatal(werr)
		}
		var got *nexus.Error
		if !errors.As(f.Err(), &got) || fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", *want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// TestFailureTellsNoSecrets sees to it that only what was written for the caller leaves the grain.
func TestFailureTellsNoSecrets(t *testing.T) {
	secret := errors.New("host=db password=x")
	for _, c := range []struct {
		err  error
		code nexus.Code
		want string
	}{
		{secret, nexus.Internal, "internal error"},
		{nexus.Errorf(nexus.Internal, "row 7 is broken"), nexus.Internal, "internal error"},
		{nexus.Wrap(nexus.NotFound, secret, "no such hall"), nexus.NotFound, "no such hall"},
		{fmt.Errorf("load: %w", context.DeadlineExceeded), nexus.Unavailable, "the service is busy, try again"},
	} {
		if err := grain.Failed(c.err).Err(); nexus.CodeOf(err) != c.code || err.Error() != c.want {
			t.Errorf("%v: got %q (%s), want %q (%s)", c.err, err, nexus.CodeOf(err), c.want, c.code)
		}
	}
}
