package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
)

var (
	simSeeds = flag.Int("sim.seeds", simDefault, "scenarios that the simulation runs")
	simSeed  = flag.Uint64("sim.seed", 0, "the one scenario to run; 0: all")
)

const (
	simGrains  = 8
	simClients = 6
	simLasts   = 40 * time.Second // faults, of each scenario
)

// history is what the clients of a scenario know.
type history struct {
	mu     sync.Mutex
	issued map[string]string // counter, by operation
	acked  map[string]int64  // place that was answered, by operation
	tried  int
}

// client adds to counters through any node until stop closes.
func (h *history) client(s *sim, nodes *nodeSet, name string, seed uint64, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(20+(seed*31+uint64(i)*17)%180) * time.Millisecond):
		}
		x := nodes.pick(seed + uint64(i)*7)
		op, id := fmt.Sprintf("%s-%d", name, i), fmt.Sprint((seed+uint64(i)*13)%simGrains)
		h.mu.Lock()
		h.issued[op] = id
		h.tried++
		h.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		place, err := add(ctx, x.Node, id, op)
		cancel()
		if err == nil {
			h.mu.Lock()
			h.acked[op] = place
			h.mu.Unlock()
		}
	}
}

func add(ctx context.Context, n *Node, id, op string) (int64, error) {
	v, err := grain.Ask[*wrapperspb.Int64Value](ctx, n, grain.Ref{Kind: "counter", ID: id}, wrapperspb.String(op))
	return v.GetValue(), err
}

// check compares what was answered with what was kept.
func (h *history) check(s *sim) error {
	var errs []error
	kept := make(map[string][]string)
	for i := range simGrains {
		id := fmt.Sprint(i)
		kept[id] = opsOf(s.store.Kept("counter", id))
		if n := len(slices.Compact(slices.Sorted(slices.Values(kept[id])))); n != len(kept[id]) {
			errs = append(errs, fmt.Errorf("counter %s kept %d operations, of which %d differ", id, len(kept[id]), n))
		}
		for _, op := range kept[id] {
			if h.issued[op] != id {
				errs = append(errs, fmt.Errorf("counter %s kept %s, which was for %q", id, op, h.issued[op]))
			}
		}
	}
	for _, op := range slices.Sorted(maps.Keys(h.acked)) {
		ops, place := kept[h.issued[op]], h.acked[op]
		if place < 1 || int(place) > len(ops) || ops[place-1] != op {
			errs = append(errs, fmt.Errorf("%s was answered as number %d of counter %s, which is not what was kept", op, place, h.issued[op]))
		}
	}
	return errors.Join(errs...)
}

// nodeSet is the nodes that clients may talk to.
type nodeSet struct {
	mu  sync.Mutex
	all []*simNode
}

func (n *nodeSet) set(all []*simNode) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = slices.Clone(all)
}

func (n *nodeSet) pick(i uint64) *simNode {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[i%uint64(len(n.all))]
}

// fault does something to the campus, as the seed draws it, and says what.
func (s *sim) fault() string {
	i := s.rand.IntN(len(s.nodes))
	x, y := s.nodes[i], s.nodes[(i+1)%len(s.nodes)]
	few := len(s.nodes) < 3
	seed := x.ip == "10.0.0.1" // comes back always: without any seed, nodes that never met stay strangers
	switch k := s.rand.IntN(12); {
	case len(s.nodes) < 2 || k == 0 && len(s.nodes) < 6:
		return "join " + s.start("").ip
	case k == 1 && !few && !seed:
		s.leave(x)
		return "leave " + x.ip
	case k <= 3 && !few:
		silent := s.rand.IntN(2) == 0
		s.crash(x, silent)
		if seed || s.rand.IntN(2) == 0 {
			s.start(x.ip)
			return "crash and restart " + x.ip
		}
		return "crash " + x.ip
	case k <= 5:
		s.net.Part(x.ip)
		return "cut off " + x.ip
	case k == 6:
		s.net.Cut(x.ip, y.ip)
		return "one way cut " + x.ip + " > " + y.ip
	case k <= 8:
		s.freeze(x)
		return "freeze " + x.ip
	case k == 9:
		s.net.Weather(0.2, 20*time.Millisecond, 80*time.Millisecond)
		return "bad weather"
	default:
		s.heal()
		return "heal"
	}
}

func (s *sim) heal() {
	s.net.Heal()
	for _, x := range s.nodes {
		s.thaw(x)
	}
}

// scenario runs clients through faults that the seed draws, and reports what did not hold.
func scenario(t *testing.T, seed uint64, unfenced bool) (tried, acked int, wrong error) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed)
		s.store.Unfenced = unfenced
		var script []string
		began := time.Now()
		for range 2 + s.rand.IntN(4) {
			s.start("")
		}
		h := &history{issued: make(map[string]string), acked: make(map[string]int64)}
		for i := range simGrains {
			h.issued["check-"+fmt.Sprint(i)] = fmt.Sprint(i)
		}
		var nodes nodeSet
		nodes.set(s.nodes)
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for i := range simClients {
			clients.Go(func() { h.client(s, &nodes, fmt.Sprint(i), seed*101+uint64(i), stop) })
		}
		for time.Since(began) < simLasts {
			time.Sleep(500*time.Millisecond + time.Duration(s.rand.IntN(5000))*time.Millisecond)
			script = append(script, fmt.Sprintf("%v %s", time.Since(began).Round(time.Millisecond), s.fault()))
			nodes.set(s.nodes)
		}
		s.heal()
		s.calm.Store(true)
		wrong = s.answers(5 * time.Second)
		if err := s.agree(15 * time.Second); err != nil {
			wrong = errors.Join(wrong, fmt.Errorf("the rings differ: %w", err))
		}
		close(stop)
		clients.Wait()
		time.Sleep(3 * time.Second)
		wrong = errors.Join(wrong, s.single(), h.check(s))
		s.end()
		time.Sleep(time.Minute) // timers of what was cut off
		if tried, acked = h.tried, len(h.acked); wrong != nil {
			wrong = fmt.Errorf("seed %d:\n%s\n%w", seed, strings.Join(script, "\n"), wrong)
		}
	})
	return tried, acked, wrong
}

// answers asks every grain through every node.
func (s *sim) answers(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, x := range s.nodes {
		for i := range simGrains {
			all.Go(func() {
				if err := x.insist(ctx, fmt.Sprint(i)); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, fmt.Errorf("counter %d through %s: %w", i, x.ip, err))
				}
			})
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// insist adds once to a counter, and asks again as a client does that is told that the service is busy.
func (x *simNode) insist(ctx context.Context, id string) error {
	for {
		_, err := add(ctx, x.Node, id, "check-"+id)
		if nexus.CodeOf(err) != nexus.Unavailable || ctx.Err() != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // virtual
	}
}

// single sees to it that no grain lives on two nodes.
func (s *sim) single() error {
	where := make(map[string]int)
	for _, x := range s.nodes {
		for _, m := range x.Inspect(context.Background()) {
			if m.Error != "" {
				return fmt.Errorf("%s: %s %s", x.ip, m.HTTP, m.Error)
			}
			if m.Self {
				where[x.ip] = m.Grains["counter"]
			}
		}
	}
	total := 0
	for _, n := range where {
		total += n
	}
	if total > simGrains {
		return nexus.Errorf(nexus.Internal, "%d activations of %d grains: %v", total, simGrains, where)
	}
	return nil
}

func TestNothingAcknowledgedIsLostWhateverHappens(t *testing.T) {
	began, tried, acked := time.Now(), 0, 0
	first, last := uint64(1), uint64(*simSeeds)
	if *simSeed > 0 {
		first, last = *simSeed, *simSeed
	}
	for seed := first; seed <= last; seed++ {
		n, ok, err := scenario(t, seed, false)
		if err != nil {
			t.Error(err)
		}
		tried, acked = tried+n, acked+ok
	}
	t.Logf("%d scenarios, %d operations, %d acknowledged, in %v", last-first+1, tried, acked, time.Since(began))
}

// TestWithoutFencesAcknowledgedOperationsAreLost proves that the checks above see what fences prevent.
func TestWithoutFencesAcknowledgedOperationsAreLost(t *testing.T) {
	for seed := uint64(1); seed <= 40; seed++ {
		if _, _, err := scenario(t, seed, true); err != nil {
			t.Logf("seen: %v", err)
			return
		}
	}
	t.Fatal("no scenario has lost anything")
}
