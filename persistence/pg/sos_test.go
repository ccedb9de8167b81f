package pg_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// safe is a campus with a student in need, two officers and an administrator.
type safe struct {
	*testing.T
	url                      string
	db                       *pg.DB
	sos                      *pg.SOS
	incidents                *pg.Incidents
	office                   *pg.SafetyOffice
	streams                  *pg.Streams
	pages                    *pg.Pages
	asha, ravi, meera, admin nexus.User
}

func newSafe(t *testing.T) *safe {
	t.Helper()
	return newTracedSafe(t, nil)
}

// newTracedSafe is one of whose statements a tracer hears.
func newTracedSafe(t *testing.T, tracer pgx.QueryTracer) *safe {
	t.Helper()
	o := pg.Options{MaxConns: 8, AcquireTimeout: time.Minute, LockTimeout: time.Minute, CallTimeout: time.Minute, StatementTimeout: time.Minute}
	url := pgfix.URL(t)
	db := pgfix.Open(t, url, pg.Traced(o, tracer))
	return &safe{
		T: t, url: url, db: db, sos: pg.NewSOS(db, db), incidents: pg.NewIncidents(db), office: pg.NewSafetyOffice(db, "nexus@campus.test"),
		streams: pg.NewStreams(db), pages: pg.NewPages(db),
		asha: newUser(t, db, "asha"), ravi: newUser(t, db, "ravi", nexus.Security), meera: newUser(t, db, "meera", nexus.Security),
		admin: newUser(t, db, "admin", nexus.Admin),
	}
}

func caller(u nexus.User) nexus.Caller {
	return nexus.Caller{User: u.ID, Roles: u.Roles, RequestID: "r-1"}
}

// press raises an SOS of u's.
func (s *safe) press(u nexus.User, key string) (nexus.Raised, incident.Outcome) {
	s.Helper()
	raised, out, err := s.sos.Raise(s.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: u.ID, ClientKey: key, Category: "panic"})
	ok(s.T, err)
	return raised, out
}

// act lets a responder say where they stand.
func (s *safe) act(u nexus.User, id nexus.IncidentID, to nexus.SOSState) (incident.Outcome, error) {
	return s.sos.Change(s.Context(), nexus.Caller{}, id, func(st incident.State, _ incident.Roster, now time.Time) ([]incident.Event, error) {
		return st.Act(u.ID, to, "", now)
	})
}

func (s *safe) cancel(id nexus.IncidentID, duress bool) incident.Outcome {
	s.Helper()
	out, err := s.sos.Change(s.Context(), nexus.Caller{}, id, func(st incident.State, _ incident.Roster, now time.Time) ([]incident.Event, error) {
		return st.Cancel(duress, now)
	})
	ok(s.T, err)
	return out
}

// advance makes the next step of an incident due and takes it.
func (s *safe) advance(id nexus.IncidentID) incident.Outcome {
	s.Helper()
	out, err := s.sos.Change(s.Context(), nexus.Caller{}, id, func(st incident.State, who incident.Roster, _ time.Time) ([]incident.Event, error) {
		return st.Due(who, *st.NextAt)
	})
	ok(s.T, err)
	exec(s.T, s.db.Pool(), `update safety_page set next_at = now() where attempts = 0`)
	return out
}

func (s *safe) verified(id nexus.IncidentID, events int64) {
	s.Helper()
	n, bad, err := s.incidents.VerifyIncident(s.Context(), id)
	if n != events || bad != 0 || err != nil {
		s.Fatalf("%d events, want %d; first bad %d, %v", n, events, bad, err)
	}
}

// onDuty gives officers a shift that lasts.
func (s *safe) onDuty(us ...nexus.User) {
	s.Helper()
	for _, u := range us {
		_, err := s.office.AddShift(s.Context(), caller(s.admin), nexus.Shift{User: u.ID, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)})
		ok(s.T, err)
	}
}

func kinds(events []nexus.SOSEvent) string {
	var ks []string
	for _, e := range events {
		ks = append(ks, e.Kind)
	}
	return strings.Join(ks, " ")
}

func TestAPressIsKeptWithAllThatFollows(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	id, accuracy := nexus.IncidentID(nexus.NewID()), 12.5
	raised, out, err := s.sos.Raise(t.Context(), id, nexus.Press{
		User: s.asha.ID, ClientKey: "k", Category: "medical", At: noon, Position: &nexus.Position{Lat: 22.5, Lng: 88.25, Accuracy: &accuracy},
	})
	ok(t, err)
	if raised != (nexus.Raised{Incident: id, State: nexus.SOSRaised, Seq: 1, Durable: true}) {
		t.Fatalf("answered %+v", raised)
	}
	streams := []string{string(s.asha.ID), string(s.ravi.ID)}
	slices.Sort(streams)
	if kinds(out.Events) != "RAISED PAGED" || !slices.Equal(out.Streams, streams) || out.State.State != nexus.SOSRaised {
		t.Fatalf("came to %+v", out)
	}
	st, now, err := s.sos.Look(t.Context(), id)
	ok(t, err)
	if st.State != nexus.SOSRaised || st.Seq != 2 || st.Category != "medical" || len(st.Responders) != 1 || st.Responders[0].User != s.ravi.ID ||
		!st.NextAt.Equal(st.RaisedAt.Add(15*time.Second)) || now.Before(st.RaisedAt) || !out.Now.Equal(st.RaisedAt) {
		t.Fatalf("stands at %+v", st)
	}
	if l := st.Last; l == nil || l.ClientSeq != 0 || l.Lat != 22.5 || l.Lng != 88.25 || *l.Accuracy != 12.5 || l.Battery != nil || !l.At.Equal(noon) {
		t.Fatalf("was at %+v", l)
	}
	s.verified(id, 2)
	open, err := s.sos.Open(t.Context())
	if !slices.Equal(open, []nexus.IncidentID{id}) || err != nil {
		t.Fatalf("open: %v %v", open, err)
	}
	_, _, err = s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: nexus.UserID(nexus.NewID()), ClientKey: "k", Category: "panic"})
	code(t, err, nexus.NotFound)
	_, _, err = s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.ravi.ID, ClientKey: "", Category: "panic"})
	onField(t, err, nexus.Invalid, "clientKey")
	_, _, err = s.sos.Look(t.Context(), nexus.IncidentID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

func TestAPressIsAnsweredLikeBefore(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	first, _ := s.press(s.asha, "one")
	second, out := s.press(s.asha, "two")
	if second.Incident != first.Incident || kinds(out.Events) != "JOINED" || second.Seq != 3 || second.State != nexus.SOSRaised {
		t.Fatalf("a second press: %+v, %s", second, kinds(out.Events))
	}
	_, err := s.act(s.ravi, first.Incident, nexus.SOSAcknowledged)
	ok(t, err)
	third, _ := s.press(s.asha, "three")
	if third.State != nexus.SOSAcknowledged || third.Seq != 5 {
		t.Fatalf("a third press: %+v", third)
	}
	s.cancel(first.Incident, false)
	for key, want := range map[string]nexus.Raised{"one": first, "two": second, "three": third} {
		again, out := s.press(s.asha, key)
		if again != want || len(out.Events) != 0 || len(out.Streams) != 0 || out.State.State != nexus.SOSCancelled {
			t.Errorf("%s again: %+v, want %+v; %+v", key, again, want, out)
		}
	}
	if next, _ := s.press(s.asha, "four"); next.Incident == first.Incident {
		t.Error("a press joined an incident that is over")
	}
	other, _ := s.press(s.meera, "one")
	if other.Incident == first.Incident {
		t.Error("keys of two people met")
	}
	s.verified(first.Incident, 6)
}

func TestADrillIsAnIncidentOfItsOwn(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	real, _ := s.press(s.asha, "real")
	drill, out, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "drill", Category: "panic", Drill: true})
	ok(t, err)
	if drill.Incident == real.Incident || !out.State.Drill {
		t.Fatalf("%+v", drill)
	}
	if n := count(t, s.db.Pool(), `select count(*) from safety_page where incident_id = $1`, drill.Incident); n != 0 {
		t.Fatalf("a drill made %d pages", n)
	}
	again, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "drill2", Category: "panic", Drill: true})
	if again.Incident != drill.Incident || err != nil {
		t.Fatalf("a second drill: %+v %v", again, err)
	}
}

func TestRacingCopiesOfAPressMakeOneIncident(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	answers := make([]nexus.Raised, 20)
	ids := []nexus.IncidentID{nexus.IncidentID(nexus.NewID()), nexus.IncidentID(nexus.NewID())} // nodes agree on an id unless their clocks differ
	for _, err := range race(20, func(i int) (err error) {
		answers[i], _, err = s.sos.Raise(context.Background(), ids[i%5/4], nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic"})
		return err
	}) {
		ok(t, err)
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Fatalf("answered %+v and %+v", a, answers[0])
		}
	}
	if n := count(t, s.db.Pool(), `select count(*) from sos_incident`); n != 1 {
		t.Fatalf("%d incidents", n)
	}
	s.verified(answers[0].Incident, 2)
}

func TestRacingPressesMakeOneIncident(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	answers := make([]nexus.Raised, 20)
	for _, err := range race(20, func(i int) (err error) {
		answers[i], _, err = s.sos.Raise(context.Background(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: fmt.Sprint(i), Category: "panic"})
		return err
	}) {
		ok(t, err)
	}
	seqs := map[int64]bool{}
	for _, a := range answers {
		if a.Incident != answers[0].Incident || a.State != nexus.SOSRaised || !a.Durable {
			t.Fatalf("answered %+v and %+v", a, answers[0])
		}
		seqs[a.Seq] = true
	}
	if len(seqs) != 20 {
		t.Fatalf("20 presses made %d events", len(seqs))
	}
	s.verified(answers[0].Incident, 21)
}

// Presses and cancels of one person race: every press is answered, at most one incident is open, and each history fits.
func TestPressesRaceWithCancels(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	for _, err := range race(6, func(i int) error {
		for j := range 8 {
			raised, _, err := s.sos.Raise(context.Background(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: fmt.Sprint(i, " ", j), Category: "panic"})
			if err != nil {
				return err
			}
			_, err = s.sos.Change(context.Background(), nexus.Caller{}, raised.Incident, func(st incident.State, _ incident.Roster, now time.Time) ([]incident.Event, error) {
				return st.Cancel(j%3 == 0, now)
			})
			if err != nil {
				return err
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	if n := count(t, s.db.Pool(), `select count(*) from sos_press`); n != 48 {
		t.Errorf("%d presses are kept of 48", n)
	}
	if n := count(t, s.db.Pool(), `select count(*) from sos_incident where closed_at is null and not duress`); n != 0 {
		t.Errorf("%d are open after all were cancelled", n)
	}
	_, _, bad, first, err := s.incidents.VerifyAll(t.Context())
	if bad != "" || err != nil {
		t.Error(bad, first, err)
	}
}

func TestOneOfRacingOfficersTakesIt(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	officers := []nexus.User{s.ravi, s.meera}
	for i := range 3 {
		officers = append(officers, newUser(t, s.db, fmt.Sprint("officer", i), nexus.Security))
	}
	won := 0
	for _, err := range race(5, func(i int) error {
		_, err := s.act(officers[i], raised.Incident, nexus.SOSAcknowledged)
		return err
	}) {
		if err == nil {
			won++
			continue
		}
		code(t, err, nexus.StateConflict)
		if f := nexus.FailureOf(err); f.State != string(nexus.SOSAcknowledged) {
			t.Errorf("the loser is told %+v", f)
		}
	}
	if won != 1 {
		t.Fatalf("%d took it", won)
	}
	s.verified(raised.Incident, 3)
}

func TestStreamsHaveNoGap(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi, s.meera)
	var students []nexus.User
	for i := range 8 {
		students = append(students, newUser(t, s.db, fmt.Sprint("student", i)))
	}
	for _, err := range race(len(students), func(i int) error {
		raised, _, err := s.sos.Raise(context.Background(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: students[i].ID, ClientKey: "k", Category: "panic"})
		if err != nil {
			return err
		}
		for _, u := range []nexus.User{s.ravi, s.meera} {
			if _, err := s.act(u, raised.Incident, nexus.SOSEnRoute); err != nil {
				return err
			}
		}
		_, _, err = s.sos.Say(context.Background(), raised.Incident, students[i].ID, incident.Words{ClientMsgID: "1", Body: "here"}, func(incident.State) error { return nil })
		return err
	}) {
		ok(t, err)
	}
	// Each officer reads of each incident that they are paged, that both are on the way, and the message.
	for _, u := range []nexus.User{s.ravi, s.meera} {
		lines, err := s.streams.Lines(t.Context(), map[string]int64{string(u.ID): 0}, 1000)
		ok(t, err)
		if len(lines) != 4*len(students) {
			t.Fatalf("%d lines", len(lines))
		}
		last := map[nexus.IncidentID]int64{}
		for i, l := range lines {
			if l.Seq != int64(i+1) {
				t.Fatalf("line %d has seq %d", i+1, l.Seq)
			}
			if l.Event.Seq <= last[l.Event.Incident] {
				t.Fatalf("event %d after %d", l.Event.Seq, last[l.Event.Incident])
			}
			last[l.Event.Incident] = l.Event.Seq
		}
	}
	if n := count(t, s.db.Pool(), `select count(*) from safety_stream s where last_seq <> (select count(*) from safety_delivery d where d.stream = s.stream)`); n != 0 {
		t.Fatalf("%d streams have a gap", n)
	}
	incidents, _, bad, _, err := s.incidents.VerifyAll(t.Context())
	if incidents != 8 || bad != "" || err != nil {
		t.Fatal(incidents, bad, err)
	}
}

func TestAdvanceIsFenced(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	grains := pg.NewGrains(s.db)
	old, _, err := grains.Claim(t.Context(), "incident", string(raised.Incident))
	ok(t, err)
	now, _, err := grains.Claim(t.Context(), "incident", string(raised.Incident))
	ok(t, err)
	exec(t, s.db.Pool(), `update sos_incident set next_at = now() - interval '1 minute'`) // the projection alone: nothing is due
	late, err := s.sos.Overdue(t.Context(), time.Second, 10)
	if !slices.Equal(late, []nexus.IncidentID{raised.Incident}) || err != nil {
		t.Fatalf("overdue: %v %v", late, err)
	}
	if late, err = s.sos.Overdue(t.Context(), time.Hour, 10); len(late) != 0 || err != nil {
		t.Fatalf("overdue by an hour: %v %v", late, err)
	}
	_, err = s.sos.Advance(t.Context(), old, raised.Incident)
	code(t, err, nexus.Fenced)
	for _, f := range []nexus.Fence{now, {}} {
		out, err := s.sos.Advance(t.Context(), f, raised.Incident)
		if err != nil || len(out.Events) != 0 {
			t.Fatalf("nothing was due: %+v %v", out.Events, err)
		}
	}
	_, err = s.sos.Advance(t.Context(), nexus.Fence{}, nexus.IncidentID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

func TestACountdownRaisesWhenItIsDue(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, out, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{
		User: s.asha.ID, ClientKey: "k", Category: "panic", Countdown: time.Microsecond,
	})
	if err != nil || raised.State != nexus.SOSArmed || kinds(out.Events) != "ARMED" {
		t.Fatalf("%+v %+v %v", raised, out, err)
	}
	f, _, err := pg.NewGrains(s.db).Claim(t.Context(), "incident", string(raised.Incident))
	ok(t, err)
	out, err = s.sos.Advance(t.Context(), f, raised.Incident)
	if err != nil || kinds(out.Events) != "RAISED PAGED" || out.State.State != nexus.SOSRaised {
		t.Fatalf("%s %v", kinds(out.Events), err)
	}
	again, _ := s.press(s.asha, "k")
	if again != raised {
		t.Fatalf("the first press is answered %+v, was %+v", again, raised)
	}
	s.verified(raised.Incident, 3)
}

// The roster is whom a policy can mean: on duty now, of a role, or named; never those whose accounts are not active.
func TestWhoIsPaged(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	guard := newUser(t, s.db, "guard", nexus.MessStaff)
	gone := newUser(t, s.db, "gone", nexus.Security)
	s.onDuty(guard, gone)
	exec(t, s.db.Pool(), `update app_user set status = 'suspended' where id = $1`, gone.ID)
	exec(t, s.db.Pool(), `insert into duty_shift values (gen_random_uuid(), $1, now() - interval '2 hours', now() - interval '1 hour')`, s.meera.ID)
	raised, out := s.press(s.asha, "k")
	paged := func(out incident.Outcome) []nexus.UserID {
		t.Helper()
		var p incident.Page
		ok(t, json.Unmarshal(out.Events[len(out.Events)-1].Data, &p))
		return p.Users
	}
	sorted := func(us ...nexus.User) (ids []nexus.UserID) {
		for _, u := range us {
			ids = append(ids, u.ID)
		}
		slices.Sort(ids)
		return ids
	}
	for i, want := range [][]nexus.UserID{sorted(guard), sorted(s.ravi, s.meera), sorted(s.ravi, s.meera, s.admin), sorted(s.ravi, s.meera, s.admin)} {
		if i > 0 {
			out = s.advance(raised.Incident)
		}
		if got := paged(out); !slices.Equal(got, want) {
			t.Fatalf("step %d pages %v, want %v", i, got, want)
		}
	}
	s.verified(raised.Incident, 5)
}

func TestAMessageIsKeptOnce(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	may := func(incident.State) error { return nil }
	words := incident.Words{ClientMsgID: "m1", Body: "by the lake\x00, \"quoted\" \u20ac"}
	seqs := make([]int64, 6)
	for _, err := range race(6, func(i int) (err error) {
		seqs[i], _, err = s.sos.Say(context.Background(), raised.Incident, s.asha.ID, words, may)
		return err
	}) {
		ok(t, err)
	}
	for _, n := range seqs {
		if n != 3 {
			t.Fatalf("seqs %v", seqs)
		}
	}
	if n, _, err := s.sos.Say(t.Context(), raised.Incident, s.ravi.ID, words, may); n != 4 || err != nil {
		t.Fatalf("another sender: %d %v", n, err)
	}
	_, _, err := s.sos.Say(t.Context(), raised.Incident, s.meera.ID, words, func(incident.State) error { return nexus.Errorf(nexus.Forbidden, "no") })
	code(t, err, nexus.Forbidden)
	_, _, err = s.sos.Say(t.Context(), raised.Incident, s.meera.ID, incident.Words{Body: "x"}, may)
	onField(t, err, nexus.Invalid, "clientMsgId")
	s.cancel(raised.Incident, false)
	if n, out, err := s.sos.Say(t.Context(), raised.Incident, s.asha.ID, words, may); n != 3 || len(out.Events) != 0 || err != nil {
		t.Fatalf("a copy after the end: %d %v", n, err)
	}
	_, _, err = s.sos.Say(t.Context(), raised.Incident, s.asha.ID, incident.Words{ClientMsgID: "m2", Body: "x"}, may)
	code(t, err, nexus.StateConflict)
	s.verified(raised.Incident, 5)
}

func TestPositionsAreKeptOnceAndTogether(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	may := func(incident.State) error { return nil }
	fix := func(seq int64, lat float64) nexus.Fix {
		return nexus.Fix{ClientSeq: seq, At: noon, Position: nexus.Position{Lat: lat, Lng: 1}, Battery: ptr(50)}
	}
	st, err := s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{fix(2, 20), fix(5, 50), fix(4, 40)}, may)
	if err != nil || st.Last == nil || st.Last.Lat != 50 {
		t.Fatalf("%+v %v", st.Last, err)
	}
	st, err = s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{fix(4, 44), fix(3, 30)}, may)
	if err != nil || st.Last.Lat != 50 || *st.Last.Battery != 50 || st.Last.Accuracy != nil {
		t.Fatalf("%+v %v", st.Last, err)
	}
	for name, f := range map[string]nexus.Fix{"lat": fix(6, 91), "clientSeq": fix(-1, 1), "lng": {ClientSeq: 6, At: noon, Position: nexus.Position{Lng: 181}}} {
		_, err = s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{fix(7, 70), f}, may)
		onField(t, err, nexus.Invalid, name)
	}
	_, err = s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{{ClientSeq: 8, Position: nexus.Position{Accuracy: ptr(-1.0)}}}, may)
	onField(t, err, nexus.Invalid, "fixes[0].accuracy")
	_, err = s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{{ClientSeq: 8, Battery: ptr(101)}}, may)
	onField(t, err, nexus.Invalid, "fixes[0].battery")
	_, err = s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{fix(9, 9)}, func(incident.State) error { return nexus.Errorf(nexus.Forbidden, "no") })
	code(t, err, nexus.Forbidden)
	fixes, err := s.incidents.Fixes(t.Context(), caller(s.asha), raised.Incident, nexus.Page{})
	ok(t, err)
	var lats []float64
	for _, f := range fixes.Items {
		lats = append(lats, f.Lat)
	}
	if !slices.Equal(lats, []float64{20, 30, 40, 50}) {
		t.Fatalf("kept %v", lats)
	}
}

// TestPositionsAreBounded: past the bound the older half is thinned out. Where the person pressed stays, and so does what is newest, also when what
// arrives is old.
func TestPositionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic", Position: &nexus.Position{}})
	ok(t, err)
	fill := func(n int) {
		t.Helper()
		exec(t, s.db.Pool(), `insert into sos_location (incident_id, client_seq, at, lat, lng) select $1, 1000 + i, now(), 0, 0 from generate_series(1, $2::integer) i`, raised.Incident, n)
	}
	kept := func() (n int, newest int64) {
		t.Helper()
		n = count(t, s.db.Pool(), `select count(*) from sos_location where incident_id = $1`, raised.Incident)
		newest = int64(count(t, s.db.Pool(), `select max(client_seq) from sos_location where incident_id = $1`, raised.Incident))
		return n, newest
	}
	locate := func(seqs ...int64) {
		t.Helper()
		var fixes []nexus.Fix
		for _, seq := range seqs {
			fixes = append(fixes, nexus.Fix{ClientSeq: seq, At: noon})
		}
		_, err := s.sos.Locate(t.Context(), raised.Incident, fixes, func(incident.State) error { return nil })
		ok(t, err)
	}
	fill(pg.MaxFixes - 2)
	locate(1)
	if n, _ := kept(); n != pg.MaxFixes {
		t.Fatalf("%d are kept, want %d", n, pg.MaxFixes)
	}
	locate(2, 3, 4) // late
	n, newest := kept()
	if want := pg.MaxFixes * 3 / 4; n < want || n > want+3 || newest != 1000+pg.MaxFixes-2 {
		t.Fatalf("%d are kept, the newest is %d", n, newest)
	}
	half := count(t, s.db.Pool(), `select count(*) from sos_location where incident_id = $1 and client_seq > $2`, raised.Incident, 1000+pg.MaxFixes/2)
	if half < pg.MaxFixes/2-3 {
		t.Errorf("%d of the newer half are kept", half)
	}
	if n := count(t, s.db.Pool(), `select count(*) from sos_location where incident_id = $1 and client_seq = 0`, raised.Incident); n != 1 {
		t.Error("where she pressed is forgotten")
	}
	locate(1_000_000)
	if _, newest = kept(); newest != 1_000_000 {
		t.Errorf("the newest is %d", newest)
	}
}

func TestPositionsAreReadInPages(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic", Position: &nexus.Position{}})
	ok(t, err)
	for seq := range int64(5) {
		_, err := s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{{ClientSeq: 10 * (seq + 1), At: noon}}, func(incident.State) error { return nil })
		ok(t, err)
	}
	var got []int64
	for p, pages := (nexus.Page{Limit: 2}), 1; ; pages++ {
		list, err := s.incidents.Fixes(t.Context(), caller(s.ravi), raised.Incident, p)
		ok(t, err)
		for _, f := range list.Items {
			got = append(got, f.ClientSeq)
		}
		if p.After = list.Next; p.After == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
	}
	if !slices.Equal(got, []int64{0, 10, 20, 30, 40, 50}) {
		t.Errorf("paged %v", got)
	}
	_, err = s.incidents.Fixes(t.Context(), caller(s.ravi), raised.Incident, nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
}

// TestAChangeIsMadeOnceForItsKey: repeated, also at once, it is answered as it was then, whatever has happened meanwhile; with another
// request behind it the key is refused.
func TestAChangeIsMadeOnceForItsKey(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	escalate := func(key, body string) (incident.Outcome, error) {
		return s.sos.Change(context.Background(), keyed(caller(s.ravi), key, body), raised.Incident, func(st incident.State, who incident.Roster, now time.Time) ([]incident.Event, error) {
			return st.Escalate(s.ravi.ID, "", who, now)
		})
	}
	outs := make([]incident.Outcome, 4)
	for _, err := range race(4, func(i int) (err error) {
		outs[i], err = escalate("one", "more")
		return err
	}) {
		ok(t, err)
	}
	made := 0
	for _, o := range outs {
		if o.First != 3 || o.State.Seq != 4 || o.State.State != nexus.SOSRaised {
			t.Errorf("answered %+v", o)
		}
		made += len(o.Events) + min(1, len(o.Streams))
	}
	if made != 3 { // two events, told once
		t.Errorf("made %d", made)
	}
	other, err := escalate("two", "more")
	if err != nil || other.First != 5 || kinds(other.Events) != "ESCALATED PAGED" {
		t.Fatalf("under another key %+v, %v", other, err)
	}
	_, err = s.act(s.meera, raised.Incident, nexus.SOSResolved)
	ok(t, err)
	again, err := escalate("one", "more")
	if err != nil || again.First != 3 || again.State.Seq != 4 || again.State.State != nexus.SOSRaised || len(again.Events)+len(again.Streams) != 0 {
		t.Fatalf("again %+v, %v", again, err)
	}
	_, err = escalate("one", "another note")
	code(t, err, nexus.KeyReused)
	_, err = escalate("three", "more")
	code(t, err, nexus.StateConflict)
	s.verified(raised.Incident, 7)
}

func TestWhoeverActsHasSeenWhatCameBefore(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi, s.meera)
	raised, _ := s.press(s.asha, "k")
	_, err := s.act(s.ravi, raised.Incident, nexus.SOSAcknowledged)
	ok(t, err)
	records, err := s.incidents.Deliveries(t.Context(), raised.Incident)
	ok(t, err)
	for _, r := range records {
		if seen := r.User == s.ravi.ID && r.EventSeq < 3; seen != (r.AcknowledgedAt != nil) {
			t.Errorf("%+v", r)
		}
	}
	if len(records) != 7 { // who raised it and the two that were paged hear PAGED and ACKNOWLEDGED, she alone hears RAISED
		t.Errorf("%d records", len(records))
	}
}

// A small pool with little patience says at once that the database is away.
func TestASmallPoolIsEnough(t *testing.T) {
	t.Parallel()
	url := pgfix.URL(t)
	o := pg.Options{MaxConns: 4, AcquireTimeout: 300 * time.Millisecond, CallTimeout: time.Second}
	db := pgfix.Open(t, url, o)
	holdAll(t, db, 4)
	_, _, err := pg.NewSOS(db, db).Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: nexus.UserID(nexus.NewID()), ClientKey: "k", Category: "panic"})
	code(t, err, nexus.Unavailable)
}

// holdAll takes n connections of a pool until the test ends.
func holdAll(t *testing.T, db *pg.DB, n int) {
	t.Helper()
	for range n {
		conn, err := db.Pool().Acquire(t.Context())
		ok(t, err)
		t.Cleanup(conn.Release)
	}
}

// TestAPressWaitsForNothingElse: all else that is done about incidents holds every connection that it may have.
func TestAPressWaitsForNothingElse(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	others := pgfix.Open(t, s.url, pg.Options{MaxConns: 2, AcquireTimeout: 20 * time.Millisecond})
	holdAll(t, others, 2)
	sos := pg.NewSOS(s.db, others)
	raised, _, err := sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic"})
	ok(t, err)
	_, _, err = sos.Look(t.Context(), raised.Incident)
	code(t, err, nexus.Unavailable)
}

// TestStreamsAreLockedLast: presses and whatever else concerns an officer wait for each other there, and for nothing in between.
func TestStreamsAreLockedLast(t *testing.T) {
	t.Parallel()
	asked := &statements{}
	s := newTracedSafe(t, asked)
	s.onDuty(s.ravi)
	for name, do := range map[string]func(){
		"a press": func() {
			_, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic", Position: &nexus.Position{}})
			ok(t, err)
		},
		"an escalation": func() {
			raised, _ := s.press(s.meera, "k")
			_, err := s.act(s.ravi, raised.Incident, nexus.SOSAcknowledged)
			ok(t, err)
			asked.since()
			s.advance(raised.Incident)
		},
	} {
		asked.since()
		do()
		_, after, found := strings.Cut(asked.since(), "AdvanceStreams :many\n\t")
		if got := strings.Split(after, "\n\t"); !found || len(got) < 2 || got[0] != "-- name: AppendEvents :exec" || got[1] != "commit" {
			t.Errorf("%s: the streams are locked while it does %q", name, got)
		}
	}
}

// TestAPressTakesFewWays to the database and back: on a machine that is busy each takes its time, of which a press has a second.
func TestAPressTakesFewWays(t *testing.T) {
	t.Parallel()
	asked := &statements{}
	s := newTracedSafe(t, asked)
	s.onDuty(s.ravi)
	s.press(s.meera, "k") // statements are prepared by then
	exec(t, s.db.Pool(), `select`)
	trips := asked.ways()
	_, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic", Position: &nexus.Position{}})
	ok(t, err)
	if n := asked.ways() - trips; n > 9 {
		t.Errorf("%d ways:\n%s", n, asked.since())
	}
}

// lockedStream begins a transaction that has locked an officer's stream, as one of a node that takes another press has.
func lockedStream(t *testing.T, conn *pgx.Conn, officer nexus.User) {
	t.Helper()
	for _, q := range []string{`begin`, `select from safety_stream where stream = '` + string(officer.ID) + `' for update`} {
		_, err := conn.Exec(t.Context(), q)
		ok(t, err)
	}
}

// connection is one of its own, made with the bounds of a pool, to be cut like that of a process that is killed.
func (s *safe) connection(o pg.Options) *pgx.Conn {
	s.Helper()
	o.MaxConns = 1
	pooled, err := pgfix.Open(s.T, s.url, o).Pool().Acquire(s.Context())
	ok(s.T, err)
	conn := pooled.Hijack()
	s.Cleanup(func() { _ = conn.PgConn().Conn().Close() })
	return conn
}

// TestAKilledNodeHoldsUpNoPress: it was killed while it had locked what every press needs, and waited for something that is locked for long.
func TestAKilledNodeHoldsUpNoPress(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	s.press(s.meera, "k") // his stream is there
	other := begin(t, s.db)
	_, err := other.Exec(t.Context(), `select pg_advisory_xact_lock(7)`)
	ok(t, err)
	killed := s.connection(pg.Options{ClientCheck: 20 * time.Millisecond})
	lockedStream(t, killed, s.ravi)
	killed.PgConn().Frontend().Send(&pgproto3.Query{String: `select pg_advisory_xact_lock(7)`})
	ok(t, killed.PgConn().Frontend().Flush())
	blocked(t, s.db.Pool(), 1)
	ok(t, killed.PgConn().Conn().Close()) // the kernel does that, and nobody is left to say goodbye or to cancel the statement
	s.press(s.asha, "k")                  // it would wait for two minutes
}

// TestAFrozenNodeHoldsUpNoPress for longer than its transaction may stand still.
func TestAFrozenNodeHoldsUpNoPress(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	s.press(s.meera, "k")
	lockedStream(t, s.connection(pg.Options{IdleInTransaction: 50 * time.Millisecond}), s.ravi)
	s.press(s.asha, "k")
}

func TestAWarmPoolHasItsConnections(t *testing.T) {
	t.Parallel()
	db := pgfix.Open(t, pgfix.URL(t), pg.Options{MaxConns: 3, Warm: true})
	all := func() bool { return db.Pool().Stat().IdleConns() == 3 }
	until(t, "all connections are made", all)
	exec(t, db.Pool(), `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	until(t, "those that were lost are made anew", func() bool {
		return all() && count(t, db.Pool(), `select count(*) from pg_stat_activity where datname = current_database() and backend_type = 'client backend'`) == 3
	})
}
