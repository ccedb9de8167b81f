package transport_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/transport"
	"nexus/transport/limit"
	"nexus/transport/rest/resttest"
)

// TestAStrangerMakesNoQueries: however many ask whether the node is ready, the database is asked once a second, and what it
// answers is known a second later.
func TestAStrangerMakesNoQueries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		var answer error
		reach := transport.Seldom(func(ctx context.Context) error {
			asked.Add(1)
			time.Sleep(100 * time.Millisecond)
			return errors.Join(answer, ctx.Err())
		})
		ask := func(want error) {
			t.Helper()
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					cancel() // nobody's request is the one that counts
					if err := reach(ctx); (err == nil) != (want == nil) {
						t.Errorf("%v, want %v", err, want)
					}
				})
			}
			all.Wait()
		}
		start := time.Now()
		ask(nil)
		if n, took := asked.Load(), time.Since(start); n != 1 || took != 100*time.Millisecond {
			t.Errorf("asked %d times in %v", n, took)
		}
		answer = errors.New("away")
		ask(nil)
		time.Sleep(time.Second)
		ask(answer)
		time.Sleep(time.Second)
		answer = nil
		ask(nil)
		if n := asked.Load(); n != 3 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestMetricsAreNotForEverybodyAllTheTime: an address is held to some scrapes, this machine is not, and health stays open.
func TestMetricsAreNotForEverybodyAllTheTime(t *testing.T) {
	for name, c := range map[string]struct {
		ip    string
		held  bool
		paths []string
	}{
		"a stranger":   {"203.0.113.7", true, []string{"/metrics"}},
		"this machine": {"127.0.0.1", false, []string{"/metrics"}},
		"a balancer":   {"203.0.113.7", false, []string{"/healthz", "/readyz"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := resttest.New(t, func(o *resttest.Config) {
				o.Server.Limiter = limit.NewMemory(100)
				// The tests' connections have no address of their own.
				o.Server.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/8")}
			})
			for _, path := range c.paths {
				last := resttest.Reply{}
				for range 60 {
					last = h.Call("GET", path, nil, "X-Forwarded-For", c.ip)
				}
				want := 200
				if c.held {
					want = 429
				}
				if last.Status != want {
					t.Errorf("%s: %d, want %d", path, last.Status, want)
				}
				if c.held && (last.JSON()["code"] != string(nexus.RateLimited) || last.Header.Get("Retry-After") == "") {
					t.Errorf("%s: %s", path, last.Body)
				}
			}
		})
	}
}
