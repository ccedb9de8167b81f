package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
)

const (
	// verifyAfter is how long after new members were met activations are verified: by then they have met the others as well, and
	// those that join at the same time are done with at once.
	verifyAfter = 2 * time.Second
	// showFor is how long activations have to show their fences. One that is too busy for it writes, and will be told then.
	showFor = time.Second
	// verifyAtOnce is how many fences one question asks the store for, and verifyTimeout how long that may take.
	verifyAtOnce  = 1000
	verifyTimeout = 5 * time.Second
)

// verify has the placement find out which activations are still the present ones.
type verify struct{}

// meet looks for members that were not there before. They may have belonged to another campus over the same database until now, as when
// a network was cut, or may have begun alone, and have activated what lives here: of two activations of a grain, the older one does not know
// as long as it writes nothing.
func (p *placement) meet(c actor.Context) {
	before := p.met
	p.met = make(map[string]struct{})
	for _, m := range p.node.others() {
		p.met[m.ID] = struct{}{}
		if _, known := before[m.ID]; !known {
			p.metAt = time.Now()
		}
	}
	p.verifySoon(c)
}

// verifySoon verifies when nobody new has been met for a while.
func (p *placement) verifySoon(c actor.Context) {
	if p.metAt.IsZero() || p.verifies || p.closing != nil {
		return
	}
	p.verifies = true
	root, self := c.ActorSystem().Root, c.Self()
	p.node.after(time.Until(p.metAt.Add(verifyAfter)), func() { root.Send(self, &verify{}) })
}

// verify has every activation show its fence, and then tells those whose fence is over.
func (p *placement) verify(c actor.Context) {
	p.verifies = false
	if time.Since(p.metAt) < verifyAfter {
		p.verifySoon(c)
		return
	}
	p.metAt = time.Time{}
	if p.closing != nil {
		return
	}
	var (
		mu    sync.Mutex
		shown = make(map[nexus.Fence]*actor.PID) // nil once it is too late
	)
	for ref, pid := range p.living {
		if p.kinds[ref.Kind].Volatile {
			continue
		}
		c.Send(pid, &grain.Show{To: func(f nexus.Fence) {
			mu.Lock()
			defer mu.Unlock()
			if shown != nil {
				shown[f] = pid
			}
		}})
	}
	p.node.after(showFor, func() {
		mu.Lock()
		taken := shown
		shown = nil
		mu.Unlock()
		p.node.overtake(taken)
	})
}

// after does something later, unless the node closes before. It is called before the node drains.
func (n *Node) after(d time.Duration, do func()) {
	n.loops.Go(func() {
		if nexus.Pause(n.ctx, d) {
			do()
		}
	})
}

// overtake tells the activations whose fences are over, and has those that must live wake anew.
func (n *Node) overtake(shown map[nexus.Fence]*actor.PID) {
	fences := make([]nexus.Fence, 0, len(shown))
	for f := range shown {
		fences = append(fences, f)
	}
	for some := range slices.Chunk(fences, verifyAtOnce) {
		ctx, cancel := context.WithTimeout(n.ctx, verifyTimeout)
		over, err := n.cfg.Store.Over(ctx, some)
		cancel()
		if err != nil {
			n.cfg.Log.Warn("fences not verified", "grains", len(some), "err", err)
			return // what writes is told by the store
		}
		for _, f := range over {
			n.system.Root.Send(shown[f], &grain.Overtaken{Fence: f})
		}
		if len(over) > 0 {
			n.after(keepAgain, n.rouseNow) // they end meanwhile
		}
	}
}
