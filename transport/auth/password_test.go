package auth

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"nexus"
)

func TestPasswords(t *testing.T) {
	for password, ok := range map[string]bool{
		"campus-demo": true, "0123456789": true, "123456789": false, strings.Repeat("ab", 100): true, strings.Repeat("ab", 101): false,
		"asha@example.edu": false, "ASHA@example.edu ": false, "aaaaaaaaaaaa": false, "पासवर्डपासवर्ड": true, "": false,
	} {
		err := CheckPassword("password", password, "asha@example.edu")
		if (err == nil) != ok {
			t.Errorf("%q: %v", password, err)
		}
		if err != nil && (nexus.CodeOf(err) != nexus.Invalid || password != "" && strings.Contains(err.Error(), password)) {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestEmails(t *testing.T) {
	for in, want := range map[string]string{
		" Asha@Example.EDU ": "asha@example.edu", "a.b+c@x.example.org": "a.b+c@x.example.org",
		"Asha <asha@example.edu>": "", "asha": "", "asha@localhost": "", `"a b"@example.edu`: "", "a@b.c, d@e.f": "", "": "",
		strings.Repeat("a", 65) + "@example.edu": "", "a@" + strings.Repeat("b.", 130) + "c": "", "a\r\nBcc: x@example.edu": "",
	} {
		got, err := nexus.NormalEmail(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", in, got, err)
		}
	}
}

var cheap = &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 8, KeyLength: 16}

func TestHashOfAnyKeyboard(t *testing.T) {
	h, err := newHasher(cheap)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.hash(t.Context(), "caf\u00e9 caf\u00e9")
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"cafe\u0301 cafe\u0301": true, "cafe cafe": false, "": false} {
		if ok, err := h.check(password, hash); ok != want || err != nil {
			t.Errorf("%q: %v %v", password, ok, err)
		}
	}
	if ok, err := h.check("anything", ""); ok || err != nil {
		t.Errorf("an account without a password: %v %v", ok, err)
	}
	if _, err := h.check("x", "not a hash"); err == nil {
		t.Error("a broken hash is no error")
	}
}

// TestHashesDoNotPileUp: as many at once as there are cores, a bounded number in wait, the rest refused at once.
func TestHashesDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, err := newHasher(cheap)
		if err != nil {
			t.Fatal(err)
		}
		var running, most, done, refused atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				err := h.do(context.Background(), func() error {
					most.Store(max(most.Load(), running.Add(1)))
					time.Sleep(300 * time.Millisecond)
					running.Add(-1)
					return nil
				})
				switch nexus.CodeOf(err) {
				case "":
					done.Add(1)
				case nexus.Unavailable:
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		start := time.Now()
		wg.Wait()
		cores := int64(cap(h.running))
		if most.Load() > cores || done.Load()+refused.Load() != 200 || done.Load() < cores || refused.Load() < 200-maxWaiting {
			t.Errorf("%d at once of %d, %d done, %d refused", most.Load(), cores, done.Load(), refused.Load())
		}
		if waited := time.Since(start); waited > maxWait+time.Second {
			t.Errorf("somebody waited %v", waited)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for range cores {
			h.running <- struct{}{}
		}
		if err := h.do(ctx, func() error { return nil }); nexus.CodeOf(err) != nexus.Unavailable {
			t.Errorf("a caller that left: %v", err)
		}
	})
}

// BenchmarkDefaultHash measures what one login costs.
func BenchmarkDefaultHash(b *testing.B) {
	for b.Loop() {
		if _, err := argon2id.CreateHash("campus-demo", DefaultHash); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAnUnknownAccountCostsAsMuch: who times the answers learns nothing. What a check costs is the memory that it fills, as often as the
// hash says; both are compared instead of times, which say more about the machine.
func TestAnUnknownAccountCostsAsMuch(t *testing.T) {
	h, err := newHasher(&argon2id.Params{Memory: 4096, Iterations: 2, Parallelism: 1, SaltLength: 8, KeyLength: 16})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := h.hash(t.Context(), "campus-demo")
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range map[string]string{"known": hash, "unknown": ""} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if ok, err := h.check("wrong password", hash); ok || err != nil {
			t.Fatal(ok, err)
		}
		runtime.ReadMemStats(&after)
		if filled := after.TotalAlloc - before.TotalAlloc; filled < 4096<<10 {
			t.Errorf("the check of an %s account fills %d bytes", name, filled)
		}
	}
	if p, _, _, err := argon2id.DecodeHash(h.dummy); err != nil || *p != *h.params {
		t.Errorf("an unknown account is checked at %+v, a known one at %+v: %v", p, h.params, err)
	}
}
