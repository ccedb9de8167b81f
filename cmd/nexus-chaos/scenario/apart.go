package scenario

import (
	"context"
	"errors"
	"time"

	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/stage"
)

// pair is a direction between two nodes, counted from 1.
type pair struct{ from, to int }

var (
	lastFromOthers = []pair{{3, 1}, {1, 3}, {3, 2}, {2, 3}}
	lastSpeaksNot  = []pair{{3, 1}, {3, 2}}
	all            = []pair{{1, 2}, {2, 1}, {1, 3}, {3, 1}, {2, 3}, {3, 2}}
)

// cut does something to the network between nodes for a while, and wants the campus whole soon after that is undone.
func cut(pairs []pair, d time.Duration, do, undo func(*stage.Spaces, int, int) error) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		if err := calm(ctx, 2*time.Second); err != nil {
			return err
		}
		each := func(what func(*stage.Spaces, int, int) error) (err error) {
			for _, p := range pairs {
				err = errors.Join(err, what(t.Stage.Spaces, p.from, p.to))
			}
			return err
		}
		if err := each(do); err != nil {
			return err
		}
		if err := calm(ctx, d); err != nil {
			return errors.Join(err, each(undo))
		}
		if err := each(undo); err != nil {
			return err
		}
		healed := time.Now()
		if err := t.Stage.Whole(ctx, 3, 30*time.Second); err != nil {
			return err
		}
		t.add(check.Within("rejoined after healing", time.Since(healed), 10*time.Second))
		return calm(ctx, 3*time.Second)
	}
}

// split runs the last node for a while as if it had never heard of the others: two campuses over one database, which
// is what a partition comes to, without a network to cut. In the end they are one again. Nodes are restarted one after the other, for
// there is no promise for a campus that has none.
func split(d time.Duration) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		others, last := t.Stage.Nodes[:2], t.Stage.Nodes[2]
		t.Stage.Split(last, true)
		for _, n := range others { // so that they no longer look for it
			if err := t.restart(ctx, n, 3); err != nil {
				return err
			}
		}
		if err := t.restart(ctx, last, len(others)); err != nil {
			return err
		}
		if err := stage.Await(ctx, settleLimit, "the lone node is ready", last.Ready); err != nil {
			return err
		}
		if err := t.seatsApart(ctx, others[0], last); err != nil {
			return err
		}
		if err := calm(ctx, d); err != nil {
			return err
		}
		if t.scenario.Unfenced {
			if err := stage.Await(ctx, hang, "both campuses write for the same halls", t.contested); err != nil {
				return err
			}
		}
		t.Stage.Split(last, false)
		if err := t.restart(ctx, last, 3); err != nil {
			return err
		}
		return calm(ctx, time.Second)
	}
}

// contested reports whether the damage is done that a trial without fences is to notice.
func (t *Trial) contested(ctx context.Context) bool {
	halls, err := check.Contested(ctx, t.Stage.Postgres.Pool())
	return err == nil && halls >= len(t.Stage.Halls)/2
}

// restart ends a node in order and starts it again, and waits until the first of the nodes see so many.
func (t *Trial) restart(ctx context.Context, n *stage.Node, members int) error {
	if _, err := n.Stop(stopLimit); err != nil {
		return err
	}
	if err := n.Start(); err != nil {
		return err
	}
	return t.Stage.Whole(ctx, members, settleLimit)
}

// crowded has eight more nodes join at once, and leave at once.
func crowded(ctx context.Context, t *Trial) error {
	const more = 8
	nodes := t.Stage.Nodes[3:]
	for len(nodes) < more {
		if _, err := t.Stage.Add(); err != nil {
			return err
		}
		nodes = t.Stage.Nodes[3:]
	}
	began := time.Now()
	for _, n := range nodes {
		if err := n.Start(); err != nil {
			return err
		}
	}
	if err := t.Stage.Whole(ctx, 3+more, 60*time.Second); err != nil {
		return err
	}
	t.add(check.Note("eight more nodes are ready and all see each other after", "%v", time.Since(began).Round(100*time.Millisecond)))
	t.took(ctx, "with eleven nodes")
	if err := calm(ctx, 5*time.Second); err != nil {
		return err
	}
	began = time.Now()
	ended := make(chan error, more)
	for _, n := range nodes {
		go func() {
			_, err := n.Stop(stopLimit)
			ended <- err
		}()
	}
	var err error
	for range more {
		err = errors.Join(err, <-ended)
	}
	if err != nil {
		return err
	}
	t.add(check.Note("they have left after", "%v", time.Since(began).Round(100*time.Millisecond)))
	t.took(ctx, "with three again")
	return t.whole(ctx)
}

// took measures how long the slowest hall takes to answer now.
func (t *Trial) took(ctx context.Context, when string) {
	var slow time.Duration
	for _, r := range t.probe(ctx, t.Stage.Nodes[:3], 15*time.Second) {
		slow = max(slow, r.Took)
	}
	t.add(check.Within("all halls answer "+when+", max", slow, 5*time.Second))
}
