// Package limit says how often something may happen: so many at once, so many a second
// for long. It decides by the generic cell rate algorithm (GCRA), which keeps
// one time per key: when the key's bucket will be full again.
package limit

import (
	"context"
	"iter"
	"math"
	"net/netip"
	"strconv"
	"time"

	"nexus"
)

// Rule bounds one kind of event.
type Rule struct {
	Rate  float64 // events a second for long
	Burst int     // events at once
	Peek  bool    // ask without taking: for rules that count failures alone
}

// Per returns the rule of n events per period, all of which may come at once.
func Per(n int, period time.Duration) Rule {
	return Rule{Rate: float64(n) / period.Seconds(), Burst: n}
}

// Asking returns the rule that asks and takes nothing.
func (r Rule) Asking() Rule { r.Peek = true; return r }

// Decision is the answer for one event.
type Decision struct {
	Allowed    bool
	Limit      int           // the rule's burst
	Remaining  int           // events that would be allowed at once now
	Reset      time.Duration // until Remaining is Limit again
	RetryAfter time.Duration // until one event would be allowed; 0 if allowed
}

// Limiter keeps the count of many keys. A key is held to the rule of each call, so callers prefix keys by kind.
type Limiter interface {
	// Allow decides about one event now, and takes it if allowed. A limiter that
	// cannot reach its memory allows: a limit never is a reason to refuse service.
	Allow(ctx context.Context, key string, r Rule) Decision
}

// Headers returns the RateLimit-* headers.
func (d Decision) Headers() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		_ = yield("RateLimit-Limit", strconv.Itoa(d.Limit)) &&
			yield("RateLimit-Remaining", strconv.Itoa(d.Remaining)) &&
			yield("RateLimit-Reset", strconv.Itoa(int(math.Ceil(d.Reset.Seconds()))))
	}
}

// Err returns nil if the event is allowed, else RateLimited with the time to wait.
func (d Decision) Err() error {
	if d.Allowed {
		return nil
	}
	e := nexus.Errorf(nexus.RateLimited, "too many requests, please wait")
	e.RetryAfter = d.RetryAfter
	return e
}

// decide is GCRA. full is when the key's bucket is full again, zero for a new key; the
// second result is that time after the event.
func decide(full, now time.Time, r Rule) (Decision, time.Time) {
	gap := time.Duration(float64(time.Second) / r.Rate)
	depth := gap * time.Duration(r.Burst)
	if full.Before(now) {
		full = now
	}
	next := full.Add(gap)
	d := Decision{Limit: r.Burst, Allowed: next.Sub(now) <= depth}
	if d.Allowed && !r.Peek {
		full = next
	}
	if !d.Allowed {
		d.RetryAfter = next.Sub(now) - depth
	}
	d.Reset = full.Sub(now)
	d.Remaining = max(0, int((depth-d.Reset)/gap))
	return d, full
}

// Share returns what each of n nodes may allow by itself so that all together keep to the rule.
func (r Rule) Share(n int) Rule {
	n = max(n, 1)
	r.Rate, r.Burst = r.Rate/float64(n), max(1, r.Burst/n)
	return r
}

// Household names the part of an address that one household holds, for keys: all of an IPv4 address, the
// first 64 bits of an IPv6 one, since the rest is free to choose.
func Household(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if p, err := ip.Prefix(64); err == nil && ip.Is6() {
		return p.Addr().String()
	}
	return ip.String()
}
