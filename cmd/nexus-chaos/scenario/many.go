package scenario

import (
	"context"
	"fmt"
	"time"

	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/stage"
)

// ballast is the kind of grain of the next version. Such grains are claimed, fenced, loaded and saved as halls are, and silent.
const ballast = "ballast"

// Grains is how many of them the stage of the scenarios with many grains keeps alive, FewGrains how many others do.
const (
	Grains    = 10_000
	FewGrains = 100
)

const (
	handOverGoal = 10 * time.Second
	populated    = time.Minute // bounds the wait until all grains live
)

// handOvers has a node leave and come back, and eight more join at once and leave at once, while Grains grains live.
func handOvers(ctx context.Context, t *Trial) error {
	const more = 8
	first, last := t.Stage.Nodes[:3], t.Stage.Nodes[2]
	web := t.web(first)
	defer web.Close()
	admin, err := web.Login(ctx, "admin")
	if err != nil {
		return err
	}
	// moves does something to the members, and measures how long the grains take to find their new places.
	moves := func(what string, nodes int, do func() error) error {
		if err := stage.Await(ctx, populated, fmt.Sprintf("%d grains live", Grains), func(ctx context.Context) bool {
			_, live := t.live(ctx, web, admin)
			return live == Grains
		}); err != nil {
			return err
		}
		since, err := check.Clock(ctx, t.Stage.Postgres.Pool())
		if err != nil {
			return err
		}
		if err := do(); err != nil {
			return err
		}
		if err := stage.Await(ctx, populated, "the first grain has moved", func(ctx context.Context) bool {
			m, err := check.Moved(ctx, t.Stage.Postgres.Pool(), ballast, since)
			return err == nil && m.Grains > 0
		}); err != nil {
			return err
		}
		if err := t.Stage.Settle(ctx); err != nil {
			return err
		}
		if err := stage.Await(ctx, populated, fmt.Sprintf("%d grains live on %d nodes", Grains, nodes), func(ctx context.Context) bool {
			hosts, live := t.live(ctx, web, admin)
			return hosts == nodes && live == Grains
		}); err != nil {
			return err
		}
		moved, err := check.Moved(ctx, t.Stage.Postgres.Pool(), ballast, since)
		if err != nil {
			return err
		}
		t.add(check.Within(what+": until the last grain has moved, from the first", moved.Last-moved.First, handOverGoal),
			check.Note(what+": grains that moved", "%d of %d, the first %v after the signal or the start, the last after %v; then all live on %d nodes",
				moved.Grains, Grains, moved.First.Round(10*time.Millisecond), moved.Last.Round(10*time.Millisecond), nodes),
			check.Note(what+": one grain, from its last save to its next claim", "p50 %v, p99 %v, max %v", moved.Gap(0.5), moved.Gap(0.99), moved.Gap(1)))
		return nil
	}
	leave := func(nodes []*stage.Node, ended chan<- error) {
		for _, n := range nodes {
			go func() {
				_, err := n.Stop(stopLimit)
				ended <- err
			}()
		}
	}
	start := func(nodes []*stage.Node) error {
		for _, n := range nodes {
			if err := n.Start(); err != nil {
				return err
			}
		}
		return nil
	}
	ended := make(chan error, more)
	if err := moves("a node leaves", 2, func() error { leave([]*stage.Node{last}, ended); return nil }); err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return err
	}
	if err := moves("a node joins", 3, last.Start); err != nil {
		return err
	}
	for range more {
		if _, err := t.Stage.Add(); err != nil {
			return err
		}
	}
	others := t.Stage.Nodes[3:]
	if err := moves("eight nodes join", 3+more, func() error { return start(others) }); err != nil {
		return err
	}
	if err := moves("eight nodes leave", 3, func() error { leave(others, ended); return nil }); err != nil {
		return err
	}
	for range others {
		if err := <-ended; err != nil {
			return err
		}
	}
	return t.whole(ctx)
}

// live is how many nodes host ballast, and how many grains of it live on them, by the word of the first node. It counts only
// when every node that does not drain has answered.
func (t *Trial) live(ctx context.Context, web *client.Web, admin map[string][]string) (hosts, grains int) {
	members, err := web.Members(ctx, targets(t.Stage.Nodes[:1])[0], admin)
	if err != nil {
		return 0, 0
	}
	for _, m := range members {
		switch {
		case m.Draining:
		case m.Error != "":
			return 0, 0
		default:
			hosts++
			grains += m.Grains[ballast]
		}
	}
	return hosts, grains
}
