package course

import (
	"context"
	"fmt"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// KindName is the kind of courses; their identity is the course's id.
const KindName = "course"

// idleAfter is how long a course about which nobody asks is kept in memory.
const idleAfter = 10 * time.Minute

// Grain is one course.
type Grain struct {
	seats   seats
	classes classes
}

// Kind returns the kind of courses over their stores.
func Kind(s SeatStore, c ClassStore) grain.Kind {
	return grain.Kind{Name: KindName, Idle: idleAfter, New: func(string) grain.Grain {
		g := &Grain{seats: seats{store: s}, classes: classes{store: c}}
		g.classes.roll = func() Roll { return g.seats.roll }
		return g
	}}
}

// Load implements grain.Grain.
func (g *Grain) Load(ctx context.Context, c *grain.Context, _ nexus.Snapshot) error {
	if err := g.seats.load(ctx, c); err != nil {
		return fmt.Errorf("load seats: %w", err)
	}
	if err := g.classes.load(ctx, c); err != nil {
		return fmt.Errorf("load classes: %w", err)
	}
	return nil
}

// Receive implements grain.Grain.
func (g *Grain) Receive(c *grain.Context, msg any) {
	switch m := msg.(type) {
	case *Enrol:
		g.seats.ask(c, m.GetBy(), m.GetUser(), false)
	case *Drop:
		g.seats.ask(c, m.GetBy(), m.GetUser(), true)
	case *Change:
		g.seats.change(c, m)
	case *MoveUp:
		g.seats.enqueue(c, wish{asker: c.Asker()})
	case *DoClass:
		g.classes.act(c, m)
	case *MarkMe:
		g.classes.mark(c, m)
	case *CorrectMark:
		g.classes.correct(c, m)
	case *ShowCode:
		g.classes.showCode(c, m)
	case beatNow:
		g.classes.beat(c)
	default:
		c.Log.Error("unknown message", "type", fmt.Sprintf("%T", msg))
		c.Fail(nexus.Errorf(nexus.Internal, "course does not know %T", msg))
	}
}

// Busy implements grain.Busy: while a class is open its clock goes on.
func (g *Grain) Busy() bool { return g.classes.busy() }

// Stop implements grain.Grain. Who was not answered yet asks the next activation.
func (g *Grain) Stop(_ context.Context, c *grain.Context) {
	g.seats.stop()
	g.classes.stop()
}
