package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
)

// Admit implements grain.Directory.
func (n *Node) Admit() (leave func(), err error) {
	select {
	case n.calls <- struct{}{}:
		return func() { <-n.calls }, nil
	default:
		n.metrics.refused.Inc()
		e := nexus.Errorf(nexus.Unavailable, "the service is overloaded, try again")
		e.RetryAfter = time.Second
		return nil, e
	}
}

// Locate implements grain.Directory. After Close it fails with nexus.Unavailable.
func (n *Node) Locate(ctx context.Context, to grain.Ref) (*actor.PID, error) {
	if n.system.IsStopped() {
		return nil, nexus.Errorf(nexus.Unavailable, "the node is shutting down")
	}
	owner, ok := n.ring.Load().Owner(to.Kind, to.ID)
	if !ok {
		return nil, nexus.Errorf(nexus.Unavailable, "no node hosts %s", to.Kind)
	}
	n.mu.RLock()
	pid, ok := n.addresses[to]
	n.mu.RUnlock()
	// An answer of a former owner may have come behind the news that it is none any more.
	if ok && pid.Address == owner.Address {
		return pid, nil
	}
	ctx, cancel := grain.Attempt(ctx, n.system, owner.Address)
	defer cancel()
	answer, err := grain.Request(ctx, n.system, actor.NewPID(owner.Address, placementName), &Activate{Kind: to.Kind, Id: to.ID})
	if err != nil {
		if errors.Is(err, grain.ErrGone) {
			n.metrics.retries.Inc()
		}
		return nil, fmt.Errorf("activate %s: %w", to, err)
	}
	switch a := answer.(type) {
	case *Activated:
		pid := actor.NewPID(a.GetAddress(), a.GetActor())
		n.remember(to, pid)
		return pid, nil
	case *grain.Failure:
		return nil, a.Err()
	default:
		return nil, nexus.Errorf(nexus.Internal, "placement answered %T", answer)
	}
}

func (n *Node) remember(to grain.Ref, pid *actor.PID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.addresses[to]; ok && known.Equal(pid) { // the placement of this node has said so, with a PID that is kept anyway
		return
	}
	if len(n.addresses) >= maxAddresses {
		clear(n.addresses)
	}
	n.addresses[to] = pid
}

// Forget implements grain.Directory.
func (n *Node) Forget(to grain.Ref, pid *actor.PID) {
	n.metrics.retries.Inc()
	n.drop(to, pid)
}

func (n *Node) drop(to grain.Ref, pid *actor.PID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.addresses[to]; ok && known.Equal(pid) {
		delete(n.addresses, to)
	}
}
