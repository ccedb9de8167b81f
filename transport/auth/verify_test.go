package auth_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/rest/resttest"
)

func TestVerifyAsksTheDatabaseEveryFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		tk := f.login()
		for range 100 {
			if !f.valid(tk.Access) {
				t.Fatal("not valid")
			}
		}
		if n := f.Asked(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		// Revoked on another node: only the store knows.
		if err := f.Memory.Revoke(t.Context(), nexus.Caller{}, f.user.ID, tk.Session); err != nil {
			t.Fatal(err)
		}
		if !f.valid(tk.Access) {
			t.Error("asked again within five seconds")
		}
		time.Sleep(5 * time.Second)
		if f.valid(tk.Access) {
			t.Error("valid five seconds after it was revoked elsewhere")
		}
	})
}

func TestRevokingHereCountsAtOnce(t *testing.T) {
	for name, end := range map[string]func(*fixture, auth.Tokens) error{
		"logout": func(f *fixture, tk auth.Tokens) error {
			return f.Service.Logout(context.Background(), nexus.Caller{User: f.user.ID, Session: tk.Session}, "")
		},
		"revoke": func(f *fixture, tk auth.Tokens) error {
			return f.Service.Revoke(context.Background(), nexus.Caller{User: f.user.ID}, tk.Session)
		},
		"password": func(f *fixture, tk auth.Tokens) error {
			by := from("10.0.0.1")
			by.User, by.Session = f.user.ID, tk.Session
			_, err := f.Service.ChangePassword(context.Background(), by, resttest.Password, "another password")
			return err
		},
		"roles": func(f *fixture, _ auth.Tokens) error {
			_, err := f.SetRoles(context.Background(), nexus.Caller{}, f.user.ID, []nexus.Role{nexus.Admin})
			f.Ended(context.Background(), f.user.ID, "", auth.ReasonRoles)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := service(t)
			tk := f.login()
			if !f.valid(tk.Access) {
				t.Fatal("not valid at first")
			}
			if err := end(f, tk); err != nil {
				t.Fatal(err)
			}
			if f.valid(tk.Access) {
				t.Error("valid after it ended")
			}
			if n := f.sockets.Ended(); len(n) != 1 || !strings.HasPrefix(n[0], string(f.user.ID)) {
				t.Errorf("sockets: %v", n)
			}
		})
	}
}

func TestWhileTheDatabaseIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		known, fresh, ended := f.login(), f.login(), f.login()
		secret := f.key()
		if !f.valid(known.Access) || !f.valid(ended.Access) {
			t.Fatal("not valid at first")
		}
		if err := f.Memory.Revoke(t.Context(), nexus.Caller{}, f.user.ID, ended.Session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		if f.valid(ended.Access) {
			t.Fatal("valid after it ended")
		}
		f.Fail(nexus.Errorf(nexus.Unavailable, "away"))
		time.Sleep(6 * time.Second)
		if !f.valid(known.Access) || !f.valid(fresh.Access) {
			t.Error("an SOS would be refused")
		}
		if f.valid("x" + known.Access) {
			t.Error("any token will do")
		}
		before := f.Asked()
		for range 100 {
			f.valid(fresh.Access)
		}
		if n := f.Asked() - before; n > 1 {
			t.Errorf("the database was asked %d times while away", n)
		}
		if _, err := f.VerifyKey(t.Context(), secret); nexus.CodeOf(err) != nexus.Unavailable {
			t.Errorf("a key not seen before: %v", err)
		}
		if err := f.try("10.0.0.1", "asha@example.edu", resttest.Password); nexus.CodeOf(err) != nexus.Unavailable {
			t.Errorf("a login: %v", err)
		}
		f.Fail(nil)
		time.Sleep(2 * time.Second)
		if _, err := f.VerifyKey(t.Context(), secret); err != nil {
			t.Errorf("after it came back: %v", err)
		}
		if f.valid(ended.Access) {
			t.Error("the ended login is valid again")
		}
	})
}

func (f *fixture) key() string {
	f.t.Helper()
	at := time.Now().Add(time.Hour)
	_, secret, err := f.Service.CreateKey(f.t.Context(), nexus.Caller{}, "gate", []nexus.Scope{nexus.ScopeCheckins}, &at)
	if err != nil {
		f.t.Fatal(err)
	}
	return secret
}

// slowLogins takes its time, as a database that hangs does.
type slowLogins struct {
	auth.Logins
	d time.Duration
}

func (s slowLogins) State(ctx context.Context, id nexus.SessionID) (nexus.LoginState, error) {
	select {
	case <-time.After(s.d):
		return s.Logins.State(ctx, id)
	case <-ctx.Done():
		return nexus.LoginState{}, ctx.Err()
	}
}

func TestAHangingDatabaseDelaysNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		f.Logins = slowLogins{f.Logins, time.Minute}
		tk := f.login()
		start := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if !f.valid(tk.Access) {
					t.Error("refused")
				}
			})
		}
		wg.Wait()
		if took := time.Since(start); took > time.Second {
			t.Errorf("took %v", took)
		}
		start = time.Now()
		if !f.valid(tk.Access) || time.Since(start) > 0 {
			t.Errorf("asked again after %v", time.Since(start))
		}
	})
}

// TestARevocationIsNotOverwritten: a question that began before a revocation must not bring the old answer back.
func TestARevocationIsNotOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		tk := f.login()
		asked := make(chan struct{}, 1) // the answer may be on its way before anybody listens
		f.Logins = answersLate{f.Logins, asked}
		go f.valid(tk.Access) // reads "valid", and returns it late
		<-asked
		if err := f.Service.Revoke(t.Context(), nexus.Caller{User: f.user.ID}, tk.Session); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if f.valid(tk.Access) {
			t.Error("valid after it was revoked")
		}
	})
}

type answersLate struct {
	auth.Logins
	asked chan struct{}
}

func (a answersLate) State(ctx context.Context, id nexus.SessionID) (nexus.LoginState, error) {
	st, err := a.Logins.State(ctx, id)
	select {
	case a.asked <- struct{}{}:
		time.Sleep(100 * time.Millisecond)
	default:
	}
	return st, err
}
