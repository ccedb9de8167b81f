package pg_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"nexus"
	"nexus/actors/mess"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// noon is when the tests' events happen.
var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456000, time.UTC)

func entered(seq int64, id string) mess.Recorded {
	one := 1
	return mess.Recorded{Seq: seq, Event: nexus.CrowdEvent{Source: "gate", EventID: id, At: noon, Delta: &one}}
}

func counted(seq int64, id string, n int) mess.Recorded {
	return mess.Recorded{Seq: seq, Event: nexus.CrowdEvent{Source: "staff", EventID: id, At: noon, Absolute: &n}}
}

// claimed returns a hall and the fence of its grain.
func claimed(t *testing.T, db *pg.DB, name string) (nexus.Hall, nexus.Fence) {
	t.Helper()
	h := newHall(t, db, name)
	return h, claim(t, db, h)
}

func claim(t *testing.T, db *pg.DB, h nexus.Hall) nexus.Fence {
	t.Helper()
	f, _, err := pg.NewGrains(db).Claim(t.Context(), "mess", string(h.ID))
	ok(t, err)
	return f
}

func TestRecordKeepsWhatIsNewAndSinceGivesItBack(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	_, f := claimed(t, db, "North")
	seqs, err := s.Record(t.Context(), f, []mess.Recorded{entered(1, "a"), counted(2, "a", 42), entered(3, "b"), entered(4, "b")})
	ok(t, err)
	if !slices.Equal(seqs, []int64{1, 2, 3}) {
		t.Fatalf("new: %v", seqs)
	}
	seqs, err = s.Record(t.Context(), f, []mess.Recorded{entered(5, "a"), entered(6, "c")})
	ok(t, err)
	if !slices.Equal(seqs, []int64{6}) {
		t.Fatalf("new: %v", seqs)
	}
	got, err := s.Since(t.Context(), f, 1)
	ok(t, err)
	if len(got) != 3 || got[0].Seq != 2 || *got[0].Event.Absolute != 42 || got[0].Event.Delta != nil || *got[1].Event.Delta != 1 ||
		got[0].Event.Source != "staff" || got[1].Event.EventID != "b" || !got[2].Event.At.Equal(noon) || got[2].Event.At.Location() != time.UTC {
		t.Fatalf("since 1: %+v", got)
	}
	if seqs, err = s.Record(t.Context(), f, nil); err != nil || len(seqs) != 0 {
		t.Fatalf("no events: %v %v", seqs, err)
	}
}

func TestAnEventCountsOnceOnTheWholeCampus(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	_, north := claimed(t, db, "North")
	_, south := claimed(t, db, "South")
	for _, err := range race(8, func(i int) error {
		f := []nexus.Fence{north, south}[i%2]
		_, err := s.Record(t.Context(), f, []mess.Recorded{entered(int64(i+1), "a"), entered(int64(i+101), "b")})
		return err
	}) {
		ok(t, err)
	}
	if n := count(t, db.Pool(), `select count(*) from crowd_event`); n != 2 {
		t.Fatalf("%d events are kept of 2", n)
	}
}

func TestRecordRefusesWrongEvents(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	h, f := claimed(t, db, "North")
	n, huge, far := 1, 1<<40, 100_001
	event := func(e nexus.CrowdEvent) []mess.Recorded {
		e.At = noon
		if e.Source == "" {
			e.Source = "gate"
		}
		if e.EventID == "" {
			e.EventID = "x"
		}
		return []mess.Recorded{entered(1, "fine"), {Seq: 2, Event: e}}
	}
	for name, tc := range map[string]struct {
		events []mess.Recorded
		want   nexus.Code
	}{
		"neither":       {event(nexus.CrowdEvent{}), nexus.Invalid},
		"both":          {event(nexus.CrowdEvent{Delta: &n, Absolute: &n}), nexus.Invalid},
		"overflow":      {event(nexus.CrowdEvent{Delta: &huge}), nexus.Invalid},
		"too many":      {event(nexus.CrowdEvent{Delta: &far}), nexus.Invalid},
		"NUL":           {event(nexus.CrowdEvent{Delta: &n, EventID: "a\x00b"}), nexus.Invalid},
		"not UTF-8":     {event(nexus.CrowdEvent{Delta: &n, Source: "\xff"}), nexus.Invalid},
		"same seq":      {[]mess.Recorded{entered(1, "p"), entered(1, "q")}, nexus.Conflict},
		"too long name": {event(nexus.CrowdEvent{Delta: &n, Source: fmt.Sprintf("%0201d", 0)}), nexus.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Record(t.Context(), f, tc.events)
			code(t, err, tc.want)
			if n := count(t, db.Pool(), `select count(*) from crowd_event where hall_id = $1`, h.ID); n != 0 {
				t.Fatalf("%d events of a refused batch are kept", n)
			}
		})
	}
	stray, _, err := pg.NewGrains(db).Claim(t.Context(), "mess", nexus.NewID())
	ok(t, err)
	_, err = s.Record(t.Context(), stray, []mess.Recorded{entered(1, "a")})
	code(t, err, nexus.NotFound)
	_, err = s.Hall(t.Context(), nexus.HallID(nexus.NewID()))
	code(t, err, nexus.NotFound)
	if got, err := s.Hall(t.Context(), h.ID); err != nil || got != h {
		t.Fatalf("hall: %+v %v", got, err)
	}
}

func TestAFencedActivationWritesAndReadsNothing(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	h, old := claimed(t, db, "North")
	ok(t, s.Save(t.Context(), old, 1, []byte("old"), nil))
	cur := claim(t, db, h)
	_, err := s.Record(t.Context(), old, []mess.Recorded{entered(1, "a")})
	code(t, err, nexus.Fenced)
	_, err = s.Since(t.Context(), old, 0)
	code(t, err, nexus.Fenced)
	sample := []mess.Sample{{Minute: noon.Truncate(time.Minute), Occupancy: 5, Source: "gate"}}
	code(t, s.Save(t.Context(), old, 2, []byte("stale"), sample), nexus.Fenced)
	code(t, s.Save(t.Context(), cur, 1, []byte("stale"), sample), nexus.Stale)
	if n := count(t, db.Pool(), `select (select count(*) from crowd_event) + (select count(*) from crowd_sample)
		+ (select count(*) from grain_snapshot where payload <> 'old')`); n != 0 {
		t.Fatalf("%d rows written by the fenced", n)
	}
}

// Writers of eight activations race with each other's claims; each claim happens while writes of the
// activation before are under way. Whatever an old one managed to write is seen by the next one's Since.
func TestClaimsRaceWithRecords(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	h := newHall(t, db, "North")
	seen := make([]map[int64]bool, 8)
	acked := make([][]int64, 8)
	for _, err := range race(8, func(i int) error {
		f, _, err := pg.NewGrains(db).Claim(t.Context(), "mess", string(h.ID))
		if err != nil {
			return err
		}
		kept, err := s.Since(t.Context(), f, 0)
		if nexus.CodeOf(err) == nexus.Fenced {
			return nil
		}
		if err != nil {
			return err
		}
		n := f.Epoch
		seen[n-1] = map[int64]bool{}
		for _, k := range kept {
			seen[n-1][k.Seq] = true
		}
		for j := range int64(20) {
			seq := n*1000 + j
			got, err := s.Record(t.Context(), f, []mess.Recorded{entered(seq, fmt.Sprint(seq))})
			if nexus.CodeOf(err) == nexus.Fenced {
				return nil
			}
			if err != nil {
				return err
			}
			acked[n-1] = append(acked[n-1], got...)
		}
		return nil
	}) {
		ok(t, err)
	}
	for later, view := range seen {
		for earlier := range later {
			for _, seq := range acked[earlier] {
				if view != nil && !view[seq] {
					t.Errorf("epoch %d kept %d after epoch %d had begun", earlier+1, seq, later+1)
				}
			}
		}
	}
}

func TestSinceWaitsForARecordUnderWay(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	h, f := claimed(t, db, "North")
	ctx := context.Background()
	// A Record whose commit is held up: the fence row is locked, the event written.
	slow := begin(t, db)
	_, err := slow.Exec(ctx, `select 1 from grain_snapshot where identity = $1 for update`, string(h.ID))
	ok(t, err)
	_, err = slow.Exec(ctx, `insert into crowd_event values ('gate', 'slow', $1, 1, now(), 1, null)`, h.ID)
	ok(t, err)
	got := make(chan []mess.Recorded, 1)
	go func() {
		events, err := s.Since(ctx, f, 0)
		if err != nil {
			t.Error(err)
		}
		got <- events
	}()
	blocked(t, db.Pool(), 1)
	ok(t, slow.Commit(ctx))
	if events := <-got; len(events) != 1 || events[0].Event.EventID != "slow" {
		t.Fatalf("since: %+v", events)
	}
}

func TestARecordWaitsForAClaimUnderWay(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	h, f := claimed(t, db, "North")
	ctx := context.Background()
	slow := begin(t, db)
	_, err := slow.Exec(ctx, `update grain_snapshot set epoch = epoch + 1 where identity = $1`, string(h.ID))
	ok(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := pg.NewHall(db).Record(ctx, f, []mess.Recorded{entered(1, "a")})
		done <- err
	}()
	blocked(t, db.Pool(), 1)
	ok(t, slow.Commit(ctx))
	code(t, <-done, nexus.Fenced)
	if n := count(t, db.Pool(), `select count(*) from crowd_event`); n != 0 {
		t.Fatalf("%d events of the old epoch were kept", n)
	}
}

func TestSaveKeepsSnapshotAndSamplesTogether(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewHall(db)
	h, f := claimed(t, db, "North")
	minute := noon.Truncate(time.Minute)
	ok(t, s.Save(t.Context(), f, 1, []byte("one"), []mess.Sample{
		{Minute: minute, Occupancy: 10, Source: "gate"},
		{Minute: minute, Occupancy: 11, Source: "gate"},
		{Minute: minute.Add(time.Minute), Occupancy: 20, Source: "gate"},
	}))
	ok(t, s.Save(t.Context(), f, 2, []byte("two"), []mess.Sample{{Minute: minute.Add(time.Minute), Occupancy: 30, Source: "staff"}}))
	got, err := pg.NewMess(db).History(t.Context(), h.ID, minute, minute.Add(time.Hour), time.Minute)
	ok(t, err)
	if len(got) != 2 || got[0].Max != 11 || got[1].Max != 30 {
		t.Fatalf("samples: %+v", got)
	}
	_, snap, err := pg.NewGrains(db).Claim(t.Context(), "mess", string(h.ID))
	ok(t, err)
	if snap.Version != 2 || string(snap.Payload) != "two" {
		t.Fatalf("snapshot: %+v", snap)
	}
	// A sample that cannot be kept takes the snapshot with it.
	f = claim(t, db, h)
	if err := s.Save(t.Context(), f, 3, []byte("three"), []mess.Sample{{Minute: minute, Occupancy: -1}}); err == nil {
		t.Fatal("a negative count was kept")
	}
	if n := count(t, db.Pool(), `select version from grain_snapshot where identity = $1`, string(h.ID)); n != 2 {
		t.Fatalf("version %d was kept without its samples", n)
	}
}
