package pg_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
)

func (s *safe) standing(u nexus.UserID, device nexus.SessionID) nexus.Standing {
	s.Helper()
	r := nexus.Reader{Stream: string(u), Device: device}
	found, err := s.streams.Standings(s.Context(), []nexus.Reader{r})
	if err != nil || len(found) != 1 || found[0].Reader != r {
		s.Fatalf("%+v %v", found, err)
	}
	return found[0]
}

func (s *safe) note(marks []nexus.Mark, cursors ...nexus.Standing) {
	s.Helper()
	ok(s.T, s.streams.Note(s.Context(), marks, cursors))
}

// campus is an alert that runs out in an hour.
func campus() nexus.MassAlert {
	return nexus.MassAlert{
		Status: "Actual", MsgType: "Alert", Category: "Fire", Event: "Fire", Urgency: "Immediate", Severity: "Severe", Certainty: "Observed",
		Headline: "Leave the library", Area: "Library", Expires: time.Now().Add(time.Hour),
	}
}

func TestANewDeviceBeginsAtWhatStillMatters(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	device := nexus.SessionID(nexus.NewID())
	if got := s.standing(s.ravi.ID, device); got.Cursor != 0 || got.Last != 0 || !got.Known {
		t.Fatalf("nothing was ever sent: %+v", got)
	}
	first, _ := s.press(s.asha, "1") // PAGED is line 1
	_, err := s.act(s.ravi, first.Incident, nexus.SOSResolved)
	ok(t, err)
	if got := s.standing(s.ravi.ID, device); got.Cursor != 2 || got.Last != 2 || got.Known {
		t.Fatalf("all is over: %+v", got)
	}
	second, _ := s.press(s.asha, "2") // line 3
	s.press(s.asha, "3")              // JOINED, line 4
	if got := s.standing(s.ravi.ID, device); got.Cursor != 2 || got.Last != 4 {
		t.Fatalf("one is open: %+v", got)
	}
	s.note(nil, nexus.Standing{Reader: nexus.Reader{Stream: string(s.ravi.ID), Device: device}, Cursor: 3})
	if got := s.standing(s.ravi.ID, device); got.Cursor != 3 || got.Last != 4 || !got.Known {
		t.Fatalf("one line was acknowledged: %+v", got)
	}
	if got := s.standing(s.ravi.ID, nexus.SessionID(nexus.NewID())); got.Cursor != 2 {
		t.Fatalf("another device: %+v", got)
	}
	s.cancel(second.Incident, true)
	if mine, officers := s.standing(s.asha.ID, device), s.standing(s.ravi.ID, nexus.SessionID(nexus.NewID())); mine.Cursor != mine.Last || officers.Cursor != 2 {
		t.Fatalf("under duress she begins at %+v, the officer at %+v", mine, officers)
	}
}

func TestMassAlertsAreHeardWhileTheyLast(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	var sent []nexus.MassAlert
	for range 3 {
		a, err := s.office.SendAlert(t.Context(), caller(s.admin), campus())
		ok(t, err)
		sent = append(sent, a)
	}
	if got := s.standing(nexus.CampusStream, "0190a0b0-0000-7000-8000-000000000001"); got.Cursor != 0 || got.Last != 3 {
		t.Fatalf("%+v", got)
	}
	exec(t, s.db.Pool(), `update cap_alert set sent = now() - interval '2 hours', expires = now() - interval '1 hour' where identifier = $1`, sent[0].Identifier)
	if got := s.standing(nexus.CampusStream, "0190a0b0-0000-7000-8000-000000000001"); got.Cursor != 1 || got.Last != 3 {
		t.Fatalf("after the first has run out: %+v", got)
	}
	lines, err := s.streams.Lines(t.Context(), map[string]int64{nexus.CampusStream: 1}, 1)
	ok(t, err)
	if len(lines) != 1 || lines[0].Seq != 2 || lines[0].Kind != nexus.DeliverMass || lines[0].Event != nil || lines[0].Incident != nil || !same(t, lines[0].Mass, sent[1]) {
		t.Fatalf("%+v", lines)
	}
}

func TestLinesComeInOrderAndBounded(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi, s.meera)
	lat := 22.5
	raised, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{
		User: s.asha.ID, ClientKey: "k", Category: "panic", Position: &nexus.Position{Lat: lat},
	})
	ok(t, err)
	_, err = s.act(s.ravi, raised.Incident, nexus.SOSAcknowledged)
	ok(t, err)
	_, err = s.act(s.ravi, raised.Incident, nexus.SOSOnScene)
	ok(t, err)
	lines, err := s.streams.Lines(t.Context(), map[string]int64{string(s.ravi.ID): 0, string(s.meera.ID): 1, string(s.asha.ID): 0, nexus.NewID(): 0}, 2)
	ok(t, err)
	got := map[string][]nexus.Delivery{}
	for _, l := range lines {
		got[l.Stream] = append(got[l.Stream], l)
	}
	ravi, meera, asha := got[string(s.ravi.ID)], got[string(s.meera.ID)], got[string(s.asha.ID)]
	if len(got) != 3 || len(ravi) != 2 || len(meera) != 2 || len(asha) != 2 {
		t.Fatalf("%+v", lines)
	}
	alarm := ravi[0]
	if alarm.Kind != nexus.DeliverAlert || alarm.Seq != 1 || alarm.Event.Kind != "PAGED" || alarm.Event.Seq != 2 || alarm.At.IsZero() ||
		alarm.Incident.State != nexus.SOSOnScene || alarm.Incident.Last.Lat != lat || len(alarm.Incident.Responders) != 2 {
		t.Errorf("the alarm: %+v", alarm)
	}
	if l := ravi[1]; l.Kind != nexus.DeliverEvent || l.Seq != 2 || l.Event.Kind != "ACKNOWLEDGED" || l.Event.Actor != s.ravi.ID || l.Incident != nil || len(l.Event.Hash) != 32 {
		t.Errorf("the answer: %+v", l)
	}
	if meera[0].Event.Kind != "ACKNOWLEDGED" || meera[1].Event.Kind != "ON_SCENE" {
		t.Errorf("after the first: %+v", meera)
	}
	if asha[0].Event.Kind != "RAISED" || asha[0].Kind != nexus.DeliverEvent {
		t.Errorf("who raised it hears %+v", asha[0])
	}
	heads, err := s.streams.Heads(t.Context(), []string{string(s.ravi.ID), nexus.CampusStream, nexus.NewID()})
	if err != nil || len(heads) != 2 || heads[string(s.ravi.ID)] != 3 || heads[nexus.CampusStream] != 0 {
		t.Errorf("heads %v %v", heads, err)
	}
	if lines, err = s.streams.Lines(t.Context(), nil, 10); err != nil || len(lines) != 0 {
		t.Errorf("of no streams: %v %v", lines, err)
	}
}

func TestWhatBecameOfLinesIsNotedOnce(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	raised, _ := s.press(s.asha, "k")
	stream := string(s.ravi.ID)
	s.note([]nexus.Mark{{Stream: stream, Seq: 1, Sent: noon}})
	s.note([]nexus.Mark{
		{Stream: stream, Seq: 1, Sent: noon.Add(time.Hour), Got: noon.Add(3 * time.Second)},
		{Stream: stream, Seq: 1, Got: noon.Add(2 * time.Second)}, // the earlier of one batch counts
		{Stream: stream, Seq: 99, Sent: noon},
		{Stream: nexus.NewID(), Seq: 1, Sent: noon},
	})
	s.note([]nexus.Mark{{Stream: stream, Seq: 1, Got: noon.Add(time.Second)}})
	records, err := s.incidents.Deliveries(t.Context(), raised.Incident)
	ok(t, err)
	i := slices.IndexFunc(records, func(r nexus.DeliveryRecord) bool { return r.User == s.ravi.ID })
	if r := records[i]; r.Kind != nexus.DeliverAlert || r.EventSeq != 2 || !r.SentAt.Equal(noon) || !r.DeliveredAt.Equal(noon.Add(2*time.Second)) || r.AcknowledgedAt != nil {
		t.Fatalf("%+v", r)
	}
	if other := records[0]; other.SentAt != nil || other.DeliveredAt != nil {
		t.Fatalf("%+v", other)
	}
}

func TestCursorsOnlyRise(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	for range 4 {
		s.press(s.asha, nexus.NewID())
	}
	r := nexus.Reader{Stream: string(s.ravi.ID), Device: nexus.SessionID(nexus.NewID())}
	for _, step := range []struct {
		note []int64
		want int64
	}{{[]int64{-1}, 0}, {[]int64{2, 1}, 2}, {[]int64{1}, 2}, {[]int64{3}, 3}, {[]int64{99}, 4}} {
		var cursors []nexus.Standing
		for _, n := range step.note {
			cursors = append(cursors, nexus.Standing{Reader: r, Cursor: n})
		}
		s.note(nil, append(cursors, nexus.Standing{Reader: nexus.Reader{Stream: nexus.NewID(), Device: r.Device}, Cursor: 1})...)
		if got := s.standing(s.ravi.ID, r.Device); got.Cursor != step.want {
			t.Fatalf("after %v: %d, want %d", step.note, got.Cursor, step.want)
		}
	}
	s.note(nil)
}

func TestRacingNotesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi, s.meera)
	for range 20 {
		s.press(s.asha, nexus.NewID())
	}
	for _, err := range race(8, func(i int) error {
		for range 5 {
			var marks []nexus.Mark
			for seq := range int64(20) {
				for _, u := range []nexus.User{s.ravi, s.meera} {
					marks = append(marks, nexus.Mark{Stream: string(u.ID), Seq: seq + 1, Sent: time.Now(), Got: time.Now()})
				}
			}
			if i%2 == 0 {
				slices.Reverse(marks)
			}
			if err := s.streams.Note(context.Background(), marks, nil); err != nil {
				return err
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	if n := count(t, s.db.Pool(), `select count(*) from safety_delivery where stream in ($1, $2) and delivered_at is null`, s.ravi.ID, s.meera.ID); n != 0 {
		t.Fatalf("%d lines are not marked", n)
	}
}

func TestCursorsOfEndedLoginsArePurged(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.press(s.asha, "k")
	alive := nexus.SessionID(nexus.NewID())
	login := nexus.Login{ID: alive}
	ok(t, pg.NewIdentity(s.db).Open(t.Context(), system, s.asha.ID, 0, login, nexus.RefreshToken{Hash: hash("t"), ExpiresAt: time.Now().Add(time.Hour)}))
	for _, d := range []nexus.SessionID{alive, nexus.SessionID(nexus.NewID()), nexus.SessionID(nexus.NewID())} {
		s.note(nil, nexus.Standing{Reader: nexus.Reader{Stream: string(s.asha.ID), Device: d}, Cursor: 1})
	}
	if n, err := s.streams.PurgeCursors(t.Context()); n != 0 || err != nil {
		t.Fatalf("young ones: %d %v", n, err)
	}
	exec(t, s.db.Pool(), `update safety_cursor set at = now() - interval '2 days'`)
	if n, err := s.streams.PurgeCursors(t.Context()); n != 2 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	if got := s.standing(s.asha.ID, alive); got.Cursor != 1 {
		t.Fatalf("%+v", got)
	}
}
