package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
	"google.golang.org/protobuf/proto"

	"nexus"
)

const (
	// rejoinEvery is how often the seeds are asked again: after a partition memberlist does not heal by itself.
	rejoinEvery = 5 * time.Second
	// leaveTimeout bounds the good-bye to the others.
	leaveTimeout = 3 * time.Second
	// missedFor is how long a member that fell silent is looked for, and counts when a node asks whether it is in the minority.
	missedFor = 5 * time.Minute
	// maxMissed bounds the members looked for.
	maxMissed = 64
)

// Gossip says how nodes find each other.
type Gossip struct {
	Bind      string               // host:port; port 0 takes a free one
	Advertise string               // host that others reach this node at, if it is not that of Bind
	Seeds     []string             // host:port of some members; a name with several addresses stands for all of them
	Key       []byte               // 16, 24 or 32 bytes that encrypt the traffic; empty: it is plain
	Transport memberlist.Transport // nil: UDP and TCP on Bind
}

// membership is what this node knows of who belongs to the campus.
type membership struct {
	asked   chan struct{} // closed when the seeds have been asked once
	telling sync.Mutex    // held while the others are told of a change
	list    *memberlist.Memberlist
	cfg     Gossip
	log     *slog.Logger
	address string        // where others find this node's gossip
	wake    chan struct{} // one place: something has changed

	mu      sync.Mutex
	self    Member
	members map[string]Member    // by id, this node included
	missed  map[string]missed    // members that fell silent, by id
	doubted map[string]time.Time // members whose process seems to have ended, and when that was found, by id
	most    int                  // members that were there at once
	fewer   time.Time            // since when there are fewer; zero while there are not
}

// missed is a member that fell silent without a good-bye.
type missed struct {
	gossip string // where it was
	at     time.Time
}

// join starts to gossip as self. It succeeds without a single seed that answers: the rejoin loop goes on asking.
func join(self Member, cfg Gossip, log *slog.Logger) (*membership, error) {
	m := &membership{
		cfg: cfg, log: log, self: self,
		wake:    make(chan struct{}, 1),
		asked:   make(chan struct{}),
		members: map[string]Member{self.ID: self},
		missed:  make(map[string]missed),
		doubted: make(map[string]time.Time),
		most:    1,
	}
	if _, err := metadata(self); err != nil {
		return nil, err
	}
	c, err := m.config()
	if err != nil {
		return nil, err
	}
	if m.list, err = memberlist.Create(c); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	m.address = m.list.LocalNode().Address() // nobody else knows of it yet, so that nobody changes it
	return m, nil
}

// config tunes memberlist: a killed node is found in 2-3 s, where its defaults take 5-10 s.
func (m *membership) config() (*memberlist.Config, error) {
	host, port, err := net.SplitHostPort(m.cfg.Bind)
	if err != nil {
		return nil, fmt.Errorf("gossip address: %w", err)
	}
	c := memberlist.DefaultLANConfig()
	c.Name = m.self.ID
	c.BindAddr = host
	if c.BindPort, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("gossip port: %w", err)
	}
	c.AdvertisePort = c.BindPort
	c.AdvertiseAddr = m.cfg.Advertise
	c.ProbeInterval, c.ProbeTimeout = 500*time.Millisecond, 250*time.Millisecond
	c.SuspicionMult, c.SuspicionMaxTimeoutMult = 3, 2
	c.TCPTimeout = 2 * time.Second
	c.SecretKey = m.cfg.Key
	c.Transport = m.cfg.Transport
	c.Delegate, c.Events = delegate{m}, events{m}
	c.Logger = slog.NewLogLogger(m.log.Handler(), slog.LevelDebug)
	return c, nil
}

// rejoin asks the seeds, and members that fell silent, until ctx ends. Those are asked too because the seeds may all be on
// this side of a partition.
func (m *membership) rejoin(ctx context.Context) {
	for first := true; ; first = false {
		m.call(ctx, append(m.lookFor(time.Now()), m.cfg.Seeds...))
		if first {
			close(m.asked)
		}
		if !nexus.Pause(ctx, rejoinEvery+rand.N(rejoinEvery/5)) {
			return
		}
	}
}

// call asks all of them at once, for one that is dead takes its time. It returns when all have answered or failed, or
// when ctx ends: memberlist's own limits end what is left.
func (m *membership) call(ctx context.Context, addresses []string) {
	if len(addresses) == 0 {
		return
	}
	var all sync.WaitGroup
	for _, a := range addresses {
		all.Go(func() {
			if _, err := m.list.Join([]string{a}); err != nil {
				m.log.Debug("seed does not answer", "seed", a, "err", err)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// lookFor returns where members were that fell silent of late.
func (m *membership) lookFor(now time.Time) (addresses []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, x := range m.missed {
		if now.Sub(x.at) > missedFor {
			delete(m.missed, id)
			continue
		}
		addresses = append(addresses, x.gossip)
	}
	return addresses
}

// snapshot returns the members as they are known now, without those in doubt.
func (m *membership) snapshot() []Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Member, 0, len(m.members))
	for id, x := range m.members {
		if at, doubted := m.doubted[id]; !doubted || time.Since(at) >= doubtedFor {
			all = append(all, x)
		}
	}
	return all
}

// minority reports whether this node sees fewer than half of the members that were there at once of late: it has
// probably been cut off from the others. Exactly half is no minority, or the loss of one of two nodes would be the loss
// of both.
func (m *membership) minority(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.fewer.IsZero() && now.Sub(m.fewer) > missedFor {
		m.most, m.fewer = len(m.members), time.Time{}
	}
	return 2*len(m.members) < m.most
}

// count keeps the most members that were there at once. It needs the lock.
func (m *membership) count(now time.Time) {
	switch n := len(m.members); {
	case n >= m.most:
		m.most, m.fewer = n, time.Time{}
	case m.fewer.IsZero():
		m.fewer = now
	}
}

// drain tells the others that this node hands its grains over.
func (m *membership) drain() error {
	return m.change(func(self *Member) { self.Draining = true })
}

// change edits what this node says of itself and tells the others. It waits until the first of them has been told. After
// errMetadata nothing has changed.
func (m *membership) change(edit func(self *Member)) error {
	m.telling.Lock() // or the others might keep the older of two changes
	defer m.telling.Unlock()
	m.mu.Lock()
	self := m.self
	edit(&self)
	if _, err := metadata(self); err != nil {
		m.mu.Unlock()
		return err
	}
	m.self, m.members[self.ID] = self, self
	m.mu.Unlock()
	m.notify()
	return m.list.UpdateNode(leaveTimeout)
}

// leave says good-bye and ends the gossip.
func (m *membership) leave() error {
	err := m.list.Leave(leaveTimeout)
	if err != nil {
		m.log.Warn("leave", "err", err)
	}
	return m.list.Shutdown()
}

func (m *membership) notify() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// events hears of members under memberlist's own lock, so that it copies and returns.
type events struct{ m *membership }

// NotifyJoin implements memberlist.EventDelegate.
func (e events) NotifyJoin(n *memberlist.Node) { e.m.put(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (e events) NotifyUpdate(n *memberlist.Node) { e.m.put(n) }

// NotifyLeave implements memberlist.EventDelegate. memberlist does not say whether a member said good-bye; but
// one that does has drained before.
func (e events) NotifyLeave(n *memberlist.Node) {
	m, now := e.m, time.Now()
	m.mu.Lock()
	x, known := m.members[n.Name]
	delete(m.members, n.Name)
	delete(m.doubted, n.Name)
	switch {
	case known && x.Draining:
		m.most--
	case known && len(m.missed) < maxMissed:
		m.missed[n.Name] = missed{gossip: n.Address(), at: now}
	}
	m.count(now)
	m.mu.Unlock()
	m.notify()
}

func (m *membership) put(n *memberlist.Node) {
	var meta Meta
	if err := proto.Unmarshal(n.Meta, &meta); err != nil {
		m.log.Error("a member's metadata is not ours", "member", n.Name, "err", err)
		return
	}
	x := Member{
		ID: n.Name, Address: meta.GetAddress(), HTTP: meta.GetHttp(), Version: meta.GetVersion(),
		Kinds: meta.GetKinds(), Draining: meta.GetDraining(), Carried: meta.GetCarried(),
		gossip: n.Address(),
	}
	m.mu.Lock()
	if n.Name == m.self.ID {
		x = m.self // what others gossip of us may be old
	}
	m.members[n.Name] = x
	delete(m.missed, n.Name)
	delete(m.doubted, n.Name)
	m.count(time.Now())
	m.mu.Unlock()
	m.notify()
}

// errMetadata says that what a node tells of itself does not fit into memberlist's packets.
var errMetadata = errors.New("the node's address, URL, version and kinds are too long to gossip")

// metadata is what a member gossips of itself.
func metadata(x Member) ([]byte, error) {
	b, err := proto.Marshal(&Meta{Address: x.Address, Http: x.HTTP, Version: x.Version, Kinds: x.Kinds, Draining: x.Draining, Carried: x.Carried})
	// A member that is going to drain, or to be reached by a carrier, needs two bytes more for each.
	if err == nil && len(b)+4 > memberlist.MetaMaxSize {
		err = fmt.Errorf("%w: %d bytes", errMetadata, len(b))
	}
	return b, err
}

// delegate tells the others what this node is.
type delegate struct{ m *membership }

// NodeMeta implements memberlist.Delegate.
func (d delegate) NodeMeta(int) []byte {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	b, err := metadata(d.m.self)
	if err != nil {
		panic(err) // whoever set it has checked it
	}
	return b
}

// NotifyMsg implements memberlist.Delegate; beside what members are, nothing is gossiped.
func (delegate) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (delegate) MergeRemoteState([]byte, bool) {}
