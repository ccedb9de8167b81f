package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nexus"
)

// A crew sends people into a hall one by one, as gates do: what was not answered it sends again, unchanged, until it is.
type crew struct {
	t     testing.TB
	gates []caller
	hall  nexus.HallID

	acknowledged atomic.Int64
	failures     sync.Map // what was answered in place of 200, by its text, to how often
	wg           sync.WaitGroup
}

// send starts senders that each work through the numbers that next gives, until it gives no more.
func (s *server) send(t testing.TB, gates []caller, hall nexus.HallID, senders int, next func() (int, bool)) *crew {
	c := &crew{t: t, gates: gates, hall: hall}
	for i := range senders {
		gate := gates[i%len(gates)]
		c.wg.Go(func() {
			for {
				n, more := next()
				if !more || !c.deliver(gate, in("gate", t.Name()+strconv.Itoa(n))) {
					return
				}
			}
		})
	}
	t.Cleanup(c.wg.Wait)
	return c
}

// upTo gives the numbers from a up to b, b not included.
func upTo(a, b int) func() (int, bool) {
	var n atomic.Int64
	n.Store(int64(a))
	return func() (int, bool) {
		i := int(n.Add(1)) - 1
		return i, i < b
	}
}

// heldBack gives the numbers from a up to b, the last few of them only once the channel is closed.
func heldBack(a, b, few int, until <-chan struct{}) func() (int, bool) {
	next := upTo(a, b)
	return func() (int, bool) {
		n, more := next()
		if more && n >= b-few {
			<-until
		}
		return n, more
	}
}

// until gives numbers until ctx ends.
func until(ctx context.Context) func() (int, bool) {
	var n atomic.Int64
	return func() (int, bool) { return int(n.Add(1)), ctx.Err() == nil }
}

// deliver repeats one event until it is acknowledged.
func (c *crew) deliver(gate caller, e map[string]any) bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), 2*patience)
	defer cancel()
	for ctx.Err() == nil {
		a, err := gate.do(ctx, "POST", checkins(c.hall), map[string]any{"events": []any{e}})
		if err == nil && a.status == 200 {
			var r nexus.CheckInResult
			if err := json.Unmarshal(a.body, &r); err != nil || r.Accepted+r.Duplicates != 1 {
				c.t.Errorf("one event answered with %s", a.body)
			}
			c.acknowledged.Add(1)
			return true
		}
		c.note(a, err)
		again := time.NewTimer(20*time.Millisecond + rand.N(20*time.Millisecond)) // as a client would
		select {
		case <-again.C:
		case <-ctx.Done():
		}
	}
	c.t.Errorf("event %v was never acknowledged", e)
	return false
}

// note counts a failure; an answer that is not what a dead database or a busy server should give fails the test.
func (c *crew) note(a answer, err error) {
	what := "no answer"
	if err == nil {
		what = fmt.Sprintf("%d", a.status)
		if wrong := a.notUnavailable(); wrong != "" && a.status != 429 {
			c.t.Error(wrong)
		}
	}
	n, _ := c.failures.LoadOrStore(what, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
}

// notUnavailable says what is wrong with an answer that should be a complete 503.
func (a answer) notUnavailable() string {
	var p problem
	err := json.Unmarshal(a.body, &p)
	sound := err == nil && a.status == 503 && p.Status == 503 && p.Code == string(nexus.Unavailable) && p.Detail != "" &&
		p.Error == p.Detail && p.RequestID != "" && a.header.Get("Content-Type") == "application/problem+json" && a.header.Get("Retry-After") != ""
	if sound {
		return ""
	}
	return fmt.Sprintf("not a complete 503: status %d, Retry-After %q, %.300s", a.status, a.header.Get("Retry-After"), a.body)
}

func (c *crew) failed() map[string]int64 {
	all := map[string]int64{}
	c.failures.Range(func(what, n any) bool {
		all[what.(string)] = n.(*atomic.Int64).Load()
		return true
	})
	return all
}

// acknowledgedAtLeast waits for that many acknowledgements.
func (c *crew) acknowledgedAtLeast(n int64) {
	c.t.Helper()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	timeout := time.After(patience)
	for c.acknowledged.Load() < n {
		select {
		case <-look.C:
		case <-timeout:
			c.t.Fatalf("%d acknowledged within %v, want %d", c.acknowledged.Load(), patience, n)
		}
	}
}
