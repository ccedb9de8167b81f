package limit

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nexus"
)

func TestDecide(t *testing.T) {
	now := time.Unix(1000, 0)
	rule := Rule{Rate: 1, Burst: 3}
	for _, c := range []struct {
		name string
		full time.Duration // from now
		rule Rule
		want Decision
		next time.Duration
	}{
		{"first", -time.Hour, rule, Decision{true, 3, 2, time.Second, 0}, time.Second},
		{"last", 2 * time.Second, rule, Decision{true, 3, 0, 3 * time.Second, 0}, 3 * time.Second},
		{"over", 3 * time.Second, rule, Decision{false, 3, 0, 3 * time.Second, time.Second}, 3 * time.Second},
		{"half way", 2500 * time.Millisecond, rule, Decision{false, 3, 0, 2500 * time.Millisecond, 500 * time.Millisecond}, 2500 * time.Millisecond},
		{"asking takes nothing", time.Second, rule.Asking(), Decision{true, 3, 2, time.Second, 0}, time.Second},
		{"asking over", 3 * time.Second, rule.Asking(), Decision{false, 3, 0, 3 * time.Second, time.Second}, 3 * time.Second},
	} {
		got, next := decide(now.Add(c.full), now, c.rule)
		if got != c.want || next.Sub(now) != c.next {
			t.Errorf("%s: %+v %v, want %+v %v", c.name, got, next.Sub(now), c.want, c.next)
		}
	}
}

// TestNeverMoreThanTheRule: in any stretch of time at most burst + rate * stretch events pass, and who waits
// RetryAfter passes.
func TestNeverMoreThanTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Rule{Rate: rapid.Float64Range(0.01, 1000).Draw(t, "rate"), Burst: rapid.IntRange(1, 50).Draw(t, "burst")}
		now, full := time.Unix(1000, 0), time.Time{}
		var passed []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.IntRange(0, int(3e9/r.Rate)).Draw(t, "pause")))
			var d Decision
			d, full = decide(full, now, r)
			if !d.Allowed {
				if again, _ := decide(full, now.Add(d.RetryAfter), r); !again.Allowed || d.RetryAfter <= 0 {
					t.Fatalf("refused after waiting %v", d.RetryAfter)
				}
				continue
			}
			passed = append(passed, now)
			for i, from := range passed {
				most := float64(r.Burst) + r.Rate*now.Sub(from).Seconds() + 1e-3
				if n := len(passed) - i; float64(n) > most {
					t.Fatalf("%d events in %v, at most %f", n, now.Sub(from), most)
				}
			}
		}
	})
}

func TestMemoryRefillsAndForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(2)
		r := Per(10, 10*time.Second)
		for i := range 12 {
			if d := m.Allow(t.Context(), "a", r); d.Allowed != (i < 10) {
				t.Errorf("event %d: %+v", i, d)
			}
		}
		time.Sleep(time.Second)
		if d := m.Allow(t.Context(), "a", r); !d.Allowed || d.Remaining != 0 {
			t.Errorf("after a second: %+v", d)
		}
		time.Sleep(10 * time.Second)
		if d := m.Allow(t.Context(), "a", r.Asking()); d.Remaining != 10 || m.keys.Len() != 0 {
			t.Errorf("a full bucket is kept: %+v, %d keys", d, m.keys.Len())
		}
		for i := range 100 {
			m.Allow(t.Context(), fmt.Sprint(i), r)
		}
		if n := m.keys.Len(); n != 2 {
			t.Errorf("holds %d keys", n)
		}
	})
}

func TestMemoryUnderRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(10)
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					if m.Allow(context.Background(), "k", Rule{Rate: 1, Burst: 50}).Allowed {
						allowed.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 50 {
			t.Errorf("%d passed", allowed.Load())
		}
	})
}

func TestDecisionForClients(t *testing.T) {
	d := Decision{Limit: 3, Remaining: 0, Reset: 2500 * time.Millisecond, RetryAfter: 500 * time.Millisecond}
	if h := maps.Collect(d.Headers()); h["RateLimit-Limit"] != "3" || h["RateLimit-Remaining"] != "0" || h["RateLimit-Reset"] != "3" {
		t.Errorf("%v", h)
	}
	if err := d.Err(); nexus.CodeOf(err) != nexus.RateLimited {
		t.Errorf("%v", err)
	}
	if err := (Decision{Allowed: true}).Err(); err != nil {
		t.Errorf("%v", err)
	}
}

func TestHousehold(t *testing.T) {
	for in, want := range map[string]string{
		"1.2.3.4": "1.2.3.4", "::ffff:1.2.3.4": "1.2.3.4", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := Household(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s", in, got)
		}
	}
	if got := Household(netip.Addr{}); got != "invalid IP" {
		t.Errorf("no address: %s", got)
	}
}
