package rest_test

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/actors/incident/alike"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

var (
	anyID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	digit = regexp.MustCompile(`\d`)
	aTime = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`)
)

// anonymous is a body with its ids and times made alike, each of which stays as long as it is.
func anonymous(body []byte) []byte {
	body = anyID.ReplaceAll(body, []byte(strings.Repeat("i", 36)))
	return aTime.ReplaceAllFunc(body, func(at []byte) []byte { return digit.ReplaceAll(at, []byte("0")) })
}

// shown is all of an answer that a client can see and that does not tell the time.
func shown(r resttest.Reply) string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Status)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		switch name {
		case "Date", "X-Request-Id", "Ratelimit-Remaining", "Ratelimit-Reset":
			fmt.Fprintln(&b, name)
		default:
			fmt.Fprintln(&b, name, string(anonymous([]byte(strings.Join(r.Header[name], ", ")))))
		}
	}
	fmt.Fprintf(&b, "%d bytes: %s\n", len(r.Body), anonymous(r.Body))
	return b.String()
}

// coerced is what a person sees who takes an alarm back with a number, while the officers do what they can.
func coerced(t *testing.T, pin string, roles ...nexus.Role) (transcript []string) {
	h := resttest.New(t)
	people = 0 // the two houses have people of one name
	asha, officer := join(t, h, roles...), h.As(nexus.Security)
	see := func(name string, r resttest.Reply) resttest.Reply {
		transcript = append(transcript, name+"\n"+shown(r))
		return r
	}
	do := func(method, path string, body any, headers ...string) resttest.Reply {
		return see(method+" "+path, h.Call(method, path, body, append(headers, asha.as...)...))
	}
	wantStatus(t, h.Call("PUT", safetyURL+"/pin", map[string]any{"password": resttest.Password, "pin": "2468", "duressPin": "8642"}, asha.as...), 200)
	id, url := press(t, h, asha)
	named := func(path string) string { return strings.ReplaceAll(path, string(id), "{id}") }
	fix := func(seq int) map[string]any {
		return map[string]any{"fixes": []any{map[string]any{"clientSeq": seq, "at": "2026-01-02T03:04:05Z", "lat": 1, "lng": 2}}}
	}
	wantStatus(t, h.Call("POST", url+"/locations", fix(1), asha.as...), 200)
	wantStatus(t, h.Call("POST", url+"/messages", map[string]any{"clientMsgId": "m1", "body": "help"}, asha.as...), 200)
	wantStatus(t, h.Call("POST", url+"/ack", nil, officer...), 200)

	cancel := see("cancel", h.Call("POST", url+"/cancel", map[string]any{"pin": pin}, asha.as...))
	wantStatus(t, cancel, 200)
	goesOn := pin == "8642"
	for _, step := range []string{"/on-scene", "/escalate"} {
		want := 409
		if goesOn {
			want = 200
		}
		wantStatus(t, h.Call("POST", url+step, nil, officer...), want)
	}
	h.Call("POST", url+"/messages", map[string]any{"body": "we are at the door"}, officer...)
	i := body[nexus.Incident](t, h.Call("GET", url, nil, officer...))
	if i.Duress != goesOn || i.State.Closed() == goesOn {
		t.Fatalf("the officer sees %+v", i)
	}

	for _, op := range h.API.Operations() {
		if op.Method == http.MethodGet {
			path := rest.Base + pathParam.ReplaceAllString(op.Path, string(id))
			see("GET "+op.Path, h.Call("GET", path, nil, asha.as...))
		}
	}
	for _, state := range []string{"open", "RAISED", "ACKNOWLEDGED", "ON_SCENE", "CANCELLED", "RESOLVED"} {
		do("GET", safetyURL+"/incidents?state="+state, nil)
	}
	do("GET", url+"/events?after=4", nil)
	for _, path := range []string{"/ack", "/en-route", "/on-scene", "/resolve", "/false-alarm", "/escalate"} {
		see(named(url+path), h.Call("POST", url+path, nil, asha.as...))
	}
	for _, pin := range []string{"2468", "8642"} {
		see("again", h.Call("POST", url+"/cancel", map[string]any{"pin": pin}, asha.as...))
	}
	see("one more fix", h.Call("POST", url+"/locations", fix(2), asha.as...))
	see("one more message", h.Call("POST", url+"/messages", map[string]any{"body": "are you there?"}, asha.as...))
	see("the first message again", h.Call("POST", url+"/messages", map[string]any{"clientMsgId": "m1", "body": "help"}, asha.as...))
	if next, nextURL := press(t, h, asha); next == id {
		t.Error("a new press joined the alarm that was taken back")
	} else {
		see("the next alarm", h.Call("GET", nextURL, nil, asha.as...))
		see("all alarms", h.Call("GET", safetyURL+"/incidents", nil, asha.as...))
	}
	for n := range transcript {
		transcript[n] = string(anyID.ReplaceAllLiteral([]byte(transcript[n]), []byte("{id}")))
	}
	return transcript
}

// TestDuressCannotBeToldFromACancel: whoever stands behind the person who was forced to take the alarm back, and reads every answer that
// this person can get, to the byte, sees what they would see had it been taken back. That holds for an officer's own alarm too.
func TestDuressCannotBeToldFromACancel(t *testing.T) {
	for _, role := range []nexus.Role{nexus.Student, nexus.Faculty, nexus.Security, nexus.Admin} {
		t.Run(string(role), func(t *testing.T) {
			cancelled, duress := coerced(t, "2468", role), coerced(t, "8642", role)
			if len(cancelled) != len(duress) || len(cancelled) < 30 {
				t.Fatalf("%d answers, and %d under duress", len(cancelled), len(duress))
			}
			for n := range cancelled {
				if cancelled[n] != duress[n] {
					t.Errorf("a cancel:\n%s\nunder duress:\n%s", cancelled[n], duress[n])
				}
			}
		})
	}
}

// TestTheClusterSaysNothingOfIncidents, whose number would tell an administrator of an own alarm that goes on.
func TestTheClusterSaysNothingOfIncidents(t *testing.T) {
	h := resttest.New(t)
	press(t, h, join(t, h, nexus.Student))
	r := h.Call("GET", "/api/v1/admin/cluster", nil, h.As(nexus.Admin)...)
	wantStatus(t, r, 200)
	if text := string(r.Body); strings.Contains(text, incident.KindName) || !strings.Contains(text, `"grains":{"mess":3}`) || !strings.Contains(text, `"handOvers":[{"kind":"mess"`) {
		t.Error(text)
	}
}

// TestDuressIsAnsweredAsFast: the route itself, with its comparison of PINs; what the database adds is timed there.
func TestDuressIsAnsweredAsFast(t *testing.T) {
	h := resttest.New(t)
	var asha person
	n := 0
	alike.Timing(t, 200, func(duress bool) time.Duration {
		if n++; n%4 == 1 { // a person has five tries
			asha = join(t, h, nexus.Student)
			wantStatus(t, h.Call("PUT", safetyURL+"/pin", map[string]any{"password": resttest.Password, "pin": "2468", "duressPin": "8642"}, asha.as...), 200)
		}
		_, url := press(t, h, asha)
		pin := "2468"
		if duress {
			pin = "8642"
		}
		began := time.Now()
		r := h.Call("POST", url+"/cancel", map[string]any{"pin": pin}, asha.as...)
		took := time.Since(began)
		wantStatus(t, r, 200)
		return took
	})
}
