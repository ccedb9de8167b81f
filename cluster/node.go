package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain"
)

// Config describes a node.
type Config struct {
	// Kinds are the kinds of grains that the node hosts.
	Kinds []grain.Kind
	// Store keeps fences and snapshots.
	Store grain.Store
	// Keep names grains that must live although nobody asks for them.
	Keep []Keep
	// Gossip and Links connect the node to others; without Gossip it stays alone, and opens no port.
	Gossip *Gossip
	Links  Links
	// Carrier carries broadcasts to the other nodes; nil: the links do. The node starts and closes it.
	Carrier Carrier
	// HTTP is where other nodes reach this one's HTTP server, such as http://10.0.0.7:4000.
	HTTP string
	// Version is what operators see beside the node.
	Version string
	// Frozen is called when this process has stood still for so long that it may have been replaced; it should end the
	// process. Nil: nobody watches.
	Frozen func(gap time.Duration)
	// Log and Registry receive what the node says of itself.
	Log      *slog.Logger
	Registry prometheus.Registerer
	// MaxCalls bounds the calls to grains under way at once, and with them every mailbox. 8192 if zero.
	MaxCalls int
}

// Links says how nodes carry messages to each other.
type Links struct {
	Bind      string  // host:port; port 0 takes a free one
	Advertise string  // host that others reach this node at, if it is not that of Bind
	Network   Network // nil: plain TCP
}

// Keep says which grains of a kind must always live.
type Keep struct {
	Kind string
	IDs  func(ctx context.Context) ([]string, error)
}

// maxAddresses bounds the addresses of grains that a node remembers; past it, it starts afresh.
const maxAddresses = 100_000

// Node is this process's part of the campus. It implements grain.Directory and grain.Bus.
type Node struct {
	cfg        Config
	id         string
	started    time.Time
	system     *actor.ActorSystem
	link       *link       // nil if alone
	membership *membership // nil if alone
	placement  *actor.PID
	metrics    *metrics
	calls      chan struct{}
	watchdog   watchdog
	bus        bus

	ring     atomic.Pointer[Ring]
	changed  atomic.Int64 // Unix nanoseconds of the last change of the ring that moved grains
	changing sync.Mutex   // one change of the ring at a time, from the newest view
	wake     chan struct{}

	mu        sync.RWMutex
	addresses map[grain.Ref]*actor.PID

	ctx     context.Context // ends when the node closes
	cancel  context.CancelFunc
	loops   sync.WaitGroup
	drained sync.Once
	closed  sync.Once
}

var (
	_ grain.Directory = (*Node)(nil)
	_ grain.Bus       = (*Node)(nil)
)

// Start joins the campus: grains can be asked when it returns, and the keeper begins to wake those that must always live.
func Start(cfg Config) (_ *Node, err error) {
	if cfg.MaxCalls == 0 {
		cfg.MaxCalls = 8192
	}
	n := &Node{
		cfg: cfg, id: nexus.NewID(), started: time.Now(),
		system:    grain.NewSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet(cfg.Log) })),
		calls:     make(chan struct{}, cfg.MaxCalls),
		wake:      make(chan struct{}, 1),
		addresses: make(map[grain.Ref]*actor.PID),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	ctx := n.ctx
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close(context.Background()))
		}
	}()
	if n.metrics, err = newMetrics(cfg.Registry); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	if cfg.Gossip != nil {
		if err := n.connect(); err != nil {
			return nil, err
		}
	}
	if err := n.openBus(); err != nil {
		return nil, err
	}
	if err := n.host(); err != nil {
		return nil, err
	}
	if err := n.join(ctx); err != nil {
		return nil, err
	}
	n.loops.Go(func() { n.keep(ctx) })
	if cfg.Frozen != nil {
		n.loops.Go(func() { n.watchdog.watch(ctx, n.frozen) })
	}
	return n, nil
}

// connect lets other nodes send messages to this one's actors, and it to theirs.
func (n *Node) connect() (err error) {
	l := n.cfg.Links
	if l.Network == nil {
		l.Network = TCP{}
	}
	n.link, err = openLink(n.system, l.Network, l.Bind, l.Advertise, n.id, n.cfg.Log, n.metrics.bounced.Inc, n.metrics.unknown.Inc, n.doubt)
	return err
}

// host starts the placement of grains on this node.
func (n *Node) host() (err error) {
	env := grain.Env{
		Store: n.cfg.Store, Bus: n, Log: n.cfg.Log, Metrics: grain.NewMetrics(n.cfg.Registry),
		Loads: make(chan struct{}, loadAtOnce), Saves: make(chan struct{}, releaseAtOnce),
	}
	kinds := make(map[string]grain.Kind, len(n.cfg.Kinds))
	for _, k := range n.cfg.Kinds {
		kinds[k.Name] = k
	}
	n.setRing(n.self())
	n.placement, err = n.system.Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor {
		return newPlacement(n, kinds, env)
	}), placementName)
	if err != nil {
		return fmt.Errorf("spawn placement: %w", err)
	}
	return nil
}

// self describes this node as it starts.
func (n *Node) self() Member {
	m := Member{ID: n.id, Address: n.system.Address(), HTTP: n.cfg.HTTP, Version: n.cfg.Version}
	for _, k := range n.cfg.Kinds {
		m.Kinds = append(m.Kinds, k.Name)
	}
	return m
}

// join starts to gossip and to follow what it hears.
func (n *Node) join(ctx context.Context) (err error) {
	if n.cfg.Gossip == nil {
		return nil
	}
	if n.membership, err = join(n.self(), *n.cfg.Gossip, n.cfg.Log); err != nil {
		return err
	}
	n.loops.Go(func() { n.membership.rejoin(ctx) })
	n.loops.Go(func() { n.follow(ctx) })
	n.startCarrier()
	n.cfg.Log.Info("gossiping", "node", n.id, "gossip", n.membership.address, "messages", n.system.Address())
	return nil
}

// follow keeps the ring as membership says.
func (n *Node) follow(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.membership.wake:
		}
		if n.refresh() {
			n.system.Root.Send(n.placement, &ringChanged{})
			n.rouseNow() // somebody else's grains may be ours now
		}
	}
}

// refresh takes the members as membership knows them now, and reports whether that moves any grain.
func (n *Node) refresh() bool {
	n.changing.Lock()
	defer n.changing.Unlock()
	return n.setRing(n.membership.snapshot()...)
}

// setRing takes the members, and reports whether that moves any grain. A member that tells where its HTTP server is
// moves none, and unsettles nobody.
func (n *Node) setRing(members ...Member) bool {
	old, now := n.ring.Load(), time.Now()
	for i := range members {
		members[i].since = now
		if old == nil {
			continue
		}
		if known, ok := old.member(members[i].ID); ok {
			members[i].since = known.since
		}
	}
	next := NewRing(members...)
	n.metrics.members.Set(float64(len(members)))
	n.ring.Store(&next)
	if old != nil && old.Equal(next) {
		return false
	}
	if old != nil {
		n.relink(*old, next)
	}
	n.changed.Store(now.UnixNano())
	n.metrics.changes.Inc()
	n.mu.Lock()
	clear(n.addresses)
	n.mu.Unlock()
	n.cfg.Log.Info("members", "node", n.id, "ring", next)
	return true
}

// relink ends the links to members that are no more, and opens those to new ones: that a link breaks is the first that is
// heard of a process that was killed.
func (n *Node) relink(old, next Ring) {
	if n.link == nil {
		return
	}
	for _, m := range old.members {
		if _, stays := next.at(m.Address); !stays {
			n.link.part(m.Address)
		}
	}
	for _, m := range next.members {
		if _, known := old.at(m.Address); !known {
			n.link.meet(m.Address)
		}
	}
}

// unsettled reports whether other members may still have grains that this node owns now: for a while after a change, and
// for as long as somebody hands its grains over.
func (n *Node) unsettled() bool {
	return time.Since(time.Unix(0, n.changed.Load())) < settleFor ||
		slices.ContainsFunc(n.ring.Load().members, func(m Member) bool { return m.Draining })
}

// holders returns the members that may still have a grain that this node owns now.
func (n *Node) holders(ref grain.Ref) []Member {
	if !n.unsettled() {
		return nil
	}
	return n.ring.Load().Holders(n.id, ref.Kind, ref.ID, time.Now())
}

// others returns the members beside this one.
func (n *Node) others() []Member {
	return slices.DeleteFunc(n.ring.Load().Members(), func(m Member) bool { return m.ID == n.id })
}

func (n *Node) frozen(gap time.Duration) {
	if n.replaceable() {
		n.cfg.Frozen(gap)
	}
}

// replaceable reports whether there is anybody to replace this node.
func (n *Node) replaceable() bool { return len(n.others()) > 0 }

// Awake reports whether this node may serve. When a process wakes that stood still for so long that it may have been replaced, any of
// its goroutines may run before the one that ends it: whoever is about to serve a request that may have waited asks first.
// While all is well that costs next to nothing.
func (n *Node) Awake() bool {
	return n.watchdog.gap() <= frozenAfter || !n.replaceable()
}

// System is the node's actor system.
func (n *Node) System() *actor.ActorSystem { return n.system }

// ID is the node's id, new at each start.
func (n *Node) ID() string { return n.id }

// Member returns the member with the id, and whether it is there.
func (n *Node) Member(id string) (Member, bool) {
	return n.ring.Load().member(id)
}

// Minority reports whether this node sees fewer than half of the members that were there of late.
func (n *Node) Minority() bool {
	return n.membership != nil && n.membership.minority(time.Now())
}
