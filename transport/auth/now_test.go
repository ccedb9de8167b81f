package auth_test

import (
	"testing"
	"testing/synctest"
	"time"

	"nexus"
)

// TestARoleIsNotTakenBySignatureAlone: while the database is away or slow, also for a login that it knew before, and as soon
// as it answers again the roles count.
func TestARoleIsNotTakenBySignatureAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := service(t)
		known, fresh, ended := f.login(), f.login(), f.login()
		want := func(what, token string, code nexus.Code) {
			t.Helper()
			who, until, err := f.VerifyNow(t.Context(), token)
			if nexus.CodeOf(err) != code {
				t.Errorf("%s: %v", what, err)
			}
			if good := code == ""; good != (who.User == f.user.ID) || good == until.IsZero() {
				t.Errorf("%s: %+v until %v", what, who, until)
			}
		}
		want("at first", known.Access, "")
		want("to be ended", ended.Access, "")
		want("no token", "x"+known.Access, nexus.Unauthenticated)
		logins := f.Logins
		for name, away := range map[string]func(){
			"away": func() { f.Fail(nexus.Errorf(nexus.Unavailable, "away")) },
			"slow": func() { f.Logins = slowLogins{logins, time.Second} },
		} {
			away()
			want(name+": remembered for less than five seconds", known.Access, "")
			time.Sleep(5 * time.Second)
			want(name+": known before", known.Access, nexus.Unavailable)
			want(name+": never seen", fresh.Access, nexus.Unavailable)
			if !f.valid(known.Access) || !f.valid(fresh.Access) {
				t.Error(name + ": sockets would end")
			}
			f.Fail(nil)
			f.Logins = logins
			time.Sleep(time.Second)
			want(name+": back", known.Access, "")
		}
		if err := f.Memory.Revoke(t.Context(), nexus.Caller{}, f.user.ID, ended.Session); err != nil {
			t.Fatal(err)
		}
		want("ended", ended.Access, nexus.Unauthenticated)
	})
}
