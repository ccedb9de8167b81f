package incident

import (
	"context"
	"fmt"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// KindName is the kind of incidents; their identity is the incident's id.
const KindName = "incident"

const (
	// idle is how long the grain of a closed incident stays.
	idle = time.Minute
	// retryAfter is how long the grain waits for a store that is away.
	retryAfter = 500 * time.Millisecond
)

// Grain keeps the time of one incident: it asks the store to advance it in the moment that it is due. It decides nothing, and
// knows of the incident only when that is.
type Grain struct {
	store   Store
	options Options

	seq    int64      // of the last event that it knows
	next   *time.Time // when the incident is due, by the store's clock; nil: never more
	timer  wake       // the one that counts; those armed before it are stale
	armed  time.Time  // what the timer is for; zero: none is armed, or one to try again
	failed bool       // the last advance

	asking  []grain.Asker // who told of changes that are yet to be read
	looking bool
}

// wake is what a timer says when it is over. Each has a number of its own.
type wake int64

// Kind returns the kind of incidents over a store.
func Kind(store Store, o Options) grain.Kind {
	return grain.Kind{Name: KindName, New: func(string) grain.Grain { return &Grain{store: store, options: o} }, Idle: idle}
}

// Load implements grain.Grain. There is no snapshot: the incident is read from where it is kept.
func (g *Grain) Load(ctx context.Context, c *grain.Context, _ nexus.Snapshot) error {
	state, now, err := g.store.Look(ctx, nexus.IncidentID(c.ID))
	if err != nil {
		return fmt.Errorf("load incident: %w", err)
	}
	g.arm(c, state, now)
	return nil
}

// Stop implements grain.Grain. There is nothing to save.
func (g *Grain) Stop(context.Context, *grain.Context) {
	for _, a := range g.asking {
		a.Bounce()
	}
}

// Busy implements grain.Busy: an open incident stays.
func (g *Grain) Busy() bool { return g.next != nil }

// Receive implements grain.Grain.
func (g *Grain) Receive(c *grain.Context, msg any) {
	switch m := msg.(type) {
	case *Changed:
		g.changed(c, m)
	case wake:
		if m == g.timer {
			g.advance(c)
		}
	default:
		c.Log.Error("unknown message", "type", fmt.Sprintf("%T", msg))
		c.Fail(nexus.Errorf(nexus.Internal, "incident does not know %T", msg))
	}
}

// changed reads the incident again, unless the grain knows of the change.
func (g *Grain) changed(c *grain.Context, m *Changed) {
	if m.GetSeq() <= g.seq {
		c.Reply(&grain.Done{})
		return
	}
	g.asking = append(g.asking, c.Asker())
	g.look(c)
}

// look reads the incident, for all who have told of a change by now; who does so meanwhile may know of a newer one.
func (g *Grain) look(c *grain.Context) {
	if g.looking || len(g.asking) == 0 {
		return
	}
	var (
		state State
		now   time.Time
	)
	askers := g.asking
	g.looking, g.asking = true, nil
	c.Work(func(ctx context.Context) (err error) {
		state, now, err = g.store.Look(ctx, nexus.IncidentID(c.ID))
		return err
	}, func(err error) {
		g.looking = false
		if err == nil {
			g.arm(c, state, now)
		}
		for _, a := range askers {
			if err != nil {
				a.Fail(err)
				continue
			}
			a.Reply(&grain.Done{})
		}
		g.look(c)
	})
}

// advance does what is due. A write whose outcome is not known does no harm: the store finds nothing due the next time.
func (g *Grain) advance(c *grain.Context) {
	var out Outcome
	g.armed = time.Time{}
	c.Work(func(ctx context.Context) (err error) {
		out, err = g.store.Advance(ctx, c.Fence(), nexus.IncidentID(c.ID))
		return err
	}, func(err error) {
		switch {
		case nexus.CodeOf(err) == nexus.Fenced:
			g.fenced(c, err)
			return
		case err != nil:
			if !g.failed {
				c.Log.Warn("incident not advanced, trying on", "err", err)
			}
			g.failed = true
			g.wake(c, retryAfter)
			return
		}
		g.failed = false
		crier{c, c.Log, g.options.Metrics}.tell(out)
		g.arm(c, out.State, out.Now)
	})
}

// fenced ends an activation that is not the present one.
func (g *Grain) fenced(c *grain.Context, err error) {
	for _, a := range g.asking {
		a.Bounce()
	}
	g.asking = nil
	c.Abandon(err)
}

// arm sees to it that the incident is advanced when it is due. now is the store's clock, which the one of this node need
// not agree with.
func (g *Grain) arm(c *grain.Context, s State, now time.Time) {
	g.seq, g.next = s.Seq, s.NextAt
	switch {
	case g.next == nil:
		g.timer++ // none counts
		g.armed = time.Time{}
	case !g.next.Equal(g.armed):
		g.armed = *g.next
		g.wake(c, g.next.Sub(now))
	}
}

// wake arms the one timer that counts.
func (g *Grain) wake(c *grain.Context, d time.Duration) {
	g.timer++
	c.After(max(d, time.Millisecond), g.timer) // should clocks run apart a little, this is no busy loop
}
