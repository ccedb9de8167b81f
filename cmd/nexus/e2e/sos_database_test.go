package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/cluster/freeport"
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

// TestAPressOutlivesTheNodeThatHeldIt: the database is away, the node that took a press dies by kill -9 and never comes back, and the phone is silent
// from then on. Another node stores the press when the database is back.
func TestAPressOutlivesTheNodeThatHeldIt(t *testing.T) {
	t.Parallel()
	db := external(t)
	port, err := freeport.Row(2)
	if err != nil {
		t.Fatal(err)
	}
	bind := fmt.Sprintf("127.0.0.1:%d", port)
	env := []string{"NEXUS_DATABASE_URL=" + db.URL(), "NEXUS_JWT_SECRET=" + strings.Repeat("0123456789abcdef", 2)}
	a := start(t, append(env, "NEXUS_CLUSTER_BIND="+bind)...)
	b := start(t, append(env, "NEXUS_CLUSTER_SEEDS="+bind)...)
	b.until(t, "both nodes are members", func() bool { return b.figure(t, "nexus_cluster_members") == 2 })
	student := a.register(t)
	phone, officer := a.read(t, student.token), b.read(t, b.login(t, "officer1", password))
	db.kill()

	r := phone.press("and then silence")
	if r.Durable {
		t.Fatalf("stored without a database: %+v", r)
	}
	if l := officer.provisional(); l.IncidentID != r.Incident {
		t.Errorf("the alert: %+v, want it of %s", l, r.Incident)
	}
	b.until(t, "the other node holds a copy", func() bool { return b.figure(t, "nexus_sos_provisional") == 1 })
	a.kill(t)
	db.start()
	l := officer.next("the stored alert")
	if l.Name != "CRITICAL_ALERT" || !l.Durable || l.IncidentID != r.Incident || l.UserID != student.id {
		t.Errorf("the stored alert: %+v, want it of %s", l, r.Incident)
	}
	var i nexus.Incident
	b.bearer(student.token).call(t, "GET", "/safety/incidents/"+string(r.Incident), nil, 200, &i)
	if i.User != student.id || i.State != nexus.SOSRaised || i.Last == nil {
		t.Errorf("the stored incident: %+v", i)
	}
}
