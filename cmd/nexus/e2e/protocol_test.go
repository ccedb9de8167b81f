package e2e_test

import (
	"context"
	"encoding/json"
	"net"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/socketio"
)

// mirror is a namespace of the bare protocol layers, for what the official client can do and NEXUS has no use for. It answers "echo" with its
// arguments, tells what it is noted, and keeps the callback of "silence".
type mirror struct {
	sockets chan *socketio.Socket
	notes   chan int
	silent  chan func(...any) error
	faults  chan error
}

func (m *mirror) Connect(s *socketio.Socket, _ json.RawMessage) error {
	m.sockets <- s
	return nil
}

func (m *mirror) Event(s *socketio.Socket, e socketio.Event) {
	switch e.Name {
	case "echo":
		m.fault(e.Ack(e.Args.Values()...))
	case "note":
		var n int
		m.fault(e.Args.Decode(0, &n))
		m.notes <- n
		m.fault(s.Emit("noted", n))
	case "silence":
		m.silent <- e.Ack
	}
}

func (m *mirror) Disconnect(*socketio.Socket, socketio.Reason) {}

func (m *mirror) fault(err error) {
	if err != nil {
		m.faults <- err
	}
}

// mirrored serves a mirror at "/" and "/custom", behind a handler if there is one.
func mirrored(t testing.TB, cfg engineio.Config, before func(*engineio.Server, *fiber.Ctx) error) (*server, *mirror, *engineio.Server) {
	t.Helper()
	srv, err := socketio.NewServer(socketio.Config{}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	const most = 1000
	m := &mirror{make(chan *socketio.Socket, most), make(chan int, most), make(chan func(...any) error, most), make(chan error, most)}
	srv.Handle("/", m)
	srv.Handle("/custom", m)
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	if before != nil {
		app.Use(func(c *fiber.Ctx) error { return before(srv.Engine(), c) })
	}
	onfiber.Mount(app, "/socket.io/", srv.Engine())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if _, err := srv.Engine().Shutdown(ctx, engineio.ShuttingDown); err != nil {
			t.Errorf("%d sessions are left: %v", srv.Engine().Len(), err)
		}
		if err := app.ShutdownWithTimeout(patience); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		for len(m.faults) > 0 {
			t.Error(<-m.faults)
		}
	})
	return &server{url: "http://" + listener.Addr().String()}, m, srv.Engine()
}

// next waits for what a mirror has.
func next[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatalf("no %s within %v", what, patience)
	}
	return v
}

// transports are the ways of the official client.
var transports = map[string]options{
	"websocket":            {"transports": []string{"websocket"}},
	"websocket and base64": {"transports": []string{"websocket"}, "forceBase64": true},
	"polling":              {"transports": []string{"polling"}},
	"polling and base64":   {"transports": []string{"polling"}, "forceBase64": true},
	"an upgrade":           nil,
}

// TestBinaryGoesBothWays, in events and in the answers to them.
func TestBinaryGoesBothWays(t *testing.T) {
	t.Parallel()
	for name, o := range transports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, m, _ := mirrored(t, engineio.Config{}, nil)
			c := connect(t, s, "/", o)
			sent := map[string]any{
				"photo": map[string]any{"$binary": "AAEC/w=="}, "empty": map[string]any{"$binary": ""}, "text": "ä\U0001f600\u2028",
				"list": []any{map[string]any{"$binary": "/w=="}, 1.5, nil, true},
			}
			var got map[string]any
			c.call(&got, "echo", sent)
			if !reflect.DeepEqual(got, sent) {
				t.Errorf("echoed as %v", got)
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			value := map[string]any{"photo": []byte{0, 1, 2, 255}, "list": []any{[]byte{255}, "x"}}
			answer, err := next(t, "socket", m.sockets).EmitWithAck(ctx, "mirror", value, "text", []byte{})
			if err != nil {
				t.Fatal(err)
			}
			if got := answer.Values(); !reflect.DeepEqual(got, []any{value, "text", []byte{}}) {
				t.Errorf("answered by %v", got)
			}
		})
	}
}

// TestWhatIsVolatileIsNotKept until there is a connection; all else is.
func TestWhatIsVolatileIsNotKept(t *testing.T) {
	t.Parallel()
	s, m, _ := mirrored(t, engineio.Config{}, nil)
	c := dial(t, s, "/", options{"autoConnect": false, "transports": []string{"websocket"}})
	c.command(map[string]any{"op": "emit", "event": "note", "args": []int{1}, "volatile": true})
	c.emit("note", 2)
	c.command(map[string]any{"op": "connect"})
	c.await("what was kept", func(e event) bool { return e.Name == "noted" })
	c.command(map[string]any{"op": "emit", "event": "note", "args": []int{3}, "volatile": true})
	c.emit("note", 4)
	for _, want := range []int{2, 3, 4} {
		if got := next(t, "note", m.notes); got != want {
			t.Errorf("noted %d, want %d", got, want)
		}
	}
}

// TestAnAnswerInTimeAndOneTooLate, as the official client counts it.
func TestAnAnswerInTimeAndOneTooLate(t *testing.T) {
	t.Parallel()
	s, m, _ := mirrored(t, engineio.Config{}, nil)
	c := connect(t, s, "/", nil)
	acked := func(n int) event {
		return c.await("the callback", func(e event) bool { return e.Kind == "ack" && e.Ack == n })
	}
	c.command(map[string]any{"op": "emit", "event": "silence", "args": []int{}, "ack": 1, "timeout": 50})
	if e := acked(1); e.Error != "operation has timed out" {
		t.Errorf("%q %s", e.Error, e.Args)
	}
	if err := next(t, "callback", m.silent)("late"); err != nil {
		t.Error(err)
	}
	c.command(map[string]any{"op": "emit", "event": "echo", "args": []int{7}, "ack": 2, "timeout": patience.Milliseconds()})
	if e := acked(2); e.Error != "" || len(e.Args) != 1 || string(e.Args[0]) != "7" {
		t.Errorf("%q %s", e.Error, e.Args)
	}
	c.none("an answer that came too late", func(e event) bool { return e.Kind == "ack" })
}

// TestANamespaceWithAQuery: the query is the request's, the name the socket's.
func TestANamespaceWithAQuery(t *testing.T) {
	t.Parallel()
	var query atomic.Value
	s, m, _ := mirrored(t, engineio.Config{}, func(_ *engineio.Server, c *fiber.Ctx) error {
		query.CompareAndSwap(nil, strings.Clone(c.Query("token")+"|"+c.Query("EIO")))
		return c.Next()
	})
	c := connect(t, s, "/custom?token=a%20b&EIO=3", nil) // the client has the last word on what is its own
	c.expect("upgrade")
	if got := next(t, "socket", m.sockets).Namespace(); got != "/custom" {
		t.Error(got)
	}
	if got := query.Load(); got != "a b|4" {
		t.Error(got)
	}
	var echoed string
	c.call(&echoed, "echo", "x")
}

// TestNamespacesShareAConnection, and each ends alone.
func TestNamespacesShareAConnection(t *testing.T) {
	t.Parallel()
	s, m, engine := mirrored(t, engineio.Config{}, nil)
	c := connect(t, s, "/", nil)
	ask := func(n int) {
		t.Helper()
		c.command(map[string]any{"op": "also", "ns": "/custom", "event": "echo", "args": []int{n}, "ack": n})
		c.await("the callback", func(e event) bool { return e.Kind == "ack" && e.Ack == n && string(e.Args[0]) == strconv.Itoa(n) })
	}
	ask(1)
	a, b := next(t, "socket", m.sockets), next(t, "socket", m.sockets)
	if a.Namespace() != "/" || b.Namespace() != "/custom" || a.ID() == b.ID() || a.ConnectionID() != b.ConnectionID() {
		t.Errorf("%s %s, %s %s", a.Namespace(), a.ID(), b.Namespace(), b.ID())
	}
	c.command(map[string]any{"op": "disconnect"})
	c.expect("disconnect")
	ask(2)
	if n := engine.Len(); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if err := b.Emit("x"); err != nil {
		t.Error(err)
	}
}

// TestAnUpgradeThatFails: the client goes on by polling, or comes back; it is served either way, and nothing is left of the attempt.
func TestAnUpgradeThatFails(t *testing.T) {
	t.Parallel()
	closeAll := func(srv *engineio.Server) {
		for _, s := range srv.Sessions() {
			s.Close(engineio.Forced)
		}
	}
	for _, test := range []struct {
		name   string
		first  func(srv *engineio.Server, c *fiber.Ctx) error // of an upgrade
		opened int                                            // sessions, in the end
		ends   string                                         // transport, in the end
	}{
		{"a proxy refuses it", func(_ *engineio.Server, c *fiber.Ctx) error { return c.SendStatus(502) }, 1, "polling"},
		{"a proxy cuts it", func(_ *engineio.Server, c *fiber.Ctx) error { return c.Context().Conn().Close() }, 1, "polling"},
		{"the session ends before it", func(srv *engineio.Server, c *fiber.Ctx) error { closeAll(srv); return c.Next() }, 2, "websocket"},
		{"the session ends in its middle", func(srv *engineio.Server, c *fiber.Ctx) error { err := c.Next(); closeAll(srv); return err }, 2, "websocket"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			opened, tried := make(chan engineio.Transport, 100), make(chan struct{})
			cfg := engineio.Config{Hooks: engineio.Hooks{Opened: func(tr engineio.Transport) { opened <- tr }}}
			s, m, engine := mirrored(t, cfg, func(srv *engineio.Server, c *fiber.Ctx) error {
				if c.Get(fiber.HeaderUpgrade) != "" {
					select {
					case <-tried:
					default:
						close(tried)
						return test.first(srv, c)
					}
				}
				return c.Next()
			})
			c := dial(t, s, "/", nil)
			next(t, "attempt", tried)
			if test.ends == "websocket" {
				c.expect("upgrade")
			}
			for i := range 20 {
				c.emit("note", i)
			}
			last := event{}
			for range 20 {
				last = c.await("a note", func(e event) bool { return e.Name == "noted" })
			}
			for i := range 20 {
				if got := next(t, "note", m.notes); got != i {
					t.Fatalf("noted %d, want %d", got, i)
				}
			}
			if last.Transport != test.ends || len(opened) != test.opened {
				t.Errorf("by %s after %d sessions", last.Transport, len(opened))
			}
			for deadline := time.Now().Add(patience); engine.Len() != 1; { // one that was closed is waited for a little
				if time.Now().After(deadline) {
					t.Fatalf("%d sessions", engine.Len())
				}
				var echoed int
				c.call(&echoed, "echo", 1)
			}
		})
	}
}

// TestNothingIsLostInAnUpgrade, nor heard twice or out of order, whichever transport carries it.
func TestNothingIsLostInAnUpgrade(t *testing.T) {
	t.Parallel()
	s, m, _ := mirrored(t, engineio.Config{}, nil)
	c := dial(t, s, "/", nil)
	const count = 300
	for i := range count {
		c.emit("note", i)
	}
	for i := range count {
		if got := next(t, "note", m.notes); got != i {
			t.Fatalf("noted %d, want %d", got, i)
		}
		e := c.await("a note", func(e event) bool { return e.Name == "noted" })
		var n int
		if decode(t, e.Args[0], &n); n != i {
			t.Fatalf("told %d, want %d", n, i)
		}
	}
	c.expect("upgrade")
}

// TestAFullServerIsTriedAgain: the official client is told why, and comes in as soon as there is a place.
func TestAFullServerIsTriedAgain(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			s, _, _ := mirrored(t, engineio.Config{MaxPerAddress: 1}, nil)
			o := options{"transports": []string{transport}}
			first := connect(t, s, "/", o)
			second := dial(t, s, "/", o)
			second.expect("connect_error")
			second.none("let in", func(e event) bool { return e.Kind == "connect" || e.Kind == "disconnect" })
			first.command(map[string]any{"op": "disconnect"})
			second.expect("connect")
		})
	}
}
