package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/session"
)

const (
	simUsers   = 20
	simSockets = 3 // of each user on each node
)

// hub stands for the sockets of one node: it attaches them, and again when their session has ended.
type hub struct {
	node     *simNode
	sessions session.Client
	pid      *actor.PID
	work     sync.WaitGroup

	mu       sync.Mutex
	attached map[string]*actor.PID // session, by socket
	closed   map[string]int        // how often a socket was told to close
}

type watchSession struct{ pid *actor.PID }

func startHub(x *simNode) *hub {
	h := &hub{node: x, sessions: session.NewClient(x), attached: make(map[string]*actor.PID), closed: make(map[string]int)}
	h.pid = x.system.Root.Spawn(actor.PropsFromFunc(h.receive))
	for user := range simUsers {
		for i := range simSockets {
			h.attach(fmt.Sprintf("%d-%d", user, i))
		}
	}
	return h
}

func (h *hub) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *watchSession:
		session.Watch(c, m.pid)
	case *session.Close:
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, s := range m.GetSockets() {
			h.closed[s]++
		}
	case *session.Ended:
		h.lost(m.PID())
	case *actor.Terminated:
		h.lost(m.Who)
	}
}

func (h *hub) lost(who *actor.PID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for socket, pid := range h.attached {
		if pid != nil && pid.Equal(who) {
			h.attached[socket] = nil
			h.attach(socket)
		}
	}
}

// attach tries until it works or the node ends.
func (h *hub) attach(socket string) {
	user, _, _ := strings.Cut(socket, "-")
	h.work.Go(func() {
		for h.node.ctx.Err() == nil {
			ctx, cancel := context.WithTimeout(h.node.ctx, 5*time.Second)
			pid, err := h.sessions.Attach(ctx, nexus.UserID(user), h.pid, session.Socket{ID: socket, Namespace: "/mess", Login: "phone"})
			cancel()
			if err == nil {
				h.mu.Lock()
				h.attached[socket] = pid
				h.mu.Unlock()
				h.node.system.Root.Send(h.pid, &watchSession{pid})
				return
			}
			select {
			case <-h.node.ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

// told returns how often its sockets were told to close since the last call.
func (h *hub) told() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.closed
	h.closed = make(map[string]int)
	return c
}

// TestEverySocketIsKnownOnceWhateverHappens breaks a campus of four nodes in one way each, and then has every user
// disconnected: each of their sockets hears of it, once.
func TestEverySocketIsKnownOnceWhateverHappens(t *testing.T) {
	for name, breaks := range map[string]func(s *sim){
		"nothing":        func(*sim) {},
		"owner leaves":   func(s *sim) { s.leave(s.nodes[1]) },
		"owner killed":   func(s *sim) { s.crash(s.nodes[1], false) },
		"power lost":     func(s *sim) { s.crash(s.nodes[1], true) },
		"one more joins": func(s *sim) { s.start("") },
		"partition":      func(s *sim) { s.net.Part(s.nodes[0].ip, s.nodes[1].ip); time.Sleep(8 * time.Second); s.heal() },
		"short cut":      func(s *sim) { s.net.Part(s.nodes[0].ip); time.Sleep(3500 * time.Millisecond); s.heal() },
		"one way": func(s *sim) {
			s.net.Cut(s.nodes[0].ip, s.nodes[1].ip)
			s.net.Cut(s.nodes[0].ip, s.nodes[2].ip)
			time.Sleep(8 * time.Second)
			s.heal()
		},
		"frozen": func(s *sim) { s.freeze(s.nodes[1]); time.Sleep(10 * time.Second); s.thaw(s.nodes[1]) },
		"flapping": func(s *sim) {
			for i := range 6 {
				s.net.Part(s.nodes[i%2].ip)
				time.Sleep(2*time.Second + time.Duration(i)*700*time.Millisecond)
				s.heal()
				time.Sleep(time.Duration(i) * 300 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { socketsAreKnown(t, breaks) })
		})
	}
}

func socketsAreKnown(t *testing.T, breaks func(s *sim)) {
	s := newSim(t, 1)
	s.kinds = func(*simNode) []grain.Kind { return []grain.Kind{session.Kind()} }
	for range 4 {
		s.start("")
	}
	if err := s.agree(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	hubs := make(map[*simNode]*hub)
	for _, x := range s.nodes {
		hubs[x] = startHub(x)
	}
	time.Sleep(10 * time.Second)
	breaks(s)
	time.Sleep(25 * time.Second)
	if err := s.agree(0); err != nil {
		t.Error(err)
	}
	var errs []error
	for user := range simUsers {
		if err := session.NewClient(s.nodes[0]).Disconnect(t.Context(), nexus.UserID(fmt.Sprint(user)), "", "logged_out"); err != nil {
			errs = append(errs, err)
		}
	}
	time.Sleep(time.Second)
	for _, x := range s.nodes {
		h := hubs[x]
		if h == nil {
			continue // it came later
		}
		told := h.told()
		for user := range simUsers {
			for i := range simSockets {
				if n := told[fmt.Sprintf("%d-%d", user, i)]; n != 1 {
					errs = append(errs, fmt.Errorf("socket %d of user %d at %s was told %d times", i, user, x.ip, n))
				}
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	s.end()
	for _, h := range hubs {
		h.work.Wait()
	}
	time.Sleep(time.Minute)
}
