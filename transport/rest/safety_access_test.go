package rest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/transport/auth"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// person is somebody with a login.
type person struct {
	nexus.User
	as []string // headers
}

var people int

// join adds a person with roles to a house.
func join(t *testing.T, h *resttest.House, roles ...nexus.Role) person {
	t.Helper()
	people++
	email := fmt.Sprintf("person-%04d@example.edu", people)
	home := nexus.Caller{IP: netip.AddrFrom4([4]byte{10, 0, byte(people >> 8), byte(people)})} // an address has few newcomers a minute
	u, err := h.Auth.Register(t.Context(), home, auth.Registration{Email: email, RegNo: fmt.Sprintf("CS-%04d", people), Name: "Somebody", Password: resttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	if u, err = h.SetRoles(t.Context(), nexus.Caller{}, u.ID, roles); err != nil {
		t.Fatal(err)
	}
	tk, err := h.Auth.Login(t.Context(), home, auth.Attempt{Identifier: email, Password: resttest.Password})
	if err != nil {
		t.Fatal(err)
	}
	return person{u, []string{"Authorization", "Bearer " + tk.Access}}
}

const safetyURL = "/api/v1/safety"

// press raises an SOS of p's and returns where it is found.
func press(t *testing.T, h *resttest.House, p person) (id nexus.IncidentID, url string) {
	t.Helper()
	r := h.Call("POST", safetyURL+"/sos", map[string]any{"clientKey": nexus.NewID(), "lat": 1, "lng": 2}, p.as...)
	wantStatus(t, r, 200)
	id = body[nexus.Raised](t, r).Incident
	return id, safetyURL + "/incidents/" + string(id)
}

// calling lets the policy call these people beside SECURITY.
func calling(t *testing.T, h *resttest.House, ps ...person) {
	t.Helper()
	step := nexus.Step{Targets: []nexus.Target{{Role: nexus.Security}}}
	for _, p := range ps {
		h.Safety.Staff = append(h.Safety.Staff, incident.Person{ID: p.ID, Roles: p.Roles})
		step.Targets = append(step.Targets, nexus.Target{User: p.ID})
	}
	if _, err := h.Safety.PutPolicy(t.Context(), nexus.Caller{}, 0, nexus.Policy{Name: "Default", Steps: []nexus.Step{step}, EverySeconds: 60, MoveSeconds: 300}); err != nil {
		t.Fatal(err)
	}
}

// everything is all that is known of an incident.
func everything(t *testing.T, h *resttest.House, id nexus.IncidentID) string {
	t.Helper()
	by, ctx := nexus.Caller{User: "x", Roles: []nexus.Role{nexus.Admin}}, context.Background()
	i, err := h.Safety.Incident(ctx, by, id)
	if err != nil {
		t.Fatal(err)
	}
	events, err := h.Safety.Events(ctx, by, id, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	fixes, err := h.Safety.Locations(ctx, by, id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]any{i, events, fixes})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// incidentRoute says what the people of an incident are answered by one of its routes; nobody else gets anything.
type incidentRoute struct {
	body    any
	raiser  int
	officer int // who raised it and is of SECURITY
	called  int // a responder without a role
	staff   int // SECURITY and ADMIN
}

// incidentRoutes are the routes below /safety/incidents/{id}.
var incidentRoutes = func() map[string]incidentRoute {
	const yes, no = 200, 403
	look, review, help, end := incidentRoute{nil, yes, yes, yes, yes}, incidentRoute{nil, no, no, no, yes}, incidentRoute{nil, no, no, yes, yes}, incidentRoute{nil, no, no, no, yes}
	return map[string]incidentRoute{
		"GET ": look, "GET /events": look, "GET /locations": look,
		"POST /messages":  {map[string]any{"body": "hold on"}, yes, yes, yes, yes},
		"POST /locations": {map[string]any{"fixes": []any{map[string]any{"clientSeq": 1, "at": "2026-01-02T03:04:05Z", "lat": 1, "lng": 2}}}, yes, yes, no, no},
		"POST /cancel":    {nil, yes, yes, no, no},
		"POST /ack":       help, "POST /en-route": help, "POST /on-scene": help,
		"POST /resolve": end, "POST /false-alarm": end, "POST /escalate": end,
		"GET /deliveries": review, "GET /verify": review,
		"GET /cap.xml": {nil, no, yes, no, yes},
	}
}()

// TestNobodyElseTouchesAnIncident calls every route of an incident as everybody there is: whoever neither raised it nor was called to it,
// nor is of SECURITY or ADMIN, is answered as if there were none, and nothing changes; nor does it by whom the route refuses. A route that this
// table does not know fails the test.
func TestNobodyElseTouchesAnIncident(t *testing.T) {
	h := resttest.New(t)
	security, admin := person{h.People[nexus.Security], h.As(nexus.Security)}, person{h.People[nexus.Admin], h.As(nexus.Admin)}
	called, faculty, student := join(t, h, nexus.Faculty), join(t, h, nexus.Faculty), join(t, h, nexus.Student)
	calling(t, h, called)
	var keys []string
	for _, s := range nexus.Scopes() {
		keys = append(keys, h.Key(s))
	}
	const incidents = "/safety/incidents/{id}"
	routes, seen := incidentRoutes, 0
	for _, op := range h.API.Operations() {
		suffix, ok := strings.CutPrefix(op.Path, incidents)
		if !ok {
			if known := op.Path == "/safety/alerts/{id}/cap.xml" || op.Path == "/safety/timers/{id}"; strings.HasPrefix(op.Path, "/safety/") && strings.Contains(op.Path, "{") && !known {
				t.Errorf("%s %s: say whether it shows an incident", op.Method, op.Path)
			}
			continue
		}
		name := op.Method + " " + suffix
		seen++
		t.Run(name, func(t *testing.T) {
			route, known := routes[name]
			if !known {
				t.Fatal("say in the table who may do this to an incident")
			}
			role := func(p person) bool { return op.Access.Check(nexus.Caller{User: p.ID, Roles: p.Roles}) == nil }
			outsider := func(p person) int {
				if !role(p) {
					return http.StatusForbidden
				}
				return http.StatusNotFound
			}
			check := func(who string, part bool, want int, raiser person, as []string) {
				t.Helper()
				id, url := press(t, h, raiser)
				before := everything(t, h, id)
				r := h.Call(op.Method, url+suffix, route.body, as...)
				if r.Status != want {
					t.Errorf("%s: %d, want %d: %s", who, r.Status, want, r.Body)
				}
				if want < 300 {
					return
				}
				if after := everything(t, h, id); after != before {
					t.Errorf("%s: refused with %d, and changed\n%s\ninto\n%s", who, r.Status, before, after)
				}
				if strings.Contains(string(r.Body), string(raiser.ID)) || strings.Contains(string(r.Body), string(nexus.SOSRaised)) {
					t.Errorf("%s: refused, and told %s", who, r.Body)
				}
				if !part {
					nowhere := h.Call(op.Method, safetyURL+"/incidents/"+nexus.NewID()+suffix, route.body, as...)
					if nowhere.Status != r.Status || !bytes.Equal(anonymous(nowhere.Body), anonymous(r.Body)) {
						t.Errorf("%s: one that is not there is answered %d %s, this one %d %s", who, nowhere.Status, nowhere.Body, r.Status, r.Body)
					}
				}
			}
			check("a student", false, outsider(student), join(t, h, nexus.Student), student.as)
			check("a member of the faculty", false, outsider(faculty), join(t, h, nexus.Student), faculty.as)
			check("a stranger", false, http.StatusUnauthorized, join(t, h, nexus.Student), nil)
			for i, s := range nexus.Scopes() {
				check("a device for "+string(s), false, http.StatusForbidden, join(t, h, nexus.Student), []string{rest.KeyHeader, keys[i]})
			}
			raiser, officer := join(t, h, nexus.Student), join(t, h, nexus.Security)
			check("its raiser", true, route.raiser, raiser, raiser.as)
			check("its raiser, of SECURITY", true, route.officer, officer, officer.as)
			check("a responder", true, route.called, join(t, h, nexus.Student), called.as)
			check("SECURITY", true, route.staff, join(t, h, nexus.Student), security.as)
			check("ADMIN", true, route.staff, join(t, h, nexus.Student), admin.as)
		})
	}
	if seen != len(routes) {
		t.Errorf("%d routes are served, the table has %d", seen, len(routes))
	}
}

// TestWhoseIncidentsAreListed: those that one raised or was called to; all of them for SECURITY and ADMIN.
func TestWhoseIncidentsAreListed(t *testing.T) {
	h := resttest.New(t)
	called, faculty, asha, ravi := join(t, h, nexus.Faculty), join(t, h, nexus.Faculty), join(t, h, nexus.Student), join(t, h, nexus.Student)
	calling(t, h, called)
	hers, _ := press(t, h, asha)
	calling(t, h)
	his, _ := press(t, h, ravi)
	for name, c := range map[string]struct {
		as   []string
		want []nexus.IncidentID
	}{
		"the one who raised it": {asha.as, []nexus.IncidentID{hers}}, "another": {ravi.as, []nexus.IncidentID{his}},
		"who was called": {called.as, []nexus.IncidentID{hers}}, "who was not": {faculty.as, nil},
		"SECURITY": {h.As(nexus.Security), []nexus.IncidentID{his, hers}}, "ADMIN": {h.As(nexus.Admin), []nexus.IncidentID{his, hers}},
	} {
		r := h.Call("GET", safetyURL+"/incidents", nil, c.as...)
		wantStatus(t, r, 200)
		var ids []nexus.IncidentID
		for _, i := range body[nexus.List[nexus.Incident]](t, r).Items {
			ids = append(ids, i.ID)
		}
		if fmt.Sprint(ids) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", name, ids, c.want)
		}
	}
}

// TestATimerIsItsOwnersAlone: nobody else finds it, whatever their role.
func TestATimerIsItsOwnersAlone(t *testing.T) {
	h := resttest.New(t)
	asha := join(t, h, nexus.Student)
	r := h.Call("POST", safetyURL+"/timers", map[string]any{"minutes": 20}, asha.as...)
	wantStatus(t, r, 201)
	timer := body[nexus.SafetyTimer](t, r)
	for _, role := range nexus.Roles() {
		as := h.As(role)
		for _, change := range []map[string]any{{"minutes": 1440}, {"done": true}} {
			wantStatus(t, h.Call("PATCH", safetyURL+"/timers/"+timer.ID, change, as...), 404)
		}
		if l := body[nexus.List[nexus.SafetyTimer]](t, h.Call("GET", safetyURL+"/timers", nil, as...)); len(l.Items) != 0 {
			t.Errorf("%s sees %v", role, l.Items)
		}
	}
	l := body[nexus.List[nexus.SafetyTimer]](t, h.Call("GET", safetyURL+"/timers", nil, asha.as...))
	if len(l.Items) != 1 || l.Items[0].Version != 1 || !l.Items[0].Due.Round(time.Millisecond).Equal(timer.Due.Round(time.Millisecond)) {
		t.Errorf("its owner sees %+v, was %+v", l.Items, timer)
	}
}
