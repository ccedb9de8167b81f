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

// slowly makes an app take a second for the events of a name.
func (a *app) slowly(name string) {
	a.event = func(_ *socketio.Socket, e socketio.Event) {
		if e.Name == name {
			time.Sleep(time.Second)
		}
		a.say("end of %s", e.Name)
	}
}

// TestWhatIsAheadWaitsForNothingElse, but for its like; and the others keep their order.
func TestWhatIsAheadWaitsForNothingElse(t *testing.T) {
	world(t, socketio.Config{Ahead: []string{"help"}}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.slowly("slow")
		join(t, c, a)
		for _, text := range []string{`42["slow"]`, `42["next"]`, `42["help",1]`, `42["help",2]`} {
			c.Send(text)
			synctest.Wait() // the lanes keep no order among each other
		}
		want := "connect {}|slow |help [49]|end of help|help [50]|end of help"
		if got := a.heard(); got != want {
			t.Errorf("at once: %s", got)
		}
		time.Sleep(time.Second)
		if got := a.heard(); got != want+"|end of slow|next |end of next" {
			t.Errorf("in the end: %s", got)
		}
	})
}

// TestWhatIsAheadWaitsForItsConnect, or there would be nobody to hand it to.
func TestWhatIsAheadWaitsForItsConnect(t *testing.T) {
	world(t, socketio.Config{Ahead: []string{"help"}}, func(t *testing.T, c *enginetest.Client, a, b *app) {
		a.slowly("slow")
		join(t, c, a)
		c.Send(`42["slow"]`)
		c.Send(`40/mess,`)
		c.Send(`42/mess,["help"]`)
		if got := b.heard(); got != "" {
			t.Errorf("at once: %s", got)
		}
		time.Sleep(time.Second)
		if got := b.heard(); got != "connect {}|help " {
			t.Errorf("in the end: %s", got)
		}
	})
}

// TestAnAnswerWaitsForNoEvent: the call that it belongs to would be made again meanwhile.
func TestAnAnswerWaitsForNoEvent(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.slowly("slow")
		s := join(t, c, a)
		c.Send(`42["slow"]`)
		s.Call(socketio.Call{Event: "ask"}, func(socketio.Args, error) { a.say("answered") })
		c.Expect(`420["ask"]`)
		c.Send(`430[]`)
		if got := a.heard(); got != "connect {}|slow |answered" {
			t.Errorf("heard %s", got)
		}
	})
}

// TestAFastClientIsSlowedDown: what waits is bounded, in number and in bytes, and nothing is lost.
func TestAFastClientIsSlowedDown(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		most int // that are taken while the first is handled, itself included
		all  int
	}{
		"many": {`42["next"]`, 257, 300},
		"much": {`42["next","` + strings.Repeat("x", 100<<10) + `"]`, 3, 5},
	} {
		t.Run(name, func(t *testing.T) {
			world(t, socketio.Config{}, func(t *testing.T, client *enginetest.Client, a, _ *app) {
				a.slowly("slow")
				join(t, client, a)
				sent := make(chan int, c.all+1)
				go func() {
					client.Send(`42["slow"]`)
					sent <- 0
					for i := range c.all {
						client.Send(c.text)
						sent <- i
					}
				}()
				synctest.Wait()
				if n := len(sent); n < c.most || n > c.most+2 { // one is in the reader's hands, one on its way there
					t.Errorf("%d were taken", n)
				}
				time.Sleep(time.Second)
				if n := strings.Count(a.heard(), "end of next"); n != c.all {
					t.Errorf("%d of %d were handled", n, c.all)
				}
			})
		})
	}
}

// TestWhatCameBeforeTheEndIsHandled, if it is begun soon; the socket's end is told after it.
func TestWhatCameBeforeTheEndIsHandled(t *testing.T) {
	world(t, socketio.Config{Ahead: []string{"help"}}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.slowly("slow")
		join(t, c, a)
		for i := range 9 {
			c.Send(fmt.Sprintf(`42["slow",%d]`, i))
		}
		c.Hangup()
		time.Sleep(20 * time.Second)
		got := a.heard()
		if n := strings.Count(got, "end of slow"); n < 5 || n > 6 || !strings.HasSuffix(got, "end of slow|disconnect transport close") {
			t.Errorf("%d were handled: %s", n, got)
		}
	})
}

// TestDisconnectComesAfterTheLastEvent, though the client leaves while it is handled.
func TestDisconnectComesAfterTheLastEvent(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.slowly("slow")
		s := join(t, c, a)
		c.Send(`42["slow"]`)
		synctest.Wait()
		s.Disconnect(socketio.ServerDisconnect)
		c.Expect("41")
		time.Sleep(time.Second)
		if got := a.heard(); got != "connect {}|slow |end of slow|disconnect server namespace disconnect" {
			t.Errorf("heard %s", got)
		}
	})
}

// TestAPanicEndsItsConnectionAlone, with the word that it was no fault of the client's.
func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.event = func(*socketio.Socket, socketio.Event) { panic("upper layer") }
		join(t, c, a)
		c.Send(`42["x"]`)
		c.ExpectClose(engineio.InternalError)
		if got := a.heard(); !strings.HasSuffix(got, "|disconnect internal error") {
			t.Errorf("heard %s", got)
		}
	})
}
