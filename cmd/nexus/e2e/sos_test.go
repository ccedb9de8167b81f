package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"nexus"
)

// promised is how soon an SOS is answered and heard, whatever has died. A test says how long it took, and fails only where no slow machine
// can be the cause.
const (
	promised = 2 * time.Second
	hopeless = 5 * promised
)

// took logs how long something took that is promised, and fails if that is beyond all excuse.
func took(t testing.TB, what string, since time.Time) {
	t.Helper()
	d := time.Since(since)
	t.Logf("%s after %v", what, d.Round(time.Millisecond))
	if d > hopeless {
		t.Errorf("%s after %v; %v is promised", what, d, promised)
	}
}

// word is the answer to what somebody says of an incident.
type word struct {
	Seq   int64
	Error struct {
		Code  nexus.Code
		State nexus.SOSState
	}
}

// insist sends an event that may be sent twice, again while the server is busy.
func (c *client) insist(name string, argument map[string]any) (w word) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; <-time.After(200 * time.Millisecond) {
		w = word{}
		if c.call(&w, name, argument); w.Error.Code != nexus.Unavailable || time.Now().After(deadline) {
			return w
		}
	}
}

// press raises an SOS.
func (c *client) press(clientKey string) nexus.Raised {
	c.t.Helper()
	var r struct {
		nexus.Raised
		Error nexus.Failure
	}
	c.call(&r, "SOS_RAISE", map[string]any{"clientKey": clientKey, "category": "medical", "lat": 12.97, "lng": 77.59, "accuracy": 12})
	if r.Incident == "" {
		c.t.Fatalf("a press is refused: %+v", r.Error)
	}
	return r.Raised
}

// raise presses as a phone does: again until it is stored, for which a slow machine may take too long.
func (c *client) raise(clientKey string) (r nexus.Raised) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !r.Durable; {
		if time.Now().After(deadline) {
			c.t.Fatalf("a press is not stored within %v", patience)
		}
		if r = c.press(clientKey); !r.Durable {
			c.t.Logf("%s is not stored yet", clientKey)
			<-time.After(2 * time.Second) // no more than 30 presses a minute are taken
		}
	}
	return r
}

// act is what a responder says.
func (c *client) act(id nexus.IncidentID, to nexus.SOSState) word {
	c.t.Helper()
	return c.insist("SOS_STATE", map[string]any{"incidentId": id, "to": to, "note": "unit 4"})
}

// say adds a message, and wants it taken.
func (c *client) say(id nexus.IncidentID, body string) int64 {
	c.t.Helper()
	w := c.insist("SOS_MESSAGE", map[string]any{"incidentId": id, "clientMsgId": nexus.NewID(), "body": body})
	if w.Seq == 0 {
		c.t.Fatalf("a message is refused: %+v", w)
	}
	return w.Seq
}

// line is a CRITICAL_ALERT or an INCIDENT_EVENT.
type line struct {
	Name       string // of the event
	IncidentID nexus.IncidentID
	UserID     nexus.UserID
	Actor      *nexus.UserID
	Kind, Hash string // of an INCIDENT_EVENT
	State      nexus.SOSState
	Category   string
	Location   *nexus.Position
	Durable    bool
	Seq        int64
	DeliveryID string
	Offset     int64 // 0 for an alert that no stream holds
}

// lineOf reads a line.
func lineOf(t testing.TB, e event) (l line, ok bool) {
	if e.Kind != "event" || e.Name != "CRITICAL_ALERT" && e.Name != "INCIDENT_EVENT" {
		return line{}, false
	}
	decode(t, e.Args[0], &l)
	l.Name = e.Name
	return l, true
}

// reader is a client of /security that takes the lines of its person's stream, in order and each once.
type reader struct {
	*client
	s      *server
	offset int64 // of the last line
	began  bool  // offset says where the next must be
	copies int   // that came because an acknowledgement was late
}

// read opens a socket of a login in /security. after is the offset of the last line that the device has, if it says.
func (s *server) read(t testing.TB, token string, after ...int64) *reader {
	t.Helper()
	auth := map[string]any{"token": token}
	r := &reader{s: s}
	if len(after) > 0 {
		auth["offset"] = after[0]
		r.offset, r.began = after[0], true
	}
	r.client = connect(t, s, "/security", options{"auth": auth, "transports": []string{"websocket"}})
	return r
}

// next takes the next line. A line that the server has sent again, and no other, may come twice.
func (r *reader) next(what string) (l line) {
	r.t.Helper()
	for {
		r.await(what, func(e event) (ok bool) {
			l, ok = lineOf(r.t, e)
			return ok && l.Offset > 0
		})
		switch {
		case r.began && l.Offset <= r.offset:
			r.copies++
			r.s.until(r.t, "every copy was sent again", func() bool { return r.s.figure(r.t, "nexus_delivery_retries_total") >= float64(r.copies) })
			continue
		case r.began && l.Offset != r.offset+1:
			r.t.Fatalf("%s: offset %d after %d", what, l.Offset, r.offset)
		}
		r.offset, r.began = l.Offset, true
		return l
	}
}

// of takes lines until one is about the incident: there may be others on a shared campus.
func (r *reader) of(id nexus.IncidentID) line {
	r.t.Helper()
	for {
		if l := r.next("a line of the incident"); l.IncidentID == id {
			return l
		}
	}
}

// alert takes lines until one pages because of the incident, and returns the lines that it took, that one last.
func (r *reader) alert(id nexus.IncidentID) (all []line) {
	r.t.Helper()
	for {
		l := r.of(id)
		all = append(all, l)
		if l.Name != "CRITICAL_ALERT" {
			continue
		}
		if !l.Durable || l.State.Closed() {
			r.t.Errorf("a stored alert: %+v", l)
		}
		return all
	}
}

// history is an incident's events by REST.
func (c caller) history(t testing.TB, id nexus.IncidentID) []line {
	t.Helper()
	var list nexus.List[line]
	c.call(t, "GET", fmt.Sprintf("/safety/incidents/%s/events?limit=200", id), nil, 200, &list)
	return list.Items
}

// TestAnSOSFromThePressToItsEnd plays it through by sockets, over two devices of one officer and one of another.
func TestAnSOSFromThePressToItsEnd(t *testing.T) {
	t.Parallel()
	s := campus(t)
	student, bystander := s.register(t), s.register(t)
	ramesh := s.login(t, "officer1", password)
	officers := []*reader{s.read(t, ramesh), s.read(t, s.login(t, "officer1", password)), s.read(t, s.login(t, "officer2", password))}
	phone, other := s.read(t, student.token), s.read(t, bystander.token)

	pressed := time.Now()
	r := phone.raise("press-1")
	took(t, "the answer to a press", pressed)
	id := r.Incident
	if r.State != nexus.SOSRaised || r.Seq != 1 {
		t.Errorf("a press is answered with %+v", r)
	}
	for _, o := range officers {
		l := o.of(id)
		took(t, "an officer's alert", pressed)
		if l.Name != "CRITICAL_ALERT" || !l.Durable || l.Seq != 2 || l.UserID != student.id || l.State != nexus.SOSRaised || l.Category != "medical" ||
			l.Location == nil || l.Location.Lat != 12.97 || l.Location.Lng != 77.59 || l.DeliveryID == "" {
			t.Errorf("the alert: %+v", l)
		}
	}
	if again := phone.raise("press-1"); again != r {
		t.Errorf("the same press again: %+v, before %+v", again, r)
	}
	if joined := phone.raise("press-2"); joined.Incident != id || joined.Seq != 3 {
		t.Errorf("another press joins the open one: %+v", joined)
	}

	first, third := officers[0], officers[2]
	if a := first.act(id, nexus.SOSAcknowledged); a.Seq != 4 {
		t.Errorf("the first to take it: %+v", a)
	}
	if a := third.act(id, nexus.SOSAcknowledged); a.Error.Code != nexus.StateConflict || a.Error.State != nexus.SOSAcknowledged {
		t.Errorf("the second to take it: %+v", a)
	}
	if a := phone.act(id, nexus.SOSResolved); a.Error.Code != nexus.Forbidden {
		t.Errorf("a student resolves: %+v", a)
	}
	if a := other.act(id, nexus.SOSAcknowledged); a.Error.Code != nexus.Forbidden {
		t.Errorf("a stranger takes it: %+v", a)
	}
	phone.say(id, "second floor")
	third.say(id, "hold on")
	where := map[string]any{"incidentId": id, "clientSeq": 1, "lat": 12.98, "lng": 77.6, "at": time.Now().UTC().Format(nexus.TimeLayout)}
	if w := phone.insist("SOS_LOCATION", where); w.Error.Code != "" {
		t.Errorf("a fix: %+v", w)
	}
	for _, o := range officers {
		e := o.await("the live location", func(e event) bool { return e.Kind == "event" && e.Name == "LOCATION" })
		var at struct {
			IncidentID nexus.IncidentID
			nexus.Position
		}
		if decode(t, e.Args[0], &at); at.IncidentID != id || at.Lat != 12.98 || at.Lng != 77.6 {
			t.Errorf("the live location: %s", e.Args[0])
		}
	}
	for i, to := range []nexus.SOSState{nexus.SOSEnRoute, nexus.SOSOnScene, nexus.SOSResolved} {
		if a := first.act(id, to); a.Seq != int64(7+i) {
			t.Errorf("%s: %+v", to, a)
		}
	}
	if a := third.act(id, nexus.SOSEnRoute); a.Error.Code != nexus.StateConflict || a.Error.State != nexus.SOSResolved {
		t.Errorf("on the way after the end: %+v", a)
	}

	history := first.s.bearer(ramesh).history(t, id)
	kinds := []string{"RAISED", "PAGED", "JOINED", "ACKNOWLEDGED", "MESSAGE", "MESSAGE", "EN_ROUTE", "ON_SCENE", "RESOLVED"}
	if len(history) != len(kinds) {
		t.Fatalf("%d events, want %d: %+v", len(history), len(kinds), history)
	}
	for _, r := range append(officers, phone) {
		for i, kind := range kinds {
			if i < 2 && r != phone { // officers hear of it by being paged
				continue
			}
			if l := r.of(id); l.Name != "INCIDENT_EVENT" || l.Kind != kind || l.Seq != int64(i+1) || l.Hash != history[i].Hash || l.Hash == "" {
				t.Errorf("event %d, %s: %+v", i+1, kind, l)
			}
		}
	}
	other.none("a stranger hears of it", func(e event) bool {
		return e.Kind == "event" && (e.Name == "LOCATION" || e.Name == "CRITICAL_ALERT" || e.Name == "INCIDENT_EVENT")
	})
	bystander.call(t, "GET", "/safety/incidents/"+string(id), nil, 404, nil)
}

// TestTheOriginalClientRaisesAnSOS by its own fields, beside one that is raised by ours; both end by REST.
func TestTheOriginalClientRaisesAnSOS(t *testing.T) {
	t.Parallel()
	s := campus(t)
	token := s.login(t, "officer3", password)
	officer, desk := s.read(t, token), s.bearer(token)
	for name, body := range map[string]map[string]any{
		"original": {"latitude": 12.5, "longitude": 77.5},
		"ours":     {"clientKey": "by-rest", "lat": 12.5, "lng": 77.5, "category": "panic", "at": time.Now().UTC().Format(nexus.TimeLayout)},
	} {
		student := s.register(t)
		var got object
		a := student.call(t, "POST", "/safety/sos", body, 200, &got)
		got.only(t, name, "success", "message", "incidentId", "state", "seq", "durable")
		if got["success"] != true || got["message"] == "" {
			t.Errorf("%s: answered %s", name, a.body)
		}
		var r nexus.Raised
		decode(t, a.body, &r)
		l := officer.of(r.Incident)
		if l.Name != "CRITICAL_ALERT" || !l.Durable || l.UserID != student.id || l.Category != "panic" || l.Location == nil || l.Location.Lat != 12.5 || l.Location.Lng != 77.5 {
			t.Errorf("%s: the alert: %+v", name, l)
		}
		for _, step := range []struct {
			path string
			is   nexus.SOSState
		}{{"ack", nexus.SOSAcknowledged}, {"en-route", nexus.SOSEnRoute}, {"resolve", nexus.SOSResolved}} {
			at := "/safety/incidents/" + string(r.Incident)
			desk.call(t, "POST", at+"/"+step.path, nil, 200, nil)
			var i nexus.Incident
			student.call(t, "GET", at, nil, 200, &i)
			if l := officer.of(r.Incident); i.State != step.is || l.Kind != string(step.is) || l.Actor == nil {
				t.Errorf("%s: after %s the incident is %s, and its officer hears %+v", name, step.path, i.State, l)
			}
		}
	}
}
