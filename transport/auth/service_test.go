package auth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/limit"
	"nexus/transport/rest/resttest"
)

type fixture struct {
	*resttest.Memory
	*auth.Service
	sockets *resttest.Sockets
	user    nexus.User
	t       *testing.T
}

func service(t *testing.T) *fixture {
	t.Helper()
	m, s := resttest.NewMemory(), &resttest.Sockets{}
	a, err := auth.New(auth.Options{
		Accounts: m, Logins: m, Keys: m, Limiter: limit.NewMemory(1000), Sockets: s, Log: slog.New(slog.DiscardHandler),
		Secrets: [][]byte{bytes.Repeat([]byte("s"), 32)}, Hash: resttest.CheapHash,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Memory: m, Service: a, sockets: s, t: t}
	f.user, err = a.Register(t.Context(), nexus.Caller{}, auth.Registration{Email: "asha@example.edu", RegNo: "cs-1", Name: "Asha", Password: resttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func from(ip string) nexus.Caller { return nexus.Caller{IP: netip.MustParseAddr(ip)} }

func (f *fixture) login() auth.Tokens {
	f.t.Helper()
	tk, err := f.Service.Login(f.t.Context(), from("10.0.0.1"), auth.Attempt{Identifier: "asha@example.edu", Password: resttest.Password})
	if err != nil {
		f.t.Fatal(err)
	}
	return tk
}

func (f *fixture) try(ip, identifier, password string) error {
	_, err := f.Service.Login(f.t.Context(), from(ip), auth.Attempt{Identifier: identifier, Password: password})
	return err
}

func (f *fixture) valid(token string) bool {
	_, _, err := f.Service.Verify(f.t.Context(), token)
	return err == nil
}

func TestFailuresAreTheSameForEverybody(t *testing.T) {
	f := service(t)
	unknown, wrong := f.try("10.0.0.1", "nobody@example.edu", "wrong password"), f.try("10.0.0.1", "asha@example.edu", "wrong password")
	if nexus.CodeOf(unknown) != nexus.Unauthenticated || unknown.Error() != wrong.Error() {
		t.Errorf("%v, %v", unknown, wrong)
	}
}

func TestGuessingIsSlowedMoreAndMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		tries := 0
		var waits []time.Duration
		for len(waits) < 8 {
			err := f.try("6.6.6.6", "asha@example.edu", "wrong password")
			var e *nexus.Error
			if errors.As(err, &e) && e.Code == nexus.RateLimited {
				waits = append(waits, e.RetryAfter.Round(time.Second))
				time.Sleep(e.RetryAfter)
				continue
			}
			tries++
		}
		if waits[0] != 15*time.Second || waits[7] < 30*time.Second || tries > 15 {
			t.Errorf("%d tries, waits %v", tries, waits)
		}
	})
}

// TestAStrangerLocksNobodyOut: the owner goes on from where they are known, whatever strangers do.
func TestAStrangerLocksNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		session := f.login() // 10.0.0.1 is known now
		limited := false
		for i := range 200 {
			err := f.try(fmt.Sprintf("6.6.%d.%d", i/250, i%250), "ASHA@example.edu", "wrong password")
			limited = limited || nexus.CodeOf(err) == nexus.RateLimited
		}
		if !limited {
			t.Error("guessing from many addresses is not limited")
		}
		if err := f.try("10.0.0.1", "asha@example.edu", resttest.Password); err != nil {
			t.Errorf("the owner at home: %v", err)
		}
		if !f.valid(session.Access) {
			t.Error("the owner's login ended")
		}
		if _, err := f.Service.Refresh(t.Context(), session.Refresh); err != nil {
			t.Errorf("the owner's refresh: %v", err)
		}
		time.Sleep(20 * time.Second)
		if err := f.try("8.8.8.8", "asha@example.edu", resttest.Password); err != nil {
			t.Errorf("the owner elsewhere, after the delay: %v", err)
		}
	})
}

func TestLoginsOfOneAccountAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		for range 60 {
			f.login()
		}
		limited(t, f.try("10.0.0.1", "asha@example.edu", resttest.Password))
		limited(t, f.try("10.0.0.2", "CS-1", resttest.Password))
		time.Sleep(time.Second)
		f.login()
	})
}

func TestRegistrationsFromOneAddressAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		n := 0
		register := func(ip string) error {
			n++
			_, err := f.Service.Register(t.Context(), from(ip), auth.Registration{
				Email: fmt.Sprintf("fresher%d@example.edu", n), Name: "Fresher", Password: resttest.Password,
			})
			return err
		}
		for range 60 {
			if err := register("10.0.0.1"); err != nil {
				t.Fatal(err)
			}
		}
		limited(t, register("10.0.0.1"))
		if err := register("10.0.0.2"); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		time.Sleep(time.Second)
		if err := register("10.0.0.1"); err != nil {
			t.Errorf("a second later: %v", err)
		}
	})
}

// limited checks that err asks to wait for a second at most.
func limited(t *testing.T, err error) {
	t.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.RateLimited || e.RetryAfter <= 0 || e.RetryAfter > time.Second {
		t.Errorf("not limited: %v", err)
	}
}

func TestDerivedKeysDiffer(t *testing.T) {
	f := service(t)
	a, err := f.Derive("a")
	if err != nil || len(a) != 32 {
		t.Fatal(a, err)
	}
	b, err := f.Derive("b")
	if err != nil || bytes.Equal(a, b) || bytes.Equal(a, f.Secrets[0]) {
		t.Errorf("%x %x %v", a, b, err)
	}
	if again, err := f.Derive("a"); err != nil || !bytes.Equal(a, again) {
		t.Errorf("%x %x %v", a, again, err)
	}
}

// changesUnderway changes the account between the check of the password and the opening of the login.
type changesUnderway struct {
	auth.Logins
	change func()
}

func (c changesUnderway) Open(ctx context.Context, by nexus.Caller, user nexus.UserID, epoch int, l nexus.Login, t nexus.RefreshToken) error {
	c.change()
	return c.Logins.Open(ctx, by, user, epoch, l, t)
}

func TestALoginDoesNotOutrunAPasswordChange(t *testing.T) {
	f := service(t)
	o := f.Options
	o.Logins = changesUnderway{f.Memory, func() {
		if err := f.Memory.SetPassword(t.Context(), nexus.Caller{}, f.user.ID, "another hash"); err != nil {
			t.Error(err)
		}
	}}
	var err error
	if f.Service, err = auth.New(o); err != nil {
		t.Fatal(err)
	}
	if err := f.try("10.0.0.1", "asha@example.edu", resttest.Password); nexus.CodeOf(err) != nexus.Unauthenticated {
		t.Errorf("opened with the old password: %v", err)
	}
}

func TestOneAddressTriesManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // no time passes
		f := service(t)
		f.login() // 10.0.0.1 is known now
		limited := 0
		for i := range 1050 {
			if nexus.CodeOf(f.try("10.0.0.1", fmt.Sprintf("nobody%d@example.edu", i), "wrong password")) == nexus.RateLimited {
				limited++
			}
		}
		if limited != 50 {
			t.Errorf("%d of 1050 were limited", limited)
		}
		f.login() // the neighbor's guesses are no matter to those who live there
	})
}

func TestRacingRefreshesLeaveNobodyLoggedIn(t *testing.T) {
	f := service(t)
	tk := f.login()
	var wg sync.WaitGroup
	var mu sync.Mutex
	codes := map[nexus.Code]int{}
	for range 8 {
		wg.Go(func() {
			_, err := f.Service.Refresh(context.Background(), tk.Refresh)
			mu.Lock()
			defer mu.Unlock()
			codes[nexus.CodeOf(err)]++
		})
	}
	wg.Wait()
	if codes[""] != 1 || codes[nexus.TokenReused] != 7 {
		t.Errorf("%v", codes)
	}
	if f.valid(tk.Access) {
		t.Error("the family lives on")
	}
}

func TestRefreshTokensOfAnyShape(t *testing.T) {
	f := service(t)
	tk := f.login()
	for _, bad := range []string{"", "s.", "r.x", "r." + strings.TrimPrefix(tk.Refresh, "s."), tk.Refresh + "x", strings.ToUpper(tk.Refresh)} {
		if _, err := f.Service.Refresh(t.Context(), bad); nexus.CodeOf(err) != nexus.Unauthenticated {
			t.Errorf("%q: %v", bad, err)
		}
	}
	next, err := f.Service.Refresh(t.Context(), tk.Refresh)
	if err != nil || next.Session != tk.Session || next.Remember {
		t.Errorf("%+v %v", next, err)
	}
}

func TestRefreshTokensRunOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		short := f.login()
		long, err := f.Service.Login(t.Context(), from("10.0.0.1"), auth.Attempt{Identifier: "CS-1", Password: resttest.Password, Remember: true})
		if err != nil || !long.Remember {
			t.Fatal(err)
		}
		time.Sleep(auth.SessionTTL + time.Second)
		if _, err := f.Service.Refresh(t.Context(), short.Refresh); nexus.CodeOf(err) != nexus.Unauthenticated {
			t.Errorf("after twelve hours: %v", err)
		}
		time.Sleep(auth.RememberTTL - auth.SessionTTL - time.Minute)
		next, err := f.Service.Refresh(t.Context(), long.Refresh)
		if err != nil || !next.Remember || time.Until(next.Until) != auth.RememberTTL {
			t.Errorf("after a month: %+v %v", next, err)
		}
	})
}

func TestKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		secret := f.key()
		c, err := f.VerifyKey(t.Context(), secret)
		if err != nil || c.User != "" || c.Key == "" || !c.May(nexus.ScopeCheckins) || c.May(nexus.ScopeMail) {
			t.Errorf("%+v %v", c, err)
		}
		for range 100 {
			if _, err := f.VerifyKey(t.Context(), secret); err != nil {
				t.Fatal(err)
			}
		}
		if n := f.Asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		for _, bad := range []string{"", "nxk_", secret + "x", strings.ToUpper(secret), strings.Repeat("nxk_", 100)} {
			if _, err := f.VerifyKey(t.Context(), bad); nexus.CodeOf(err) != nexus.Unauthenticated {
				t.Errorf("%q: %v", bad, err)
			}
		}
		time.Sleep(time.Hour)
		if _, err := f.VerifyKey(t.Context(), secret); nexus.CodeOf(err) != nexus.Unauthenticated {
			t.Errorf("after it ran out: %v", err)
		}
	})
}

func TestKnownKeysAreThoseThatWereGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		secret := f.key()
		known := func(want bool) {
			t.Helper()
			if _, ok := f.KnownKey(secret); ok != want {
				t.Errorf("known: %v", ok)
			}
		}
		known(false)
		c, err := f.VerifyKey(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		known(true)
		if id, _ := f.KnownKey(secret); id != c.Key {
			t.Errorf("known as %s, not as %s", id, c.Key)
		}
		asked := f.Asked()
		time.Sleep(time.Minute)
		known(true) // and nobody was asked for it
		if f.Asked() != asked {
			t.Error("the database was asked")
		}
		// Revoked on another node: forgotten with the first request that is refused.
		if err := f.Memory.RevokeKey(t.Context(), nexus.Caller{}, c.Key); err != nil {
			t.Fatal(err)
		}
		if _, err := f.VerifyKey(t.Context(), secret); nexus.CodeOf(err) != nexus.Unauthenticated {
			t.Errorf("a revoked key: %v", err)
		}
		known(false)
	})
}

func TestARepeatedCreateKeyGivesASecretThatOpens(t *testing.T) {
	f := service(t)
	by := nexus.Caller{User: f.user.ID, Once: nexus.Once{Key: "k", Hash: []byte("x")}}
	for range 2 {
		k, secret, err := f.Service.CreateKey(t.Context(), by, "gate", nexus.Scopes(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := f.VerifyKey(t.Context(), secret); err != nil || c.Key != k.ID {
			t.Errorf("%+v %v", c, err)
		}
	}
}

func TestReuseEndsTheLoginAndItsSockets(t *testing.T) {
	f := service(t)
	for name, use := range map[string]func(token string) error{
		"refresh": func(token string) error {
			_, err := f.Service.Refresh(t.Context(), token)
			if nexus.CodeOf(err) != nexus.TokenReused {
				t.Errorf("refresh: %v", err)
			}
			return nil
		},
		"logout": func(token string) error { return f.Service.Logout(t.Context(), nexus.Caller{}, token) },
	} {
		before := len(f.sockets.Ended())
		tk, bystander := f.login(), f.login()
		next, err := f.Service.Refresh(t.Context(), tk.Refresh)
		if err != nil || !f.valid(next.Access) {
			t.Fatal(name, err)
		}
		if err := use(tk.Refresh); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if f.valid(next.Access) || !f.valid(bystander.Access) {
			t.Errorf("%s: the family's token is good: %v, another login's: %v", name, f.valid(next.Access), f.valid(bystander.Access))
		}
		want := []string{string(f.user.ID) + "|" + string(tk.Session) + "|" + auth.ReasonReused}
		if got := f.sockets.Ended()[before:]; !slices.Equal(got, want) {
			t.Errorf("%s: closed sockets %v, want %v", name, got, want)
		}
	}
}

// TestALoginInUseEndsWithItsLife: refreshing prolongs it up to there and no further.
func TestALoginInUseEndsWithItsLife(t *testing.T) {
	for name, c := range map[string]struct {
		remember   bool
		life, wait time.Duration
	}{
		"for a day":         {false, auth.SessionLife, 5 * time.Hour},
		"for three months":  {true, auth.RememberLife, 20 * 24 * time.Hour},
		"minute for minute": {false, auth.SessionLife, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := service(t)
				start := time.Now()
				tk, err := f.Service.Login(t.Context(), from("10.0.0.1"), auth.Attempt{Identifier: "CS-1", Password: resttest.Password, Remember: c.remember})
				for err == nil {
					if tk.Until.After(start.Add(c.life)) || tk.Expires.After(tk.Until) {
						t.Fatalf("after %v: access until %v, refresh until %v", time.Since(start), tk.Expires, tk.Until)
					}
					time.Sleep(c.wait)
					tk, err = f.Service.Refresh(t.Context(), tk.Refresh)
				}
				if lived := time.Since(start); nexus.CodeOf(err) != nexus.Unauthenticated || lived < c.life || lived > c.life+c.wait {
					t.Errorf("ended after %v: %v", lived, err)
				}
			})
		})
	}
}

// dearHash is what the cost of a password may become.
var dearHash = &argon2id.Params{Memory: 16, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

func TestPasswordsAreHashedAnewAtTodaysCost(t *testing.T) {
	f := service(t)
	cost := func() argon2id.Params {
		t.Helper()
		c, err := f.Memory.ByID(t.Context(), f.user.ID)
		if err != nil {
			t.Fatal(err)
		}
		p, _, _, err := argon2id.DecodeHash(c.PasswordHash)
		if err != nil {
			t.Fatal(err)
		}
		return *p
	}
	log := &resttest.Journal{}
	var err error
	o := f.Options
	o.Hash, o.Log, o.Accounts = dearHash, slog.New(slog.NewTextHandler(log, nil)), forgetful{f.Memory}
	if f.Service, err = auth.New(o); err != nil {
		t.Fatal(err)
	}
	f.login() // works although the new hash is not kept
	if cost() != *resttest.CheapHash || !strings.Contains(log.String(), "hash a password anew") {
		t.Errorf("cost %+v, log %s", cost(), log)
	}
	o.Accounts = f.Memory
	if f.Service, err = auth.New(o); err != nil {
		t.Fatal(err)
	}
	if err := f.try("10.0.0.1", "asha@example.edu", "wrong password"); nexus.CodeOf(err) != nexus.Unauthenticated || cost() != *resttest.CheapHash {
		t.Errorf("a wrong password: %v, cost %+v", err, cost())
	}
	before := f.login()
	if cost() != *dearHash {
		t.Errorf("cost %+v", cost())
	}
	f.login()
	if !f.valid(before.Access) {
		t.Error("a login ended because of it")
	}
}

// forgetful keeps no new hashes.
type forgetful struct{ *resttest.Memory }

func (forgetful) Rehash(context.Context, nexus.UserID, string, string) error {
	return errors.New("the database is away")
}
