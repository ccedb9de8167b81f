package engineio_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestUpgrade(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		waiting := get(t.Context(), srv, sid)
		c := enginetest.Dial(t, srv, sid, u.via)
		c.Send("2probe")
		c.Expect("3probe")
		waiting.expect(t, 200, "6") // at once: the client waits for it
		c.Send("5")
		c.Send("4hello")
		synctest.Wait()
		u.session().Push(text("back"))
		c.Expect("4back")
		if got := u.heard(); got != "[hello] []" || u.session().Transport() != engineio.WebSocket {
			t.Fatal(got)
		}
		ask(t, srv, "GET", sid, "", 400, badRequest)
		ask(t, srv, "POST", sid, "4x", 400, badRequest)
	})
}

// A poll that comes while the upgrade is under way is ended soon.
func TestPollDuringUpgrade(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		c := enginetest.Dial(t, srv, sid, u.via)
		c.Send("2probe")
		c.Expect("3probe")
		for range 3 {
			start := time.Now()
			get(t.Context(), srv, sid).expect(t, 200, "6")
			if held := time.Since(start); held > 100*time.Millisecond {
				t.Errorf("held for %v", held)
			}
		}
		u.session().Push(text("over polling"))
		ask(t, srv, "GET", sid, "", 200, "4over polling")
	})
}

// The upgrade packet may overtake a poll that was sent before it, on another connection.
func TestPollOvertakenByTheUpgrade(t *testing.T) {
	for _, test := range []struct {
		name   string
		before bool // the claim
		status int
		body   string
	}{{"sent before the claim", true, 200, "6"}, {"sent after it", false, 400, badRequest}} {
		t.Run(test.name, func(t *testing.T) {
			world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
				sid := handshake(t, srv, u)
				var p *poll
				if test.before {
					p = get(t.Context(), srv, sid)
				}
				c := enginetest.Dial(t, srv, sid, u.via)
				if !test.before {
					p = get(t.Context(), srv, sid)
				}
				c.Send("5")
				p.expect(t, test.status, test.body)
				u.session().Push(text("x"))
				c.Expect("4x")
			})
		})
	}
}

// Packets in flight both ways arrive once and in order, whatever transport carries them.
func TestUpgradeWithPacketsInFlight(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		s := u.session()
		want, sent := "", 0
		push := func() {
			s.Push(text(fmt.Sprint(sent)))
			want += fmt.Sprintf("4%d\x1e", sent)
			sent++
		}
		got := ""
		take := func(body string) {
			if body != "6" {
				got += body + "\x1e"
			}
		}
		push()
		p := get(t.Context(), srv, sid)
		<-p.done
		take(p.body)
		p = get(t.Context(), srv, sid)
		c := enginetest.Dial(t, srv, sid, u.via)
		push() // over the waiting poll
		<-p.done
		take(p.body)
		push() // waits for whichever comes first
		c.Send("2probe")
		c.Expect("3probe")
		push()
		ask(t, srv, "POST", sid, "4a\x1e4b", 200, "ok")
		c.Send("5")
		c.Send("4c")
		synctest.Wait()
		push()
		for range 3 {
			take(c.NextText())
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if heard := u.heard(); heard != "[a b c] []" {
			t.Error(heard)
		}
	})
}

func TestOnlyOneUpgradeWins(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		c := enginetest.Dial(t, srv, sid, u.via)
		second := enginetest.Dial(t, srv, sid, u.via) // while the first is under way: answered and closed
		second.ExpectClose(engineio.Reason{Code: 4005, Name: "session is not open for upgrade"})
		c.Send("2probe")
		c.Expect("3probe")
		c.Send("5")
		synctest.Wait()
		third := enginetest.Dial(t, srv, sid, u.via) // and after it
		third.ExpectClose(engineio.Reason{Code: 4005, Name: "session is not open for upgrade"})
		c.Send("4hello")
		if got := u.heard(); got != "[hello] []" {
			t.Fatal(got)
		}
	})
}

func TestFailedUpgradeLeavesPollingAlone(t *testing.T) {
	badProbe := engineio.Reason{Code: 4006, Name: "invalid upgrade"}
	for _, test := range []struct {
		name string
		fail func(c *enginetest.Client)
	}{
		{"wrong probe", func(c *enginetest.Client) { c.Send("2hello"); c.ExpectClose(badProbe) }},
		{"message", func(c *enginetest.Client) { c.Send("4x"); c.ExpectClose(badProbe) }},
		{"malformed frame", func(c *enginetest.Client) { c.Write([]byte{0xff, 0}); c.ExpectClose(badProbe) }},
		{"hangup", func(c *enginetest.Client) { c.Hangup() }},
		{"too late", func(c *enginetest.Client) {
			c.Send("2probe")
			c.Expect("3probe")
			c.ExpectClose(engineio.Reason{Code: 4004, Name: "upgrade timeout"})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
				sid := handshake(t, srv, u)
				test.fail(enginetest.Dial(t, srv, sid, u.via))
				synctest.Wait()
				u.session().Push(text("still polling"))
				ask(t, srv, "GET", sid, "", 200, "4still polling")
				c := enginetest.Dial(t, srv, sid, u.via) // and may try again
				c.Send("2probe")
				c.Expect("3probe")
			})
		})
	}
}

func TestAbandonedClaimLapses(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		claim, _ := srv.ClaimWebSocket(enginetest.Request("GET", "websocket", sid))
		claim.Abandon()
		lost, _ := srv.ClaimWebSocket(enginetest.Request("GET", "websocket", sid)) // nobody will come
		time.Sleep(10 * time.Second)
		c := enginetest.Dial(t, srv, sid, u.via)
		c.Send("2probe")
		c.Expect("3probe")
		late := enginetest.Serve(t, srv, lost, u.via)
		late.ExpectClose(engineio.Reason{Code: 4004, Name: "upgrade timeout"})
		c.Send("5")
		c.Send("4x")
		if got := u.heard(); got != "[x] []" {
			t.Error(got)
		}
	})
}

func TestCloseDuringUpgrade(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		c := enginetest.Dial(t, srv, sid, u.via)
		c.Send("2probe")
		c.Expect("3probe")
		u.session().Close(engineio.Forced)
		c.ExpectClose(engineio.Forced)
		ask(t, srv, "GET", sid, "", 200, "1")
	})
}

// The heartbeat goes on over the upgrade: a pong owed on polling may come by WebSocket, and is still owed if it does not.
func TestHeartbeatOverAnUpgrade(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		get(t.Context(), srv, sid).expect(t, 200, "2")
		c := enginetest.Dial(t, srv, sid, u.via)
		c.Send("2probe")
		c.Expect("3probe")
		c.Send("5")
		c.Send("3")
		c.Expect("2")
		c.ExpectClose(engineio.PingTimeout)
	})
}
