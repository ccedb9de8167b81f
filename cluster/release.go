package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus/actors/grain"
)

// releaseAtOnce is how many grains stop side by side, whether this node lets go of them or is asked to: each may write a last snapshot,
// and more would only wait for the same connections.
const releaseAtOnce = 32

// claim asks the members that may have a grain to give it up. It returns when all have, or do not answer, and reports
// whether one of them had it. It waits for a turn before: a grain lives on where it is until those that have it have the time to save it.
func (n *Node) claim(turns chan struct{}, holders []Member, ref grain.Ref) (had bool) {
	if turns != nil {
		select {
		case turns <- struct{}{}:
			defer func() { <-turns }()
		case <-n.ctx.Done():
			return false
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, yieldTimeout)
	defer cancel()
	var (
		all sync.WaitGroup
		has atomic.Bool
	)
	for _, m := range holders {
		all.Go(func() {
			answer, err := grain.Request(ctx, n.system, actor.NewPID(m.Address, placementName), &Yield{Kind: ref.Kind, Id: ref.ID})
			if err != nil {
				n.cfg.Log.Debug("a member does not say that it gave a grain up", "member", m.ID, "grain", ref, "err", err)
			}
			if y, ok := answer.(*Yielded); ok && y.GetHad() {
				has.Store(true)
			}
		})
	}
	all.Wait()
	return has.Load()
}

// yield gives a grain up to the member that asks.
func (p *placement) yield(c actor.Context, ref grain.Ref) {
	asker := grain.AskerOf(c)
	p.note(ref)
	if o, ok := p.opening[ref]; ok {
		delete(p.opening, ref)
		bounce(o.askers)
	}
	pid, ok := p.living[ref]
	if !ok {
		asker.Reply(&Yielded{})
		return
	}
	p.yields[pid.Id] = append(p.yields[pid.Id], asker)
	p.leave(c, pid)
}

// note remembers that a grain was given up, and forgets now and then what is long past.
func (p *placement) note(ref grain.Ref) {
	now := time.Now()
	if now.Sub(p.swept) >= 2*yieldedFor {
		for r, at := range p.yielded {
			if now.Sub(at) >= yieldedFor {
				delete(p.yielded, r)
			}
		}
		p.swept = now
	}
	p.yielded[ref] = now
}

// leave tells a child to end in order, behind what waits in its mailbox.
func (p *placement) leave(c actor.Context, pid *actor.PID) {
	if _, already := p.leaving[pid.Id]; already {
		return
	}
	p.leaving[pid.Id] = struct{}{}
	c.Send(pid, &grain.Leave{})
}

func (p *placement) ended(c actor.Context, pid *actor.PID) {
	ref, ok := p.refs[pid.Id]
	if !ok {
		return
	}
	delete(p.refs, pid.Id)
	delete(p.living, ref)
	delete(p.leaving, pid.Id)
	p.node.drop(ref, pid)
	for _, a := range p.yields[pid.Id] {
		a.Reply(&Yielded{Had: true})
	}
	delete(p.yields, pid.Id)
	p.releaseNext(c)
}

// releaseStrangers lets go of the grains that other members own now.
func (p *placement) releaseStrangers(c actor.Context) {
	if p.node.draining() {
		return // all of them go, but the new owners may ask first
	}
	p.queue = nil
	for ref, pid := range p.living {
		if !p.owns(ref) {
			p.queue = append(p.queue, pid)
		}
	}
	p.releaseNext(c)
}

func (p *placement) release(c actor.Context) {
	asker := grain.AskerOf(c)
	p.closing = &asker
	for ref, o := range p.opening {
		delete(p.opening, ref)
		bounce(o.askers)
	}
	p.queue = slices.Clone(c.Children())
	p.releaseNext(c)
}

// releaseNext keeps up to releaseAtOnce children on their way out, and answers whoever waits for the last.
func (p *placement) releaseNext(c actor.Context) {
	for len(p.queue) > 0 && len(p.leaving) < releaseAtOnce {
		pid := p.queue[0]
		p.queue = p.queue[1:]
		if ref, ok := p.refs[pid.Id]; ok && (p.closing != nil || !p.owns(ref)) {
			p.leave(c, pid)
		}
	}
	if p.closing != nil && len(p.refs) == 0 {
		p.closing.Reply(&grain.Done{})
	}
}
