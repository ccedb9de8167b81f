package pg_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestOneKeyMakesOneChange(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	by := keyed(system, "k1", "asha")
	a := nexus.NewAccount{Email: "asha@campus.test", Name: "Asha", Roles: []nexus.Role{nexus.Student}}
	first, err := s.Create(t.Context(), by, a)
	ok(t, err)
	again, err := s.Create(t.Context(), by, a)
	ok(t, err)
	if again.ID != first.ID || !again.CreatedAt.Equal(first.CreatedAt) || again.Roles[0] != nexus.Student {
		t.Fatalf("answered %+v, then %+v", first, again)
	}
	_, err = s.Create(t.Context(), keyed(system, "k1", "ravi"), a)
	code(t, err, nexus.KeyReused)
	// The same key of somebody else is another key.
	_, err = s.Create(t.Context(), keyed(nexus.Caller{User: first.ID}, "k1", "asha"), a)
	onField(t, err, nexus.Conflict, "email")
	if n := count(t, db.Pool(), `select count(*) from audit_log`); n != 1 {
		t.Fatalf("%d entries tell of one change", n)
	}
}

func TestAFailedChangeLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	by := keyed(system, "k1", "x")
	_, err := pg.Mutate(t.Context(), db, by, func() (int, error) { return 0, nexus.Errorf(nexus.Conflict, "not now") })
	code(t, err, nexus.Conflict)
	got, err := pg.Mutate(t.Context(), db, by, func() (int, error) { return 7, nil })
	if err != nil || got != 7 {
		t.Fatalf("second try: %d %v", got, err)
	}
	got, err = pg.Mutate(t.Context(), db, by, func() (int, error) { return 0, errors.New("ran again") })
	if err != nil || got != 7 {
		t.Fatalf("third try: %d %v", got, err)
	}
}

func TestRacingRequestsWithOneKeyGetOneAnswer(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	by := keyed(system, "k1", "x")
	var ran atomic.Int32
	answers := make([]int32, 8)
	for _, err := range race(8, func(i int) (err error) {
		answers[i], err = pg.Mutate(t.Context(), db, by, func() (int32, error) { return ran.Add(1), nil })
		return err
	}) {
		ok(t, err)
	}
	for _, a := range answers {
		if a != 1 {
			t.Fatalf("ran %d times, answers %v", ran.Load(), answers)
		}
	}
}

func TestKeysLiveForADay(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	ran := 0
	run := func(key, body string) error {
		_, err := pg.Mutate(t.Context(), db, keyed(system, key, body), func() (int, error) { ran++; return ran, nil })
		return err
	}
	ok(t, run("old", "x"))
	ok(t, run("older", "x"))
	ok(t, run("young", "x"))
	exec(t, db.Pool(), `update idempotency set created_at = now() - interval '25 hours' where key <> 'young'`)
	ok(t, run("old", "another request")) // over, though nobody has purged it
	n, err := db.PurgeIdempotency(t.Context())
	if err != nil || n != 1 {
		t.Fatalf("purged %d, %v", n, err)
	}
	ok(t, run("young", "x"))
	if ran != 4 {
		t.Fatalf("ran %d times", ran)
	}
}

func TestWrongKeysAreRefused(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	for _, key := range []string{strings.Repeat("k", 201), "a\x00b", "\xff"} {
		_, err := pg.Mutate(t.Context(), db, keyed(system, key, "x"), func() (int, error) { return 1, nil })
		code(t, err, nexus.Invalid)
	}
}
