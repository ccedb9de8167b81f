package pg_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg"
	"nexus/persistence/pg/sqlcgen"
)

func TestWhoSeesAnIncident(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	guard, stranger := newUser(t, s.db, "guard", nexus.MessStaff), newUser(t, s.db, "stranger")
	s.onDuty(guard)
	raised, _ := s.press(s.asha, "k")
	for _, u := range []nexus.User{s.asha, guard, s.ravi, s.admin} {
		i, err := s.incidents.Incident(t.Context(), caller(u), raised.Incident)
		if err != nil || i.ID != raised.Incident || i.State != nexus.SOSRaised || i.Seq != 2 || len(i.Responders) != 1 || i.Responders[0].User != guard.ID || i.Last != nil {
			t.Errorf("%s sees %+v, %v", u.Name, i, err)
		}
		events, err := s.incidents.Events(t.Context(), caller(u), raised.Incident, 1, 10)
		if err != nil || kinds(events) != "PAGED" || len(events[0].Hash) != 32 {
			t.Errorf("%s sees %s, %v", u.Name, kinds(events), err)
		}
		list, err := s.incidents.Incidents(t.Context(), caller(u), "", nexus.Page{})
		if err != nil || len(list.Items) != 1 || !same(t, list.Items[0], i) {
			t.Errorf("%s lists %+v, %v", u.Name, list, err)
		}
	}
	for _, by := range []nexus.Caller{caller(stranger), {}} {
		_, err := s.incidents.Incident(t.Context(), by, raised.Incident)
		code(t, err, nexus.NotFound)
		_, err = s.incidents.Events(t.Context(), by, raised.Incident, 0, 10)
		code(t, err, nexus.NotFound)
		_, err = s.incidents.Fixes(t.Context(), by, raised.Incident, nexus.Page{})
		code(t, err, nexus.NotFound)
		list, err := s.incidents.Incidents(t.Context(), by, "", nexus.Page{})
		if err != nil || len(list.Items) != 0 || list.Items == nil {
			t.Errorf("a stranger lists %+v, %v", list, err)
		}
	}
	_, err := s.incidents.Incident(t.Context(), caller(s.admin), nexus.IncidentID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

func same(t *testing.T, a, b any) bool {
	t.Helper()
	x, err := json.Marshal(a)
	ok(t, err)
	y, err := json.Marshal(b)
	ok(t, err)
	return string(x) == string(y)
}

func TestIncidentsArePagedAndFiltered(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	var ids []nexus.IncidentID
	for i := range 5 {
		raised, _ := s.press(newUser(t, s.db, fmt.Sprint("u", i)), "k")
		ids = append(ids, raised.Incident)
	}
	_, err := s.act(s.ravi, ids[1], nexus.SOSAcknowledged)
	ok(t, err)
	_, err = s.act(s.ravi, ids[2], nexus.SOSResolved)
	ok(t, err)
	slices.Reverse(ids)
	var got []nexus.IncidentID
	for p := (nexus.Page{Limit: 2}); ; {
		list, err := s.incidents.Incidents(t.Context(), caller(s.admin), "", p)
		ok(t, err)
		for _, i := range list.Items {
			got = append(got, i.ID)
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if !slices.Equal(got, ids) {
		t.Fatalf("paged %v, want %v", got, ids)
	}
	for state, want := range map[string]int{"": 5, "open": 4, "RAISED": 3, "ACKNOWLEDGED": 1, "RESOLVED": 1, "CANCELLED": 0} {
		list, err := s.incidents.Incidents(t.Context(), caller(s.admin), state, nexus.Page{})
		if err != nil || len(list.Items) != want {
			t.Errorf("%q: %d, want %d; %v", state, len(list.Items), want, err)
		}
	}
	for u, want := range map[nexus.UserID]int{s.ravi.ID: 5, s.admin.ID: 0} { // nobody is on duty: all officers are paged
		if list, err := s.incidents.Incidents(t.Context(), nexus.Caller{User: u}, "", nexus.Page{}); err != nil || len(list.Items) != want {
			t.Errorf("without a role %d are listed, want %d; %v", len(list.Items), want, err)
		}
	}
	_, err = s.incidents.Incidents(t.Context(), caller(s.admin), "", nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
}

// seenBy is all that a person can read of an incident, times and ids of their own left out.
func (s *safe) seenBy(u nexus.User, id nexus.IncidentID) string {
	s.Helper()
	i, err := s.incidents.Incident(s.Context(), caller(u), id)
	ok(s.T, err)
	out := fmt.Sprint(i.State, i.Seq, i.Duress, i.ClosedAt != nil, i.NextAt != nil, len(i.Responders), i.Last != nil)
	events, err := s.incidents.Events(s.Context(), caller(u), id, 0, 100)
	ok(s.T, err)
	for _, e := range events {
		out += fmt.Sprint(" ", e.Seq, e.Kind, len(e.Data))
	}
	for _, state := range []string{"", "open", "RAISED", "CANCELLED"} {
		list, err := s.incidents.Incidents(s.Context(), caller(u), state, nexus.Page{})
		ok(s.T, err)
		out += fmt.Sprint(" ", len(list.Items))
		for _, i := range list.Items {
			out += fmt.Sprint(i.State, i.Seq, i.Duress)
		}
	}
	fixes, err := s.incidents.Fixes(s.Context(), caller(u), id, nexus.Page{})
	ok(s.T, err)
	out += fmt.Sprint(" fixes ", len(fixes.Items))
	lines, err := s.streams.Lines(s.Context(), map[string]int64{string(u.ID): 0}, 100)
	ok(s.T, err)
	for _, l := range lines {
		out += fmt.Sprint(" ", l.Seq, l.Kind, l.Event.Kind, len(l.Event.Data))
	}
	standings, err := s.streams.Standings(s.Context(), []nexus.Reader{{Stream: string(u.ID), Device: nexus.SessionID(nexus.NewID())}})
	ok(s.T, err)
	return out + fmt.Sprint(" ", standings[0].Cursor, standings[0].Last)
}

// rowsWritten is how many rows the transaction of an event has written, in each table.
func (s *safe) rowsWritten(id nexus.IncidentID, seq int64) string {
	s.Helper()
	out := ""
	for _, table := range []string{
		"sos_incident", "sos_event", "sos_responder", "sos_press", "sos_location", "sos_message", "safety_stream", "safety_delivery",
		"safety_page", "safety_timer", "audit_log", "idempotency",
	} {
		n := count(s.T, s.db.Pool(), fmt.Sprintf(`select count(*) from %s where xmin::text = (select xmin::text from sos_event where incident_id = $1 and seq = $2)`, table), id, seq)
		out += fmt.Sprint(table, " ", n, ", ")
	}
	return out
}

// What happens in an incident that was cancelled under duress, and one that truly was, cannot be told apart by the person who
// raised it, whatever they read; and both cancels write the same rows.
func TestDuressLooksLikeACancel(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.meera)
	ravi := newUser(t, s.db, "ravindra")
	var seen, written []string
	for i, u := range []nexus.User{s.asha, ravi} {
		duress := i == 1
		raised, _ := s.press(u, "k")
		may := func(incident.State) error { return nil }
		_, err := s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{{ClientSeq: 1, At: noon, Position: nexus.Position{Lat: 1}}}, may)
		ok(t, err)
		_, err = s.act(s.meera, raised.Incident, nexus.SOSAcknowledged)
		ok(t, err)
		out := s.cancel(raised.Incident, duress)
		written = append(written, s.rowsWritten(raised.Incident, 4))
		if again := s.cancel(raised.Incident, duress); len(again.Events) != 0 || out.State.Seen().State != nexus.SOSCancelled {
			t.Fatalf("cancelled: %+v, again: %+v", out, again)
		}
		if duress {
			_, err = s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{{ClientSeq: 2, At: noon, Position: nexus.Position{Lat: 2}}}, may)
			ok(t, err)
			_, err = s.act(s.meera, raised.Incident, nexus.SOSOnScene)
			ok(t, err)
			s.verified(raised.Incident, 5)
			i, err := s.incidents.Incident(t.Context(), caller(s.meera), raised.Incident)
			if err != nil || i.State != nexus.SOSOnScene || !i.Duress || i.Last.Lat != 2 {
				t.Fatalf("the officer sees %+v, %v", i, err)
			}
			events, err := s.incidents.Events(t.Context(), caller(s.meera), raised.Incident, 0, 10)
			if err != nil || kinds(events) != "RAISED PAGED ACKNOWLEDGED DURESS ON_SCENE" {
				t.Fatalf("the officer sees %s, %v", kinds(events), err)
			}
			s.chainHolds(u, raised.Incident)
		}
		seen = append(seen, s.seenBy(u, raised.Incident))
		if next, out := s.press(u, "again"); next.Incident == raised.Incident || kinds(out.Events) != "RAISED PAGED" {
			t.Errorf("a press after it: %+v, %s", next, kinds(out.Events))
		}
	}
	if seen[0] != seen[1] {
		t.Errorf("a cancel looks like\n%s\nand under duress like\n%s", seen[0], seen[1])
	}
	if written[0] != written[1] {
		t.Errorf("a cancel writes\n%s\nand under duress\n%s", written[0], written[1])
	}
}

// chainHolds works the chain out from what a person can read of it, as they could.
func (s *safe) chainHolds(u nexus.User, id nexus.IncidentID) {
	s.Helper()
	events, err := s.incidents.Events(s.Context(), caller(u), id, 0, 100)
	ok(s.T, err)
	prev := make([]byte, 32)
	for _, e := range events {
		row := sqlcgen.SosEvent{IncidentID: string(e.Incident), Seq: e.Seq, At: e.At, Kind: e.Kind, Data: e.Data, PrevHash: prev}
		if e.Actor != "" {
			row.Actor = ptr(string(e.Actor))
		}
		if string(pg.EventHash(row)) != string(e.Hash) {
			s.Errorf("the hash of event %d, %s, gives it away", e.Seq, e.Kind)
		}
		prev = e.Hash
	}
}

func TestSafetyMetrics(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	var ids []nexus.IncidentID
	for i := range 4 {
		raised, _ := s.press(newUser(t, s.db, fmt.Sprint("u", i)), "k")
		ids = append(ids, raised.Incident)
	}
	for i, id := range ids[:3] {
		_, err := s.act(s.ravi, id, nexus.SOSAcknowledged)
		ok(t, err)
		if i == 0 {
			_, err := s.act(s.ravi, id, nexus.SOSOnScene)
			ok(t, err)
		}
	}
	drill, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "d", Category: "panic", Drill: true})
	ok(t, err)
	_, err = s.act(s.ravi, drill.Incident, nexus.SOSAcknowledged)
	ok(t, err)
	// One answered after 5 s, one after 10 s, one after 20 s, one never in an hour; one arrival after a minute.
	conn := s.owner()
	set := func(query string, args ...any) {
		t.Helper()
		_, err := conn.Exec(context.Background(), query, args...)
		ok(t, err)
	}
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	set(`update sos_incident set raised_at = $1`, began)
	set(`update sos_event set at = $1 where kind <> 'ACKNOWLEDGED'`, began)
	set(`update safety_delivery set committed_at = $1, delivered_at = null`, began)
	for i, took := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second} {
		set(`update sos_event set at = $1 where incident_id = $2 and kind = 'ACKNOWLEDGED'`, began.Add(took), ids[i])
		set(`update safety_delivery set delivered_at = $1 where incident_id = $2 and kind = 'ALERT'`, began.Add(took/10), ids[i])
	}
	set(`update sos_incident set on_scene_at = $1 where id = $2`, began.Add(time.Minute), ids[0])
	m, err := s.incidents.SafetyMetrics(t.Context(), caller(s.admin), began, began.Add(time.Minute))
	ok(t, err)
	text, err := json.Marshal(m)
	ok(t, err)
	want := fmt.Sprintf(`{"incidents":4,"from":%q,"to":%q,`, began.Format(time.RFC3339), began.Add(time.Minute).Format(time.RFC3339)) +
		`"deliver":{"samples":3,"p50":1,"p90":1.8,"p99":1.98,"goalSeconds":10,"goalShare":0.9,"withinGoal":0.75,"source":"NFPA 1225"},` +
		`"acknowledge":{"samples":3,"p50":10,"p90":18,"p99":19.8,"goalSeconds":15,"goalShare":0.9,"withinGoal":0.5,"source":"NENA"},` +
		`"arrive":{"samples":1,"p50":60,"p90":60,"p99":60,"withinGoal":null}}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	m, err = s.incidents.SafetyMetrics(t.Context(), caller(s.admin), began.Add(-time.Hour), began)
	if err != nil || m.Incidents != 0 || m.Acknowledge.Samples != 0 || m.Acknowledge.P50 != nil || m.Acknowledge.WithinGoal != nil || m.Acknowledge.GoalSeconds != 15 {
		t.Errorf("of a period without incidents: %+v, %v", m, err)
	}
}
