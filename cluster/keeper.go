package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"nexus/actors/grain"
)

const (
	// keepEvery is how often the keeper looks. A grain whose node died is silent for that long at most.
	keepEvery = 2 * time.Second
	// keepAgain is how soon it looks again when a grain was not to be had, because it is on its way from one node to another.
	keepAgain = 100 * time.Millisecond
	// rouseAtOnce is how many grains it wakes side by side: while a member that is frozen has not been given up, each takes
	// a second to come.
	rouseAtOnce = 64
)

// keep wakes the grains that must always live and that this node owns: grains wake when somebody asks, and nobody
// asks a hall that is expected to speak by itself.
func (n *Node) keep(ctx context.Context) {
	n.meet(ctx)
	for {
		next := keepEvery
		for _, k := range n.cfg.Keep {
			if !n.rouse(ctx, k) {
				next = keepAgain
			}
		}
		select {
		case <-time.After(next):
		case <-n.wake:
		case <-ctx.Done():
			return
		}
	}
}

// rouseNow has the keeper look at once.
func (n *Node) rouseNow() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// meet gives a new node time to see the others before it wakes anything: as long as it believes itself alone it owns every
// grain, and would take them all from those that serve them.
func (n *Node) meet(ctx context.Context) {
	if n.membership == nil || len(n.membership.cfg.Seeds) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keepEvery)
	defer cancel()
	select {
	case <-n.membership.asked:
	case <-ctx.Done():
		return
	}
	select { // the ring follows in a moment, if anybody answered
	case <-n.wake:
	case <-time.After(keepEvery / 10):
	}
}

// rouse wakes what this node owns of a kind, and reports false if some of it is still on its way here.
func (n *Node) rouse(ctx context.Context, k Keep) bool {
	ctx, cancel := context.WithTimeout(ctx, keepEvery)
	defer cancel()
	ids, err := k.IDs(ctx)
	if err != nil {
		n.cfg.Log.Warn("keeper cannot list grains", "kind", k.Kind, "err", err)
		return true
	}
	var (
		all     sync.WaitGroup
		missing atomic.Bool
		failed  atomic.Int64
		last    atomic.Pointer[error]
	)
	slots := make(chan struct{}, rouseAtOnce)
	for _, id := range ids {
		if owner, ok := n.ring.Load().Owner(k.Kind, id); !ok || owner.ID != n.id {
			continue
		}
		slots <- struct{}{}
		if ctx.Err() != nil { // so many that they take more than a round
			break
		}
		all.Go(func() {
			defer func() { <-slots }()
			switch _, err := n.Locate(ctx, grain.Ref{Kind: k.Kind, ID: id}); {
			case errors.Is(err, grain.ErrGone):
				missing.Store(true)
			case err != nil:
				failed.Add(1)
				last.Store(&err)
			}
		})
	}
	all.Wait()
	if err := last.Load(); err != nil { // one line, however many
		n.cfg.Log.Warn("keeper cannot wake grains", "kind", k.Kind, "grains", failed.Load(), "err", *err)
	}
	return !missing.Load() && ctx.Err() == nil
}
