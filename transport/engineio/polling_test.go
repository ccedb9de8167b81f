package engineio_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestPollTakesWhatWaits(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		u.session().Push(text("a"))
		u.session().Push(engineio.NewMessage([]byte("b"), []byte{1, 2, 3, 4}))
		u.session().PushUrgent(text("c"))
		ask(t, srv, "GET", sid, "", 200, "4c\x1e4a\x1e4b\x1ebAQIDBA==")
	})
}

func TestPollWaitsForOutput(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		p := get(t.Context(), srv, handshake(t, srv, u))
		time.Sleep(10 * time.Second)
		u.session().Push(text("late"))
		p.expect(t, 200, "4late")
	})
}

func TestPostHandsMessagesOverInOrder(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		ask(t, srv, "POST", sid, "4a\x1e4b\x1ebAQ==\x1e4c", 200, "ok")
		if got := u.heard(); got != "[a b b:\x01 c] []" {
			t.Fatal(got)
		}
	})
}

func TestHeartbeatOverPolling(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		start := time.Now()
		for i := range 3 {
			get(t.Context(), srv, sid).expect(t, 200, "2")
			if at := time.Since(start); at != time.Duration(i+1)*25*time.Second {
				t.Fatalf("ping %d after %v", i, at)
			}
			ask(t, srv, "POST", sid, "3", 200, "ok")
		}
	})
}

func TestNoPongClosesExactlyInTime(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		time.Sleep(45*time.Second - time.Millisecond)
		if got := u.heard(); got != "[] []" {
			t.Fatal(got)
		}
		time.Sleep(time.Millisecond)
		ask(t, srv, "GET", sid, "", 400, unknownSID)
		if got := u.heard(); got != "[] [ping timeout]" {
			t.Fatal(got)
		}
	})
}

// Other packets move the deadline once, so that a long upload does not cost the session, and not for ever.
func TestOtherPacketsMoveThePongOnce(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		time.Sleep(40 * time.Second)
		ask(t, srv, "POST", sid, "4x", 200, "ok")
		time.Sleep(15 * time.Second)
		ask(t, srv, "POST", sid, "4x", 200, "ok")
		time.Sleep(5 * time.Second)
		if got := u.heard(); got != "[x x] [ping timeout]" {
			t.Fatal(got)
		}
	})
}

// A pong that comes after the next ping was due is not followed by a burst of pings.
func TestLatePongIsNotCaughtUpWith(t *testing.T) {
	cfg := engineio.Config{PingInterval: time.Second, PingTimeout: time.Minute}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		get(t.Context(), srv, sid).expect(t, 200, "2")
		time.Sleep(30 * time.Second)
		ask(t, srv, "POST", sid, "3", 200, "ok")
		start := time.Now()
		for range 3 {
			get(t.Context(), srv, sid).expect(t, 200, "2")
			ask(t, srv, "POST", sid, "3", 200, "ok")
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("three pings in %v", took)
		}
	})
}

func TestDuplicatePollCloses(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		first := get(t.Context(), srv, sid)
		ask(t, srv, "GET", sid, "", 400, badRequest)
		first.expect(t, 200, "1")
		ask(t, srv, "GET", sid, "", 400, unknownSID)
		if got := u.heard(); got != "[] [transport error]" {
			t.Fatal(got)
		}
	})
}

func TestPostDuringPostCloses(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		release := make(chan struct{})
		u.receive = func(*engineio.Session, []byte, bool) { <-release }
		sid := handshake(t, srv, u)
		slow := make(chan int)
		go func() {
			status, _ := enginetest.Poll(srv, "POST", sid, "4slow")
			slow <- status
		}()
		synctest.Wait()
		ask(t, srv, "POST", sid, "4fast", 400, badRequest)
		close(release)
		if status := <-slow; status != 400 {
			t.Errorf("the first POST got %d", status)
		}
		if got := u.heard(); got != "[slow] [transport error]" {
			t.Fatal(got)
		}
	})
}

func TestAbandonedPollCloses(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		ctx, hangUp := context.WithCancel(t.Context())
		p := get(ctx, srv, sid)
		hangUp()
		p.expect(t, 400, badRequest)
		ask(t, srv, "GET", sid, "", 400, unknownSID)
	})
}

func TestBadPosts(t *testing.T) {
	for _, test := range []struct {
		name   string
		body   string
		kind   string
		status int
		reason engineio.Reason
	}{
		{"malformed", "abc", "", 400, engineio.ParseError},
		{"binary type", "4x", "application/octet-stream", 400, engineio.TransportError},
		{"client's ping", "2", "", 400, engineio.TransportError},
		{"too large", strings.Repeat("4", 200), "", 413, engineio.PayloadTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			world(t, engineio.Config{MaxPayload: 199}, func(t *testing.T, srv *engineio.Server, u *upper) {
				sid := handshake(t, srv, u)
				r := enginetest.Request("POST", "polling", sid)
				r.Body, r.ContentType = []byte(test.body), test.kind
				if answer := srv.ServePoll(t.Context(), r); answer.Status != test.status {
					t.Errorf("%d %s", answer.Status, answer.Body)
				}
				ask(t, srv, "GET", sid, "", 400, unknownSID)
				if got := u.heard(); got != "[] ["+test.reason.Name+"]" {
					t.Error(got)
				}
			})
		})
	}
}

func TestClientClosesOverPolling(t *testing.T) {
	for _, test := range []struct {
		name    string
		polling bool
	}{{"during a poll", true}, {"before the last poll", false}} {
		t.Run(test.name, func(t *testing.T) {
			world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
				sid := handshake(t, srv, u)
				var p *poll
				if test.polling {
					p = get(t.Context(), srv, sid)
				}
				ask(t, srv, "POST", sid, "4bye\x1e1\x1e4never", 200, "ok")
				if !test.polling {
					p = get(t.Context(), srv, sid)
				}
				p.expect(t, 200, "6")
				ask(t, srv, "GET", sid, "", 400, unknownSID)
				if got := u.heard(); got != "[bye] [transport close]" {
					t.Fatal(got)
				}
			})
		})
	}
}

func TestServerClosesOverPolling(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		p := get(t.Context(), srv, sid)
		u.session().Close(engineio.Forced)
		p.expect(t, 200, "1")

		sid = handshake(t, srv, u)
		u.session().Push(text("rest"))
		u.session().Offer("slot", text("lossy"))
		u.session().Close(engineio.Forced)
		if u.session().Push(text("late")) || u.session().Offer("slot", text("late")) {
			t.Error("a closed session takes messages")
		}
		ask(t, srv, "POST", sid, "4x", 400, unknownSID)
		ask(t, srv, "GET", sid, "", 200, "4rest\x1e4lossy\x1e1")
		ask(t, srv, "GET", sid, "", 400, unknownSID)
	})
}

func TestTheLastPollIsNotWaitedForLong(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		u.session().Close(engineio.Forced)
		synctest.Wait()
		if srv.Len() != 1 {
			t.Error("the session is gone before its last poll")
		}
		time.Sleep(2 * time.Second)
		ask(t, srv, "GET", sid, "", 400, unknownSID)
		if srv.Len() != 0 {
			t.Error("the session is still there")
		}
	})
}

func TestOverflowClosesSlowClient(t *testing.T) {
	world(t, engineio.Config{MaxQueueBytes: 2048}, func(t *testing.T, srv *engineio.Server, u *upper) {
		handshake(t, srv, u)
		s, m := u.session(), text(strings.Repeat("x", 500))
		n := 0
		for s.Push(m) {
			n++
		}
		if n != 4 {
			t.Errorf("%d messages of 503 bytes in 2048", n)
		}
		if got := u.heard(); got != "[] [slow client]" {
			t.Fatal(got)
		}
	})
}

// A handler that closes its own session must not wait for itself.
func TestCloseFromInside(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		u.receive = func(s *engineio.Session, _ []byte, _ bool) { s.Close(engineio.Forced) }
		sid := handshake(t, srv, u)
		ask(t, srv, "POST", sid, "4a\x1e4b", 200, "ok")
		if got := u.heard(); got != "[a] [forced close]" {
			t.Fatal(got)
		}
	})
}

func TestShutdownClosesAll(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		p := get(t.Context(), srv, handshake(t, srv, u))
		handshake(t, srv, u) // will never poll again
		c, _ := dialed(t, srv, u)
		go c.ExpectClose(engineio.ShuttingDown)
		n, err := srv.Shutdown(t.Context(), engineio.ShuttingDown)
		if n != 3 || err != nil || srv.Len() != 0 {
			t.Errorf("%d closed, %v, %d left", n, err, srv.Len())
		}
		p.expect(t, 200, "1")
		if status, _ := enginetest.Poll(srv, "GET", "", ""); status != 503 {
			t.Errorf("handshake answered %d", status)
		}
	})
}
