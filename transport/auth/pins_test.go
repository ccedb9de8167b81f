package auth_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/limit"
	"nexus/transport/rest/resttest"
)

// pinned is a person, and the service that knows their numbers.
type pinned struct {
	*auth.Service
	office *resttest.Safety
	by     nexus.Caller
}

func withPins(t *testing.T, cost *argon2id.Params) pinned {
	t.Helper()
	m, office := resttest.NewMemory(), resttest.NewSafety()
	s, err := auth.New(auth.Options{
		Accounts: m, Logins: m, Keys: m, Pins: office, Limiter: limit.NewMemory(1000), Sockets: &resttest.Sockets{}, Log: slog.New(slog.DiscardHandler),
		Secrets: [][]byte{bytes.Repeat([]byte("s"), 32)}, Hash: cost,
	})
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Register(t.Context(), nexus.Caller{}, auth.Registration{Email: "asha@example.edu", RegNo: "cs-1", Name: "Asha", Password: resttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	by := from("10.0.0.1")
	by.User = u.ID
	return pinned{s, office, by}
}

func TestPinsAreChecked(t *testing.T) {
	p := withPins(t, resttest.CheapHash)
	for _, c := range []struct{ name, password, pin, duress, field string }{
		{"short", resttest.Password, "123", "456", "pin"},
		{"long", resttest.Password, "123456789", "987654321", "pin"},
		{"none", resttest.Password, "", "1234", "pin"},
		{"letters", resttest.Password, "12a4", "1234", "pin"},
		{"digits of another script", resttest.Password, "१२", "1234", "pin"},
		{"a sign", resttest.Password, "-123", "1234", "pin"},
		{"no duress PIN", resttest.Password, "1234", "", "duressPin"},
		{"a duress PIN of letters", resttest.Password, "1234", "abcd", "duressPin"},
		{"alike", resttest.Password, "1234", "1234", "duressPin"},
		{"told apart by their length", resttest.Password, "1234", "12345", "duressPin"},
		{"a wrong password", "not the password", "1234", "4321", "password"},
		{"no password", "", "1234", "4321", "password"},
	} {
		err := p.SetPins(t.Context(), p.by, c.password, c.pin, c.duress)
		if f := nexus.FailureOf(err); f == nil || f.Code != nexus.Invalid || len(f.Errors) != 1 || f.Errors[0].Field != c.field {
			t.Errorf("%s: %v, want %s to be named", c.name, err, c.field)
		}
		if err != nil && c.pin != "" && (strings.Contains(err.Error(), c.pin) || c.duress != "" && strings.Contains(err.Error(), c.duress)) {
			t.Errorf("%s: %v repeats a number", c.name, err)
		}
	}
	if pin, duress, err := p.office.Pins(t.Context(), p.by.User); pin != "" || duress != "" || err != nil {
		t.Fatalf("refused numbers are kept: %q %q %v", pin, duress, err)
	}
	for _, length := range []int{auth.MinPin, auth.MaxPin} {
		if err := p.SetPins(t.Context(), p.by, resttest.Password, "12345678"[:length], "87654321"[:length]); err != nil {
			t.Errorf("%d digits: %v", length, err)
		}
	}
	if pin, duress, err := p.office.Pins(t.Context(), p.by.User); err != nil || !strings.HasPrefix(pin, "$argon2id$") || !strings.HasPrefix(duress, "$argon2id$") || pin == duress {
		t.Errorf("kept as %q and %q, %v", pin, duress, err)
	}
}

func TestWhatAPinMeans(t *testing.T) {
	p := withPins(t, resttest.CheapHash)
	for _, pin := range []string{"", "1234"} { // none are set: none is needed
		if duress, err := p.CheckPin(t.Context(), p.by.User, pin); duress || err != nil {
			t.Errorf("%q before any is set: %v %v", pin, duress, err)
		}
	}
	if err := p.SetPins(t.Context(), p.by, resttest.Password, "0042", "4200"); err != nil {
		t.Fatal(err)
	}
	for pin, want := range map[string]struct {
		duress bool
		code   nexus.Code
	}{"0042": {}, "4200": {duress: true}, "": {code: nexus.Forbidden}, "42": {code: nexus.Forbidden}, "1234": {code: nexus.Forbidden}} {
		if duress, err := p.CheckPin(t.Context(), p.by.User, pin); duress != want.duress || nexus.CodeOf(err) != want.code {
			t.Errorf("%q: %v %v", pin, duress, err)
		}
	}
	p.office.Err = nexus.Errorf(nexus.Unavailable, "away")
	if duress, err := p.CheckPin(t.Context(), p.by.User, "0042"); duress || nexus.CodeOf(err) != nexus.Unavailable {
		t.Errorf("with the store away: %v %v", duress, err)
	}
}

// TestPinsAreNotGuessed: whoever holds somebody's phone has five tries, then one in twelve seconds; right ones count as well, so that the
// count tells nothing.
func TestPinsAreNotGuessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := withPins(t, resttest.CheapHash)
		if err := p.SetPins(t.Context(), p.by, resttest.Password, "0042", "4200"); err != nil {
			t.Fatal(err)
		}
		try := func(pin string) nexus.Code {
			_, err := p.CheckPin(context.Background(), p.by.User, pin)
			return nexus.CodeOf(err)
		}
		for i, pin := range []string{"1111", "0042", "4200", "2222", "3333"} {
			if got := try(pin); got == nexus.RateLimited {
				t.Errorf("try %d is held up", i+1)
			}
		}
		for _, pin := range []string{"1111", "0042", "4200"} {
			if got := try(pin); got != nexus.RateLimited {
				t.Errorf("a try too many, %s: %q", pin, got)
			}
		}
		if _, err := p.CheckPin(t.Context(), nexus.UserID(nexus.NewID()), "1111"); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		time.Sleep(12 * time.Second)
		if got := try("0042"); got != "" {
			t.Errorf("after a while: %q", got)
		}
		if got := try("0042"); got != nexus.RateLimited {
			t.Errorf("at once again: %q", got)
		}
	})
}

// TestEveryPinCostsAsMuch: both hashes are computed whichever number is given. What a hash costs is the memory that it fills; it is counted
// instead of time, which says more about the machine.
func TestEveryPinCostsAsMuch(t *testing.T) {
	const hash = 4096 << 10 // bytes
	p := withPins(t, &argon2id.Params{Memory: hash >> 10, Iterations: 1, Parallelism: 1, SaltLength: 8, KeyLength: 16})
	if err := p.SetPins(t.Context(), p.by, resttest.Password, "0042", "4200"); err != nil {
		t.Fatal(err)
	}
	for name, pin := range map[string]string{"right": "0042", "duress": "4200", "wrong": "1234", "no": ""} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := p.CheckPin(t.Context(), p.by.User, pin); err != nil && nexus.CodeOf(err) != nexus.Forbidden {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if filled := after.TotalAlloc - before.TotalAlloc; filled < 2*hash || filled >= 3*hash {
			t.Errorf("the %s PIN costs %.1f hashes", name, float64(filled)/hash)
		}
	}
}
