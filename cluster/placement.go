package cluster

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus/actors/grain"
)

const placementName = "placement"

const (
	// settleFor is how long after a change of members a new owner first asks the others to give a grain up. By then
	// every member has the same ring, and releases by itself what it no longer owns.
	settleFor = 15 * time.Second
	// yieldTimeout bounds that question, for as long as a last save may take. A member that does not answer is dead or frozen,
	// and the fence keeps what it may still do from being kept.
	yieldTimeout = 2 * time.Second
	// yieldedFor is how long a node that gave a grain up does not take it again on the word of its own, older ring.
	yieldedFor = time.Second
	// loadAtOnce is how many grains a node claims and loads side by side: more would only wait for the same connections.
	loadAtOnce = 32
	// askAtOnce is how many it asks others to give up side by side: they save no more of them at once. These turns are not those of
	// loads: who asks may wait for a load on the other node, which must not wait for one who asks.
	askAtOnce = 32
	// handOversKept is how many hand-overs operators can look back at.
	handOversKept = 16
)

// placement spawns the activations of one node, one per grain, as its children.
//
//	nobody --Activate, owner, ring at rest------------------> living
//	nobody --Activate, owner, ring new--> opening --opened--> living
//	living --Yield, or owner no more, or Release--> leaving --> nobody
type placement struct {
	node  *Node
	kinds map[string]grain.Kind
	props map[string]*actor.Props

	refs     map[string]grain.Ref     // of the living and leaving children, by actor id
	living   map[grain.Ref]*actor.PID // the same, by grain
	opening  map[grain.Ref]*opening   // asked of the other members
	asks     chan struct{}            // taken by those that are being asked for
	yields   map[string][]grain.Asker // who waits for a child's end, by actor id
	yielded  map[grain.Ref]time.Time  // given up on request, and when
	swept    time.Time                // when old entries of yielded went
	met      map[string]struct{}      // members of the last ring
	metAt    time.Time                // when the newest of them was met that activations are not verified for; zero: none is
	verifies bool                     // a verify is on its way

	closing  *grain.Asker // who waits for the end of all grains
	queue    []*actor.PID // children still to be told to leave
	leaving  map[string]struct{}
	handOver []*HandOver
}

// opening is a grain on its way from another member.
type opening struct {
	askers []grain.Asker
	began  time.Time
}

// opened says that the other members have given a grain up, or do not answer.
type opened struct {
	ref grain.Ref
	o   *opening
	had bool // one of them had it
}

// ringChanged tells the placement that the members have changed.
type ringChanged struct{}

func newPlacement(n *Node, kinds map[string]grain.Kind, env grain.Env) *placement {
	props := make(map[string]*actor.Props, len(kinds))
	for name, k := range kinds {
		props[name] = grain.Props(k, env)
	}
	return &placement{
		node: n, kinds: kinds, props: props,
		refs:    make(map[string]grain.Ref),
		living:  make(map[grain.Ref]*actor.PID),
		opening: make(map[grain.Ref]*opening),
		asks:    make(chan struct{}, askAtOnce),
		yields:  make(map[string][]grain.Asker),
		yielded: make(map[grain.Ref]time.Time),
		leaving: make(map[string]struct{}),
	}
}

// Receive implements actor.Actor. A turn that panics answers with the error, and the placement goes on: its supervisor
// would stop every grain of the node.
func (p *placement) Receive(c actor.Context) {
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("placement panicked: %v", r)
			p.node.cfg.Log.Error("placement panicked", "err", err, "stack", string(debug.Stack()))
			grain.AskerOf(c).Fail(err)
		}
	}()
	switch m := c.Message().(type) {
	case *Activate:
		p.activate(c, grain.Ref{Kind: m.GetKind(), ID: m.GetId()})
	case *opened:
		p.opened(c, m)
	case *Yield:
		p.yield(c, grain.Ref{Kind: m.GetKind(), ID: m.GetId()})
	case *actor.Terminated:
		p.ended(c, m.Who)
	case *ringChanged:
		p.meet(c)
		p.releaseStrangers(c)
	case *verify:
		p.verify(c)
	case *Release:
		p.release(c)
	case *Inspect:
		grain.AskerOf(c).Reply(p.inspect())
	}
}

func (p *placement) activate(c actor.Context, ref grain.Ref) {
	asker := grain.AskerOf(c)
	if p.closing != nil {
		asker.Bounce() // soon the asker's ring knows that this node drains
		return
	}
	if pid, ok := p.living[ref]; ok {
		if _, going := p.leaving[pid.Id]; going {
			asker.Bounce() // one activation at a time: the next begins when this one has ended
			return
		}
		asker.Reply(&Activated{Address: pid.Address, Actor: pid.Id})
		return
	}
	if !p.owns(ref) || time.Since(p.yielded[ref]) < yieldedFor {
		asker.Bounce() // the asker's ring, or ours, is old: it looks again
		return
	}
	if o, ok := p.opening[ref]; ok {
		o.askers = append(o.askers, asker)
		return
	}
	o := &opening{askers: []grain.Asker{asker}, began: time.Now()}
	holders := p.node.holders(ref)
	if len(holders) == 0 {
		p.spawn(c, ref, o)
		return
	}
	p.opening[ref] = o
	root, self := c.ActorSystem().Root, c.Self()
	turns := p.asks
	if p.kinds[ref.Kind].Volatile {
		turns = nil
	}
	go func() { root.Send(self, &opened{ref: ref, o: o, had: p.node.claim(turns, holders, ref)}) }()
}

// opened spawns a grain that nobody else has any more.
func (p *placement) opened(c actor.Context, m *opened) {
	if p.opening[m.ref] != m.o {
		return // given up meanwhile, and its askers sent on
	}
	delete(p.opening, m.ref)
	if p.closing != nil || !p.owns(m.ref) {
		bounce(m.o.askers)
		return
	}
	p.spawn(c, m.ref, m.o)
	if m.had {
		p.came(m.ref, time.Since(m.o.began))
	}
}

func (p *placement) owns(ref grain.Ref) bool {
	_, known := p.kinds[ref.Kind]
	owner, ok := p.node.ring.Load().Owner(ref.Kind, ref.ID)
	return known && ok && owner.ID == p.node.id
}

// spawn opens the grain under an actor id of its own, so that the end of an old activation is never taken for the end
// of its successor.
func (p *placement) spawn(c actor.Context, ref grain.Ref, o *opening) {
	pid := grain.Spawn(c, p.props[ref.Kind], ref)
	p.refs[pid.Id], p.living[ref] = ref, pid
	p.node.remember(ref, pid)
	for _, a := range o.askers {
		a.Reply(&Activated{Address: pid.Address, Actor: pid.Id})
	}
}

// came keeps for operators that a grain has come from another node.
func (p *placement) came(ref grain.Ref, took time.Duration) {
	p.node.metrics.handOver.Observe(took.Seconds())
	p.handOver = append(p.handOver, &HandOver{Kind: ref.Kind, Id: ref.ID, At: time.Now().UnixMilli(), TookMicros: took.Microseconds()})
	p.handOver = p.handOver[max(0, len(p.handOver)-handOversKept):]
}

func bounce(askers []grain.Asker) {
	for _, a := range askers {
		a.Bounce()
	}
}
