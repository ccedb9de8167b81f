package scenario

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"nexus/actors/mess"
	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/stage"
)

// calm lets the campus run for a while.
func calm(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// probe has one new gate for each hall report through the nodes, and says after how long each hall took it.
func (t *Trial) probe(ctx context.Context, nodes []*stage.Node, limit time.Duration) []client.Recovery {
	web := t.web(nodes)
	defer web.Close()
	t.probes++
	gates := make([]*client.Gate, len(t.Stage.Halls))
	for i, hall := range t.Stage.Halls {
		gates[i] = &client.Gate{Web: web, Name: fmt.Sprintf("%s-probe-%d-%d", t.cast.Tag, t.probes, i), Key: t.cast.Keys.Next(), Hall: hall, Scattered: true}
	}
	return client.Probe(ctx, gates, limit)
}

// without returns the first three nodes but one.
func (t *Trial) without(n *stage.Node) []*stage.Node {
	return slices.DeleteFunc(slices.Clone(t.Stage.Nodes[:3]), func(x *stage.Node) bool { return x == n })
}

// whole waits until the three nodes see each other, and gives them a moment more.
func (t *Trial) whole(ctx context.Context) error {
	if err := t.Stage.Whole(ctx, 3, settleLimit); err != nil {
		return err
	}
	return calm(ctx, time.Second)
}

// quiet is the trial without a fault.
func quiet(d time.Duration) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		if err := calm(ctx, d); err != nil {
			return err
		}
		t.add(check.Jitter(t.Log.Ticks(), t.bound(300*time.Millisecond))...)
		return nil
	}
}

// fewKills is below how many kills a median is none: all halls of one node wait for one and the same discovery.
const fewKills = 5

// kills kills one node after the other, as a crash does, and starts each again when its grains have been taken over.
func kills(times int) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		var took []time.Duration
		var silent []string
		for i := range times {
			if err := calm(ctx, 2*time.Second); err != nil {
				return err
			}
			victim := t.Stage.Nodes[i%3]
			owners, err := check.Owners(ctx, t.Stage.Postgres.Pool(), mess.KindName)
			if err != nil {
				return err
			}
			if err := victim.Kill(); err != nil {
				return err
			}
			for _, r := range t.probe(ctx, t.without(victim), t.bound(15*time.Second)) {
				if r.Err != "" {
					silent = append(silent, fmt.Sprintf("%s after %s was killed: %s", r.Hall, victim.Name, r.Err))
				}
				if owners[string(r.Hall)] == victim.Name {
					took = append(took, r.Took)
				}
			}
			if err := victim.Start(); err != nil {
				return err
			}
			if err := t.whole(ctx); err != nil {
				return err
			}
		}
		median := check.Within("a killed node's halls answer again, p50", check.Quantile(took, 0.5), 3*time.Second)
		if times < fewKills {
			median = check.Figure(median)
		}
		t.add(check.Holds("halls that nobody answers for", "0", fmt.Sprint(len(silent), silent), len(silent) == 0),
			check.Note("halls that a killed node owned", "%d in %d kills", len(took), times),
			median,
			check.Within("a killed node's halls answer again, max", check.Quantile(took, 1), t.bound(5*time.Second)))
		return nil
	}
}

// freeze stops a node with SIGSTOP for a while.
func freeze(node int, d time.Duration) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		if err := calm(ctx, 2*time.Second); err != nil {
			return err
		}
		n := t.Stage.Nodes[node]
		before := len(n.Exits())
		if err := n.Freeze(); err != nil {
			return err
		}
		var slow time.Duration
		for _, r := range t.probe(ctx, t.without(n), t.bound(15*time.Second)) {
			slow = max(slow, r.Took)
		}
		t.add(check.Within("all halls answer while a node is frozen, max", slow, t.bound(5*time.Second)))
		if err := calm(ctx, d-slow); err != nil {
			return err
		}
		if err := n.Thaw(); err != nil {
			return err
		}
		thawed := time.Now()
		if err := t.whole(ctx); err != nil {
			return err
		}
		t.add(check.Note("whole again after the thaw", "%v", time.Since(thawed).Round(100*time.Millisecond)))
		ends := n.Exits()[before:]
		if t.scenario.Patient {
			ends = slices.Compact(ends) // the machine may have let it stand still once more
		}
		t.add(check.Holds("the frozen node ends by itself and comes back as a new one", fmt.Sprintf("status %d once", stage.FrozenStatus),
			fmt.Sprint("status ", ends), slices.Equal(ends, []int{stage.FrozenStatus})))
		return calm(ctx, time.Second)
	}
}

// roll restarts nodes in order, one after the other, as a new version is rolled out.
func roll(nodes int) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		var longest time.Duration
		var ends []int
		for _, n := range t.Stage.Nodes[:nodes] {
			if err := calm(ctx, 2*time.Second); err != nil {
				return err
			}
			before := len(n.Exits())
			took, err := n.Stop(stopLimit)
			if err != nil {
				return err
			}
			longest, ends = max(longest, took), append(ends, n.Exits()[before:]...)
			if err := n.Start(); err != nil {
				return err
			}
			if err := t.whole(ctx); err != nil {
				return err
			}
		}
		t.add(check.Within("a node ends after SIGTERM, max", longest, 60*time.Second),
			check.Holds("ended nodes report success", "0 each", fmt.Sprint("status ", ends), !slices.ContainsFunc(ends, func(e int) bool { return e != 0 })))
		return calm(ctx, 2*time.Second)
	}
}

// databaseDies kills PostgreSQL with each signal in turn and starts it again after the pause.
func databaseDies(pause time.Duration, signals ...syscall.Signal) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		for _, sig := range signals {
			if err := calm(ctx, 3*time.Second); err != nil {
				return err
			}
			if err := t.Stage.Postgres.Kill(sig); err != nil {
				return err
			}
			if err := calm(ctx, pause); err != nil {
				return err
			}
			if err := t.Stage.Postgres.Start(ctx); err != nil {
				return err
			}
			var slow time.Duration
			for _, r := range t.probe(ctx, t.Stage.Nodes[:3], 15*time.Second) {
				slow = max(slow, r.Took)
			}
			t.add(check.Within(fmt.Sprintf("all halls take check-ins again after PostgreSQL (%v) is back, max", sig), slow, 2*time.Second))
			if err := t.whole(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}

// databaseFarAway delays and breaks one node's connections to PostgreSQL, and refuses it new ones.
func databaseFarAway(ctx context.Context, t *Trial) error {
	n := t.Stage.Nodes[0]
	for _, step := range []func(){
		func() { n.Database.Delay(50 * time.Millisecond) },
		func() { n.Database.Delay(0); n.Database.Reset() },
		func() { n.Database.Refuse(true); n.Database.Reset() },
	} {
		if err := calm(ctx, 2*time.Second); err != nil {
			return err
		}
		step()
		if err := calm(ctx, 4*time.Second); err != nil {
			return err
		}
	}
	n.Database.Refuse(false)
	return t.whole(ctx)
}

// redisDies kills Redis, starts it again, and freezes it for a while.
func redisDies(ctx context.Context, t *Trial) error {
	for _, step := range []struct {
		do   func() error
		last time.Duration
	}{
		{func() error { return nil }, 5 * time.Second},
		{t.Stage.Redis.Kill, 8 * time.Second},
		{t.Stage.Redis.Start, 8 * time.Second},
		{t.Stage.Redis.Freeze, 10 * time.Second},
		{t.Stage.Redis.Thaw, 8 * time.Second},
	} {
		if err := step.do(); err != nil {
			return err
		}
		if err := calm(ctx, step.last); err != nil {
			return err
		}
	}
	t.add(check.Jitter(t.Log.Ticks(), 300*time.Millisecond)...)
	return nil
}
