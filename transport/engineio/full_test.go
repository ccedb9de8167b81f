package engineio_test

import (
	"context"
	"maps"
	"sync/atomic"
	"testing"

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
		third := enginetest.Dial(t, srv, "", u.via)
		third.ExpectClose(engineio.TooManySessions)
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
