package engineio_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestWebSocketSession(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		u.receive = func(s *engineio.Session, data []byte, binary bool) {
			if binary {
				s.Push(engineio.BinaryMessage(data))
			} else {
				s.Push(engineio.NewMessage(data))
			}
		}
		c, s := dialed(t, srv, u)
		if s.Transport() != engineio.WebSocket {
			t.Error(s.Transport())
		}
		c.Send("4hello")
		c.Expect("4hello")
		c.SendBinary([]byte("\x01\x02"))
		c.Expect("b:\x01\x02")
		c.Send("bAQI=") // a client without binary frames
		c.Expect("b:\x01\x02")
		c.Write(enginetest.AppendPart(enginetest.AppendPart(nil, enginetest.Text, false, []byte("4he")), 0, true, []byte("llo")))
		c.Expect("4hello")
	})
}

func TestHeartbeatOverWebSocket(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, _ := dialed(t, srv, u)
		for range 3 {
			c.Expect("2")
			time.Sleep(19 * time.Second)
			c.Send("3")
		}
		c.Expect("2")
		c.ExpectClose(engineio.PingTimeout)
	})
}

func TestPingFrameIsAnswered(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, _ := dialed(t, srv, u)
		c.Write(enginetest.AppendFrame(nil, enginetest.Ping, []byte("abc")))
		if f, ok := c.Next(); !ok || f != (enginetest.Frame{Op: enginetest.Pong, Payload: "abc"}) {
			t.Fatal(f, ok)
		}
		c.Write(enginetest.AppendFrame(nil, enginetest.Pong, nil))
		c.Send("4still here")
		if got := u.heard(); got != "[still here] []" {
			t.Fatal(got)
		}
	})
}

func TestBadFramesClose(t *testing.T) {
	text := func(s string) []byte { return enginetest.AppendFrame(nil, enginetest.Text, []byte(s)) }
	for _, test := range []struct {
		name string
		in   []byte
		want engineio.Reason
	}{
		{"unknown packet", text("abc"), engineio.ParseError},
		{"empty packet", text(""), engineio.ParseError},
		{"client's ping", text("2"), engineio.TransportError},
		{"close packet", text("1"), engineio.TransportClosed},
		{"invalid UTF-8", text("4\xff"), engineio.InvalidText},
		{"too large", text(strings.Repeat("4", 201)), engineio.PayloadTooLarge},
		{"unmasked", []byte{0x81, 1, '4'}, engineio.TransportError},
	} {
		t.Run(test.name, func(t *testing.T) {
			world(t, engineio.Config{MaxPayload: 200}, func(t *testing.T, srv *engineio.Server, u *upper) {
				c, _ := dialed(t, srv, u)
				c.Write(test.in)
				c.ExpectClose(test.want)
				if got := u.heard(); got != "[] ["+test.want.Name+"]" {
					t.Error(got)
				}
			})
		})
	}
}

// TestClientsCloseFrameIsEchoed is section 7.4 of RFC 6455: which codes a client may send, and what its text may be.
func TestClientsCloseFrameIsEchoed(t *testing.T) {
	closing := func(code int, text string) string { return string([]byte{byte(code >> 8), byte(code)}) + text }
	type exchange struct{ sent, echo string }
	tests := []exchange{
		{"", ""},
		{"\x00", closing(1002, "")}, // half a code
		{closing(4001, "why"), closing(4001, "")},
		{closing(1000, strings.Repeat("x", 123)), closing(1000, "")},
		{closing(1000, "\xff"), closing(1007, "")},
		{closing(1000, "a letter cut: \xe2\x82"), closing(1007, "")},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		tests = append(tests, exchange{closing(code, ""), closing(code, "")})
	}
	for _, code := range []int{0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		tests = append(tests, exchange{closing(code, ""), closing(1002, "")})
	}
	for _, test := range tests {
		world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
			c, _ := dialed(t, srv, u)
			c.Write(enginetest.AppendFrame(enginetest.AppendFrame(nil, enginetest.Close, []byte(test.sent)), enginetest.Text, []byte("4too late")))
			if f, ok := c.Next(); !ok || f != (enginetest.Frame{Op: enginetest.Close, Payload: test.echo}) {
				t.Fatalf("%q answered by %q", test.sent, f.Payload)
			}
			if _, ok := c.Next(); ok {
				t.Fatal("the connection goes on")
			}
			if got := u.heard(); got != "[] [transport close]" {
				t.Error(got)
			}
		})
	}
}

// TestTheServersCloseIsAnswered: what the client still sends is dropped, and the connection ends with its close frame, not with the deadline.
func TestTheServersCloseIsAnswered(t *testing.T) {
	world(t, engineio.Config{CloseTimeout: time.Hour}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		s.Close(engineio.Forced)
		if f, ok := c.Next(); !ok || f != (enginetest.Frame{Op: enginetest.Close, Payload: "\x0f\xa2forced close"}) {
			t.Fatalf("%q", f)
		}
		start := time.Now()
		c.Send("4under way")
		c.Write(enginetest.AppendFrame(nil, enginetest.Close, []byte("\x0f\xa2")))
		if f, ok := c.Next(); ok {
			t.Fatalf("%q behind the close frame", f)
		}
		<-c.Served
		if took := time.Since(start); took != 0 || srv.Len() != 0 {
			t.Errorf("ended after %v, %d sessions are left", took, srv.Len())
		}
		if got := u.heard(); got != "[] [forced close]" {
			t.Error(got)
		}
	})
}

// TestPingsAreAnsweredInOrder, between the fragments of a message too, and with what they carry.
func TestPingsAreAnsweredInOrder(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, _ := dialed(t, srv, u)
		pings := []string{"", "a", "\x00\xff", strings.Repeat("x", 125)}
		c.Write(enginetest.AppendPart(nil, enginetest.Text, false, []byte("4he")))
		for _, p := range pings {
			c.Write(enginetest.AppendFrame(nil, enginetest.Ping, []byte(p)))
		}
		c.Write(enginetest.AppendPart(nil, 0, true, []byte("llo")))
		for _, p := range pings {
			if f, ok := c.Next(); !ok || f != (enginetest.Frame{Op: enginetest.Pong, Payload: p}) {
				t.Fatalf("%q answered by %q", p, f)
			}
		}
		if got := u.heard(); got != "[hello] []" {
			t.Error(got)
		}
	})
}

func TestHangupCloses(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, _ := dialed(t, srv, u)
		c.Hangup()
		if got := u.heard(); got != "[] [transport close]" || srv.Len() != 0 {
			t.Error(got, srv.Len())
		}
	})
}

func TestOrderlyCloseSendsTheRest(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		for i := range 100 {
			s.Push(text(fmt.Sprint(i)))
		}
		s.Close(engineio.Forced)
		for i := range 100 {
			c.Expect(fmt.Sprint(4, i)[:1] + fmt.Sprint(i))
		}
		c.ExpectClose(engineio.Forced)
	})
}

// A client that reads nothing keeps no goroutine and no session past CloseTimeout.
func TestCloseDoesNotWaitForTheStalled(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		s.Push(text("x"))
		s.Close(engineio.Forced)
		time.Sleep(2 * time.Second)
		<-c.Served
		if srv.Len() != 0 {
			t.Error("still there")
		}
	})
}

func TestWriteDeadlineFindsTheStalled(t *testing.T) {
	world(t, engineio.Config{WriteTimeout: 3 * time.Second}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		s.Push(text("x"))
		time.Sleep(3 * time.Second)
		<-c.Served
		if got := u.heard(); got != "[] [slow client]" {
			t.Error(got)
		}
	})
}

func TestStalledClientGetsTheNewestOfEachSlot(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		s.Push(text("first")) // blocks the writer until the client reads
		synctest.Wait()
		for i := range 1000 {
			s.Offer("a", text(fmt.Sprint("a", i)))
			s.Offer("b", text(fmt.Sprint("b", i)))
		}
		s.Push(text("reliable"))
		s.PushUrgent(text("urgent"))
		if s.Waiting() == 0 {
			t.Error("nothing waits")
		}
		c.Expect("4first", "4urgent", "4reliable", "4a999", "4b999")
	})
}

func TestSlotsAreBounded(t *testing.T) {
	dropped := 0
	cfg := engineio.Config{MaxSlots: 2, Hooks: engineio.Hooks{Dropped: func() { dropped++ }}}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		dropped = 0
		handshake(t, srv, u)
		for _, test := range []struct {
			slot string
			want bool
		}{{"a", true}, {"b", true}, {"c", false}, {"a", true}} {
			if got := u.session().Offer(test.slot, text("x")); got != test.want {
				t.Errorf("offer %s: %v", test.slot, got)
			}
		}
		if dropped != 2 {
			t.Errorf("%d dropped", dropped)
		}
	})
}

func TestHooksCount(t *testing.T) {
	var mu sync.Mutex
	var log []string
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, fmt.Sprintf(format, args...))
	}
	cfg := engineio.Config{Hooks: engineio.Hooks{
		Opened:   func(tr engineio.Transport) { say("opened %s", tr) },
		Upgraded: func() { say("upgraded") },
		Closed:   func(tr engineio.Transport, r engineio.Reason) { say("closed %s %s", tr, r) },
		Received: func(n int) { say("received %d", n) },
		Queued:   func(n int) { say("queued %d", n) },
		Refused:  func(status int) { say("refused %d", status) },
	}}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		log = nil
		c, s := upgraded(t, srv, u)
		s.Push(text("abc"))
		c.Expect("4abc")
		c.Send("4x")
		synctest.Wait()
		ask(t, srv, "GET", "nobody", "", 400, unknownSID)
		s.Close(engineio.Forced)
		c.ExpectClose(engineio.Forced)
		synctest.Wait()
		want := "[opened polling upgraded queued 6 received 1 refused 400 closed websocket forced close]"
		if got := fmt.Sprint(log); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// A panic above ends its session, not the others.
func TestPanicEndsTheSession(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		u.receive = func(*engineio.Session, []byte, bool) { panic("upper layer") }
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			enginetest.Poll(srv, "POST", sid, "4x")
		}()
		if got := u.heard(); got != "[x] [internal error]" {
			t.Error(got)
		}
	})
}
