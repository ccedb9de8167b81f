// Package loadtest serves the real edge, transport/socketio, with namespaces of a test's own.
package loadtest

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/socketio"
)

// Patience bounds every wait of a test that has failed anyway.
const Patience = time.Minute

// quiet has no deadline that a machine which stands still could miss.
var quiet = engineio.Config{
	PingInterval: time.Hour, PingTimeout: time.Hour, UpgradeTimeout: time.Hour, MessageTimeout: time.Hour, WriteTimeout: time.Hour, CloseTimeout: time.Second,
}

// Serve serves the namespaces on a free port, which it returns the address of, until the test ends.
func Serve(t testing.TB, namespaces map[string]socketio.Namespace) (addr string) {
	t.Helper()
	srv, err := socketio.NewServer(socketio.Config{ConnectTimeout: time.Hour}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for name, ns := range namespaces {
		srv.Handle(name, ns)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	onfiber.Mount(app, "/socket.io/", srv.Engine())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(l) }()
	t.Cleanup(func() {
		srv.Engine().Close(engineio.ShuttingDown)
		if err := app.ShutdownWithTimeout(Patience); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// Mess is a /mess whose ticks a test sends. Its zero value lets everybody in.
type Mess struct {
	Admit func(token string) error // nil: everybody

	mu      sync.Mutex
	sockets []*socketio.Socket // in the order that they came; who is gone stays
	asked   []string           // what subscribe was called with
}

// Connect implements socketio.Namespace.
func (m *Mess) Connect(s *socketio.Socket, auth json.RawMessage) error {
	var in struct{ Token string }
	if err := json.Unmarshal(auth, &in); err != nil {
		return err
	}
	if m.Admit != nil {
		if err := m.Admit(in.Token); err != nil {
			return &socketio.ConnectError{Message: err.Error()}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sockets = append(m.sockets, s)
	return nil
}

// Event implements socketio.Namespace.
func (m *Mess) Event(_ *socketio.Socket, e socketio.Event) {
	m.mu.Lock()
	m.asked = append(m.asked, e.Name+string(e.Args.Raw[0]))
	m.mu.Unlock()
	if e.Ack != nil {
		_ = e.Ack(map[string]any{"snapshots": []any{}}) // an error is that of a socket that is gone
	}
}

// Disconnect implements socketio.Namespace.
func (m *Mess) Disconnect(*socketio.Socket, socketio.Reason) {}

// Sockets are those that were admitted so far.
func (m *Mess) Sockets() []*socketio.Socket {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.sockets)
}

// Asked is what clients asked for so far.
func (m *Mess) Asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

// HallID is the id of a hall, which is named by a letter.
func HallID(hall string) string { return fmt.Sprintf("00000000-0000-7000-8000-%012x", hall[0]) }

// Tick sends one CROWD_UPDATE to the sockets.
func Tick(t testing.TB, sockets []*socketio.Socket, hall string, seq int64, at time.Time) {
	t.Helper()
	m, err := socketio.EncodeEvent("/mess", "CROWD_UPDATE", map[string]any{
		"hallId": HallID(hall), "hall": hall, "level": 21, "status": nexus.Low, "seq": seq, "timestamp": at.UTC().Format(nexus.TimeLayout),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sockets {
		s.Push(m)
	}
}
