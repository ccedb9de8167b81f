package live

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain/graintest"
	"nexus/actors/session"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

// TestWhatASocketCosts holds each layer to a budget of its own, in bytes, and all to no goroutine. What the connection itself takes, a reader
// and its buffers, is the engine's and not seen here: the sockets live on polling, and nobody polls.
func TestWhatASocketCosts(t *testing.T) {
	costs := map[string]cost{}
	for _, l := range layers() {
		t.Run(l.name, func(t *testing.T) { // whose node is gone, with all that it held, before the next is measured
			c := l.measure(t, 2000)
			costs[l.name] = c
			own := c.bytes - costs[l.over].bytes
			t.Logf("%d bytes of its own, %d in all, %.2f goroutines", own, c.bytes, c.goroutines)
			if own > l.budget || c.goroutines > .5 {
				t.Errorf("%d bytes of its own and %.2f goroutines; %d and none are allowed", own, c.goroutines, l.budget)
			}
		})
	}
}

// BenchmarkMemory reports the same as figures.
func BenchmarkMemory(b *testing.B) {
	for _, l := range layers() {
		b.Run(l.name, func(b *testing.B) {
			for b.Loop() {
				cost := l.measure(b, 10_000)
				b.ReportMetric(float64(cost.bytes), "B/socket")
				b.ReportMetric(cost.goroutines, "goroutines/socket")
			}
		})
	}
}

// layer is a server up to some layer.
type layer struct {
	name, over string
	budget     int // bytes for each socket, beyond those of the layer that it is over
	open       func(t testing.TB) (engine *engineio.Server, end func())
	connect    func(i int) string // the CONNECT of the ith client, "" for none
}

type cost struct {
	bytes      int
	goroutines float64
}

func layers() []layer {
	edge := func(grains bool) func(testing.TB) (*engineio.Server, func()) {
		return func(t testing.TB) (*engineio.Server, func()) {
			node := graintest.NewNode(t, graintest.NewStore(), session.Kind())
			var sessions Sessions = nobody{node.System().Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))}
			if grains {
				sessions = session.NewClient(node)
			}
			s, err := New(Config{
				Engine: engineio.Config{PingInterval: time.Hour}, System: node.System(),
				Auth: signatures{}, Sessions: sessions, Halls: &halls{list: []nexus.Hall{{ID: north, Default: true}}},
				Safety: &Safety{Streams: newStreams()}, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
			})
			if err != nil {
				t.Fatal(err)
			}
			return s.Engine(), func() {
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	}
	ends := func(t testing.TB, e *engineio.Server) func() {
		return func() {
			if _, err := e.Shutdown(context.Background(), engineio.ShuttingDown); err != nil {
				t.Error(err)
			}
		}
	}
	login := func(namespace string) func(int) string {
		return func(i int) string { return fmt.Sprintf(`40%s{"token":"%s%d"}`, namespace, strings.Repeat("x", 450), i) }
	}
	return []layer{
		{"engineio", "", 700, func(t testing.TB) (*engineio.Server, func()) {
			e, err := engineio.NewServer(engineio.Config{PingInterval: time.Hour}, func(*engineio.Session) engineio.Receiver { return deaf{} })
			if err != nil {
				t.Fatal(err)
			}
			return e, ends(t, e)
		}, func(int) string { return "" }},
		{"socketio", "engineio", 400, func(t testing.TB) (*engineio.Server, func()) {
			s, err := socketio.NewServer(socketio.Config{}, engineio.Config{PingInterval: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			s.Handle("/mess", open{})
			return s.Engine(), ends(t, s.Engine())
		}, func(int) string { return "40/mess," }},
		{"a stranger in /mess", "socketio", 200, edge(true), func(int) string { return "40/mess," }},
		{"a user in /", "socketio", 700, edge(false), login("")},
		{"a user in /, with a session", "a user in /", 1700, edge(true), login("")},
		{"a user in /security", "a user in /", 1300, edge(false), login("/security,")},
	}
}

// deaf is a Receiver that does nothing, and open a Namespace that takes everybody.
type deaf struct{}

func (deaf) Receive([]byte, bool)   {}
func (deaf) Closed(engineio.Reason) {}

type open struct{}

func (open) Connect(*socketio.Socket, json.RawMessage) error { return nil }
func (open) Event(*socketio.Socket, socketio.Event)          {}
func (open) Disconnect(*socketio.Socket, socketio.Reason)    {}

// nobody is Sessions without any grain: one actor stands for all of them.
type nobody struct{ pid *actor.PID }

func (n nobody) Attach(context.Context, nexus.UserID, *actor.PID, session.Socket) (*actor.PID, error) {
	return n.pid, nil
}

func (nobody) Detach(_, _ *actor.PID, _ string) {}

// signatures is a Verifier that takes every token, each for a user of its own, and like the true one gives out strings of its own.
type signatures struct{}

func (signatures) Verify(_ context.Context, name string) (nexus.Caller, time.Time, error) {
	i := strings.TrimLeft(name, "x")
	id := func(kind string) string { return fmt.Sprintf("01890a5d-ac96-774b-bcce-%s%011s", kind, i) }
	return nexus.Caller{User: nexus.UserID(id("a")), Session: nexus.SessionID(id("b")), Roles: []nexus.Role{nexus.Role(strings.Clone("STUDENT"))}},
		time.Now().Add(15 * time.Minute), nil
}

// Stands implements Verifier.
func (signatures) Stands(context.Context, nexus.Caller) error { return nil }

// measure opens so many sockets and says what each costs.
func (l layer) measure(t testing.TB, many int) cost {
	t.Helper()
	engine, end := l.open(t)
	defer end()
	visit := func(i int) {
		status, body := enginetest.Poll(engine, "GET", "", "")
		var hello struct{ SID string }
		if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &hello); err != nil || status != 200 {
			t.Fatalf("%d %s: %v", status, body, err)
		}
		if text := l.connect(i); text != "" {
			enginetest.Poll(engine, "POST", hello.SID, text)
			if _, answer := enginetest.Poll(engine, "GET", hello.SID, ""); !strings.Contains(answer, `{"sid":`) {
				t.Fatal(answer)
			}
		}
	}
	for i := range 10 { // what is made once
		visit(many + i)
	}
	before, goroutines := inUse(), runtime.NumGoroutine()
	for i := range many {
		visit(i)
	}
	after := inUse()
	grown := runtime.NumGoroutine() - goroutines
	runtime.KeepAlive(engine)
	return cost{(int(after) - int(before)) / many, float64(grown) / float64(many)}
}

// inUse is the live heap, once what went before has left it: pools and ended goroutines give up what they hold only by and by.
func inUse() uint64 {
	var m runtime.MemStats
	for range 5 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
