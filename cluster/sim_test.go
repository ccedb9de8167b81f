package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
	"nexus/cluster/simnet"
)

// sim is a campus on a network in memory, within a synctest bubble.
type sim struct {
	t     *testing.T
	rand  *rand.Rand // of the scenario; one goroutine uses it
	net   *simnet.Net
	store *graintest.Store
	kinds func(*simNode) []grain.Kind
	keep  []Keep
	seeds []string
	nodes []*simNode // that live
	ends  sync.WaitGroup
	made  int
	log   *slog.Logger
	calm  atomic.Bool // the store is
}

// simNode is one process of the campus.
type simNode struct {
	*Node
	ip    string
	store *simStore
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{t: t, rand: rand.New(rand.NewPCG(seed, 0)), net: simnet.New(seed), store: graintest.NewStore(), log: slog.New(slog.DiscardHandler)}
	if *simSeed > 0 {
		s.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	s.kinds = counters
	s.seeds = []string{simnet.GossipAddress("10.0.0.1"), simnet.GossipAddress("10.0.0.2"), simnet.GossipAddress("10.0.0.3")}
	return s
}

// start adds a node at the next free address, or, with an ip, at that of one that is gone.
func (s *sim) start(ip string) *simNode {
	s.t.Helper()
	if ip == "" {
		s.made++
		ip = fmt.Sprintf("10.0.0.%d", s.made)
	}
	host := s.net.Host(ip)
	transport, err := host.Gossip()
	if err != nil {
		s.t.Fatal(err)
	}
	x := &simNode{ip: ip, store: &simStore{Store: s.store, calm: &s.calm, draw: rand.New(rand.NewPCG(s.rand.Uint64(), 2)), thawed: make(chan struct{})}}
	close(x.store.thawed)
	x.Node, err = Start(Config{
		Kinds: s.kinds(x), Keep: s.keep, Store: x.store, Log: s.log.With("at", ip), Registry: prometheus.NewRegistry(),
		Gossip: &Gossip{Bind: simnet.GossipAddress(ip), Seeds: s.seeds, Transport: transport},
		Links:  Links{Bind: ip + ":7947", Network: host},
		HTTP:   "http://" + ip,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.nodes = append(s.nodes, x)
	return x
}

// forget takes a node off the list of those that live.
func (s *sim) forget(x *simNode) {
	s.nodes = slices.DeleteFunc(s.nodes, func(y *simNode) bool { return y == x })
}

// leave ends a node in order.
func (s *sim) leave(x *simNode) {
	s.forget(x)
	s.thaw(x)
	s.ends.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := x.Close(ctx); err != nil {
			s.t.Errorf("close: %v", err)
		}
	})
}

// crash ends a node as kill -9 does, or loss of power if silent: from now on nobody and no database hears of it. Its
// goroutines cannot be killed and are brought to an end unheard.
func (s *sim) crash(x *simNode, silent bool) {
	s.forget(x)
	x.store.dead.Store(true)
	s.net.Crash(x.ip, silent)
	x.store.thaw()
	s.ends.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = x.Close(ctx) // nothing of it works any more
	})
}

// freeze holds up all that a node says to others and to the database.
func (s *sim) freeze(x *simNode) { s.net.Freeze(x.ip); x.store.freeze() }

func (s *sim) thaw(x *simNode) { s.net.Thaw(x.ip); x.store.thaw() }

// end closes every node and waits for all that was started.
func (s *sim) end() {
	s.net.Heal()
	for _, x := range slices.Clone(s.nodes) {
		s.leave(x)
	}
	s.ends.Wait()
}

// agree waits until every node sees just the nodes that live, and reports whether that came in time.
func (s *sim) agree(within time.Duration) error {
	want := make([]string, len(s.nodes))
	for i, x := range s.nodes {
		want[i] = x.id
	}
	slices.Sort(want)
	deadline := time.Now().Add(within)
	for {
		var wrong error
		for _, x := range s.nodes {
			var sees []string
			for _, m := range x.ring.Load().members {
				sees = append(sees, m.ID)
			}
			if !slices.Equal(sees, want) {
				wrong = fmt.Errorf("%s sees %v; %d nodes live", x.ip, x.ring.Load().LogValue(), len(want))
			}
		}
		if wrong == nil || time.Now().After(deadline) {
			return wrong
		}
		<-time.After(50 * time.Millisecond) // of virtual time
	}
}

// simStore is a node's way to the store they all share: slow at times, and at times without an answer although the write
// was, or will be, made.
type simStore struct {
	*graintest.Store
	dead atomic.Bool
	calm *atomic.Bool // of all nodes: the store is quick and answers

	mu     sync.Mutex
	draw   *rand.Rand
	thawed chan struct{} // closed unless the node is frozen
}

func (s *simStore) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.thawed:
		s.thawed = make(chan struct{})
	default: // it is
	}
}

func (s *simStore) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.thawed:
	default:
		close(s.thawed)
	}
}

var errSilent = nexus.Errorf(nexus.Unavailable, "the store does not answer")

// pass takes a request to the store, and fails if it never gets there. mute says that its answer gets lost.
func (s *simStore) pass(ctx context.Context) (mute bool, err error) {
	s.mu.Lock()
	takes, odd, thawed := time.Millisecond+time.Duration(s.draw.IntN(4))*time.Millisecond, s.draw.IntN(400), s.thawed
	s.mu.Unlock()
	if s.calm.Load() {
		odd = 2
	}
	if odd == 0 {
		takes = 3 * time.Second
	}
	<-thawed
	select {
	case <-ctx.Done():
		return true, ctx.Err()
	case <-time.After(takes):
	}
	s.mu.Lock()
	thawed = s.thawed
	s.mu.Unlock()
	<-thawed
	if s.dead.Load() {
		return true, errSilent
	}
	return odd == 1, nil
}

// Claim implements grain.Store.
func (s *simStore) Claim(ctx context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error) {
	mute, err := s.pass(ctx)
	if err != nil {
		return nexus.Fence{}, nexus.Snapshot{}, err
	}
	f, snap, err := s.Store.Claim(ctx, kind, id)
	if mute {
		err = errSilent
	}
	return f, snap, err
}

// Save implements grain.Store. A request that its sender has given up is made nevertheless, later.
func (s *simStore) Save(ctx context.Context, f nexus.Fence, snap nexus.Snapshot) error {
	answer := make(chan error, 1)
	go func() {
		mute, err := s.pass(context.WithoutCancel(ctx))
		if err == nil {
			err = s.Store.Save(ctx, f, snap)
		}
		if mute {
			err = errSilent
		}
		answer <- err
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// counter is a grain that writes through: an operation is answered, with its place among all, when it is kept. It keeps
// which operations it has seen, so that one that is asked again is answered alike.
type counter struct {
	store   grain.Store
	version int64
	ops     []string
	waiting []operation
	saving  bool
}

type operation struct {
	name  string
	asker grain.Asker
}

func counters(x *simNode) []grain.Kind {
	return []grain.Kind{{Name: "counter", New: func(string) grain.Grain { return &counter{store: x.store} }, Idle: 20 * time.Second}}
}

func opsOf(s nexus.Snapshot) []string { return strings.Fields(string(s.Payload)) }

// Load implements grain.Grain.
func (g *counter) Load(_ context.Context, _ *grain.Context, s nexus.Snapshot) error {
	g.version, g.ops = s.Version, opsOf(s)
	return nil
}

// Receive implements grain.Grain.
func (g *counter) Receive(c *grain.Context, msg any) {
	g.waiting = append(g.waiting, operation{msg.(*wrapperspb.StringValue).GetValue(), c.Asker()})
	g.save(c)
}

// save keeps all that waits at once, and answers then.
func (g *counter) save(c *grain.Context) {
	if g.saving || len(g.waiting) == 0 {
		return
	}
	g.saving = true
	batch, ops := g.waiting, slices.Clone(g.ops)
	g.waiting = nil
	for _, op := range batch {
		if !slices.Contains(ops, op.name) {
			ops = append(ops, op.name)
		}
	}
	snap := nexus.Snapshot{Version: g.version + 1, Payload: []byte(strings.Join(ops, " "))}
	c.Work(func(ctx context.Context) error {
		return g.store.Save(ctx, c.Fence(), snap)
	}, func(err error) {
		g.saving = false
		if err != nil { // fenced, or nobody knows: the next activation does
			for _, op := range append(batch, g.waiting...) {
				op.asker.Bounce()
			}
			c.Abandon(err)
			return
		}
		g.version, g.ops = snap.Version, ops
		for _, op := range batch {
			op.asker.Reply(wrapperspb.Int64(int64(slices.Index(ops, op.name) + 1)))
		}
		g.save(c)
	})
}

// Stop implements grain.Grain: all is kept.
func (g *counter) Stop(context.Context, *grain.Context) {}
