package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// pulledFor is how long a node that drains goes on with its grains, for the others to hear of it, in two rounds of gossip,
// and to ask for what they own now: a grain that somebody takes over is away for milliseconds, one that is let go until
// somebody asks for it.
const pulledFor = 500 * time.Millisecond

// Drain hands every grain over: the others learn that this node takes no more, and take what must always live; then its
// grains stop, each with its last save, a bounded number at a time. It gives up waiting when ctx ends. A second call does nothing.
func (n *Node) Drain(ctx context.Context) (err error) {
	n.drained.Do(func() {
		n.stepBack()
		if len(n.others()) > 0 {
			nexus.Pause(ctx, pulledFor)
		}
		answer, e := grain.Request(ctx, n.system, n.placement, &Release{})
		if _, ok := answer.(*grain.Done); !ok {
			err = fmt.Errorf("release grains: answer %T: %w", answer, e)
		}
	})
	return err
}

// draining reports whether this node has stepped back.
func (n *Node) draining() bool {
	self, _ := n.Member(n.id)
	return self.Draining
}

// stepBack takes this node out of the rings: first its own, then the others'.
func (n *Node) stepBack() {
	if n.membership == nil {
		self, _ := n.Member(n.id)
		self.Draining = true
		n.setRing(self)
		return
	}
	if err := n.membership.drain(); err != nil {
		n.cfg.Log.Warn("tell the others of the drain", "err", err)
	}
	n.refresh()
}

// Close drains, if that has not been done, says good-bye to the others and ends the node. A second call does nothing.
func (n *Node) Close(ctx context.Context) (err error) {
	n.closed.Do(func() {
		if n.placement != nil {
			err = n.Drain(ctx)
		}
		n.cancel()
		n.loops.Wait()
		left := n.closeBus()
		if n.membership != nil {
			left = errors.Join(left, n.membership.leave())
		}
		if n.placement != nil && err == nil { // else a grain hangs, and would hang this too
			err = n.system.Root.StopFuture(n.placement).Wait()
		}
		if n.link != nil {
			left = errors.Join(left, n.link.close())
		}
		n.system.Shutdown()
		err = errors.Join(err, left)
	})
	return err
}
