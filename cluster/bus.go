package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"nexus/actors/grain"
)

// Carrier carries broadcasts to all nodes at once by a way of its own, such as Redis. It may lose them, and repeat them: the node
// that sends hears how many were reached and sends to the others itself, and nodes pass over what they have heard.
type Carrier interface {
	// Name is the carrier's label in metrics.
	Name() string
	// Start begins to listen. hear is called with every message of every node, this one's included; well with true when this
	// node can be reached from now on, and with false when it may not be. Both return soon, and are not called after Close.
	Start(hear func(msg []byte), well func(bool))
	// Publish sends a message to every node that listens, without blocking. sent is called once, now or later, with how many
	// nodes it has reached, this one included: 0 if it may not have left.
	Publish(msg []byte, sent func(reached int))
	// Close ends the carrier.
	Close() error
}

// busName is the actor that takes what other nodes send by messages.
const busName = "bus"

// bus is a node's part in what all nodes' sockets are told.
//
// A broadcast goes to this node's hub at once. One in a slot, which the next makes good, goes to the others by the carrier, if there is
// one, and by a message to each of those that do not say that they can be reached so, and to all when the carrier reached fewer than
// it should. One that counts goes by messages alone: a carrier may have lost a subscriber without knowing, and may hang.
type bus struct {
	hub     atomic.Pointer[func(*grain.Broadcast)]
	seq     atomic.Uint64
	well    atomic.Bool   // this node can be reached by the carrier
	changed chan struct{} // one place: well has changed
	pid     *actor.PID
	metrics busMetrics

	mu    sync.Mutex
	heard map[string]*window // by origin
}

// SetHub names the function that takes every broadcast to this node's sockets. It must not block.
func (n *Node) SetHub(hub func(*grain.Broadcast)) { n.bus.hub.Store(&hub) }

// Publish implements grain.Bus: the broadcast goes once to the hub of every member, this one included. It never blocks.
func (n *Node) Publish(b *grain.Broadcast) {
	n.toHub(b)
	if n.membership == nil {
		return
	}
	var carried, others []Member
	for _, m := range n.membership.snapshot() {
		switch {
		case m.ID == n.id:
		case m.Carried && n.cfg.Carrier != nil && b.GetSlot() != "":
			carried = append(carried, m)
		default:
			others = append(others, m)
		}
	}
	cast := &Cast{Origin: n.id, Seq: n.bus.seq.Add(1), Broadcast: b}
	n.send(others, cast)
	if len(carried) == 0 {
		return
	}
	msg, err := proto.Marshal(cast)
	if err != nil {
		n.cfg.Log.Error("encode broadcast", "event", b.GetEvent(), "err", err)
		return
	}
	expected := len(carried)
	if n.bus.well.Load() {
		expected++
	}
	n.cfg.Carrier.Publish(msg, func(reached int) {
		if reached < expected {
			n.bus.metrics.missed.Inc()
			n.send(carried, cast)
			return
		}
		n.bus.metrics.sent.WithLabelValues(n.cfg.Carrier.Name()).Inc()
	})
}

// send tells some members by messages.
func (n *Node) send(members []Member, cast *Cast) {
	for _, m := range members {
		n.bus.metrics.sent.WithLabelValues(byActors).Inc()
		n.system.Root.Send(actor.NewPID(m.Address, busName), cast)
	}
}

func (n *Node) toHub(b *grain.Broadcast) {
	if hub := n.bus.hub.Load(); hub != nil {
		(*hub)(b)
	}
}

// take hands another node's broadcast to the hub, unless it has come before.
func (n *Node) take(cast *Cast) {
	if cast.GetOrigin() == n.id || cast.GetBroadcast() == nil {
		return
	}
	n.bus.mu.Lock()
	w := n.bus.heard[cast.GetOrigin()]
	if w == nil {
		n.forgetOrigins()
		w = new(window)
		n.bus.heard[cast.GetOrigin()] = w
	}
	fresh := w.take(cast.GetSeq())
	n.bus.mu.Unlock()
	if !fresh {
		n.bus.metrics.repeated.Inc()
		return
	}
	n.toHub(cast.GetBroadcast())
}

// maxOrigins bounds the nodes whose broadcasts are remembered.
const maxOrigins = 256

// forgetOrigins makes room for one more origin; the lock is held.
func (n *Node) forgetOrigins() {
	if len(n.bus.heard) < maxOrigins {
		return
	}
	for id := range n.bus.heard {
		if _, member := n.Member(id); !member {
			delete(n.bus.heard, id)
		}
	}
	if len(n.bus.heard) >= maxOrigins {
		clear(n.bus.heard)
	}
}

// openBus lets other nodes reach this one's hub by messages.
func (n *Node) openBus() (err error) {
	n.bus.heard, n.bus.changed = make(map[string]*window), make(chan struct{}, 1)
	if n.bus.metrics, err = newBusMetrics(n.cfg.Registry); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	n.bus.metrics.show(n.cfg.Carrier, false)
	n.bus.pid, err = n.system.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if cast, ok := c.Message().(*Cast); ok {
			n.take(cast)
		}
	}), busName)
	if err != nil {
		return fmt.Errorf("spawn bus: %w", err)
	}
	return nil
}

// startCarrier listens to the carrier, and lets the others know whether it reaches this node.
func (n *Node) startCarrier() {
	if n.cfg.Carrier == nil || n.membership == nil {
		return
	}
	n.cfg.Carrier.Start(n.carried, func(well bool) {
		n.bus.well.Store(well)
		select {
		case n.bus.changed <- struct{}{}:
		default:
		}
	})
	n.loops.Go(func() { n.tellWell(n.ctx) })
}

// carried takes a message of the carrier.
func (n *Node) carried(msg []byte) {
	var cast Cast
	if err := proto.Unmarshal(msg, &cast); err != nil {
		n.cfg.Log.Error("a message of the carrier is not ours", "carrier", n.cfg.Carrier.Name(), "err", err)
		return
	}
	n.take(&cast)
}

// tellWell gossips whether the carrier reaches this node, at each change.
func (n *Node) tellWell(ctx context.Context) {
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.bus.changed:
		}
		well := n.bus.well.Load()
		if well == told {
			continue
		}
		n.bus.metrics.show(n.cfg.Carrier, well)
		n.cfg.Log.Info("bus", "carrier", n.cfg.Carrier.Name(), "well", well)
		if err := n.membership.change(func(self *Member) { self.Carried = well }); err != nil {
			n.cfg.Log.Warn("tell the others of the carrier", "err", err)
		}
		told = well
	}
}

// closeBus ends the carrier.
func (n *Node) closeBus() error {
	if n.cfg.Carrier == nil {
		return nil
	}
	return n.cfg.Carrier.Close()
}

// window remembers the last numbers of one origin: which of them have come.
type window struct {
	newest uint64
	seen   [windowBits / 64]uint64 // a ring of bits
}

// windowBits is how far back a number may come late. What is older counts as heard.
const windowBits = 1024

// take reports whether a number comes for the first time, and remembers it.
func (w *window) take(seq uint64) bool {
	switch {
	case seq+windowBits <= w.newest:
		return false
	case seq > w.newest+windowBits:
		clear(w.seen[:])
		w.newest = seq
	}
	for w.newest < seq {
		w.newest++
		w.seen[w.newest/64%uint64(len(w.seen))] &^= 1 << (w.newest % 64)
	}
	word, bit := &w.seen[seq/64%uint64(len(w.seen))], uint64(1)<<(seq%64)
	fresh := *word&bit == 0
	*word |= bit
	return fresh
}

// byActors is the mode of the bus without a carrier.
const byActors = "actors"

// busMetrics counts broadcasts between nodes.
type busMetrics struct {
	mode     *prometheus.GaugeVec
	sent     *prometheus.CounterVec
	missed   prometheus.Counter
	repeated prometheus.Counter
}

func newBusMetrics(reg prometheus.Registerer) (busMetrics, error) {
	m := busMetrics{
		mode:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nexus_bus_mode", Help: "1 for the way by which broadcasts of other nodes reach this one."}, []string{"mode"}),
		sent:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_bus_sent_total", Help: "Broadcasts sent to other nodes: one a member by actors, one in all by a carrier."}, []string{"mode"}),
		missed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_bus_fallbacks_total", Help: "Broadcasts sent by actors because the carrier did not reach every member."}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_bus_repeated_total", Help: "Broadcasts of other nodes that had come before by another way."}),
	}
	return m, errors.Join(reg.Register(m.mode), reg.Register(m.sent), reg.Register(m.missed), reg.Register(m.repeated))
}

// show tells which way is in use.
func (m busMetrics) show(c Carrier, well bool) {
	by := map[string]float64{byActors: 1}
	if c != nil {
		by[c.Name()] = 0
	}
	if well {
		by[byActors], by[c.Name()] = 0, 1
	}
	for mode, value := range by {
		m.mode.WithLabelValues(mode).Set(value)
	}
}
