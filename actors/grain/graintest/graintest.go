// Package graintest runs grains without a cluster or a database, for tests: within testing/synctest an hour of
// ticks passes in milliseconds.
package graintest

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
)

// Node is a grain.Directory and grain.Bus of its own. It spawns grains at the first call.
type Node struct {
	Store *Store

	system *actor.ActorSystem
	kinds  map[string]*actor.Props

	mu         sync.Mutex
	living     map[grain.Ref]*actor.PID
	broadcasts []*grain.Broadcast
}

// NewNode starts a node that hosts the kinds over the store and ends with the test. Two nodes over one store are how
// a test makes two activations of one grain.
func NewNode(t testing.TB, store *Store, kinds ...grain.Kind) *Node {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	n := &Node{
		Store:  store,
		system: grain.NewSystem(actor.WithDeadLetterThrottleInterval(time.Nanosecond), actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet })),
		kinds:  make(map[string]*actor.Props),
		living: make(map[grain.Ref]*actor.PID),
	}
	for _, k := range kinds {
		n.kinds[k.Name] = grain.Props(k, grain.Env{Store: store, Bus: n, Log: quiet})
	}
	t.Cleanup(n.Close)
	return n
}

// Close stops every grain, each with its last save, and the node.
func (n *Node) Close() {
	n.mu.Lock()
	pids := make([]*actor.PID, 0, len(n.living))
	for ref, pid := range n.living {
		pids = append(pids, pid)
		delete(n.living, ref)
	}
	n.mu.Unlock()
	for _, pid := range pids {
		if err := n.system.Root.PoisonFuture(pid).Wait(); err != nil {
			panic(err)
		}
	}
	if !n.system.IsStopped() {
		n.system.Shutdown()
	}
	// The system's dead-letter throttle waits for its interval in a goroutine that nothing else ends, and
	// a synctest bubble must not be left with one.
	time.Sleep(time.Microsecond)
}

// System implements grain.Directory.
func (n *Node) System() *actor.ActorSystem { return n.system }

// Admit implements grain.Directory; it admits everybody.
func (n *Node) Admit() (func(), error) { return func() {}, nil }

// Locate implements grain.Directory.
func (n *Node) Locate(_ context.Context, to grain.Ref) (*actor.PID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if pid, ok := n.living[to]; ok {
		return pid, nil
	}
	kind, ok := n.kinds[to.Kind]
	if !ok {
		return nil, nexus.Errorf(nexus.Unavailable, "no node hosts %s", to.Kind)
	}
	pid := grain.Spawn(n.system.Root, kind, to)
	n.living[to] = pid
	return pid, nil
}

// Forget implements grain.Directory.
func (n *Node) Forget(to grain.Ref, pid *actor.PID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.living[to]; ok && known.Equal(pid) {
		delete(n.living, to)
	}
}

// Publish implements grain.Bus: it keeps the broadcast for Broadcasts.
func (n *Node) Publish(b *grain.Broadcast) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.broadcasts = append(n.broadcasts, b)
}

// Broadcasts returns what was published since the last call.
func (n *Node) Broadcasts() []*grain.Broadcast {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := n.broadcasts
	n.broadcasts = nil
	return b
}

// Store is a grain.Store in memory that fences as the real one does.
type Store struct {
	mu    sync.Mutex
	kept  map[grain.Ref]*kept
	Fault func() error // when set and not nil, every call fails with what it returns
	// Unfenced makes it take every write, whoever makes it: for tests that prove that other tests see what fences are for.
	Unfenced bool
}

type kept struct {
	epoch int64
	snap  nexus.Snapshot
}

// NewStore returns an empty store.
func NewStore() *Store { return &Store{kept: make(map[grain.Ref]*kept)} }

func (s *Store) fault() error {
	if s.Fault == nil {
		return nil
	}
	return s.Fault()
}

// Claim implements grain.Store.
func (s *Store) Claim(_ context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fault(); err != nil {
		return nexus.Fence{}, nexus.Snapshot{}, err
	}
	ref := grain.Ref{Kind: kind, ID: id}
	if s.kept[ref] == nil {
		s.kept[ref] = &kept{}
	}
	k := s.kept[ref]
	k.epoch++
	snap := k.snap
	snap.Payload = slices.Clone(snap.Payload)
	return nexus.Fence{Kind: kind, ID: id, Epoch: k.epoch}, snap, nil
}

// Renew implements grain.Store.
func (s *Store) Renew(_ context.Context, f nexus.Fence) (nexus.Fence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(f); err != nil {
		return nexus.Fence{}, err
	}
	k := s.kept[grain.Ref{Kind: f.Kind, ID: f.ID}]
	k.epoch++
	f.Epoch = k.epoch
	return f, nil
}

// Over implements grain.Store.
func (s *Store) Over(_ context.Context, fences []nexus.Fence) (over []nexus.Fence, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range fences {
		if err := s.check(f); nexus.CodeOf(err) == nexus.Fenced {
			over = append(over, f)
		} else if err != nil {
			return nil, err
		}
	}
	return over, nil
}

// Check fails with nexus.Fenced unless the fence is the present one.
func (s *Store) Check(f nexus.Fence) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.check(f)
}

func (s *Store) check(f nexus.Fence) error {
	if err := s.fault(); err != nil {
		return err
	}
	if k := s.kept[grain.Ref{Kind: f.Kind, ID: f.ID}]; k == nil || k.epoch != f.Epoch && !s.Unfenced {
		return nexus.Errorf(nexus.Fenced, "%s/%s at epoch %d is fenced", f.Kind, f.ID, f.Epoch)
	}
	return nil
}

// Kept returns the snapshot kept last.
func (s *Store) Kept(kind, id string) nexus.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[grain.Ref{Kind: kind, ID: id}]
	if k == nil {
		return nexus.Snapshot{}
	}
	snap := k.snap
	snap.Payload = slices.Clone(snap.Payload)
	return snap
}

// Save implements grain.Store.
func (s *Store) Save(_ context.Context, f nexus.Fence, snap nexus.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(f); err != nil {
		return err
	}
	k := s.kept[grain.Ref{Kind: f.Kind, ID: f.ID}]
	if snap.Version <= k.snap.Version && !s.Unfenced {
		return nexus.Errorf(nexus.Stale, "version %d is not above %d", snap.Version, k.snap.Version)
	}
	snap.SavedAt = time.Now()
	snap.Payload = slices.Clone(snap.Payload)
	k.snap = snap
	return nil
}

var (
	_ grain.Directory = (*Node)(nil)
	_ grain.Bus       = (*Node)(nil)
	_ grain.Store     = (*Store)(nil)
)
