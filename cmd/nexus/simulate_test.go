package main

import (
	"net/http"
	"strings"
	"testing"

	"nexus"
	"nexus/cmd/nexus/simulate"
	"nexus/transport/rest/resttest"
)

// house answers a client without a network.
type house struct{ *resttest.House }

// RoundTrip answers a request.
func (h house) RoundTrip(r *http.Request) (*http.Response, error) { return h.Do(r) }

func TestADayAgainstTheRealRoutes(t *testing.T) {
	h := resttest.New(t)
	ids := []nexus.HallID{nexus.HallID(nexus.NewID()), nexus.HallID(nexus.NewID())}
	h.Mess.Open(
		nexus.Hall{ID: ids[0], Name: "Central", Capacity: 420, ServiceRatePerMin: 12, DwellMin: 26, TZ: "Asia/Kolkata", Default: true, Version: 1},
		nexus.Hall{ID: ids[1], Name: "North", Capacity: 300, ServiceRatePerMin: 8, DwellMin: 25, TZ: "UTC", Version: 1})
	out := &strings.Builder{}
	o := simulate.Options{
		URL: "http://campus.test", Admin: h.People[nexus.Admin].Email, Password: resttest.Password, Seed: 3, Speed: 200_000,
		Out: out, Client: &http.Client{Transport: house{h}},
	}
	if err := simulate.Run(t.Context(), o); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for i, id := range ids {
		live, err := h.Mess.Live(t.Context(), id)
		if err != nil || live.Occupancy <= 0 || !strings.HasPrefix(live.Source, "simulate@") {
			t.Errorf("hall %d: %+v, %v", i, live, err)
		}
	}
	keys, err := h.ListKeys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].RevokedAt == nil || keys[0].ExpiresAt == nil {
		t.Errorf("keys %+v, %v: want one that expires and was revoked", keys, err)
	}
	if logins, err := h.List(t.Context(), h.People[nexus.Admin].ID); err != nil || len(logins) != 0 {
		t.Errorf("%d logins are left, %v", len(logins), err)
	}
}
