package live

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/session"
)

// maxPending bounds the broadcasts that wait for the hub. The hub never blocks, so that they wait only while it is
// flooded; past it new ones are dropped and counted.
const maxPending = 4096

// Hub is the address of this node's sockets: the actor that broadcasts and session grains speak to.
type Hub struct {
	system   *actor.ActorSystem
	pid      *actor.PID
	auth     Verifier
	sessions Sessions
	log      *slog.Logger
	metrics  *metrics
	pending  atomic.Int64
	keeper   *keeper
	clock    *clock
	courier  *courier // of safety; nil without Config.Safety
	outbox   *courier // of all else; nil without Config.Outbox
	staff    *staff   // nil without Config.Teachers

	mu       sync.RWMutex
	members  map[string]*peer    // by socket id
	topics   map[string]*topic   // by name; none without a listener
	attached map[address][]*peer // who is attached to which activation of a session
	latest   map[string]newest   // the newest lossy broadcast of each topic
}

func newHub(cfg Config, m *metrics, hurry func() (done func())) (*Hub, error) {
	h := &Hub{
		system: cfg.System, auth: cfg.Auth, sessions: cfg.Sessions, log: cfg.Log, metrics: m,
		members:  make(map[string]*peer),
		topics:   make(map[string]*topic),
		attached: make(map[address][]*peer),
		latest:   make(map[string]newest),
	}
	var err error
	if h.pid, err = h.system.Root.SpawnNamed(actor.PropsFromFunc(h.receive), grain.HubName); err != nil {
		return nil, fmt.Errorf("spawn hub: %w", err)
	}
	h.keeper = newKeeper(h.keep, func(p *peer) { h.clock.lookIn(p, keepAgain) })
	h.clock = newClock(h.keeper.add)
	if cfg.Safety != nil {
		h.courier = newUrgentCourier(cfg.Safety.Streams, h.incidentClosed, hurry, cfg.Log, m.delivery)
	}
	if cfg.Outbox != nil {
		h.outbox = newCourier(cfg.Outbox, cfg.Log, m.delivery)
	}
	if cfg.Teachers != nil {
		h.staff = newStaff(cfg.Teachers, h)
	}
	return h, nil
}

// close ends the hub. Its sockets are closed already.
func (h *Hub) close() {
	h.clock.close()
	h.keeper.close()
	for _, c := range h.couriers() {
		c.close()
	}
	if h.staff != nil {
		h.staff.close()
	}
	h.system.Root.Stop(h.pid)
}

func (h *Hub) couriers() []*courier {
	return slices.DeleteFunc([]*courier{h.courier, h.outbox}, func(c *courier) bool { return c == nil })
}

// courierOf is the courier of the streams that a peer may read; nil for none.
func (h *Hub) courierOf(p *peer) *courier {
	switch ns := p.socket.Namespace(); {
	case ns == securityNamespace:
		return h.courier
	case p.anonymous() || ns != academicNamespace && ns != rootNamespace:
		return nil
	}
	return h.outbox
}

// watch asks the hub's actor to watch a session on a peer's behalf.
type watch struct{ session *actor.PID }

func (h *Hub) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *grain.Broadcast:
		h.pending.Add(-1)
		h.fanOut(m)
	case *session.Close:
		for _, id := range m.GetSockets() {
			if p := h.member(id); p != nil {
				p.close(m.GetReason())
			}
		}
	case *watch:
		session.Watch(c, m.session)
	case *closed:
		h.stopListening(m.peer, incidentTopics+string(m.incident))
	case *session.Ended:
		h.lost(m.PID())
	case *actor.Terminated:
		h.lost(m.Who)
	}
}

// Broadcast implements the bus's end on this node. It never blocks. A word of news goes past all that waits,
// and what is urgent has as much room again as everything else has together.
func (h *Hub) Broadcast(b *grain.Broadcast) {
	if len(b.GetNews()) > 0 {
		for _, c := range h.couriers() {
			c.wake(b.GetNews())
		}
		if h.staff != nil {
			h.staff.hear(b.GetNews())
		}
		return
	}
	room := int64(maxPending)
	if b.GetUrgent() {
		room *= 2
	}
	if h.pending.Add(1) > room {
		h.pending.Add(-1)
		h.metrics.flooded.Inc()
		return
	}
	h.system.Root.Send(h.pid, b)
}

func (h *Hub) member(id string) *peer {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.members[id]
}

// here reports whether a peer is known and not forgotten yet.
func (h *Hub) here(p *peer) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return p.here
}

// add makes a peer known.
func (h *Hub) add(p *peer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p.here = true
	if !p.anonymous() {
		h.members[p.socket.ID()] = p
	}
}

// remove forgets a peer. A second call does nothing.
func (h *Hub) remove(p *peer) {
	h.clock.forget(p)
	if c := h.courierOf(p); c != nil {
		c.leave(p)
	}
	h.mu.Lock()
	p.here = false
	h.unsubscribe(p)
	var was address
	if !p.anonymous() {
		delete(h.members, p.socket.ID())
		was = h.settle(p, address{})
	}
	h.mu.Unlock()
	if was != (address{}) {
		h.sessions.Detach(actor.NewPID(was.node, was.actor), h.pid, p.socket.ID())
	}
}

// attach makes a peer known to its user's session. When that does not work in time it is tried again until it does: the
// socket is of use meanwhile.
func (h *Hub) attach(ctx context.Context, p *peer) {
	ctx, cancel := context.WithTimeout(ctx, attachWait)
	defer cancel()
	if err := h.tryAttach(ctx, p); err != nil {
		h.log.Warn("attach to session", "user", p.user(), "err", err)
		h.keeper.add(p)
		return
	}
	h.clock.lookIn(p, checkSoon)
}

func (h *Hub) tryAttach(ctx context.Context, p *peer) error {
	for {
		as := p.described()
		pid, err := h.sessions.Attach(ctx, p.user(), h.pid, as)
		if err != nil {
			return err
		}
		if !h.attachedTo(p, pid) { // closed meanwhile, and nobody has detached it
			h.sessions.Detach(pid, h.pid, p.socket.ID())
			return nil
		}
		// Another login's token may have come meanwhile and its Attach overtaken this one: the last word must be the newest.
		if p.described() == as {
			return nil
		}
	}
}

// attachedTo notes which activation a peer is attached to and has it watched. It reports whether the peer is still here.
func (h *Hub) attachedTo(p *peer, session *actor.PID) bool {
	h.mu.Lock()
	at, here := addressOf(session), p.here
	known := here && p.member.session == at
	if here && !known {
		h.settle(p, at)
	}
	h.mu.Unlock()
	if here && !known {
		h.system.Root.Send(h.pid, &watch{session})
	}
	return here
}

// settle notes which activation a peer is attached to, zero for none, and returns the one before. It needs the lock.
func (h *Hub) settle(p *peer, session address) (was address) {
	was, p.member.session = p.member.session, session
	if was != (address{}) {
		h.attached[was] = slices.DeleteFunc(h.attached[was], func(x *peer) bool { return x == p })
		if len(h.attached[was]) == 0 {
			delete(h.attached, was)
		}
	}
	if session != (address{}) {
		h.attached[session] = append(h.attached[session], p)
	}
	return was
}

// lost attaches the sockets of a session again whose activation has ended.
func (h *Hub) lost(pid *actor.PID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range slices.Clone(h.attached[addressOf(pid)]) {
		h.settle(p, address{})
		h.keeper.add(p)
	}
}

// keep sees to it that a peer's login still stands and that its session knows it, and says when to look again. It reports
// false if that could not be seen to now.
func (h *Hub) keep(ctx context.Context, p *peer) bool {
	if !h.here(p) {
		return true
	}
	if h.ended(ctx, p) {
		p.close(reasonEnded)
		return true
	}
	before := h.sessionOf(p)
	if err := h.tryAttach(ctx, p); err != nil {
		h.log.Debug("attach to session", "user", p.user(), "err", err)
		return false
	}
	next := checkEvery
	if before == (address{}) || before != h.sessionOf(p) {
		next = checkSoon // a login may have ended while no session knew the socket
	}
	h.clock.lookIn(p, next)
	return true
}

// ended reports whether the login behind a peer's token is known to have ended.
func (h *Hub) ended(ctx context.Context, p *peer) bool {
	return nexus.CodeOf(h.auth.Stands(ctx, p.who())) == nexus.Unauthenticated
}

// sessionOf is the address of the activation that a peer is attached to, zero for none.
func (h *Hub) sessionOf(p *peer) address {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return p.member.session
}

// address is a PID as a key of a map; a PID itself is another each time it comes over the wire.
type address struct{ node, actor string }

func addressOf(pid *actor.PID) address { return address{pid.GetAddress(), pid.GetId()} }
