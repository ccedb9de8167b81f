package sos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nexus/cmd/nexus-load/loadtest"
	"nexus/transport/leaktest"
	"nexus/transport/socketio"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// security is a /security that does with presses what a test wants.
type security struct {
	answer func(n int) any  // to press n, from 0; nil: as it should be
	deaf   func(n int) bool // officers who do not hear of press n, all but the first; nil: none
	copies int              // of each alert beside the first

	taken atomic.Int64 // alerts that an officer's client has acknowledged

	mu       sync.Mutex
	officers []*socketio.Socket
	open     map[string]bool // incidents by student
	presses  int
	cancels  int
	wrong    []string
}

func (s *security) Connect(socket *socketio.Socket, auth json.RawMessage) error {
	var in struct{ Token string }
	if err := json.Unmarshal(auth, &in); err != nil || in.Token == "" {
		return &socketio.ConnectError{Message: "a token is needed"}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	socket.Value = in.Token
	if strings.HasPrefix(in.Token, "officer") {
		s.officers = append(s.officers, socket)
	}
	return nil
}

func (s *security) Disconnect(*socketio.Socket, socketio.Reason) {}

func (s *security) Event(socket *socketio.Socket, e socketio.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	student := socket.Value.(string)
	if e.Name == "SOS_CANCEL" {
		if !s.open[student] {
			s.wrong = append(s.wrong, student+" cancels what is not open")
		}
		delete(s.open, student)
		s.cancels++
		_ = e.Ack(map[string]any{"state": "CANCELLED"})
		return
	}
	n := s.presses
	s.presses++
	if s.answer != nil {
		if a := s.answer(n); a != nil {
			_ = e.Ack(a)
			return
		}
	}
	if s.open[student] {
		s.wrong = append(s.wrong, student+" presses twice")
	}
	if s.open == nil {
		s.open = make(map[string]bool)
	}
	s.open[student] = true
	incident := fmt.Sprintf("incident-%d", n)
	alert := func() {
		for i, o := range s.officers {
			if i > 0 && s.deaf != nil && s.deaf(n) {
				continue
			}
			for range 1 + s.copies {
				o.Call(socketio.Call{Event: "CRITICAL_ALERT", Args: []any{map[string]any{"incidentId": incident}}}, func(_ socketio.Args, err error) {
					if err == nil {
						s.taken.Add(1)
					}
				})
			}
		}
	}
	if n%2 == 0 { // the alert may come before the answer
		alert()
	}
	_ = e.Ack(map[string]any{"incidentId": incident, "state": "RAISED", "seq": 1, "durable": n%4 != 3})
	if n%2 == 1 {
		alert()
	}
}

// run presses until the server has had so many presses, and the probe is at rest.
func run(t *testing.T, s *security, presses int, o Options) Result {
	t.Helper()
	o.Addr, o.Path = loadtest.Serve(t, map[string]socketio.Namespace{Namespace: s}), "/socket.io/"
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	ctx, cancel := context.WithTimeout(t.Context(), loadtest.Patience)
	defer cancel()
	go func() {
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		defer cancel()
		for {
			s.mu.Lock()
			enough := s.presses >= presses
			s.mu.Unlock()
			if enough || ctx.Err() != nil {
				return
			}
			<-look.C
		}
	}()
	r, err := p.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// Without an answer a line comes again and again.
	for limit := time.Now().Add(loadtest.Patience); s.taken.Load() < int64(r.Answered*len(o.Officers)*(1+s.copies)); {
		if time.Now().After(limit) {
			t.Fatalf("%d alerts are acknowledged, of %d presses", s.taken.Load(), r.Answered)
		}
		runtime.Gosched()
	}
	return r
}

func people(students, officers int) Options {
	var o Options
	for i := range students {
		o.Students = append(o.Students, fmt.Sprintf("student%d", i))
	}
	for i := range officers {
		o.Officers = append(o.Officers, fmt.Sprintf("officer%d", i))
	}
	return o
}

func TestPressesAreAnsweredHeardAndTakenBack(t *testing.T) {
	s := &security{copies: 1}
	o := people(8, 3)
	o.Rate = 200
	r := run(t, s, 40, o)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Presses < 40 || r.Answered != r.Presses || r.Unheard > 0 || len(r.Refused) > 0 {
		t.Errorf("%+v", r)
	}
	if r.NotDurable != r.Presses/4 {
		t.Errorf("%d of %d are not durable", r.NotDurable, r.Presses)
	}
	if r.Ack.Count() != uint64(r.Presses) || r.Alert.Count() != 3*uint64(r.Presses) {
		t.Errorf("%d answers and %d alerts are timed", r.Ack.Count(), r.Alert.Count())
	}
	if s.cancels != r.Presses || len(s.open) > 0 || len(s.wrong) > 0 {
		t.Errorf("%d cancels, open %v, %v", s.cancels, s.open, s.wrong)
	}
}

func TestRefusalsAreCounted(t *testing.T) {
	s := &security{answer: func(n int) any {
		if n%2 == 0 {
			return map[string]any{"error": map[string]any{"code": "rate_limited"}}
		}
		return nil
	}}
	o := people(4, 1)
	o.Rate = 200
	r := run(t, s, 20, o)
	if r.Refused["rate_limited"] != (r.Presses+1)/2 || r.Answered != r.Presses/2 {
		t.Errorf("%+v", r)
	}
}

func TestNobodyIsFreeToPress(t *testing.T) {
	s := new(security)
	s.answer = func(n int) any {
		if n == 0 {
			return nil
		}
		return map[string]any{"error": map[string]any{"code": "too_late"}}
	}
	o := people(1, 1)
	o.Rate = 100_000 // faster than an answer comes
	if r := run(t, s, 3, o); r.Late == 0 {
		t.Errorf("%+v", r)
	}
}

func TestWhoCannotBeConnected(t *testing.T) {
	addr := loadtest.Serve(t, map[string]socketio.Namespace{Namespace: new(security)})
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"nobody", Options{Addr: addr, Rate: 1}, "takes students"},
		{"no rate", people(1, 1), "takes students"},
		{"a stranger", Options{Addr: addr, Path: "/socket.io/", Rate: 1, Students: []string{""}, Officers: []string{"officer"}}, "a token is needed"},
		{"another path", Options{Addr: addr, Path: "/", Rate: 1, Students: []string{"s"}, Officers: []string{"officer"}}, "404"},
	} {
		p, err := Open(t.Context(), c.o)
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestACutClientEndsTheProbe(t *testing.T) {
	s := new(security)
	o := people(2, 1)
	o.Addr, o.Path, o.Rate = loadtest.Serve(t, map[string]socketio.Namespace{Namespace: s}), "/socket.io/", 0.001
	p, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	s.mu.Lock()
	officer := s.officers[0]
	s.mu.Unlock()
	officer.CloseConnection(socketio.Reason{Code: 4321, Name: "for a test"})
	ctx, cancel := context.WithTimeout(t.Context(), loadtest.Patience)
	defer cancel()
	if _, err := p.Run(ctx); err == nil || !strings.Contains(err.Error(), "4321 for a test") || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

func TestNames(t *testing.T) {
	if got, err := Names("s%d@x", 2); err != nil || len(got) != 2 || got[1] != "s2@x" {
		t.Errorf("%v, %v", got, err)
	}
	for _, pattern := range []string{"s@x", "s%d%d", "s%s"} {
		if got, err := Names(pattern, 1); err == nil {
			t.Errorf("%s gives %v", pattern, got)
		}
	}
}
