package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
	"nexus/cluster/simnet"
)

// settled runs a test on a campus of nodes that have met.
func settled(t *testing.T, nodes int, run func(t *testing.T, s *sim)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.calm.Store(true)
		defer time.Sleep(time.Minute)
		defer s.end()
		for range nodes {
			s.start("")
		}
		s.mustAgree()
		run(t, s)
	})
}

func (s *sim) mustAgree() {
	s.t.Helper()
	if err := s.agree(10 * time.Second); err != nil {
		s.t.Fatal(err)
	}
}

// minorities lists which nodes believe to be a minority.
func (s *sim) minorities() (ips string) {
	for _, x := range s.nodes {
		if x.Minority() {
			ips += x.ip + " "
		}
	}
	return ips
}

func (s *sim) wantMinorities(want string) {
	s.t.Helper()
	if got := s.minorities(); got != want {
		s.t.Fatalf("minorities %q, want %q", got, want)
	}
}

func TestOneOfThreeThatIsCutOffIsAMinority(t *testing.T) {
	settled(t, 3, func(_ *testing.T, s *sim) {
		s.net.Part("10.0.0.1")
		time.Sleep(10 * time.Second)
		s.wantMinorities("10.0.0.1 ")
		s.net.Heal()
		s.mustAgree()
		s.wantMinorities("")
	})
}

func TestNeitherOfTwoIsAMinority(t *testing.T) {
	settled(t, 2, func(_ *testing.T, s *sim) {
		s.net.Part("10.0.0.1")
		time.Sleep(10 * time.Second)
		s.wantMinorities("")
		s.crash(s.nodes[0], true)
		s.net.Heal()
		time.Sleep(10 * time.Second)
		s.wantMinorities("")
	})
}

func TestWhoSaysGoodByeIsNotMissed(t *testing.T) {
	settled(t, 4, func(_ *testing.T, s *sim) {
		for len(s.nodes) > 1 {
			s.leave(s.nodes[1])
			s.mustAgree()
			s.wantMinorities("")
		}
	})
}

// TestManyRestartsMakeNoMinority kills nodes in turn, some of which are back before they are missed.
func TestManyRestartsMakeNoMinority(t *testing.T) {
	settled(t, 3, func(_ *testing.T, s *sim) {
		for i := range 12 {
			x := s.nodes[0]
			s.crash(x, i%2 == 0)
			time.Sleep(time.Duration(i) * time.Second)
			s.wantMinorities("")
			s.start(x.ip)
			s.mustAgree()
			s.wantMinorities("")
		}
	})
}

func TestMissedMembersAreForgottenAfterAWhile(t *testing.T) {
	settled(t, 3, func(t *testing.T, s *sim) {
		s.crash(s.nodes[2], true)
		s.crash(s.nodes[1], true)
		time.Sleep(10 * time.Second)
		s.wantMinorities("10.0.0.1 ")
		time.Sleep(missedFor + rejoinEvery)
		s.wantMinorities("")
		if found := s.nodes[0].membership.lookFor(time.Now()); len(found) > 0 {
			t.Errorf("still looks for %v", found)
		}
	})
}

// TestPartitionWithoutASeedHeals has all seeds on one side, and no longer alive when the cut is healed.
func TestPartitionWithoutASeedHeals(t *testing.T) {
	settled(t, 5, func(_ *testing.T, s *sim) {
		s.net.Part("10.0.0.4")
		time.Sleep(20 * time.Second)
		for range 3 {
			s.crash(s.nodes[0], true)
		}
		time.Sleep(20 * time.Second)
		s.net.Heal()
		s.mustAgree()
	})
}

func TestKilledNodeIsReplacedWithinSeconds(t *testing.T) {
	for name, c := range map[string]struct {
		silent      bool
		least, most time.Duration
	}{"killed": {false, 100 * time.Millisecond, 2 * time.Second}, "power lost": {true, time.Second, 5 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			settled(t, 3, func(t *testing.T, s *sim) {
				for i := range 20 {
					if err := s.nodes[1].insist(t.Context(), fmt.Sprint(i)); err != nil {
						t.Fatal(err)
					}
				}
				s.crash(s.nodes[0], c.silent)
				began := time.Now()
				for i := range 20 {
					if err := s.nodes[1].insist(t.Context(), fmt.Sprint(i)); err != nil {
						t.Fatal(err)
					}
				}
				took := time.Since(began)
				if took > c.most {
					t.Errorf("every grain answers after %v", took)
				}
				if took < c.least {
					t.Errorf("after %v: no grain lived there", took)
				}
			})
		})
	}
}

func TestOnlyWhoKnowsTheKeyJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		start := func(i int, key string) *Node {
			host := net.Host(fmt.Sprintf("10.0.0.%d", i))
			transport, err := host.Gossip()
			if err != nil {
				t.Fatal(err)
			}
			n, err := Start(Config{
				Store: graintest.NewStore(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
				Gossip: &Gossip{Bind: simnet.GossipAddress(host.IP()), Seeds: []string{simnet.GossipAddress("10.0.0.1")}, Key: []byte(key), Transport: transport},
				Links:  Links{Bind: host.IP() + ":1", Network: host},
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		right, wrong := strings.Repeat("k", 32), strings.Repeat("w", 32)
		nodes := []*Node{start(1, right), start(2, right), start(3, ""), start(4, wrong)}
		time.Sleep(30 * time.Second)
		for i, want := range []int{2, 2, 1, 1} {
			if got := len(nodes[i].ring.Load().members); got != want {
				t.Errorf("node %d sees %d members, want %d", i+1, got, want)
			}
		}
		for _, n := range nodes {
			mustClose(t, n)
		}
		time.Sleep(time.Minute)
	})
}

func TestAnnouncedAddressReachesTheOthers(t *testing.T) {
	settled(t, 3, func(t *testing.T, s *sim) {
		a, b := s.nodes[0], s.nodes[1]
		time.Sleep(settleFor)
		a.Announce("http://10.0.0.1:4000")
		a.Announce("http://" + strings.Repeat("x", 600)) // too long to be gossiped
		time.Sleep(2 * time.Second)
		for _, x := range s.nodes {
			if m, ok := x.Member(a.ID()); !ok || m.HTTP != "http://10.0.0.1:4000" {
				t.Errorf("%s sees %+v", x.ip, m)
			}
			if x.unsettled() {
				t.Errorf("%s is unsettled, although no grain has moved", x.ip)
			}
		}
		if m, ok := b.Member(b.ID()); !ok || m.HTTP != "http://10.0.0.2" {
			t.Errorf("%+v", m)
		}
	})
}

func TestDescriptionThatCannotBeGossipedIsRefused(t *testing.T) {
	_, err := Start(Config{
		Store: graintest.NewStore(), Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Gossip: &Gossip{Bind: "127.0.0.1:0"}, Links: Links{Bind: "127.0.0.1:0"}, Version: strings.Repeat("v", 500),
	})
	if !errors.Is(err, errMetadata) {
		t.Fatalf("got %v", err)
	}
}

func TestInspectTellsOfEveryMember(t *testing.T) {
	settled(t, 3, func(t *testing.T, s *sim) {
		for i := range 30 {
			if err := s.nodes[0].insist(t.Context(), fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		s.start("")
		s.mustAgree()
		frozen := s.nodes[2]
		s.freeze(frozen)
		began := time.Now()
		all := s.nodes[0].Inspect(t.Context())
		if took := time.Since(began); took > inspectTimeout {
			t.Errorf("took %v", took)
		}
		s.thaw(frozen)
		if len(all) != 4 {
			t.Fatalf("%+v", all)
		}
		grains, share := 0, 0.0
		for _, m := range all {
			grains, share = grains+m.Grains["counter"], share+m.Share
			if (m.Error != "") != (m.ID == frozen.id) || m.Self != (m.ID == s.nodes[0].id) || m.Share < 0.2 || m.Share > 0.3 {
				t.Errorf("%+v", m)
			}
		}
		if grains < 1 || share < 0.999 || share > 1.001 {
			t.Errorf("%d grains, shares of %v", grains, share)
		}
	})
}

func TestGrainThatCannotBeMadeHarmsNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w world
		n := w.start(t, func(c *Config) {
			make := c.Kinds[0].New
			c.Kinds[0].New = func(id string) grain.Grain {
				if id == "bad" {
					panic("no such grain")
				}
				return make(id)
			}
		})
		defer mustClose(t, n)
		mustAsk(t, n, "good", 1)
		for range 3 {
			if _, err := ask(t.Context(), n, "bad"); nexus.CodeOf(err) != nexus.Internal {
				t.Fatalf("got %v", err)
			}
		}
		n.system.Root.Send(n.placement, &opened{}) // a turn that panics
		mustAsk(t, n, "good", 1)
		mustAsk(t, n, "better", 1)
	})
}

// TestSeedMayBeAName also has one seed that is dead, and one that does not exist.
func TestSeedMayBeAName(t *testing.T) {
	c := &campus{t: t, store: graintest.NewStore()}
	a := c.start()
	_, port, err := net.SplitHostPort(a.membership.address)
	if err != nil {
		t.Fatal(err)
	}
	b := c.startWith("127.0.0.1:1", "no-such-host.invalid:1", "localhost:"+port)
	c.meet(2, a, b)
}

// TestSlowDrainLosesNoLastSave has grains that take so long to stop that the drain outlasts the time in which the others
// ask for them by reason of the new ring alone.
func TestSlowDrainLosesNoLastSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, 1)
		s.calm.Store(true)
		worlds := make(map[*simNode]*world)
		var quick atomic.Bool
		s.kinds = func(x *simNode) []grain.Kind {
			w := &world{store: s.store, onStop: func() {
				if !quick.Load() {
					time.Sleep(900 * time.Millisecond)
				}
			}}
			worlds[x] = w
			return []grain.Kind{{Name: "probe", New: func(string) grain.Grain { return &probe{w: w} }}}
		}
		a := s.start("")
		const grains = 64 * 50
		for i := range grains {
			mustAsk(t, a.Node, fmt.Sprint(i), 1)
		}
		time.Sleep(time.Minute)
		b := s.start("")
		s.mustAgree()
		time.Sleep(time.Minute)
		here := grains - int(worlds[a].saved.Load())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		done := make(chan error)
		go func() { done <- a.Drain(ctx) }()
		time.Sleep(settleFor + time.Second)
		var asked sync.WaitGroup
		for i := range grains {
			asked.Go(func() {
				if _, err := ask(t.Context(), b.Node, fmt.Sprint(i)); err != nil {
					t.Error(err)
				}
			})
		}
		asked.Wait()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if saved := worlds[a].saved.Load(); saved != grains {
			t.Errorf("%d of %d made their last save", int(saved)-grains+here, here)
		}
		for _, m := range b.Inspect(t.Context()) {
			if m.Self && (len(m.HandOvers) != handOversKept || m.HandOvers[0].Took <= 0 || m.HandOvers[0].At.Before(m.HandOvers[1].At)) {
				t.Errorf("hand-overs %v", m.HandOvers)
			}
		}
		quick.Store(true)
		s.end()
		time.Sleep(time.Minute)
	})
}
