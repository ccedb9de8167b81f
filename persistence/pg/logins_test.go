package pg_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// life is how long the tests' logins last however often they are refreshed.
const life = 24 * time.Hour

func token(name string) nexus.RefreshToken {
	return nexus.RefreshToken{Hash: hash(name), ExpiresAt: time.Now().Add(time.Hour)}
}

// login opens a login of the user whose first token is called name.
func login(t *testing.T, db *pg.DB, user nexus.UserID, name string) nexus.SessionID {
	t.Helper()
	id := nexus.SessionID(nexus.NewID())
	s := pg.NewIdentity(db)
	c, err := s.ByID(t.Context(), user)
	ok(t, err)
	ok(t, s.Open(t.Context(), system, user, c.TokenEpoch, nexus.Login{ID: id, Device: "Firefox", IP: "192.0.2.1"}, token(name)))
	return id
}

func TestRotateExchangesTokensAlongTheChain(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha", nexus.Faculty)
	id := login(t, db, u.ID, "t0")
	for i := range 3 {
		next := token(fmt.Sprint("t", i+1))
		next.ExpiresAt = next.ExpiresAt.Add(time.Hour)
		l, c, err := s.Rotate(t.Context(), hash(fmt.Sprint("t", i)), next, life)
		ok(t, err)
		if l.ID != id || l.Device != "Firefox" || l.IP != "192.0.2.1" || l.ExpiresAt.Sub(next.ExpiresAt).Abs() > time.Millisecond ||
			c.User.ID != u.ID || c.User.Roles[0] != nexus.Faculty || c.PasswordHash != "hash of asha" {
			t.Fatalf("rotation %d: %+v %+v", i, l, c)
		}
	}
	st, err := s.State(t.Context(), id)
	if err != nil || st != (nexus.LoginState{User: u.ID, Status: nexus.Active}) {
		t.Fatalf("%+v %v", st, err)
	}
}

func TestAReusedTokenEndsItsFamily(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	id, bystander := login(t, db, u.ID, "t0"), login(t, db, u.ID, "other")
	_, _, err := s.Rotate(t.Context(), hash("t0"), token("t1"), life)
	ok(t, err)
	l, c, err := s.Rotate(t.Context(), hash("t0"), token("stolen"), life)
	code(t, err, nexus.TokenReused)
	if l.ID != id || c.User.ID != u.ID || c.PasswordHash != "" {
		t.Fatalf("the sockets to close are those of %+v %+v", l, c)
	}
	_, _, err = s.Rotate(t.Context(), hash("t1"), token("t2"), life)
	code(t, err, nexus.Unauthenticated)
	_, _, err = s.Rotate(t.Context(), hash("stolen"), token("t3"), life)
	code(t, err, nexus.Unauthenticated)
	if l, c, err = s.Rotate(t.Context(), hash("t0"), token("t4"), life); l.ID != id || c.User.ID != u.ID {
		t.Fatalf("told nobody whose token came a third time: %+v %+v", l, c)
	}
	code(t, err, nexus.TokenReused)
	if st, err := s.State(t.Context(), id); err != nil || !st.Revoked {
		t.Fatalf("%+v %v", st, err)
	}
	if st, err := s.State(t.Context(), bystander); err != nil || st.Revoked {
		t.Fatalf("another login: %+v %v", st, err)
	}
	if n := count(t, db.Pool(), `select count(*) from audit_log where action = 'login.reuse' and actor = 'system'`); n != 1 {
		t.Fatalf("%d entries tell of it", n)
	}
}

// Of eight exchanges of one token exactly one wins, and since the others reuse the token, its
// prize is worth nothing afterwards.
func TestRacingExchangesEndTheFamily(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	id := login(t, db, newUser(t, db, "asha").ID, "t0")
	got := tally(race(8, func(i int) error {
		_, _, err := s.Rotate(t.Context(), hash("t0"), token(fmt.Sprint("next", i)), life)
		return err
	}))
	if got[""] != 1 || got[nexus.TokenReused] != 7 {
		t.Fatalf("%v", got)
	}
	if st, err := s.State(t.Context(), id); err != nil || !st.Revoked {
		t.Fatalf("%+v %v", st, err)
	}
	for i := range 8 {
		_, _, err := s.Rotate(t.Context(), hash(fmt.Sprint("next", i)), token(fmt.Sprint("after", i)), life)
		code(t, err, nexus.Unauthenticated)
	}
	if n := count(t, db.Pool(), `select count(*) from auth_refresh`); n != 2 {
		t.Fatalf("%d tokens are kept", n)
	}
}

// However often it is refreshed, a login ends when it has lived its life.
func TestARefreshedLoginEndsWithItsLife(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	id := login(t, db, newUser(t, db, "asha").ID, "t0")
	exec(t, db.Pool(), `update auth_session set created_at = now() - interval '23 hours 30 minutes'`)
	l, _, err := s.Rotate(t.Context(), hash("t0"), token("t1"), life) // which asks for an hour more
	ok(t, err)
	if left := time.Until(l.ExpiresAt); !l.ExpiresAt.Equal(l.CreatedAt.Add(life)) || left < 25*time.Minute || left > 30*time.Minute {
		t.Fatalf("%v is left of %+v", left, l)
	}
	if n := count(t, db.Pool(), `select count(*) from auth_refresh r join auth_session s on s.id = r.session_id where r.expires_at = s.expires_at`); n != 1 {
		t.Fatal("the token outlives its login")
	}
	exec(t, db.Pool(), `update auth_session set created_at = created_at - interval '1 hour'`)
	_, _, err = s.Rotate(t.Context(), hash("t1"), token("t2"), life)
	code(t, err, nexus.Unauthenticated)
	_, _, err = s.Rotate(t.Context(), hash("t1"), token("t2"), life)
	code(t, err, nexus.Unauthenticated) // and not TokenReused: it was never exchanged
	exec(t, db.Pool(), `update auth_session set expires_at = now()`)
	if st, err := s.State(t.Context(), id); err != nil || !st.Revoked {
		t.Fatalf("%+v %v", st, err)
	}
}

func TestRotateRefusesDeadTokens(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	for name, spoil := range map[string]string{
		"unknown":   `delete from auth_refresh`,
		"expired":   `update auth_refresh set expires_at = now()`,
		"revoked":   `update auth_session set revoked_at = now()`,
		"suspended": `update app_user set status = 'suspended'`,
	} {
		t.Run(name, func(t *testing.T) {
			login(t, db, u.ID, name)
			exec(t, db.Pool(), spoil)
			_, _, err := s.Rotate(t.Context(), hash(name), token("next "+name), life)
			code(t, err, nexus.Unauthenticated)
			_, _, err = s.Rotate(t.Context(), hash("next "+name), token("x"), life)
			code(t, err, nexus.Unauthenticated)
			exec(t, db.Pool(), `update app_user set status = 'active'`)
		})
	}
}

func TestLoginsAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u, other := newUser(t, db, "asha"), newUser(t, db, "ravi")
	first, second, gone := login(t, db, u.ID, "a"), login(t, db, u.ID, "b"), login(t, db, u.ID, "c")
	exec(t, db.Pool(), `update auth_session set expires_at = now() where id = $1`, gone)
	_, _, err := s.Rotate(t.Context(), hash("a"), token("a1"), life)
	ok(t, err)
	list, err := s.List(t.Context(), u.ID)
	ok(t, err)
	if len(list) != 2 || list[0].ID != first || list[1].ID != second || list[0].IP != "192.0.2.1" || !list[0].LastUsedAt.After(list[0].CreatedAt) {
		t.Fatalf("%+v", list)
	}
	if st, err := s.State(t.Context(), gone); err != nil || !st.Revoked {
		t.Fatalf("an expired login counts: %+v %v", st, err)
	}
	code(t, s.Revoke(t.Context(), system, other.ID, second), nexus.NotFound)
	code(t, s.Revoke(t.Context(), system, u.ID, gone), nexus.NotFound)
	ok(t, s.Revoke(t.Context(), system, u.ID, second))
	code(t, s.Revoke(t.Context(), system, u.ID, second), nexus.NotFound)
	if list, err = s.List(t.Context(), u.ID); err != nil || len(list) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
	if list, err = s.List(t.Context(), other.ID); err != nil || list == nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	_, err = s.State(t.Context(), nexus.SessionID(nexus.NewID()))
	code(t, err, nexus.NotFound)
	err = s.Open(t.Context(), system, nexus.UserID(nexus.NewID()), 0, nexus.Login{ID: nexus.SessionID(nexus.NewID())}, token("z"))
	code(t, err, nexus.Unauthenticated)
	ok(t, s.Open(t.Context(), system, u.ID, 0, nexus.Login{ID: nexus.SessionID(nexus.NewID()), IP: "no address"}, token("y")))
}

// A login whose password was checked before the account changed is not opened after it.
func TestNoLoginOutrunsAChangeOfTheAccount(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	open := func(epoch int, name string) error {
		return s.Open(context.Background(), system, u.ID, epoch, nexus.Login{ID: nexus.SessionID(nexus.NewID())}, token(name))
	}
	living := func(want int) {
		t.Helper()
		if list, err := s.List(t.Context(), u.ID); err != nil || len(list) != want {
			t.Fatalf("%d logins live, want %d: %v", len(list), want, err)
		}
	}
	ok(t, open(0, "before"))
	ok(t, s.SetPassword(t.Context(), system, u.ID, "another hash"))
	code(t, open(0, "late"), nexus.Unauthenticated)
	living(0)
	for epoch := 1; epoch <= 10; epoch++ {
		errs := race(2, func(i int) error {
			if i == 0 {
				return s.SetPassword(context.Background(), system, u.ID, "another hash")
			}
			return open(epoch, fmt.Sprint("race", epoch))
		})
		ok(t, errs[0])
		if errs[1] != nil {
			code(t, errs[1], nexus.Unauthenticated)
		}
		living(0)
	}
	ok(t, open(11, "now"))
	exec(t, db.Pool(), `update app_user set status = 'suspended'`)
	code(t, open(11, "suspended"), nexus.Unauthenticated)
	living(1)
}

// However a revocation and an exchange race, nothing lives afterwards.
func TestRevokeRacesWithRotate(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	for i := range 10 {
		name := fmt.Sprint("t", i)
		id := login(t, db, u.ID, name)
		errs := race(2, func(j int) error {
			if j == 0 {
				return s.Revoke(context.Background(), system, u.ID, id)
			}
			_, _, err := s.Rotate(context.Background(), hash(name), token(name+"'"), life)
			return err
		})
		ok(t, errs[0])
		if errs[1] != nil {
			code(t, errs[1], nexus.Unauthenticated)
		}
		_, _, err := s.Rotate(t.Context(), hash(name+"'"), token(name+"''"), life)
		code(t, err, nexus.Unauthenticated)
	}
}

func TestPurgeLoginsDropsWhatIsLongOver(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	u := newUser(t, db, "asha")
	for _, name := range []string{"living", "over", "long over"} {
		login(t, db, u.ID, name)
	}
	exec(t, db.Pool(), `update auth_refresh set expires_at = now() - interval '1 hour' where hash = $1`, hash("over"))
	exec(t, db.Pool(), `update auth_session s set expires_at = now() - interval '31 days' from auth_refresh r where r.session_id = s.id and r.hash = $1`, hash("long over"))
	n, err := pg.NewIdentity(db).PurgeLogins(t.Context())
	if err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if n := count(t, db.Pool(), `select (select count(*) from auth_session) * 10 + (select count(*) from auth_refresh)`); n != 21 {
		t.Fatal(n)
	}
}

// More than a batch goes too, and what fails does not keep the rest.
func TestPurgesGoOnUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	u := newUser(t, db, "asha")
	login(t, db, u.ID, "living")
	exec(t, db.Pool(), `insert into auth_session (id, user_id, expires_at) select gen_random_uuid(), $1, now() - interval '31 days' from generate_series(1, 10001)`, u.ID)
	exec(t, db.Pool(), `insert into auth_refresh (hash, session_id, expires_at) select sha256(id::text::bytea), id, expires_at from auth_session where expires_at < now()`)
	exec(t, db.Pool(), `insert into idempotency (caller, key, request_hash, created_at) select $1, n, sha256(''), now() - interval '25 hours' from generate_series(1, 20000) n`, u.ID)
	n, err := db.PurgeIdempotency(t.Context())
	if err != nil || n != 20_000 {
		t.Fatal(n, err)
	}
	if n, err = pg.NewIdentity(db).PurgeLogins(t.Context()); err != nil || n != 20_002 {
		t.Fatal(n, err)
	}
	if n := count(t, db.Pool(), `select (select count(*) from auth_session) * 10 + (select count(*) from auth_refresh)`); n != 11 {
		t.Fatal(n)
	}
	exec(t, db.Pool(), `update auth_session set expires_at = now() - interval '31 days'`)
	exec(t, db.Pool(), `create function refuse() returns trigger language plpgsql as 'begin raise exception $$no$$; end'`)
	exec(t, db.Pool(), `update auth_refresh set expires_at = now()`)
	exec(t, db.Pool(), `create trigger refuse before delete on auth_refresh for each statement when (pg_trigger_depth() = 0) execute function refuse()`)
	if n, err = pg.NewIdentity(db).PurgeLogins(t.Context()); err == nil || n != 1 {
		t.Fatalf("%d rows although tokens cannot be dropped: %v", n, err)
	}
}
