package pg_test

import (
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestAccountsAreFoundByAddressAndNumber(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha", nexus.Student, nexus.Admin)
	if u.Email != "asha@campus.test" || u.RegNo != "R-asha" || u.Name != "asha" || u.Status != nexus.Active || u.Version != 1 ||
		len(u.Roles) != 2 || u.Roles[0] != nexus.Admin || time.Since(u.CreatedAt) > time.Minute {
		t.Fatalf("created: %+v", u)
	}
	for _, login := range []string{"asha@campus.test", "ASHA@Campus.Test", "R-asha", "r-ASHA"} {
		c, err := s.ByLogin(t.Context(), login)
		ok(t, err)
		if c.User.ID != u.ID || c.PasswordHash != "hash of asha" || c.TokenEpoch != 0 {
			t.Fatalf("%s: %+v", login, c)
		}
	}
	c, err := s.ByID(t.Context(), u.ID)
	if err != nil || c.User.Email != u.Email {
		t.Fatalf("by id: %+v %v", c, err)
	}
	for _, login := range []string{"", "nobody", "%", "asha@campus.tes_"} {
		_, err := s.ByLogin(t.Context(), login)
		code(t, err, nexus.NotFound)
	}
	_, err = s.ByLogin(t.Context(), "a\x00b")
	code(t, err, nexus.Invalid)
	_, err = s.ByID(t.Context(), nexus.UserID(nexus.NewID()))
	code(t, err, nexus.NotFound)
	_, err = s.ByID(t.Context(), "no id")
	code(t, err, nexus.Invalid)
}

func TestAnAddressBeatsANumberThatLooksLikeIt(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	_, err := s.Create(t.Context(), system, nexus.NewAccount{
		Email: "thief@campus.test", RegNo: "asha@campus.test", Name: "T", Roles: []nexus.Role{nexus.Student},
	})
	ok(t, err)
	u := newUser(t, db, "asha")
	c, err := s.ByLogin(t.Context(), "asha@campus.test")
	if err != nil || c.User.ID != u.ID {
		t.Fatalf("found %s, %v", c.User.Email, err)
	}
}

func TestCreateRefusesWhatIsTakenOrWrong(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	newUser(t, db, "asha")
	for name, tc := range map[string]struct {
		change func(*nexus.NewAccount)
		code   nexus.Code
		field  string
	}{
		"address taken":   {func(a *nexus.NewAccount) { a.Email = "Asha@CAMPUS.test" }, nexus.Conflict, "email"},
		"number taken":    {func(a *nexus.NewAccount) { a.RegNo = "r-asha" }, nexus.Conflict, "regNo"},
		"no roles":        {func(a *nexus.NewAccount) { a.Roles = nil }, nexus.Invalid, "roles"},
		"unknown role":    {func(a *nexus.NewAccount) { a.Roles = []nexus.Role{"KING"} }, nexus.Invalid, "roles"},
		"no name":         {func(a *nexus.NewAccount) { a.Name = "" }, nexus.Invalid, "name"},
		"no address":      {func(a *nexus.NewAccount) { a.Email = "" }, nexus.Invalid, "email"},
		"endless address": {func(a *nexus.NewAccount) { a.Email = strings.Repeat("x", 255) }, nexus.Invalid, "email"},
		"endless number":  {func(a *nexus.NewAccount) { a.RegNo = strings.Repeat("x", 41) }, nexus.Invalid, "regNo"},
	} {
		t.Run(name, func(t *testing.T) {
			a := nexus.NewAccount{Email: "ravi@campus.test", RegNo: "R-2", Name: "Ravi", Roles: []nexus.Role{nexus.Student}}
			tc.change(&a)
			_, err := s.Create(t.Context(), system, a)
			onField(t, err, tc.code, tc.field)
		})
	}
	if n := count(t, db.Pool(), `select count(*) from app_user`); n != 1 {
		t.Fatalf("%d accounts", n)
	}
	// Accounts without a number and without a password do not get in each other's way.
	for _, mail := range []string{"one@campus.test", "two@campus.test"} {
		u, err := s.Create(t.Context(), system, nexus.NewAccount{Email: mail, Name: "X", Roles: []nexus.Role{nexus.Faculty, nexus.Faculty}})
		ok(t, err)
		c, err := s.ByID(t.Context(), u.ID)
		if err != nil || c.PasswordHash != "" || u.RegNo != "" || len(u.Roles) != 1 {
			t.Fatalf("%+v %v", c, err)
		}
	}
	if _, err := s.ByLogin(t.Context(), ""); nexus.CodeOf(err) != nexus.NotFound {
		t.Fatal("an empty login found somebody")
	}
}

func TestOneAddressOneAccountWhoeverRaces(t *testing.T) {
	t.Parallel()
	s := pg.NewIdentity(pgfix.DB(t))
	got := tally(race(8, func(int) error {
		_, err := s.Create(t.Context(), system, nexus.NewAccount{Email: "asha@campus.test", Name: "A", Roles: []nexus.Role{nexus.Student}})
		return err
	}))
	if got[""] != 1 || got[nexus.Conflict] != 7 {
		t.Fatalf("%v", got)
	}
}

func TestSetPasswordEndsTheOtherLogins(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	other := newUser(t, db, "ravi")
	own, second, foreign := login(t, db, u.ID, "a"), login(t, db, u.ID, "b"), login(t, db, other.ID, "c")
	ok(t, s.SetPassword(t.Context(), nexus.Caller{User: u.ID, Session: own}, u.ID, "new"))
	c, err := s.ByID(t.Context(), u.ID)
	if err != nil || c.PasswordHash != "new" || c.TokenEpoch != 1 {
		t.Fatalf("%+v %v", c, err)
	}
	for id, revoked := range map[nexus.SessionID]bool{own: false, second: true, foreign: false} {
		st, err := s.State(t.Context(), id)
		if err != nil || st.Revoked != revoked {
			t.Errorf("%+v %v, want revoked %v", st, err, revoked)
		}
	}
	// Somebody else's session is no reason to keep one of this account.
	ok(t, s.SetPassword(t.Context(), nexus.Caller{User: other.ID, Session: own}, u.ID, "newer"))
	if st, err := s.State(t.Context(), own); err != nil || !st.Revoked || st.TokenEpoch != 2 {
		t.Errorf("%+v %v", st, err)
	}
	code(t, s.SetPassword(t.Context(), system, nexus.UserID(nexus.NewID()), "x"), nexus.NotFound)
}

// Rehash loses against a change of the password that came first.
func TestRehashReplacesOnlyTheHashItKnows(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	id := login(t, db, u.ID, "t0")
	for _, step := range []struct{ old, hash, want string }{
		{"hash of asha", "better", "better"},
		{"hash of asha", "late", "better"},
	} {
		ok(t, s.Rehash(t.Context(), u.ID, step.old, step.hash))
		c, err := s.ByID(t.Context(), u.ID)
		if err != nil || c.PasswordHash != step.want || c.TokenEpoch != 0 || c.User.Version != u.Version {
			t.Fatalf("%+v: %+v %v", step, c, err)
		}
	}
	if st, err := s.State(t.Context(), id); err != nil || st.Revoked {
		t.Fatalf("the login: %+v %v", st, err)
	}
}
