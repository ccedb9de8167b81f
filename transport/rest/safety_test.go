package rest_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

type fields = map[string]any

func wantCode(t *testing.T, r resttest.Reply, status int, code nexus.Code) {
	t.Helper()
	if r.Status != status || r.JSON()["code"] != string(code) {
		t.Errorf("status %d, want %d with code %s: %s", r.Status, status, code, r.Body)
	}
}

func TestRaisingAnSOS(t *testing.T) {
	for name, c := range map[string]struct {
		press fields
		want  nexus.Incident
	}{
		"few words": {fields{}, nexus.Incident{Category: "panic", State: nexus.SOSRaised}},
		"many words": {
			fields{"clientKey": "k", "category": "medical", "silent": true, "drill": true, "lat": 22.5, "lng": -88.25, "accuracy": 5, "at": "2026-01-02T03:04:05Z"},
			nexus.Incident{Category: "medical", State: nexus.SOSRaised, Silent: true, Drill: true, Last: &nexus.Fix{Position: nexus.Position{Lat: 22.5, Lng: -88.25}}},
		},
		"the original client's": {
			fields{"latitude": 22.5, "longitude": -88.25}, nexus.Incident{Category: "panic", State: nexus.SOSRaised, Last: &nexus.Fix{Position: nexus.Position{Lat: 22.5, Lng: -88.25}}},
		},
		"where the meridian meets the equator": {fields{"lat": 0, "lng": 0}, nexus.Incident{Category: "panic", State: nexus.SOSRaised, Last: &nexus.Fix{}}},
		"a countdown":                          {fields{"countdownSeconds": 10}, nexus.Incident{Category: "panic", State: nexus.SOSArmed}},
	} {
		t.Run(name, func(t *testing.T) {
			h := resttest.New(t)
			asha := join(t, h, nexus.Student)
			r := h.Call("POST", safetyURL+"/sos", c.press, asha.as...)
			wantStatus(t, r, 200)
			got := r.JSON()
			if got["success"] != true || got["message"] == "" || got["state"] != string(c.want.State) || got["durable"] != true || got["seq"].(float64) < 1 {
				t.Errorf("answered %s", r.Body)
			}
			i := body[nexus.Incident](t, h.Call("GET", fmt.Sprintf("%s/incidents/%s", safetyURL, got["incidentId"]), nil, asha.as...))
			if i.User != asha.ID || i.Category != c.want.Category || i.State != c.want.State || i.Silent != c.want.Silent || i.Drill != c.want.Drill || i.NextAt == nil ||
				(i.Last == nil) != (c.want.Last == nil) || i.Last != nil && (i.Last.Lat != c.want.Last.Lat || i.Last.Lng != c.want.Last.Lng) {
				t.Errorf("it is %+v", i)
			}
		})
	}
}

func TestAWrongPressIsRefusedByName(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	for _, c := range []struct {
		press fields
		field string
	}{
		{fields{"lat": 1}, "lng"},
		{fields{"lng": 1}, "lat"},
		{fields{"latitude": 1}, "longitude"},
		{fields{"longitude": 1}, "latitude"},
		{fields{"lat": 1, "longitude": 1}, "lng"},
		{fields{"latitude": 1, "lng": 1}, "lat"},
		{fields{"lat": 1, "lng": 1, "latitude": 1}, "longitude"},
		{fields{"latitude": 91, "longitude": 1}, "latitude"},
		{fields{"lat": 1, "lng": -181}, "lng"},
		{fields{"lat": 1, "lng": 1, "accuracy": -1}, "accuracy"},
		{fields{"countdownSeconds": 61}, "countdownSeconds"},
		{fields{"category": "Big Fire"}, "category"},
		{fields{"clientKey": strings.Repeat("k", 201)}, "clientKey"},
		{fields{"userId": "somebody else"}, "userId"},
	} {
		wantField(t, h.Call("POST", safetyURL+"/sos", c.press, asha.as...), c.field)
	}
	if l := body[nexus.List[nexus.Incident]](t, h.Call("GET", safetyURL+"/incidents", nil, asha.as...)); len(l.Items) != 0 {
		t.Errorf("refused, and raised %+v", l.Items)
	}
	h.Safety.Err = nexus.Errorf(nexus.Unavailable, "away")
	r := h.Call("POST", safetyURL+"/sos", fields{}, asha.as...)
	if wantCode(t, r, 503, nexus.Unavailable); r.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to press again")
	}
}

// TestAPressIsKnownByItsName: a copy is answered like the first, another press joins the alarm that is open.
func TestAPressIsKnownByItsName(t *testing.T) {
	h := resttest.New(t)
	asha, ravi := join(t, h, nexus.Student), join(t, h, nexus.Student)
	raise := func(p person, body fields, headers ...string) nexus.Raised {
		t.Helper()
		r := h.Call("POST", safetyURL+"/sos", body, append(headers, p.as...)...)
		wantStatus(t, r, 200)
		var got nexus.Raised
		for range 2 {
			again := h.Call("POST", safetyURL+"/sos", body, append(headers, p.as...)...)
			if string(again.Body) != string(r.Body) {
				t.Errorf("%v: %s, and again %s", body, r.Body, again.Body)
			}
			got = decode[nexus.Raised](t, again)
		}
		return got
	}
	first := raise(asha, fields{"clientKey": "one"})
	second := raise(asha, fields{}, "Idempotency-Key", "two")
	both := raise(asha, fields{"clientKey": "one"}, "Idempotency-Key", "three") // the phone's own name for it goes first
	if second.Incident != first.Incident || second.Seq != first.Seq+1 || both != first {
		t.Errorf("%+v, %+v, %+v", first, second, both)
	}
	if other := raise(ravi, fields{"clientKey": "one"}); other.Incident == first.Incident {
		t.Error("two people's keys met")
	}
	nameless := h.Call("POST", safetyURL+"/sos", fields{}, asha.as...)
	if got := decode[nexus.Raised](t, nameless); got.Incident != first.Incident || got.Seq != second.Seq+1 {
		t.Errorf("a press without a name: %+v", got)
	}
}

// decode is body, where that is the name of something else.
func decode[T any](t *testing.T, r resttest.Reply) T { t.Helper(); return body[T](t, r) }

// TestNothingUsesUpTheSOS: whoever has used up everything else that they may do still raises an SOS, and takes it back. Its own bounds are
// ten presses at once.
func TestNothingUsesUpTheSOS(t *testing.T) {
	const never = 1e-6 // a second
	h := resttest.New(t, func(c *resttest.Config) {
		c.Limits.User = limit.Rule{Rate: never, Burst: 3}
		c.Limits.SOS = limit.Rule{Rate: never, Burst: limit.SOS.Burst}
		c.Limits.Incident = limit.Rule{Rate: never, Burst: 3}
	})
	asha := join(t, h, nexus.Student)
	for range 3 {
		wantStatus(t, h.Call("GET", safetyURL+"/incidents", nil, asha.as...), 200)
	}
	wantCode(t, h.Call("GET", safetyURL+"/incidents", nil, asha.as...), 429, nexus.RateLimited)
	_, url := press(t, h, asha)
	for range 3 {
		wantStatus(t, h.Call("POST", url+"/messages", fields{"body": "help"}, asha.as...), 200)
	}
	wantCode(t, h.Call("POST", url+"/messages", fields{"body": "help"}, asha.as...), 429, nexus.RateLimited)
	for range 9 {
		press(t, h, asha)
	}
	r := h.Call("POST", safetyURL+"/sos", fields{}, asha.as...)
	if wantCode(t, r, 429, nexus.RateLimited); r.Header.Get("Retry-After") == "" {
		t.Error("nobody says when to press again")
	}
	press(t, h, join(t, h, nexus.Student))
	wantStatus(t, h.Call("POST", url+"/cancel", nil, asha.as...), 200)
	if limit.SOS != (limit.Rule{Rate: 0.5, Burst: 10}) {
		t.Errorf("presses are held to %+v", limit.SOS)
	}
}

func TestIncidentsAreListedByState(t *testing.T) {
	h := resttest.New(t)
	officer, asha, ravi := h.As(nexus.Security), join(t, h, nexus.Student), join(t, h, nexus.Student)
	_, hers := press(t, h, asha)
	press(t, h, ravi)
	wantStatus(t, h.Call("POST", hers+"/cancel", nil, asha.as...), 200)
	for query, want := range map[string]int{"": 2, "?state=open": 1, "?state=RAISED": 1, "?state=CANCELLED": 1, "?state=ON_SCENE": 0, "?limit=1": 1} {
		r := h.Call("GET", safetyURL+"/incidents"+query, nil, officer...)
		if l := body[nexus.List[nexus.Incident]](t, r); r.Status != 200 || l.Items == nil || len(l.Items) != want {
			t.Errorf("%q: %d %s", query, r.Status, r.Body)
		}
	}
	for query, field := range map[string]string{"state=closed": "state", "after=x": "after", "limit=201": "limit"} {
		wantField(t, h.Call("GET", safetyURL+"/incidents?"+query, nil, officer...), field)
	}
}

func TestEventsAreReadFromWhereOneLeftOff(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	id, url := press(t, h, asha)
	wantStatus(t, h.Call("POST", url+"/messages", fields{"body": "help"}, asha.as...), 200)
	wantStatus(t, h.Call("POST", url+"/ack", nil, h.As(nexus.Security)...), 200)
	all := body[nexus.List[rest.IncidentEvent]](t, h.Call("GET", url+"/events", nil, asha.as...)).Items
	if len(all) != 4 {
		t.Fatalf("%d events", len(all))
	}
	hash := regexp.MustCompile(`^[0-9a-f]{64}$`)
	for i, kind := range []string{"RAISED", "PAGED", "MESSAGE", "ACKNOWLEDGED"} {
		e := all[i]
		if e.IncidentID != id || e.Seq != int64(i+1) || e.Kind != kind || (e.Actor == nil) != (kind == "PAGED") || !hash.MatchString(e.Hash) || len(e.Data) == 0 || e.At.IsZero() {
			t.Errorf("event %d is %+v", i+1, e)
		}
	}
	for query, want := range map[string]string{"after=0": "1 2 3 4", "after=2": "3 4", "after=1&limit=2": "2 3", "after=4": "", "after=9007199254740991": ""} {
		var seqs []string
		for _, e := range body[nexus.List[rest.IncidentEvent]](t, h.Call("GET", url+"/events?"+query, nil, asha.as...)).Items {
			seqs = append(seqs, fmt.Sprint(e.Seq))
		}
		if got := strings.Join(seqs, " "); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	for query, field := range map[string]string{"after=-1": "after", "after=x": "after", "limit=0": "limit", "limit=201": "limit"} {
		wantField(t, h.Call("GET", url+"/events?"+query, nil, asha.as...), field)
	}
}

func TestFixesOfAPhone(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	_, url := press(t, h, asha)
	fix := func(change fields) fields {
		f := fields{"clientSeq": 1, "at": "2026-01-02T03:04:05Z", "lat": 1.5, "lng": 2}
		for k, v := range change {
			if f[k] = v; v == nil {
				delete(f, k)
			}
		}
		return f
	}
	wantStatus(t, h.Call("POST", url+"/locations", fields{"fixes": []any{fix(nil), fix(fields{"clientSeq": 2, "accuracy": 9.5, "battery": 80})}}, asha.as...), 200)
	fixes := body[nexus.List[nexus.Fix]](t, h.Call("GET", url+"/locations", nil, h.As(nexus.Security)...)).Items
	if len(fixes) != 2 || fixes[0].Lat != 1.5 || fixes[0].Battery != nil || *fixes[1].Accuracy != 9.5 || *fixes[1].Battery != 80 || fixes[1].ClientSeq != 2 || fixes[1].At.Year() != 2026 {
		t.Errorf("%+v", fixes)
	}
	for _, c := range []struct {
		change fields
		field  string
	}{
		{fields{"clientSeq": 0}, "clientSeq"},
		{fields{"clientSeq": nil}, "clientSeq"},
		{fields{"at": nil}, "at"},
		{fields{"lat": nil}, "lat"},
		{fields{"lng": 181}, "lng"},
		{fields{"battery": 101}, "battery"},
		{fields{"accuracy": -1}, "accuracy"},
		{fields{"speed": 1}, "speed"},
	} {
		wantField(t, h.Call("POST", url+"/locations", fields{"fixes": []any{fix(nil), fix(c.change)}}, asha.as...), "fixes[1]."+c.field)
	}
	many := make([]any, 201)
	for i := range many {
		many[i] = fix(fields{"clientSeq": i + 1})
	}
	wantField(t, h.Call("POST", url+"/locations", fields{"fixes": many}, asha.as...), "fixes")
	wantField(t, h.Call("POST", url+"/locations", fields{"fixes": []any{}}, asha.as...), "fixes")
	wantStatus(t, h.Call("POST", url+"/locations", fields{"fixes": many[:200]}, asha.as...), 200)
	wantStatus(t, h.Call("POST", url+"/cancel", nil, asha.as...), 200)
	wantState(t, h.Call("POST", url+"/locations", fields{"fixes": many[:1]}, asha.as...), nexus.SOSCancelled)
}

// wantState checks that the answer tells the true state.
func wantState(t *testing.T, r resttest.Reply, state nexus.SOSState) {
	t.Helper()
	if wantCode(t, r, 409, nexus.StateConflict); r.JSON()["state"] != string(state) || r.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("want the state %s: %s", state, r.Body)
	}
}

func TestAMessageIsSaidOnce(t *testing.T) {
	h := resttest.New(t)
	asha, officer := join(t, h, nexus.Student), h.As(nexus.Security)
	_, url := press(t, h, asha)
	say := func(as []string, words fields, headers ...string) float64 {
		t.Helper()
		r := h.Call("POST", url+"/messages", words, append(headers, as...)...)
		wantStatus(t, r, 200)
		if r.JSON()["success"] != true {
			t.Errorf("answered %s", r.Body)
		}
		return r.JSON()["seq"].(float64)
	}
	first := say(asha.as, fields{"clientMsgId": "1", "body": "help\nme"})
	for name, c := range map[string]struct{ got, want float64 }{
		"a copy":             {say(asha.as, fields{"clientMsgId": "1", "body": "help\nme"}), first},
		"by its header":      {say(asha.as, fields{"body": "help"}, "Idempotency-Key", "1"), first},
		"of somebody else":   {say(officer, fields{"clientMsgId": "1", "body": "coming"}), first + 1},
		"a message nameless": {say(asha.as, fields{"body": "help"}), first + 2},
		"and another":        {say(asha.as, fields{"body": "help"}), first + 3},
	} {
		if c.got != c.want {
			t.Errorf("%s is event %v, want %v", name, c.got, c.want)
		}
	}
	for _, words := range []fields{{}, {"body": ""}, {"body": " \n"}, {"body": strings.Repeat("x", 2001)}} {
		wantField(t, h.Call("POST", url+"/messages", words, asha.as...), "body")
	}
	wantStatus(t, h.Call("POST", url+"/cancel", nil, asha.as...), 200)
	wantState(t, h.Call("POST", url+"/messages", fields{"body": "still there?"}, officer...), nexus.SOSCancelled)
}

// TestAnIncidentsCommandsAreSafeToRepeat: under one Idempotency-Key each makes its event once.
func TestAnIncidentsCommandsAreSafeToRepeat(t *testing.T) {
	h := resttest.New(t)
	officer := h.As(nexus.Security)
	for n, path := range []string{"/ack", "/en-route", "/on-scene", "/resolve", "/false-alarm", "/escalate", "/cancel"} {
		asha := join(t, h, nexus.Student)
		id, url := press(t, h, asha)
		as := officer
		if path == "/cancel" {
			as = asha.as
		}
		as = append(slices.Clone(as), "Idempotency-Key", fmt.Sprint("k", n))
		first := h.Call("POST", url+path, nil, as...)
		wantStatus(t, first, 200)
		before := everything(t, h, id)
		again := h.Call("POST", url+path, nil, as...)
		if again.Status != 200 || string(again.Body) != string(first.Body) {
			t.Errorf("%s: %s, and again %d %s", path, first.Body, again.Status, again.Body)
		}
		if after := everything(t, h, id); after != before {
			t.Errorf("%s: again it made of %s\n%s", path, before, after)
		}
	}
	for _, op := range h.API.Operations() {
		if strings.HasPrefix(op.Path, "/safety/incidents/{id}/") && strings.HasSuffix(op.Path, "escalate") {
			if !slices.ContainsFunc(op.Spec.Parameters, func(p *huma.Param) bool { return p.Name == "Idempotency-Key" }) {
				t.Errorf("%s does not say that it takes a key", op.Path)
			}
		}
	}
}

// TestPositionsAreReadInPages, each of which says where the next begins.
func TestPositionsAreReadInPages(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	_, url := press(t, h, asha)
	var fixes []any
	for i := range 5 {
		fixes = append(fixes, fields{"clientSeq": i + 1, "at": "2026-01-02T03:04:05Z", "lat": 1, "lng": 2})
	}
	wantStatus(t, h.Call("POST", url+"/locations", fields{"fixes": fixes}, asha.as...), 200)
	var got []int64
	for next := ""; ; {
		l := body[nexus.List[nexus.Fix]](t, h.Call("GET", url+"/locations?limit=2&after="+next, nil, asha.as...))
		for _, f := range l.Items {
			got = append(got, f.ClientSeq)
		}
		if next = l.Next; next == "" {
			break
		}
	}
	if !slices.Equal(got, []int64{1, 2, 3, 4, 5}) {
		t.Errorf("%v", got)
	}
	for query, field := range map[string]string{"after=x": "after", "limit=0": "limit", "limit=201": "limit"} {
		wantField(t, h.Call("GET", url+"/locations?"+query, nil, asha.as...), field)
	}
}

func TestRespondersSayWhereTheyStand(t *testing.T) {
	h := resttest.New(t)
	asha, officer, second := join(t, h, nexus.Student), h.As(nexus.Security), join(t, h, nexus.Security)
	_, url := press(t, h, asha)
	seq := func(r resttest.Reply) float64 {
		t.Helper()
		wantStatus(t, r, 200)
		if r.JSON()["success"] != true {
			t.Errorf("answered %s", r.Body)
		}
		return r.JSON()["seq"].(float64)
	}
	acked := seq(h.Call("POST", url+"/ack", nil, officer...))
	if again := seq(h.Call("POST", url+"/ack", fields{}, officer...)); again != acked {
		t.Errorf("the same again is event %v, not %v", again, acked)
	}
	wantState(t, h.Call("POST", url+"/ack", nil, second.as...), nexus.SOSAcknowledged)
	if n := seq(h.Call("POST", url+"/escalate", fields{"note": "two of them"}, officer...)); n <= acked {
		t.Errorf("escalated by event %v", n)
	}
	seq(h.Call("POST", url+"/en-route", fields{"note": "from the gate\nby foot"}, officer...))
	wantState(t, h.Call("POST", url+"/ack", nil, second.as...), nexus.SOSEnRoute)
	seq(h.Call("POST", url+"/on-scene", nil, second.as...))
	wantState(t, h.Call("POST", url+"/cancel", nil, asha.as...), nexus.SOSOnScene)
	for _, note := range []any{strings.Repeat("x", 1001), "a\u202eb", 5} {
		wantField(t, h.Call("POST", url+"/resolve", fields{"note": note}, officer...), "note")
	}
	seq(h.Call("POST", url+"/resolve", fields{"note": "all well"}, officer...))
	for _, path := range []string{"/ack", "/en-route", "/on-scene", "/false-alarm", "/escalate"} {
		wantState(t, h.Call("POST", url+path, nil, h.As(nexus.Admin)...), nexus.SOSResolved)
	}
	var notes []string
	for _, e := range body[nexus.List[rest.IncidentEvent]](t, h.Call("GET", url+"/events", nil, officer...)).Items {
		if e.Kind == "EN_ROUTE" || e.Kind == "RESOLVED" {
			notes = append(notes, string(e.Data))
		}
	}
	if got := strings.Join(notes, " "); got != `{"note":"from the gate\nby foot"} {"note":"all well"}` {
		t.Errorf("the notes are %s", got)
	}
}

func TestTakingAnAlarmBack(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	cancel := func(pin any) resttest.Reply {
		t.Helper()
		_, url := press(t, h, asha)
		return h.Call("POST", url+"/cancel", pin, asha.as...)
	}
	for _, pin := range []any{nil, fields{}, fields{"pin": ""}, fields{"pin": "1234"}} { // none is set
		r := cancel(pin)
		if wantStatus(t, r, 200); strings.TrimSpace(string(r.Body)) != `{"success":true,"state":"CANCELLED"}` {
			t.Errorf("answered %s", r.Body)
		}
	}
	for _, c := range []struct {
		pins  fields
		field string
	}{
		{fields{"password": "wrong password", "pin": "1234", "duressPin": "4321"}, "password"},
		{fields{"password": resttest.Password, "pin": "1234", "duressPin": "1234"}, "duressPin"},
		{fields{"password": resttest.Password, "pin": "1234", "duressPin": "54321"}, "duressPin"},
		{fields{"password": resttest.Password, "pin": "12a4", "duressPin": "4321"}, "pin"},
	} {
		wantField(t, h.Call("PUT", safetyURL+"/pin", c.pins, asha.as...), c.field)
	}
	// So long that no id and no time in the log holds them by chance.
	wantStatus(t, h.Call("PUT", safetyURL+"/pin", fields{"password": resttest.Password, "pin": "00424242", "duressPin": "42420000"}, asha.as...), 200)
	for _, pin := range []any{nil, fields{"pin": "1234"}, fields{"pin": "42"}} {
		wantCode(t, cancel(pin), 403, nexus.Forbidden)
	}
	wantStatus(t, cancel(fields{"pin": "00424242"}), 200)
	wantCode(t, cancel(fields{"pin": "97319731"}), 403, nexus.Forbidden)
	for _, pin := range []string{"8888", "00424242", "42420000"} { // the sixth try within a minute, right or wrong
		wantCode(t, cancel(fields{"pin": pin}), 429, nexus.RateLimited)
	}
	wantField(t, cancel(fields{"pin": "123456789"}), "pin")
	if log := h.Log.String(); strings.Contains(log, "00424242") || strings.Contains(log, "97319731") {
		t.Error("the log holds a PIN")
	}
	if l := body[nexus.List[nexus.Incident]](t, h.Call("GET", safetyURL+"/incidents?state=open", nil, asha.as...)); len(l.Items) != 1 {
		t.Errorf("%d alarms are open", len(l.Items))
	}
}

func TestPoliciesAreReplacedByVersion(t *testing.T) {
	h := resttest.New(t)
	admin, officer := h.As(nexus.Admin), h.As(nexus.Security)
	is := body[nexus.List[nexus.Policy]](t, h.Call("GET", safetyURL+"/policies", nil, officer...)).Items
	if len(is) != 1 || is[0].Version != 1 {
		t.Fatalf("%+v", is)
	}
	policy := func(change fields) fields {
		p := fields{"name": "Nights", "everySeconds": 30, "moveSeconds": 120, "steps": []any{
			fields{"afterSeconds": 0, "targets": []any{fields{"onDuty": true}}},
			fields{"afterSeconds": 15, "targets": []any{fields{"role": "SECURITY"}, fields{"contacts": true}}},
		}}
		for k, v := range change {
			p[k] = v
		}
		return p
	}
	put := func(p fields, match string) resttest.Reply {
		t.Helper()
		return h.Call("PUT", safetyURL+"/policies", p, append([]string{"If-Match", match}, admin...)...)
	}
	r := put(policy(nil), `"1"`)
	wantStatus(t, r, 200)
	got := body[nexus.Policy](t, r)
	if r.Header.Get("ETag") != `"2"` || got.Name != "Nights" || len(got.Steps) != 2 || !got.Steps[0].Targets[0].OnDuty || got.Steps[1].AfterSeconds != 15 || got.Steps[1].Targets[0].Role != nexus.Security ||
		!got.Steps[1].Targets[1].Contacts || got.EverySeconds != 30 || got.MoveSeconds != 120 {
		t.Errorf("%s %+v", r.Header.Get("ETag"), got)
	}
	wantCode(t, put(policy(nil), `"1"`), 412, nexus.Stale)
	wantCode(t, put(policy(nil), `"0"`), 412, nexus.Stale)
	wantField(t, put(policy(nil), `1`), "If-Match")
	wantStatus(t, put(policy(nil), `*`), 200)
	wantStatus(t, put(policy(fields{"id": nexus.NewID()}), `*`), 404)
	for field, change := range map[string]fields{
		"steps": {"steps": []any{}}, "name": {"name": ""}, "everySeconds": {"everySeconds": 4}, "moveSeconds": {"moveSeconds": 29}, "id": {"id": "x"},
		"steps[0].targets":         {"steps": []any{fields{"afterSeconds": 0, "targets": []any{}}}},
		"steps[0].targets[0].role": {"steps": []any{fields{"afterSeconds": 0, "targets": []any{fields{"role": "DEAN"}}}}},
		"steps[0].afterSeconds":    {"steps": []any{fields{"afterSeconds": -1, "targets": []any{fields{"onDuty": true}}}}},
	} {
		wantField(t, put(policy(change), "*"), field)
	}
	wantStatus(t, h.Call("PUT", safetyURL+"/policies", policy(nil), officer...), 403)
}

func TestShifts(t *testing.T) {
	h := resttest.New(t)
	officer := h.As(nexus.Security)
	begins := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	shift := func(user nexus.UserID, from time.Time, lasts time.Duration) fields {
		return fields{"userId": user, "startsAt": from, "endsAt": from.Add(lasts)}
	}
	guard := h.People[nexus.Security].ID
	r := h.Call("POST", safetyURL+"/shifts", shift(guard, begins, 7*24*time.Hour), officer...)
	wantStatus(t, r, 201)
	if got := body[nexus.Shift](t, r); !nexus.ValidID(got.ID) || got.User != guard || !got.From.Equal(begins) {
		t.Errorf("%+v", got)
	}
	wantField(t, h.Call("POST", safetyURL+"/shifts", shift(guard, begins, 0), officer...), "endsAt")
	wantField(t, h.Call("POST", safetyURL+"/shifts", shift(guard, begins, -time.Hour), officer...), "endsAt")
	wantField(t, h.Call("POST", safetyURL+"/shifts", shift(guard, begins, 7*24*time.Hour+time.Second), officer...), "endsAt")
	wantField(t, h.Call("POST", safetyURL+"/shifts", shift(h.People[nexus.Student].ID, begins, time.Hour), officer...), "userId")
	at := func(d time.Duration) string { return begins.Add(d).Format(time.RFC3339) }
	for query, want := range map[string]int{
		"": 1, "?from=" + at(time.Hour): 1, "?to=" + at(-time.Minute): 0, "?from=" + at(8*24*time.Hour) + "&to=" + at(9*24*time.Hour): 0, "?from=" + at(-2*time.Hour) + "&to=" + at(time.Hour): 1,
	} {
		r := h.Call("GET", safetyURL+"/shifts"+query, nil, officer...)
		if l := body[nexus.List[nexus.Shift]](t, r); r.Status != 200 || l.Items == nil || len(l.Items) != want {
			t.Errorf("%q: %d %s", query, r.Status, r.Body)
		}
	}
	wantField(t, h.Call("GET", safetyURL+"/shifts?from="+at(time.Hour)+"&to="+at(0), nil, officer...), "from")
	wantField(t, h.Call("GET", safetyURL+"/shifts?from=today", nil, officer...), "from")
}

func TestSafetyTimers(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	start := func() (nexus.SafetyTimer, string) {
		t.Helper()
		began := time.Now()
		r := h.Call("POST", safetyURL+"/timers", fields{"minutes": 20, "note": "by the lake\nin red"}, asha.as...)
		wantStatus(t, r, 201)
		got := body[nexus.SafetyTimer](t, r)
		if r.Header.Get("ETag") != `"1"` || got.Note != "by the lake\nin red" || got.Category != "timer" || got.State != "RUNNING" || got.Due.Before(began.Add(20*time.Minute-time.Second)) || got.Due.After(time.Now().Add(20*time.Minute)) {
			t.Errorf("%s %+v", r.Header.Get("ETag"), got)
		}
		return got, safetyURL + "/timers/" + got.ID
	}
	change := func(url string, to fields, headers ...string) resttest.Reply {
		t.Helper()
		return h.Call("PATCH", url, to, append(headers, asha.as...)...)
	}
	for _, minutes := range []any{0, 1441, "20", nil} {
		wantField(t, h.Call("POST", safetyURL+"/timers", fields{"minutes": minutes}, asha.as...), "minutes")
	}
	was, url := start()
	r := change(url, fields{"minutes": 60}, "If-Match", `"1"`)
	wantStatus(t, r, 200)
	if got := body[nexus.SafetyTimer](t, r); r.Header.Get("ETag") != `"2"` || got.Due.Sub(was.Due) < 39*time.Minute {
		t.Errorf("%s %+v", r.Header.Get("ETag"), got)
	}
	wantCode(t, change(url, fields{"minutes": 60}, "If-Match", `"1"`), 412, nexus.Stale)
	wantField(t, change(url, fields{}), "minutes")
	wantField(t, change(url, fields{"minutes": 5, "done": true}), "minutes")
	wantField(t, change(url, fields{"minutes": 1441}), "minutes")
	r = change(url, fields{"done": true})
	if wantStatus(t, r, 200); body[nexus.SafetyTimer](t, r).State != "DONE" {
		t.Errorf("%s", r.Body)
	}
	wantCode(t, change(url, fields{"minutes": 5}), 409, nexus.Conflict)
	if l := body[nexus.List[nexus.SafetyTimer]](t, h.Call("GET", safetyURL+"/timers", nil, asha.as...)); l.Items == nil || len(l.Items) != 0 {
		t.Errorf("%+v run", l.Items)
	}

	wantStatus(t, h.Call("PUT", safetyURL+"/pin", fields{"password": resttest.Password, "pin": "0042", "duressPin": "4200"}, asha.as...), 200)
	_, url = start()
	wantStatus(t, change(url, fields{"minutes": 60}), 200) // more time takes no PIN
	wantCode(t, change(url, fields{"done": true}), 403, nexus.Forbidden)
	wantCode(t, change(url, fields{"done": true, "pin": "1234"}), 403, nexus.Forbidden)
	safe := change(url, fields{"done": true, "pin": "0042"})
	wantStatus(t, safe, 200)
	_, url = start()
	wantStatus(t, change(url, fields{"minutes": 60}), 200)
	if forced := change(url, fields{"done": true, "pin": "4200"}); shown(forced) != shown(safe) {
		t.Errorf("ended:\n%s\nunder duress:\n%s", shown(safe), shown(forced))
	}
}

func TestBrowsersSubscribeToPush(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	const url = "/api/v1/me/push-subscriptions"
	browser := func(endpoint string) fields {
		return fields{"endpoint": endpoint, "keys": fields{"p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM=", "auth": "tBHItJI5svbpez7KI4CCXg=="}}
	}
	wantStatus(t, h.Call("POST", url, browser("https://push.example.org/1"), asha.as...), 201)
	for _, endpoint := range []string{"http://push.example.org/1", "javascript:alert(1)", "", "https://" + strings.Repeat("x", 2000)} {
		wantField(t, h.Call("POST", url, browser(endpoint), asha.as...), "endpoint")
	}
	wantField(t, h.Call("POST", url, fields{"endpoint": "https://push.example.org/1", "keys": fields{"p256dh": "not base64!", "auth": "x"}}, asha.as...), "keys.p256dh")
	wantStatus(t, h.Call("DELETE", url+"?endpoint=https%3A%2F%2Fpush.example.org%2F1", nil, asha.as...), 200)
	wantField(t, h.Call("DELETE", url, nil, asha.as...), "endpoint")
}

func TestWarningEverybody(t *testing.T) {
	h := resttest.New(t)
	officer, student := h.As(nexus.Security), h.As(nexus.Student)
	alert := func(change fields) fields {
		a := fields{
			"category": "Safety", "event": "Gas leak", "urgency": "Immediate", "severity": "Severe", "certainty": "Observed", "headline": "Leave block C & D",
			"area": "Block C", "expires": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		}
		for k, v := range change {
			if a[k] = v; v == nil {
				delete(a, k)
			}
		}
		return a
	}
	r := h.Call("POST", safetyURL+"/alerts", alert(nil), officer...)
	wantStatus(t, r, 201)
	first := body[nexus.MassAlert](t, r)
	if first.Status != "Actual" || first.MsgType != "Alert" || first.Identifier == "" || first.Sent.IsZero() || first.Headline != "Leave block C & D" {
		t.Errorf("%+v", first)
	}
	if p := h.Mess.Published; len(p) != 1 || p[0].Topic != nexus.CampusStream {
		t.Errorf("told %+v", p)
	}
	for _, c := range []struct {
		change fields
		field  string
	}{
		{fields{"expires": time.Now().Add(-time.Second).UTC().Format(time.RFC3339)}, "expires"},
		{fields{"expires": nil}, "expires"},
		{fields{"references": first.Identifier}, "references"},
		{fields{"msgType": "Update"}, "references"},
		{fields{"msgType": "Cancel"}, "references"},
		{fields{"msgType": "Cancel", "references": "another campus's"}, "references"},
		{fields{"msgType": "Ack"}, "msgType"},
		{fields{"severity": "Bad"}, "severity"},
		{fields{"headline": strings.Repeat("x", 161)}, "headline"},
	} {
		wantField(t, h.Call("POST", safetyURL+"/alerts", alert(c.change), officer...), c.field)
	}
	if len(h.Mess.Published) != 1 {
		t.Error("a refused warning was told")
	}
	wantStatus(t, h.Call("POST", safetyURL+"/alerts", alert(nil), student...), 403)
	r = h.Call("POST", safetyURL+"/alerts", alert(fields{"msgType": "Cancel", "references": first.Identifier}), officer...)
	wantStatus(t, r, 201)
	for id, want := range map[string]string{first.Identifier: "<headline>Leave block C &amp; D</headline>", body[nexus.MassAlert](t, r).Identifier: "," + first.Identifier + ","} {
		r := h.Call("GET", safetyURL+"/alerts/"+id+"/cap.xml", nil, student...)
		if r.Status != 200 || r.Header.Get("Content-Type") != "application/cap+xml" || !strings.Contains(string(r.Body), want) || !strings.Contains(string(r.Body), "urn:oasis:names:tc:emergency:cap:1.2") {
			t.Errorf("%d %s %s", r.Status, r.Header.Get("Content-Type"), r.Body)
		}
	}
	wantStatus(t, h.Call("GET", safetyURL+"/alerts/nothing/cap.xml", nil, student...), 404)

	id, url := press(t, h, join(t, h, nexus.Student))
	r = h.Call("GET", url+"/cap.xml", nil, officer...)
	if r.Status != 200 || r.Header.Get("Content-Type") != "application/cap+xml" || !strings.Contains(string(r.Body), string(id)) {
		t.Errorf("%d %s %s", r.Status, r.Header.Get("Content-Type"), r.Body)
	}
}

func TestMetricsOfAPeriod(t *testing.T) {
	h := resttest.New(t)
	officer := h.As(nexus.Security)
	press(t, h, join(t, h, nexus.Student))
	for query, want := range map[string]time.Duration{
		"": 30 * 24 * time.Hour, "?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z": 24 * time.Hour, "?to=2026-01-02T00:00:00Z": 30 * 24 * time.Hour,
	} {
		r := h.Call("GET", safetyURL+"/metrics"+query, nil, officer...)
		wantStatus(t, r, 200)
		if m := body[nexus.SafetyMetrics](t, r); m.Incidents != 1 || m.To.Sub(m.From) != want {
			t.Errorf("%q: %s", query, r.Body)
		}
	}
	wantField(t, h.Call("GET", safetyURL+"/metrics?from=2026-01-02T00:00:00Z&to=2026-01-02T00:00:00Z", nil, officer...), "from")
	wantField(t, h.Call("GET", safetyURL+"/metrics?to=now", nil, officer...), "to")
}

// TestTheHistoryOfAnIncidentIsVerified, and says who got to know of it.
func TestTheHistoryOfAnIncidentIsVerified(t *testing.T) {
	h := resttest.New(t)
	officer := h.As(nexus.Security)
	_, url := press(t, h, join(t, h, nexus.Student))
	if r := h.Call("GET", url+"/verify", nil, officer...); r.Status != 200 || strings.TrimSpace(string(r.Body)) != `{"events":2,"firstBad":0,"ok":true}` {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("GET", url+"/deliveries", nil, officer...); r.Status != 200 || !strings.Contains(string(r.Body), `"items":[]`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
