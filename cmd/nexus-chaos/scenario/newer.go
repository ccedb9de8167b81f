package scenario

import (
	"context"
	"fmt"
	"time"

	"nexus/actors/mess"
	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/stage"
)

// newer has a node of the next version join for a while. It sends messages of a type that the others do not know to every
// process of theirs that it can name, and hosts a kind of grain that they do not.
func newer(d time.Duration) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		old := t.Stage.Nodes[:3]
		ends := make([]int, len(old))
		for i, n := range old {
			ends[i] = len(n.Exits())
		}
		n, err := t.Stage.AddNext()
		if err != nil {
			return err
		}
		if err := n.Start(); err != nil {
			return err
		}
		if err := t.Stage.Whole(ctx, 4, settleLimit); err != nil {
			return err
		}
		// What it has reached before, it knows the address of, and sends to.
		for _, part := range []func() error{
			func() error { return t.reach(ctx, n, old, "first") },
			func() error { return t.hear(ctx, n, old, d) },
			func() error { return t.reach(ctx, n, old, "again") },
		} {
			if err := part(); err != nil {
				return err
			}
		}
		took, err := n.Stop(stopLimit)
		if err != nil {
			return err
		}
		died := 0
		for i, o := range old {
			died += len(o.Exits()) - ends[i]
		}
		t.add(check.Holds("processes that died", "0, and the next version's ends with status 0", fmt.Sprintf("%d, status %v", died, n.Exits()),
			died == 0 && fmt.Sprint(n.Exits()) == "[0]"),
			check.Within("the node of the next version ends after SIGTERM", took, 60*time.Second))
		if err := t.Stage.Remove(n); err != nil {
			return err
		}
		return t.whole(ctx)
	}
}

// hear checks that old nodes hear what they do not know for as long as it is sent, refuse it, and are none the worse for it.
func (t *Trial) hear(ctx context.Context, n *stage.Node, old []*stage.Node, d time.Duration) error {
	const unknown, notice, panicked = "nexus_link_unknown_total", "message not understood", "panicked"
	var heard, logged, panics [2][]int
	for half := range 2 { // what was heard in the first half, and at the end
		if err := calm(ctx, d/2); err != nil {
			return err
		}
		for _, o := range old {
			count, err := o.Metric(ctx, unknown)
			if err != nil {
				return err
			}
			lines, err := o.Logged(notice)
			if err != nil {
				return err
			}
			trouble, err := o.Logged(panicked)
			if err != nil {
				return err
			}
			heard[half], logged[half], panics[half] = append(heard[half], int(count)), append(logged[half], lines), append(panics[half], trouble)
		}
	}
	steady, told, calm := true, true, true
	for i := range old {
		steady = steady && heard[0][i] > 0 && heard[1][i] > heard[0][i]
		told = told && logged[1][i] > 0 && logged[1][i] < heard[1][i]
		calm = calm && panics[1][i] == 0
	}
	asked, err := n.Metric(ctx, "nexus_next_asked_total")
	if err != nil {
		return err
	}
	refused, err := n.Metric(ctx, "nexus_next_refused_total")
	if err != nil {
		return err
	}
	grains, err := n.Metric(ctx, "nexus_next_grains_total")
	if err != nil {
		return err
	}
	silent, err := n.Metric(ctx, "nexus_next_silent_total")
	if err != nil {
		return err
	}
	t.add(check.Holds("messages of an unknown type that each old node dropped, half-way and at the end", "some, and more", fmt.Sprint(heard[0], heard[1]), steady),
		check.Holds("lines about them in each old node's log", "some, and not one each", fmt.Sprint(logged[1]), told),
		check.Holds("panics in the old nodes' logs", "0", fmt.Sprint(panics[1]), calm),
		check.Holds("of those that wanted an answer, never answered", "0, most refused, some for grains",
			fmt.Sprintf("%.0f, %.0f refused of %.0f, %.0f for grains", silent, refused, asked, grains), silent == 0 && refused > asked/2 && grains > 0))
	return nil
}

// reach checks that the grains of either version answer by way of the other.
func (t *Trial) reach(ctx context.Context, n *stage.Node, old []*stage.Node, when string) error {
	owners, err := check.Owners(ctx, t.Stage.Postgres.Pool(), mess.KindName)
	if err != nil {
		return err
	}
	owned := 0
	for _, owner := range owners {
		if owner == n.Name {
			owned++
		}
	}
	t.add(check.Note("halls that the node of the next version owns, "+when, "%d of %d", owned, len(owners)))
	for _, way := range []struct {
		by    string
		nodes []*stage.Node
	}{{"the next version", []*stage.Node{n}}, {"the old one", old}} {
		var slow time.Duration
		for _, r := range t.probe(ctx, way.nodes, 15*time.Second) {
			slow = max(slow, r.Took)
		}
		t.add(check.Within("all halls answer by way of "+way.by+", "+when+", max", slow, 5*time.Second))
	}
	web := t.web(old)
	defer web.Close()
	admin, err := web.Login(ctx, "admin")
	if err != nil {
		return err
	}
	members, err := web.Members(ctx, targets(old)[0], admin)
	if err != nil {
		return err
	}
	live, kinds := 0, 0
	for _, m := range members {
		if _, hosts := m.Grains[ballast]; hosts {
			kinds++
			live += m.Grains[ballast]
		}
	}
	t.add(check.Holds("grains of the new kind, as an old node sees them, "+when, fmt.Sprintf("%d on one node", FewGrains), fmt.Sprintf("%d on %d", live, kinds), live == FewGrains && kinds == 1))
	return nil
}
