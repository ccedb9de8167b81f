package rest_test

import (
	"testing"

	"nexus"
	"nexus/transport/rest/resttest"
)

// TestRolesWaitForTheDatabase: what takes a role is refused, not granted, while nobody can say that the login stands. What anybody
// may do goes on.
func TestRolesWaitForTheDatabase(t *testing.T) {
	h := resttest.New(t)
	h.Mess.Open(nexus.Hall{ID: nexus.HallID(nexus.NewID()), Name: "Central", Capacity: 100, Default: true})
	known, staff := h.As(nexus.MessStaff), h.As(nexus.MessStaff)
	report := map[string]any{"level": "High", "waitTime": "10 mins"}
	if r := h.Call("POST", "/api/v1/mess/update", report, known...); r.Status != 200 {
		t.Fatalf("a role: %d %s", r.Status, r.Body)
	}
	h.Fail(nexus.Errorf(nexus.Unavailable, "away"))
	r := h.Call("POST", "/api/v1/mess/update", report, staff...)
	if r.Status != 503 || r.JSON()["code"] != string(nexus.Unavailable) || r.Header.Get("Retry-After") == "" {
		t.Errorf("a role, with the database away: %d %s", r.Status, r.Body)
	}
	if r := h.Call("GET", "/api/v1/mess/live-status", nil, staff...); r.Status != 200 {
		t.Errorf("a public route: %d %s", r.Status, r.Body)
	}
}
