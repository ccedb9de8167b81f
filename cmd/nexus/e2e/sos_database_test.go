package e2e_test

import (
	"testing"
	"time"

	"nexus"
)

// TestAnSOSWhileTheDatabaseIsAway: people hear of it at once, nothing claims that it is stored, and it is as soon as that is possible.
func TestAnSOSWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	db := external(t)
	s := start(t, "NEXUS_DATABASE_URL="+db.URL())
	student := s.register(t)
	phone, officer := s.read(t, student.token), s.read(t, s.login(t, "officer1", password))
	db.kill()

	pressed := time.Now()
	r := phone.press("in-the-dark")
	took(t, "an answer without a database", pressed)
	if r.Durable || r.Seq != 0 || r.State != nexus.SOSRaised || r.Incident == "" {
		t.Errorf("without a database a press is answered with %+v", r)
	}
	if a := officer.provisional(); a.IncidentID != r.Incident || a.UserID != student.id || a.Seq != 0 || a.Location == nil {
		t.Errorf("the alert: %+v, want it of %s", a, r.Incident)
	}
	took(t, "an officer's alert without a database", pressed)
	officer.none("claimed to be stored", func(e event) bool {
		l, ok := lineOf(t, e)
		return ok && l.Durable
	})

	db.start()
	back := time.Now()
	l := officer.next("the stored alert")
	t.Logf("stored, and heard again, %v after PostgreSQL was back", time.Since(back).Round(time.Millisecond))
	if l.Name != "CRITICAL_ALERT" || !l.Durable || l.IncidentID != r.Incident || l.UserID != student.id || l.Seq != 2 {
		t.Errorf("the stored alert: %+v, want it of %s", l, r.Incident)
	}
	var i nexus.Incident
	student.call(t, "GET", "/safety/incidents/"+string(r.Incident), nil, 200, &i)
	if i.User != student.id || i.State != nexus.SOSRaised || i.Last == nil {
		t.Errorf("the stored incident: %+v", i)
	}
	if again := phone.raise("in-the-dark"); again.Incident != r.Incident || again.Seq != 1 {
		t.Errorf("the same press again: %+v", again)
	}
	for i, l := range student.history(t, r.Incident) {
		if (l.Kind == "RAISED") != (i == 0) || i > 0 && l.Kind != "PAGED" {
			t.Errorf("event %d of one press: %+v", i+1, l)
		}
	}
}

// provisional waits for an alert that no stream holds.
func (r *reader) provisional() (l line) {
	r.t.Helper()
	r.await("an alert that is not durable", func(e event) (ok bool) {
		l, ok = lineOf(r.t, e)
		return ok && l.Name == "CRITICAL_ALERT" && !l.Durable
	})
	return l
}
