package pg_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg"
)

// timer starts a safety timer of u's that is due in an hour.
func (s *safe) timer(u nexus.User) nexus.SafetyTimer {
	s.Helper()
	t, err := s.office.StartTimer(s.Context(), caller(u), nexus.SafetyTimer{Note: "walking home", Category: "timer", Due: time.Now().Add(time.Hour)})
	ok(s.T, err)
	return t
}

// end ends a timer.
func (s *safe) end(ctx context.Context, by nexus.Caller, id string, duress bool) (nexus.SafetyTimer, error) {
	t, _, err := s.sos.EndTimer(ctx, by, id, duress)
	return t, err
}

func TestTimersStartMoveAndEnd(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	a := s.timer(s.asha)
	if a.ID == "" || a.User != s.asha.ID || a.State != "RUNNING" || a.Version != 1 || a.Note != "walking home" {
		t.Fatalf("%+v", a)
	}
	due := time.Now().Add(2 * time.Hour)
	moved, err := s.office.MoveTimer(t.Context(), caller(s.asha), a.ID, 1, due)
	if err != nil || moved.Version != 2 || moved.Due.Sub(due).Abs() > time.Millisecond {
		t.Fatalf("%+v %v", moved, err)
	}
	_, err = s.office.MoveTimer(t.Context(), caller(s.asha), a.ID, 1, due)
	code(t, err, nexus.Stale)
	_, err = s.office.MoveTimer(t.Context(), caller(s.asha), a.ID, 0, time.Now().Add(-time.Second))
	onField(t, err, nexus.Invalid, "dueAt")
	_, err = s.office.StartTimer(t.Context(), caller(s.asha), nexus.SafetyTimer{Category: "timer", Due: time.Now().Add(-time.Second)})
	onField(t, err, nexus.Invalid, "dueAt")
	for _, id := range []string{a.ID, nexus.NewID(), "x"} {
		_, err = s.office.MoveTimer(t.Context(), caller(s.ravi), id, 0, due)
		code(t, err, nexus.NotFound)
		_, err = s.end(t.Context(), caller(s.ravi), id, false)
		code(t, err, nexus.NotFound)
	}
	for range 2 {
		ended, err := s.end(t.Context(), caller(s.asha), a.ID, false)
		if err != nil || ended.State != "DONE" || ended.Version != 3 || ended.Incident != "" {
			t.Fatalf("%+v %v", ended, err)
		}
	}
	_, err = s.office.MoveTimer(t.Context(), caller(s.asha), a.ID, 0, due)
	code(t, err, nexus.Conflict)
	for _, table := range []string{"sos_incident", "sos_event", "safety_delivery", "safety_page", "sos_press"} {
		if n := count(t, s.db.Pool(), `select count(*) from `+table); n != 0 {
			t.Errorf("an end without duress leaves %d rows of %s", n, table)
		}
	}
	if list, err := s.office.Timers(t.Context(), caller(s.asha)); err != nil || len(list) != 0 || list == nil {
		t.Errorf("%+v %v", list, err)
	}
}

func TestFiveTimersRunAtMost(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	started := tally(race(8, func(int) error {
		_, err := s.office.StartTimer(context.Background(), caller(s.asha), nexus.SafetyTimer{Category: "timer", Due: time.Now().Add(time.Hour)})
		return err
	}))
	if started[""] != 5 || started[nexus.Conflict] != 3 {
		t.Fatalf("%v", started)
	}
	s.timer(s.ravi)
}

func TestADueTimerRaisesOnce(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	late, early, broken := s.timer(s.asha), s.timer(s.meera), s.timer(newUser(t, s.db, "other"))
	exec(t, s.db.Pool(), `update safety_timer set due_at = now() - interval '1 second' where id <> $1`, early.ID)
	// The raise of one fails: its press was taken for an incident that is no more.
	exec(t, s.db.Pool(), `alter table safety_timer disable trigger all`)
	exec(t, s.db.Pool(), `update safety_timer set user_id = gen_random_uuid() where id = $1`, broken.ID)
	var outs [8][]incident.Outcome
	var failed [8][]incident.FailedTimer
	for _, err := range race(8, func(i int) (err error) {
		outs[i], failed[i], err = s.sos.ExpireTimers(context.Background(), 10)
		return err
	}) {
		ok(t, err)
	}
	told := false
	for _, f := range slices.Concat(failed[:]...) {
		if f.Err != nil { // or another was at it
			code(t, f.Err, nexus.NotFound) // there is no such account
			told = f.ID == broken.ID && f.User != ""
		}
	}
	if !told {
		t.Error("the broken timer was not told of")
	}
	all := slices.Concat(outs[:]...)
	if len(all) != 1 || all[0].State.User != s.asha.ID || kinds(all[0].Events) != "RAISED PAGED" || len(all[0].Streams) == 0 {
		t.Fatalf("raised %d: %+v", len(all), all)
	}
	if n := count(t, s.db.Pool(), `select count(*) from safety_timer where id = $1 and state = 'EXPIRED' and incident_id = $2`, late.ID, all[0].State.ID); n != 1 {
		t.Error("the timer does not say so")
	}
	if n := count(t, s.db.Pool(), `select count(*) from sos_press where client_key = 'timer:' || $1::text`, late.ID); n != 1 {
		t.Error("the press has another key")
	}
	_, err := s.end(t.Context(), caller(s.asha), late.ID, false)
	code(t, err, nexus.Conflict)
	// The key is the timer's: whoever raises it again is answered with the same.
	again, out := s.press(s.asha, "timer:"+late.ID)
	if again.Incident != all[0].State.ID || len(out.Events) != 0 {
		t.Errorf("%+v", again)
	}
}

func TestATimerJoinsTheOpenIncident(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	timer := s.timer(s.asha)
	exec(t, s.db.Pool(), `update safety_timer set due_at = now() where id = $1`, timer.ID)
	outs, _, err := s.sos.ExpireTimers(t.Context(), 10)
	if err != nil || len(outs) != 1 || outs[0].State.ID != raised.Incident || kinds(outs[0].Events) != "JOINED" {
		t.Fatalf("%+v %v", outs, err)
	}
}

// Under duress an end answers like any other, the officers are alarmed, and its owner finds nothing of that anywhere; an alarm of
// theirs that is open stays as it was.
func TestATimerEndedUnderDuress(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	open, _ := s.press(s.asha, "open")
	plain, forced := s.timer(s.asha), s.timer(s.asha)
	before := s.seenBy(s.asha, open.Incident)
	a, err := s.end(t.Context(), caller(s.asha), plain.ID, false)
	ok(t, err)
	for range 2 { // once for each timer
		b, err := s.end(t.Context(), caller(s.asha), forced.ID, true)
		ok(t, err)
		b.ID, b.Due = a.ID, a.Due
		if !same(t, a, b) || b.State != "DONE" {
			t.Fatalf("answered %+v, and under duress %+v", a, b)
		}
	}
	if now := s.seenBy(s.asha, open.Incident); now != before {
		t.Errorf("she saw\n%s\nand sees\n%s", before, now)
	}
	list, err := s.incidents.Incidents(t.Context(), caller(s.ravi), "open", nexus.Page{})
	ok(t, err)
	i := slices.IndexFunc(list.Items, func(i nexus.Incident) bool { return i.Duress })
	if len(list.Items) != 2 || i < 0 {
		t.Fatalf("the officer sees %+v", list.Items)
	}
	hidden := list.Items[i]
	if hidden.State != nexus.SOSRaised || hidden.User != s.asha.ID || hidden.NextAt == nil || len(hidden.Responders) != 1 {
		t.Fatalf("it stands at %+v", hidden)
	}
	s.verified(hidden.ID, 3)
	_, err = s.incidents.Incident(t.Context(), caller(s.asha), hidden.ID)
	code(t, err, nexus.NotFound)
	_, err = s.incidents.Events(t.Context(), caller(s.asha), hidden.ID, 0, 10)
	code(t, err, nexus.NotFound)
	if out := s.advance(hidden.ID); kinds(out.Events) != "PAGED" || slices.Contains(out.Streams, string(s.asha.ID)) {
		t.Errorf("the next step: %s to %v", kinds(out.Events), out.Streams)
	}
	lines, err := s.streams.Lines(t.Context(), map[string]int64{string(s.ravi.ID): 0}, 100)
	ok(t, err)
	if !slices.ContainsFunc(lines, func(l nexus.Delivery) bool {
		return l.Kind == nexus.DeliverAlert && l.Incident.ID == hidden.ID && l.Incident.Duress
	}) {
		t.Error("the officer was not alarmed")
	}
}

func TestAnEndThatRacesWithExpiryIsOneOfBoth(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	timer := s.timer(s.asha)
	exec(t, s.db.Pool(), `update safety_timer set due_at = now() where id = $1`, timer.ID)
	errs := race(2, func(i int) error {
		if i == 0 {
			_, err := s.end(context.Background(), caller(s.asha), timer.ID, false)
			return err
		}
		_, _, err := s.sos.ExpireTimers(context.Background(), 10)
		return err
	})
	ok(t, errs[1])
	raised := count(t, s.db.Pool(), `select count(*) from sos_incident`)
	if conflict := nexus.CodeOf(errs[0]) == nexus.Conflict; errs[0] != nil && !conflict || conflict != (raised == 1) {
		t.Fatalf("the end: %v; %d raised", errs[0], raised)
	}
}

// TestAnEndUnderDuressSaysWhatItCameTo, so that those who help hear of it; a plain end came to nothing.
func TestAnEndUnderDuressSaysWhatItCameTo(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	plain, forced := s.timer(s.asha), s.timer(s.asha)
	_, out, err := s.sos.EndTimer(t.Context(), caller(s.asha), plain.ID, false)
	if err != nil || out.State.ID != "" || len(out.Events)+len(out.Streams) != 0 {
		t.Fatalf("%+v %v", out, err)
	}
	_, out, err = s.sos.EndTimer(t.Context(), caller(s.asha), forced.ID, true)
	if err != nil || kinds(out.Events) != "RAISED PAGED DURESS" || !slices.Equal(out.Streams, []string{string(s.ravi.ID)}) || out.State.NextAt == nil {
		t.Fatalf("%+v %v", out, err)
	}
	_, out, err = s.sos.EndTimer(t.Context(), caller(s.asha), forced.ID, true)
	if err != nil || len(out.Events)+len(out.Streams) != 0 {
		t.Fatalf("again %+v %v", out, err)
	}
}

// An end without duress waits for what an alarm would wait for, so that the time it takes tells nothing.
func TestAPlainEndDoesTheWorkOfAnAlarm(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	s.press(s.meera, "k") // his stream is there
	timer := s.timer(s.asha)
	tx := begin(t, s.db)
	_, err := tx.Exec(t.Context(), `select from safety_stream where stream = $1 for update`, s.ravi.ID)
	ok(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := s.end(context.Background(), caller(s.asha), timer.ID, false)
		done <- err
	}()
	blocked(t, s.db.Pool(), 1)
	ok(t, tx.Commit(t.Context()))
	ok(t, <-done)
	if n := count(t, s.db.Pool(), `select count(*) from sos_incident where user_id = $1`, s.asha.ID); n != 0 {
		t.Error("it left an alarm")
	}
}

// A caller that is gone leaves nothing half done.
func TestAnEndThatIsCutOffLeavesTheTimerRunning(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	timer := s.timer(s.asha)
	tx := begin(t, s.db)
	_, err := tx.Exec(t.Context(), `select from safety_timer for update`)
	ok(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := pg.NewSOS(s.db, s.db).EndTimer(ctx, caller(s.asha), timer.ID, true)
		done <- err
	}()
	blocked(t, s.db.Pool(), 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if n := count(t, s.db.Pool(), `select count(*) from safety_timer where state = 'RUNNING'`); n != 1 {
		t.Fatal("it ended all the same")
	}
}
