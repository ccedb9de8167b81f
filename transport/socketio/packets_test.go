package socketio_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

// TestEveryPacketCounts: whatever a client sends too much of, its connection ends.
func TestEveryPacketCounts(t *testing.T) {
	for name, packet := range map[string]string{
		"events":                   `42["e"]`,
		"answers that nobody asks": `43999[]`,
		"packets for a namespace that the server has left": `42/mess,["e"]`,
	} {
		t.Run(name, func(t *testing.T) {
			world(t, socketio.Config{EventsPerSecond: 10, EventBurst: 20}, func(t *testing.T, c *enginetest.Client, a, b *app) {
				join(t, c, a)
				c.Send("40/mess,")
				c.NextText()
				b.socket().Disconnect(socketio.ServerDisconnect)
				c.NextText()
				for range 18 { // and two CONNECTs
					c.Send(packet)
				}
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				c.Send(packet)
				c.Send(packet)
				c.ExpectClose(socketio.TooManyEvents)
			})
		})
	}
}

// TestAPacketWithoutItsAttachmentsIsNotHeldForEver, and one whose attachments come in time leaves no deadline behind.
func TestAPacketWithoutItsAttachmentsIsNotHeldForEver(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		join(t, c, a)
		const packet = `452-["e",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
		c.Send(packet)
		time.Sleep(9 * time.Second)
		c.SendBinary([]byte("1"))
		c.SendBinary([]byte("2"))
		time.Sleep(5 * time.Second)
		c.Send(packet)
		time.Sleep(9 * time.Second)
		c.SendBinary([]byte("1"))
		start := time.Now()
		c.ExpectClose(socketio.UnfinishedPacket)
		if took := time.Since(start); took != time.Second {
			t.Errorf("closed %v after its first attachment", took)
		}
	})
}

// TestAnswersThatAreAwaitedAreFree: how many there are is the server's doing.
func TestAnswersThatAreAwaitedAreFree(t *testing.T) {
	world(t, socketio.Config{EventsPerSecond: 1, EventBurst: 3}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		s := join(t, c, a)
		answers := 0
		for i := range 20 {
			s.Call(socketio.Call{Event: "ask"}, func(_ socketio.Args, err error) {
				if err == nil {
					answers++
				}
			})
			c.Expect(fmt.Sprintf(`42%d["ask"]`, i))
			c.Send(fmt.Sprintf(`43%d[]`, i))
		}
		synctest.Wait()
		if answers != 20 {
			t.Errorf("%d answers", answers)
		}
	})
}

// TestEventsApartComeThroughWhateverElseWasSent, up to a bound of their own.
func TestEventsApartComeThroughWhateverElseWasSent(t *testing.T) {
	world(t, socketio.Config{EventsPerSecond: 1, EventBurst: 5, Apart: []string{"sos"}}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		join(t, c, a)
		for range 4 { // and one CONNECT
			c.Send(`42["e"]`)
		}
		for range 5 {
			c.Send(`42["sos"]`)
		}
		if got, want := a.heard(), "connect {}"+strings.Repeat("|e ", 4)+strings.Repeat("|sos ", 5); got != want {
			t.Fatalf("heard %s", got)
		}
		c.Send(`42["sos"]`)
		c.ExpectClose(socketio.TooManyEvents)
	})
}

// TestAThousandEventsInOnePoll: a body is no way around the bucket.
func TestAThousandEventsInOnePoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := socketio.NewServer(socketio.Config{EventsPerSecond: 10, EventBurst: 20}, engineio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		a := new(app)
		srv.Handle("/", a)
		_, open := enginetest.Poll(srv.Engine(), "GET", "", "")
		sid := open[len(`0{"sid":"`):][:24]
		if status, _ := enginetest.Poll(srv.Engine(), "POST", sid, "40"+strings.Repeat("\x1e42[\"x\"]", 1000)); status != 200 {
			t.Errorf("status %d", status)
		}
		if got, want := a.heard(), "connect {}"+strings.Repeat("|x ", 19)+"|disconnect too many events"; got != want {
			t.Errorf("heard %s", got)
		}
		if _, err := srv.Engine().Shutdown(t.Context(), engineio.ShuttingDown); err != nil {
			t.Error(err)
		}
	})
}

// TestBombsOfAttachments: what is announced costs nothing, what comes counts, and what is left unfinished is dropped with its connection.
func TestBombsOfAttachments(t *testing.T) {
	const kilo = 1000
	for name, test := range map[string]struct {
		packets []string
		want    socketio.Reason
	}{
		"more than may be":         {[]string{`4511-["e"]`}, socketio.TooManyAttachments},
		"as many as there are":     {[]string{`459007199254740991-["e"]`}, socketio.TooManyAttachments},
		"more than a number holds": {[]string{`45` + strings.Repeat("9", 400) + `-["e"]`}, socketio.InvalidPacket},
		"without any placeholder":  {[]string{`452-["e"]`, "b:" + strings.Repeat("x", kilo), "b:" + strings.Repeat("x", kilo)}, socketio.EventTooLarge},
		"empty, and more of them":  {[]string{`452-["e"]`, "b:", "b:", "b:"}, socketio.InvalidPacket},
		"one packet in another":    {[]string{`452-["e"]`, "b:", `452-["e"]`}, socketio.InvalidPacket},
		"never whole":              {[]string{`4510-["e"]`, "b:" + strings.Repeat("x", kilo)}, socketio.UnfinishedPacket},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, socketio.Config{MaxEventBytes: 3 * kilo / 2}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
				join(t, c, a)
				for _, p := range test.packets {
					if data, binary := strings.CutPrefix(p, "b:"); binary {
						c.SendBinary([]byte(data))
					} else {
						c.Send(p)
					}
				}
				c.ExpectClose(test.want)
			})
		})
	}
}
