package cluster

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
	"nexus/cluster/simnet"
)

// station is an actor system with a link, and nothing else of a node.
type station struct {
	*link
	t     *testing.T
	lost  atomic.Int64 // messages bounced
	alien atomic.Int64 // messages not understood
	ended chan *actor.Terminated
}

// open starts a station. Its id is new at each start, as that of a node.
func open(t *testing.T, network Network, bind string) *station {
	t.Helper()
	s := &station{t: t, ended: make(chan *actor.Terminated, 100)}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	var err error
	s.link, err = openLink(system, network, bind, "", nexus.NewID(), slog.New(slog.DiscardHandler), func() { s.lost.Add(1) }, func() { s.alien.Add(1) }, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *station) shut() {
	if err := s.close(); err != nil {
		s.t.Error(err)
	}
	s.system.Shutdown()
}

// echo starts an actor that answers with what it is sent.
func (s *station) echo() *actor.PID {
	return s.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*wrapperspb.StringValue); ok {
			c.Respond(m)
		}
	}))
}

// watches makes an actor that watches another, and hears of its end on s.ended.
func (s *station) watches(pid *actor.PID) *actor.PID {
	pid = actor.NewPID(pid.Address, pid.Id) // a PID remembers whose process it is
	return s.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *actor.Started:
			c.Watch(pid)
		case *actor.Terminated:
			s.ended <- m
		}
	}))
}

func (s *station) told(want actor.TerminatedReason) {
	s.t.Helper()
	synctest.Wait()
	select {
	case m := <-s.ended:
		if m.Why != want {
			s.t.Fatalf("told of %v, want %v", m.Why, want)
		}
	default:
		s.t.Fatal("nobody was told")
	}
	if len(s.ended) > 0 {
		s.t.Fatal("told twice")
	}
}

// ask sends a text to an actor and waits two seconds for it to come back.
func (s *station) ask(to *actor.PID, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	answer, err := grain.Request(ctx, s.system, actor.NewPID(to.Address, to.Id), wrapperspb.String(text))
	if err != nil {
		return err
	}
	if f, failed := answer.(*grain.Failure); failed {
		return f.Err()
	}
	if answer.(*wrapperspb.StringValue).GetValue() != text {
		return errors.New("another text came back")
	}
	return nil
}

func (s *station) mustAsk(to *actor.PID) {
	s.t.Helper()
	if err := s.ask(to, "hello"); err != nil {
		s.t.Fatal(err)
	}
}

// linked runs a test with three stations on a network in memory.
func linked(t *testing.T, run func(t *testing.T, n *simnet.Net, a, b, c *station)) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(1)
		a, b, c := open(t, n.Host("10.0.0.1"), "10.0.0.1:1"), open(t, n.Host("10.0.0.2"), "10.0.0.2:1"), open(t, n.Host("10.0.0.3"), "10.0.0.3:1")
		defer time.Sleep(2 * time.Minute) // what is on its way into the void
		for _, s := range []*station{a, b, c} {
			defer s.shut()
		}
		run(t, n, a, b, c)
	})
}

func TestWatcherHearsOfTheEndOfAnActorOfAnotherNode(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
		pid := b.echo()
		a.watches(pid)
		time.Sleep(10 * time.Second)
		b.system.Root.Stop(pid)
		time.Sleep(10 * time.Millisecond)
		a.told(actor.TerminatedReason_Stopped)
		a.watches(pid) // one that has ended already
		time.Sleep(10 * time.Millisecond)
		a.told(actor.TerminatedReason_Stopped)
	})
}

func TestWatcherHearsOfTheLossOfANode(t *testing.T) {
	for name, lose := range map[string]func(n *simnet.Net){
		"killed":     func(n *simnet.Net) { n.Crash("10.0.0.2", false) },
		"power lost": func(n *simnet.Net) { n.Crash("10.0.0.2", true) },
		"cut off":    func(n *simnet.Net) { n.Part("10.0.0.2") },
		"deaf":       func(n *simnet.Net) { n.Cut("10.0.0.1", "10.0.0.2") },
		"mute":       func(n *simnet.Net) { n.Cut("10.0.0.2", "10.0.0.1") },
		"frozen":     func(n *simnet.Net) { n.Freeze("10.0.0.2") },
	} {
		t.Run(name, func(t *testing.T) {
			linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
				pid := b.echo()
				a.mustAsk(pid)
				a.watches(pid)
				time.Sleep(time.Second)
				lose(n)
				time.Sleep(silentAfter + time.Second)
				a.told(actor.TerminatedReason_AddressTerminated)
				// In the moment after the loss nothing leaves; whoever begins to watch then hears so too.
				a.watches(pid)
				time.Sleep(silentAfter + 2*time.Second)
				a.told(actor.TerminatedReason_AddressTerminated)
				n.Heal()
				n.Thaw("10.0.0.2")
			})
		})
	}
}

// deafNetwork cannot make connections, but takes them.
type deafNetwork struct{ *simnet.Host }

// Dial implements Network.
func (deafNetwork) Dial(context.Context, string) (net.Conn, error) {
	return nil, errors.New("no way out")
}

// TestEndThatCannotBeToldEndsTheConnection has an actor end on a node that cannot reach the watcher's.
func TestEndThatCannotBeToldEndsTheConnection(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, _, _ *station) {
		d := open(t, deafNetwork{n.Host("10.0.0.4")}, "10.0.0.4:1")
		defer d.shut()
		pid := d.echo()
		a.watches(pid)
		time.Sleep(time.Minute)
		d.system.Root.Stop(pid)
		time.Sleep(10 * time.Millisecond)
		a.told(actor.TerminatedReason_AddressTerminated)
	})
}

// bonds counts the watchers of an actor.
type bonds struct{ n *atomic.Int64 }

func (bonds) MailboxStarted()   {}
func (bonds) MessagePosted(any) {}
func (bonds) MailboxEmpty()     {}
func (b bonds) MessageReceived(m any) {
	switch m.(type) {
	case *actor.Watch:
		b.n.Add(1)
	case *actor.Unwatch:
		b.n.Add(-1)
	}
}

func TestWatchersOfALostNodeAreForgotten(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
		var watchers atomic.Int64
		pid := b.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithMailbox(actor.Unbounded(bonds{&watchers}))))
		for range 50 {
			a.watches(pid)
		}
		time.Sleep(time.Second)
		if watchers.Load() != 50 {
			t.Fatalf("%d watch", watchers.Load())
		}
		n.Crash("10.0.0.1", true)
		time.Sleep(silentAfter + time.Second)
		if watchers.Load() != 0 {
			t.Fatalf("%d still watch", watchers.Load())
		}
	})
}

func TestWatchAfterAReconnectionHolds(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
		pid := b.echo()
		for range 5 {
			watcher := a.watches(pid)
			time.Sleep(time.Second)
			n.Part("10.0.0.1")
			time.Sleep(5 * time.Second)
			a.told(actor.TerminatedReason_AddressTerminated)
			n.Heal()
			time.Sleep(time.Second)
			a.system.Root.Stop(watcher)
		}
		a.watches(pid)
		time.Sleep(time.Second)
		b.system.Root.Stop(pid)
		time.Sleep(10 * time.Millisecond)
		a.told(actor.TerminatedReason_Stopped)
	})
}

func TestFrozenNodeHoldsNobodyUp(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, c *station) {
		sink, pid := b.echo(), c.echo()
		a.mustAsk(sink)
		n.Freeze("10.0.0.2")
		big := wrapperspb.String(strings.Repeat("x", 1<<20))
		for range 100 {
			began := time.Now()
			a.system.Root.Send(actor.NewPID(sink.Address, sink.Id), big)
			a.mustAsk(pid)
			if took := time.Since(began); took > 20*time.Millisecond {
				t.Fatalf("another node answered after %v", took)
			}
			p := a.peer(sink.Address)
			p.mu.Lock()
			bytes := p.bytes
			p.mu.Unlock()
			if bytes > maxOutgoingBytes {
				t.Fatalf("%d bytes wait", bytes)
			}
		}
		if a.lost.Load() < 50 {
			t.Errorf("%d of 100 bounced", a.lost.Load())
		}
		if err := a.ask(sink, "hello"); !errors.Is(err, grain.ErrGone) && nexus.CodeOf(err) != nexus.Unavailable {
			t.Errorf("got %v", err)
		}
		n.Thaw("10.0.0.2")
		time.Sleep(5 * time.Second)
		a.mustAsk(sink)
	})
}

func TestMessageThatCannotTravelIsAnswered(t *testing.T) {
	linked(t, func(t *testing.T, _ *simnet.Net, a, b, _ *station) {
		pid := b.echo()
		if err := a.ask(pid, strings.Repeat("x", maxParcel)); nexus.CodeOf(err) != nexus.TooLarge {
			t.Errorf("too large: %v", err)
		}
		if err := a.ask(pid, "\xff"); nexus.CodeOf(err) != nexus.Internal {
			t.Errorf("not UTF-8: %v", err)
		}
		if err := a.ask(pid, strings.Repeat("x", maxParcel-1000)); err != nil {
			t.Errorf("large: %v", err)
		}
		if a.lost.Load() != 0 {
			t.Errorf("%d bounced", a.lost.Load())
		}
	})
}

// newer is a message of a type that no node has registered: what a later version sends.
func newer(t *testing.T) proto.Message {
	t.Helper()
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("newer.proto"), Syntax: proto.String("proto3"), MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Newer")}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return dynamicpb.NewMessage(file.Messages().Get(0))
}

// TestMessageOfALaterVersionIsRefused has a node send what another does not know: its sender hears so at once, the actor it
// was for hears nothing, and the connection goes on.
func TestMessageOfALaterVersionIsRefused(t *testing.T) {
	linked(t, func(t *testing.T, _ *simnet.Net, a, b, _ *station) {
		pid := b.echo()
		a.mustAsk(pid)
		watcher := a.watches(pid)
		for range 100 {
			answer, err := grain.Request(t.Context(), a.system, actor.NewPID(pid.Address, pid.Id), newer(t))
			if f, failed := answer.(*grain.Failure); err != nil || !failed || f.GetCode() != string(nexus.Internal) {
				t.Fatalf("answered %v: %v", answer, err)
			}
			a.system.Root.Send(actor.NewPID(pid.Address, pid.Id), newer(t))
		}
		a.mustAsk(pid)
		if n := b.alien.Load(); n != 200 {
			t.Errorf("%d messages counted, want 200", n)
		}
		if a.lost.Load() > 0 || b.lost.Load() > 0 || len(a.ended) > 0 {
			t.Error("the connection was lost")
		}
		a.system.Root.Stop(watcher)
	})
}

func TestMessageToADeadNodeBouncesAndItsPeerIsForgotten(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
		pid := b.echo()
		a.mustAsk(pid)
		n.Crash("10.0.0.2", false)
		for range 10 {
			if err := a.ask(pid, "hello"); !errors.Is(err, grain.ErrGone) {
				t.Fatalf("got %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, address := range []string{"10.0.0.9:1#nowhere", "nonsense"} {
			if err := a.ask(actor.NewPID(address, "x"), "hello"); !errors.Is(err, grain.ErrGone) {
				t.Fatalf("%s: %v", address, err)
			}
		}
		time.Sleep(3 * retireAfter)
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.peers) != 0 || len(a.conns) != 0 {
			t.Errorf("%d peers and %d connections are left", len(a.peers), len(a.conns))
		}
	})
}

func TestAnotherNodeAtTheSameAddressIsNotMistaken(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
		old := b.echo()
		a.mustAsk(old)
		n.Crash("10.0.0.2", false)
		again := open(t, n.Host("10.0.0.2"), "10.0.0.2:1")
		defer again.shut()
		pid := again.echo() // under the same id
		if pid.Id != old.Id {
			t.Fatalf("%s and %s", pid.Id, old.Id)
		}
		if err := a.ask(old, "hello"); !errors.Is(err, grain.ErrGone) {
			t.Fatalf("got %v", err)
		}
		a.mustAsk(pid)
	})
}

func TestMessagesKeepTheirOrder(t *testing.T) {
	linked(t, func(t *testing.T, n *simnet.Net, a, b, _ *station) {
		n.Weather(0, time.Millisecond, 50*time.Millisecond)
		const many = 5000
		next := int64(0)
		pid := b.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*wrapperspb.Int64Value); ok {
				if m.GetValue() != next {
					t.Errorf("%d came, not %d", m.GetValue(), next)
				}
				next++
			}
		}))
		for i := range int64(many) {
			a.system.Root.Send(actor.NewPID(pid.Address, pid.Id), wrapperspb.Int64(i))
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if next != many {
			t.Errorf("%d came", next)
		}
	})
}
