package live

import (
	"context"
	"testing"
	"time"

	"nexus"
	"nexus/actors/session"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestCloseEndsEverything(t *testing.T) {
	live(t, func(e *edge) {
		asha := e.join("/", e.tokens.issue("asha", "l1", time.Hour))
		stranger := e.join("/mess", "")
		bare := e.dial()
		e.sessions.set(func(ctx context.Context, _ session.Socket) error { <-ctx.Done(); return ctx.Err() })
		waiting := e.join("/mess", e.tokens.issue("ravi", "r", time.Hour)) // is being attached in the background
		closed := make(chan error)
		go func() { closed <- e.Close(e.Context()) }()
		for _, c := range []*enginetest.Client{asha, stranger, bare, waiting} {
			c.ExpectClose(engineio.ShuttingDown)
		}
		if err := <-closed; err != nil {
			e.Error(err)
		}
		e.empty()
		if err := e.Close(e.Context()); err != nil {
			e.Error("a second time:", err)
		}
		if n := e.metric("nexus_sockets") + e.metric("nexus_connections"); n != 0 {
			e.Errorf("%v are still counted", n)
		}
		for range 2 * maxPending {
			e.publish(north, 1) // nobody hears it, and nobody waits
		}
		if claim, refusal := e.Engine().ClaimWebSocket(enginetest.Request("GET", "websocket", "")); claim != nil || refusal.Status != 503 {
			e.Errorf("a new connection: %+v", refusal)
		}
	})
}

// TestCloseIsBounded: a client that takes nothing does not hold the node up.
func TestCloseIsBounded(t *testing.T) {
	live(t, func(e *edge) {
		e.join("/mess", "")
		ctx, cancel := context.WithTimeout(e.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		if err := e.Close(ctx); err != nil || time.Since(start) > 3*time.Second {
			e.Errorf("%v after %v", err, time.Since(start))
		}
		e.empty()
	})
}

// TestDrainSpreadsTheGoodbyes over its time, so that clients do not come back in one moment.
func TestDrainSpreadsTheGoodbyes(t *testing.T) {
	live(t, func(e *edge) {
		const over = 10 * time.Second
		start := time.Now()
		times := make(chan time.Duration, 20)
		for range 20 {
			c := e.join("/mess", "")
			go func() {
				c.ExpectClose(engineio.ShuttingDown)
				times <- time.Since(start)
			}()
		}
		e.Drain(e.Context(), over)
		last := time.Duration(-1)
		for i := range 20 {
			at := <-times
			if want := over * time.Duration(i) / 20; at < want || at > want+time.Second || at < last {
				e.Errorf("the %dth after %v", i, at)
			}
			last = at
		}
		if claim, _ := e.Engine().ClaimWebSocket(enginetest.Request("GET", "websocket", "")); claim != nil {
			e.Error("a draining node takes new connections")
		}
	})
}

func TestDrainEndsEarly(t *testing.T) {
	live(t, func(e *edge) {
		for range 3 {
			e.join("/mess", "")
		}
		ctx, cancel := context.WithTimeout(e.Context(), time.Second)
		defer cancel()
		start := time.Now()
		e.Drain(ctx, time.Hour)
		if took := time.Since(start); took != time.Second {
			e.Errorf("took %v", took)
		}
		if _, err := e.sessions.Client.Attach(e.Context(), nexus.UserID("x"), e.hub.pid, session.Socket{ID: "s"}); err != nil {
			e.Error("the hub ended with it:", err)
		}
	})
}
