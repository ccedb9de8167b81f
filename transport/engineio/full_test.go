package engineio_test

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

// from is a handshake of a client at an address.
func from(srv *engineio.Server, address string) engineio.Response {
	r := enginetest.Request("GET", "polling", "")
	r.RemoteAddr = address
	return srv.ServePoll(context.Background(), r)
}

// TestAnAddressHasSoManySessions, by whatever transport, and as many again when they have ended; others are not concerned.
func TestAnAddressHasSoManySessions(t *testing.T) {
	full := map[engineio.Why]int{}
	cfg := engineio.Config{MaxPerAddress: 2, Hooks: engineio.Hooks{Full: func(why engineio.Why) { full[why]++ }}}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		clear(full)
		first, second := enginetest.Dial(t, srv, "", u.via), enginetest.Dial(t, srv, "", u.via) // of 192.0.2.1
		first.NextText()
		second.NextText()
		if got := from(srv, "192.0.2.1"); got.Status != 503 || got.RetryAfter == 0 {
			t.Errorf("one too many: %d, Retry-After %d", got.Status, got.RetryAfter)
		}
		claim, got := srv.ClaimWebSocket(enginetest.Request("GET", "websocket", ""))
		if want := `{"code":3,"message":"Too many sessions"}`; claim != nil || got.Status != 503 || got.RetryAfter == 0 || got.ContentType != "application/json" || string(got.Body) != want {
			t.Errorf("one too many by WebSocket: %d %s %s, Retry-After %d", got.Status, got.ContentType, got.Body, got.RetryAfter)
		}
		if got := from(srv, "192.0.2.2"); got.Status != 200 {
			t.Errorf("another address: %d", got.Status)
		}
		first.Hangup()
		for srv.Len() > 2 { // its Receiver is being told
			enginetest.Poll(srv, "GET", "unknown", "")
		}
		if got := from(srv, "192.0.2.1"); got.Status != 200 {
			t.Errorf("after one has left: %d", got.Status)
		}
		for address, want := range map[string]int{"2001:db8::1": 200, "2001:db8::2": 200, "2001:db8:0:1::1": 200} {
			if got := from(srv, address); got.Status != want {
				t.Errorf("%s: %d", address, got.Status)
			}
		}
		if got := from(srv, "2001:db8::3%eth0"); got.Status != 503 {
			t.Errorf("the third of a network: %d", got.Status)
		}
		if want := map[engineio.Why]int{engineio.FullAddress: 3}; !maps.Equal(full, want) {
			t.Errorf("counted %v", full)
		}
	})
}

// TestWhileMemoryRunsShortNewSessionsAreRefused, and those that are there go on.
func TestWhileMemoryRunsShortNewSessionsAreRefused(t *testing.T) {
	var pressed atomic.Bool
	full := map[engineio.Why]int{}
	cfg := engineio.Config{Pressed: pressed.Load, Hooks: engineio.Hooks{Full: func(why engineio.Why) { full[why]++ }}}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		clear(full)
		c := enginetest.Dial(t, srv, "", u.via)
		c.NextText()
		pressed.Store(true)
		if got := from(srv, "192.0.2.2"); got.Status != 503 || got.RetryAfter == 0 {
			t.Errorf("polling: %d, Retry-After %d", got.Status, got.RetryAfter)
		}
		if claim, got := srv.ClaimWebSocket(enginetest.Request("GET", "websocket", "")); claim != nil || got.Status != 503 || got.RetryAfter == 0 {
			t.Errorf("WebSocket: %d, Retry-After %d", got.Status, got.RetryAfter)
		}
		for _, s := range srv.Sessions() {
			if !s.Push(engineio.NewMessage([]byte("still here"))) {
				t.Error("a session takes nothing more")
			}
		}
		c.Expect("4still here")
		pressed.Store(false)
		if got := from(srv, "192.0.2.2"); got.Status != 200 {
			t.Errorf("with memory again: %d", got.Status)
		}
		if want := map[engineio.Why]int{engineio.FullMemory: 2}; !maps.Equal(full, want) {
			t.Errorf("counted %v", full)
		}
	})
}

// TestAPlaceTakenWhileAnUpgradeIsAnswered: who comes too late for it is closed, and counted once.
func TestAPlaceTakenWhileAnUpgradeIsAnswered(t *testing.T) {
	full := map[engineio.Why]int{}
	cfg := engineio.Config{MaxPerAddress: 1, Hooks: engineio.Hooks{Full: func(why engineio.Why) { full[why]++ }}}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		clear(full)
		var claims []*engineio.Claim
		for range 2 {
			claim, refused := srv.ClaimWebSocket(enginetest.Request("GET", "websocket", ""))
			if claim == nil {
				t.Fatal(refused.Status)
			}
			claims = append(claims, claim)
		}
		first := enginetest.Serve(t, srv, claims[0], u.via)
		first.NextText()
		second := enginetest.Serve(t, srv, claims[1], u.via)
		second.ExpectClose(engineio.TooManySessions)
		if got := srv.Len(); got != 1 {
			t.Errorf("%d sessions", got)
		}
		if want := map[engineio.Why]int{engineio.FullAddress: 1}; !maps.Equal(full, want) {
			t.Errorf("counted %v", full)
		}
	})
}

// TestABurstFromOneAddress: however they race, as many come in as may, each of the others is refused and counted once, and all places are
// free again in the end.
func TestABurstFromOneAddress(t *testing.T) {
	const most, clients = 8, 64
	for _, via := range []enginetest.Via{enginetest.Goroutine, enginetest.Linked} {
		t.Run(string(via), func(t *testing.T) {
			var full, opened atomic.Int32
			u := &upper{via: via}
			srv, err := engineio.NewServer(engineio.Config{MaxPerAddress: most, Hooks: engineio.Hooks{
				Full:   func(engineio.Why) { full.Add(1) },
				Opened: func(engineio.Transport) { opened.Add(1) },
			}}, u.accept)
			if err != nil {
				t.Fatal(err)
			}
			let, refused := make(chan *enginetest.Client, clients), make(chan int, clients)
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					claim, answer := srv.ClaimWebSocket(enginetest.Request("GET", "websocket", ""))
					if claim == nil {
						refused <- answer.Status
						return
					}
					c := enginetest.Serve(t, srv, claim, via)
					if f, ok := c.Next(); ok && f.Op == enginetest.Text {
						let <- c
					} else {
						refused <- http.StatusServiceUnavailable
						c.Hangup()
					}
				})
			}
			wg.Wait()
			if len(let) != most || opened.Load() != most || len(refused) != clients-most || full.Load() != clients-most {
				t.Errorf("%d let in, %d opened, %d refused, %d counted as full", len(let), opened.Load(), len(refused), full.Load())
			}
			for len(refused) > 0 {
				if status := <-refused; status != http.StatusServiceUnavailable {
					t.Errorf("refused with %d", status)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			for len(let) > 0 {
				(<-let).Hangup()
			}
			if _, err := srv.Shutdown(ctx, engineio.ShuttingDown); err != nil {
				t.Errorf("%d sessions are left: %v", srv.Len(), err)
			}
		})
	}
}
