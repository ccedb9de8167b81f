package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

func TestEmitWithAck(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		s := join(t, c, a)
		done := make(chan string)
		go func() {
			args, err := s.EmitWithAck(t.Context(), "ask", []byte{1})
			done <- fmt.Sprint(args.Values(), err)
		}()
		c.Expect(`451-0["ask",{"_placeholder":true,"num":0}]`, "b:\x01")
		c.Send(`461-0["yes",{"_placeholder":true,"num":0}]`)
		c.SendBinary([]byte{2})
		if got := <-done; got != "[yes [2]] <nil>" {
			t.Error(got)
		}
		c.Send(`430["again"]`) // nobody waits any more
		c.Send(`439["never asked"]`)
		if got := a.heard(); got != "connect {}" {
			t.Error(got)
		}
	})
}

func TestCallsEnd(t *testing.T) {
	for _, test := range []struct {
		name string
		end  func(s *socketio.Socket, c *enginetest.Client)
		want error
		in   time.Duration
	}{
		{"by their time-out", func(*socketio.Socket, *enginetest.Client) {}, socketio.ErrTimeout, 5 * time.Second},
		{"with the socket", func(s *socketio.Socket, _ *enginetest.Client) { s.Disconnect(socketio.ServerDisconnect) }, socketio.ErrDisconnected, 0},
		{"with the connection", func(_ *socketio.Socket, c *enginetest.Client) { c.Hangup() }, socketio.ErrDisconnected, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
				s := join(t, c, a)
				start := time.Now()
				done := make(chan error, 2)
				s.Call(socketio.Call{Event: "ask", Timeout: 5 * time.Second}, func(_ socketio.Args, err error) { done <- err })
				c.Expect(`420["ask"]`)
				test.end(s, c)
				if err := <-done; !errors.Is(err, test.want) || time.Since(start) != test.in {
					t.Errorf("%v after %v", err, time.Since(start))
				}
				time.Sleep(time.Minute)
				if len(done) != 0 {
					t.Error("done was called twice")
				}
			})
		})
	}
}

func TestEmitWithAckEndsWithItsContext(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		s := join(t, c, a)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.EmitWithAck(ctx, "ask"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := s.EmitWithAck(ctx, "connect"); err == nil {
			t.Error("a reserved name was sent")
		}
	})
}

func TestUrgentCallOvertakes(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		s := join(t, c, a)
		for range 3 { // the first blocks the writer until the client reads
			if err := s.Emit("news"); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		s.Call(socketio.Call{Event: "alert", Lane: socketio.Urgent}, func(socketio.Args, error) {})
		c.Expect(`42["news"]`, `420["alert"]`, `42["news"]`, `42["news"]`)
	})
}

func TestPendingAcksAreBounded(t *testing.T) {
	world(t, socketio.Config{MaxPendingAcks: 3}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		s := join(t, c, a)
		ends := make(chan error, 5)
		for range 4 {
			s.Call(socketio.Call{Event: "ask"}, func(_ socketio.Args, err error) { ends <- err })
		}
		c.ExpectClose(socketio.TooManyAcks)
		synctest.Wait()
		s.Call(socketio.Call{Event: "ask"}, func(_ socketio.Args, err error) { ends <- err })
		close(ends)
		count := map[error]int{}
		for err := range ends {
			count[err]++
		}
		if count[socketio.ErrTooManyAcks] != 1 || count[socketio.ErrDisconnected] != 4 {
			t.Error(count)
		}
	})
}

// A whole conversation over polling, as the client's first second is.
func TestOverPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := socketio.NewServer(socketio.Config{}, engineio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		a := new(app)
		srv.Handle("/", a)
		_, open := enginetest.Poll(srv.Engine(), "GET", "", "")
		sid := open[len(`0{"sid":"`):][:24]
		enginetest.Poll(srv.Engine(), "POST", sid, "40\x1e421[\"x\"]")
		want := fmt.Sprintf(`40{"sid":"%s"}`, a.socket().ID())
		if _, got := enginetest.Poll(srv.Engine(), "GET", sid, ""); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		enginetest.Poll(srv.Engine(), "POST", sid, "1")
		if got := a.heard(); got != "connect {}|x |disconnect transport close" {
			t.Error(got)
		}
		if _, err := srv.Engine().Shutdown(t.Context(), engineio.ShuttingDown); err != nil {
			t.Error(err)
		}
	})
}
