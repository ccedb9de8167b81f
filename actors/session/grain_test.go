package session

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// hub notes which sockets it is told to close, and the ends of the sessions that it watches.
type hub struct {
	pid *actor.PID

	mu     sync.Mutex
	closed []string
	ended  int
}

func startHub(node *graintest.Node) *hub {
	h := &hub{}
	h.pid = node.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch m := c.Message().(type) {
		case *Close:
			for _, s := range m.GetSockets() {
				h.closed = append(h.closed, s+" "+m.GetReason())
			}
		case *Attached: // sent to it by a test, to be watched
			Watch(c, placeOf(m.GetSession()).pid())
		case *Ended, *actor.Terminated:
			h.ended++
		}
	}))
	return h
}

// told returns what the hub was told to close since the last call.
func (h *hub) told() []string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.closed
	h.closed = nil
	return c
}

// ends is how often a session that the hub watches has ended.
func (h *hub) ends() int {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

// campus is a node with two hubs and a user's session.
type campus struct {
	*testing.T
	node *graintest.Node
	Client
	one, two *hub
}

const asha = nexus.UserID("asha")

func live(t *testing.T, run func(c *campus)) {
	synctest.Test(t, func(t *testing.T) {
		node := graintest.NewNode(t, graintest.NewStore(), Kind())
		c := &campus{T: t, node: node, Client: NewClient(node), one: startHub(node), two: startHub(node)}
		run(c)
	})
}

func (c *campus) attach(h *hub, id string, login nexus.SessionID) *actor.PID {
	c.Helper()
	pid, err := c.Attach(c.Context(), asha, h.pid, Socket{ID: id, Namespace: "/mess", Login: login})
	if err != nil {
		c.Fatal(err)
	}
	return pid
}

func (c *campus) disconnect(login nexus.SessionID) {
	c.Helper()
	if err := c.Disconnect(c.Context(), asha, login, "logged_out"); err != nil {
		c.Fatal(err)
	}
}

// lives reports whether an activation has not ended.
func (c *campus) lives(session *actor.PID) bool {
	synctest.Wait()
	_, there := c.node.System().ProcessRegistry.Get(session)
	return there
}

func (c *campus) want(h *hub, closed ...string) {
	c.Helper()
	got := h.told()
	if slices.Sort(got); !slices.Equal(got, closed) {
		c.Fatalf("told to close %q, want %q", got, closed)
	}
}

func TestDisconnectClosesTheSocketsOfALogin(t *testing.T) {
	live(t, func(c *campus) {
		c.attach(c.one, "1", "phone")
		c.attach(c.one, "2", "laptop")
		c.attach(c.two, "1", "phone")
		c.disconnect("phone")
		c.want(c.one, "1 logged_out")
		c.want(c.two, "1 logged_out")
		c.disconnect("phone") // once more closes nothing
		c.want(c.one)
		c.disconnect("")
		c.want(c.one, "2 logged_out")
		c.want(c.two)
	})
}

func TestRenewedTokenMovesASocketToAnotherLogin(t *testing.T) {
	live(t, func(c *campus) {
		c.attach(c.one, "1", "old")
		c.attach(c.one, "1", "new")
		c.disconnect("old")
		c.want(c.one)
		c.disconnect("new")
		c.want(c.one, "1 logged_out")
	})
}

func TestDetachedSocketIsForgotten(t *testing.T) {
	live(t, func(c *campus) {
		session := c.attach(c.one, "1", "phone")
		c.attach(c.one, "2", "phone")
		c.Detach(session, c.one.pid, "1")
		c.Detach(session, c.one.pid, "never attached")
		c.disconnect("")
		c.want(c.one, "2 logged_out")
	})
}

func TestSixtyFifthSocketClosesTheFirst(t *testing.T) {
	live(t, func(c *campus) {
		c.attach(c.two, "oldest", "phone")
		for i := range maxSockets - 1 {
			c.attach(c.one, fmt.Sprint(i), "phone")
		}
		c.want(c.two)
		c.attach(c.one, "one more", "phone")
		c.want(c.two, "oldest "+ReasonTooMany)
		c.want(c.one)
	})
}

func TestHubThatEndsTakesItsSocketsWithIt(t *testing.T) {
	live(t, func(c *campus) {
		c.attach(c.one, "1", "phone")
		session := c.attach(c.two, "2", "phone")
		if err := c.node.System().Root.StopFuture(c.one.pid).Wait(); err != nil {
			c.Fatal(err)
		}
		synctest.Wait()
		answer, err := grain.Request(c.Context(), c.node.System(), session, &Disconnect{Reason: "logged_out"})
		if d, ok := answer.(*Disconnected); err != nil || !ok || d.GetSockets() != 1 {
			c.Fatalf("got %v, %v; want one socket", answer, err)
		}
		c.want(c.two, "2 logged_out")
		c.attach(c.one, "3", "phone") // of a hub that is gone already
		synctest.Wait()
		if answer, err = grain.Request(c.Context(), c.node.System(), session, &Disconnect{}); err != nil || answer.(*Disconnected).GetSockets() != 0 {
			c.Fatalf("got %v, %v; want none", answer, err)
		}
	})
}

// TestHubOutOfReachEndsTheSession has a hub lose its node's link for a moment: the hub lives and knows nothing of it
// but that its session has ended.
func TestHubOutOfReachEndsTheSession(t *testing.T) {
	live(t, func(c *campus) {
		session := c.attach(c.one, "1", "phone")
		c.node.System().Root.Send(c.one.pid, &Attached{Session: address(session)})
		synctest.Wait()
		process, _ := c.node.System().ProcessRegistry.Get(session)
		process.SendSystemMessage(session, &actor.Terminated{Who: c.one.pid, Why: actor.TerminatedReason_AddressTerminated})
		if c.one.ends() != 1 {
			c.Fatal("the hub was not told")
		}
		c.attach(c.one, "1", "phone")
		c.disconnect("")
		c.want(c.one, "1 logged_out")
	})
}

// TestAHubHearsOfItsSessionsEnd, however that comes, and also when it begins to watch too late.
func TestAHubHearsOfItsSessionsEnd(t *testing.T) {
	for name, end := range map[string]func(c *campus, session *actor.PID){
		"stopped":  func(c *campus, session *actor.PID) { c.node.System().Root.Stop(session) },
		"poisoned": func(c *campus, session *actor.PID) { c.node.System().Root.Poison(session) },
		"abandoned": func(c *campus, session *actor.PID) {
			process, _ := c.node.System().ProcessRegistry.Get(session)
			process.SendSystemMessage(session, &actor.Terminated{Who: c.two.pid, Why: actor.TerminatedReason_AddressTerminated})
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(c *campus) {
				session := c.attach(c.one, "1", "phone")
				c.attach(c.one, "2", "phone")
				c.attach(c.two, "1", "phone")
				watch := func() { c.node.System().Root.Send(c.one.pid, &Attached{Session: address(session)}) }
				if watch(); c.one.ends() != 0 {
					t.Fatal("it heard of an end that has not come")
				}
				if end(c, session); c.lives(session) || c.one.ends() != 1 || c.two.ends() != 1 {
					t.Fatalf("they heard %d and %d times", c.one.ends(), c.two.ends())
				}
				if watch(); c.one.ends() != 2 {
					t.Errorf("who watched too late heard %d times", c.one.ends()-1)
				}
			})
		})
	}
}

// TestHubWithoutSocketsIsNotWatched sees to it that hubs, which outlive sessions by far, do not collect watchers.
func TestHubWithoutSocketsIsNotWatched(t *testing.T) {
	for name, leave := range map[string]func(c *campus, session *actor.PID){
		"detached":     func(c *campus, session *actor.PID) { c.Detach(session, c.one.pid, "1") },
		"disconnected": func(c *campus, _ *actor.PID) { c.disconnect("") },
		"put out": func(c *campus, _ *actor.PID) {
			for i := range maxSockets {
				c.attach(c.two, fmt.Sprint(i), "phone")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(c *campus) {
				watchers := 0
				spy := c.node.System().Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithMailbox(actor.Unbounded(countWatchers{&watchers}))))
				c.one = &hub{pid: spy}
				session := c.attach(c.one, "1", "phone")
				synctest.Wait()
				if watchers != 1 {
					t.Fatalf("%d watch the hub of a socket", watchers)
				}
				leave(c, session)
				synctest.Wait()
				if watchers != 0 {
					t.Fatalf("%d watch the hub of no socket", watchers)
				}
			})
		})
	}
}

// countWatchers counts who watches an actor by what its mailbox gets.
type countWatchers struct{ n *int }

func (w countWatchers) MailboxStarted()           {}
func (w countWatchers) MailboxEmpty()             {}
func (w countWatchers) MessagePosted(message any) {}
func (w countWatchers) MessageReceived(message any) {
	switch message.(type) {
	case *actor.Watch:
		*w.n = 1
	case *actor.Unwatch:
		*w.n = 0
	}
}

func TestSessionLeavesWhenEmpty(t *testing.T) {
	live(t, func(c *campus) {
		session := c.attach(c.one, "1", "phone")
		for range 60 {
			time.Sleep(time.Minute)
			c.attach(c.one, "1", "phone") // as a hub does
		}
		if again := c.attach(c.one, "2", "phone"); !again.Equal(session) {
			c.Fatal("a session with a socket left")
		}
		c.disconnect("")
		time.Sleep(59 * time.Second)
		if !c.lives(session) {
			c.Fatal("the session left before its time")
		}
		time.Sleep(2 * time.Minute)
		if c.lives(session) {
			c.Fatal("the session stays")
		}
		if next := c.attach(c.one, "1", "phone"); next.Equal(session) {
			c.Fatal("no new activation")
		}
	})
}

func TestCloseToALostHubAndOddMessagesDoNoHarm(t *testing.T) {
	live(t, func(c *campus) {
		session := c.attach(c.one, "1", "phone")
		c.node.System().Root.Stop(c.one.pid)
		c.disconnect("")
		if answer, err := grain.Request(c.Context(), c.node.System(), session, &emptypb.Empty{}); err != nil || answer.(*grain.Failure).GetCode() != string(nexus.Internal) {
			c.Fatalf("got %v, %v", answer, err)
		}
		c.attach(c.two, "1", "phone")
		c.disconnect("")
		c.want(c.two, "1 logged_out")
	})
}
