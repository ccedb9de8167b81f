package transport_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// TestARelayedRequestIsTheClientsOwn: it has the client's address, and was counted where it came in.
func TestARelayedRequestIsTheClientsOwn(t *testing.T) {
	h := resttest.New(t, func(c *resttest.Config) {
		c.Server.Flood = limit.Rule{Rate: 0.001, Burst: 1}
		c.Server.Relayed = func(f *fiber.Ctx) (netip.Addr, bool) {
			return netip.MustParseAddr("192.0.2.7"), f.Get("X-Test-Seal") == "good"
		}
	})
	h.Server.App().Get("/ip", func(f *fiber.Ctx) error { return f.SendString(rest.OriginOf(f.UserContext()).IP.String()) })
	serve(t, h)
	for _, c := range []struct {
		seal   string
		status int
		ip     string
	}{
		{"good", http.StatusOK, "192.0.2.7"},
		{"bad", http.StatusOK, "127.0.0.1"},
		{"bad", http.StatusTooManyRequests, ""},
		{"good", http.StatusOK, "192.0.2.7"},
	} {
		res, body := raw(t, h, "GET /ip HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Test-Seal: "+c.seal+"\r\n\r\n")
		if res.StatusCode != c.status || c.ip != "" && body != c.ip {
			t.Errorf("%s: %d %s, want %d %s", c.seal, res.StatusCode, body, c.status, c.ip)
		}
	}
}
