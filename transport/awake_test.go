package transport_test

import (
	"sync/atomic"
	"testing"

	"nexus"
	"nexus/transport/rest/resttest"
)

// TestANodeThatStoodStillServesNobody: the login whose refresh waited there meanwhile, and was tried again elsewhere, goes on.
func TestANodeThatStoodStillServesNobody(t *testing.T) {
	var asleep atomic.Bool
	h := resttest.New(t, func(c *resttest.Config) { c.Server.Awake = func() bool { return !asleep.Load() } })
	cookie := "nexus_refresh=" + h.Login(nexus.Student).Refresh
	asleep.Store(true)
	for _, path := range []string{"/api/v1/auth/refresh", "/api/v1/auth/login"} {
		if r := h.Call("POST", path, nil, "Cookie", cookie); r.Status != 503 || r.Header.Get("Retry-After") == "" || r.JSON()["code"] != string(nexus.Unavailable) {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
	}
	asleep.Store(false)
	if r := h.Call("POST", "/api/v1/auth/refresh", nil, "Cookie", cookie); r.Status != 200 {
		t.Errorf("the login did not go on: %d %s", r.Status, r.Body)
	}
}
