package pg_test

import (
	"context"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
	"nexus/persistence/pg/sqlcgen"
)

func post(t testing.TB, db *pg.DB, users []nexus.UserID, payload any) (streams []string, err error) {
	t.Helper()
	err = db.Tx(t.Context(), func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		streams, err = pg.Post(ctx, q, nexus.AcademicChannel, users, "SCHEDULE_UPDATE", payload)
		return err
	})
	return streams, err
}

// TestTheOutboxHasNoGap, whoever writes to whom at the same time.
func TestTheOutboxHasNoGap(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	u := pgfix.Users(t, db, "s", nexus.Student, 5)
	for _, err := range race(10, func(i int) error {
		streams, err := post(t, db, []nexus.UserID{u[i%5], u[(i+1)%5], u[(i+2)%5], u[i%5]}, map[string]int{"n": i})
		if err == nil && len(streams) != 3 {
			t.Errorf("news of %v", streams)
		}
		return err
	}) {
		ok(t, err)
	}
	o := pg.NewOutbox(db)
	after, streams := map[string]int64{}, []string{}
	for _, who := range u {
		after[nexus.OutboxStream(nexus.AcademicChannel, who)] = 0
		streams = append(streams, nexus.OutboxStream(nexus.AcademicChannel, who))
	}
	lines, err := o.Lines(t.Context(), after, 100)
	if err != nil || len(lines) != 30 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, l := range lines {
		if l.Seq != int64(i%6+1) || l.Kind != "SCHEDULE_UPDATE" || len(l.Payload) < 7 || time.Since(l.At) > time.Minute {
			t.Errorf("line %d is %+v", i, l)
		}
	}
	heads, err := o.Heads(t.Context(), append(streams, "academic/"+nexus.NewID()))
	if err != nil || len(heads) != 5 || heads[streams[0]] != 6 {
		t.Errorf("%v %v", heads, err)
	}
	if few, err := o.Lines(t.Context(), map[string]int64{streams[0]: 4}, 1); err != nil || len(few) != 1 || few[0].Seq != 5 {
		t.Errorf("%+v %v", few, err)
	}
	if streams, err := post(t, db, nil, 7); err != nil || streams != nil {
		t.Errorf("to nobody: %v %v", streams, err)
	}
}

func TestTheOutboxKnowsHowFarADeviceHasCome(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	u, o := pgfix.Users(t, db, "s", nexus.Student, 1), pg.NewOutbox(db)
	r := nexus.Reader{Stream: nexus.OutboxStream(nexus.AcademicChannel, u[0]), Device: nexus.SessionID(nexus.NewID())}
	stands := func(r nexus.Reader, cursor, last int64, known bool) {
		t.Helper()
		got, err := o.Standings(t.Context(), []nexus.Reader{r})
		if want := (nexus.Standing{Reader: r, Cursor: cursor, Last: last, Known: known}); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%+v %v, want %+v", got, err, want)
		}
	}
	note := func(seq int64, marks ...nexus.Mark) {
		t.Helper()
		ok(t, o.Note(t.Context(), marks, []nexus.Standing{{Reader: r, Cursor: seq}}))
	}
	stands(r, 0, 0, true)
	for range 3 {
		_, err := post(t, db, u, map[string]string{})
		ok(t, err)
	}
	stands(r, 3, 3, false) // a new device begins at the end
	sent, got := time.Now().Add(-time.Hour).Truncate(time.Millisecond), time.Now().Truncate(time.Millisecond)
	note(2, nexus.Mark{Stream: r.Stream, Seq: 1, Sent: sent}, nexus.Mark{Stream: r.Stream, Seq: 1, Got: got}, nexus.Mark{Stream: "academic/x", Seq: 1, Got: got})
	note(1, nexus.Mark{Stream: r.Stream, Seq: 1, Sent: got})
	stands(r, 2, 3, true)
	note(99)
	stands(r, 3, 3, true)
	var keptSent, keptGot time.Time
	ok(t, db.Pool().QueryRow(t.Context(), `select sent_at, delivered_at from outbox_line where stream = $1 and seq = 1`, r.Stream).Scan(&keptSent, &keptGot))
	if !keptSent.Equal(sent) || !keptGot.Equal(got) {
		t.Errorf("sent %v, got %v", keptSent, keptGot)
	}
	_, err := db.Pool().Exec(t.Context(), `update outbox_line set committed_at = now() - interval '31 days' where seq < 3`)
	ok(t, err)
	_, err = db.Pool().Exec(t.Context(), `update outbox_cursor set at = now() - interval '2 days'`)
	ok(t, err)
	if n, err := o.Purge(t.Context()); err != nil || n != 3 {
		t.Errorf("purged %d, %v", n, err)
	}
	stands(r, 3, 3, false)
	_, err = post(t, db, u, map[string]string{})
	ok(t, err)
	stands(r, 4, 4, false) // numbers go on
}
