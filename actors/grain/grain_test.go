package grain_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// counter is a grain that adds numbers up. Some numbers make it do other things.
type counter struct {
	store   grain.Store
	sum     int64
	version int64
	ticks   *atomic.Int64
	busy    bool
	stopped *atomic.Int64
}

const (
	readOnly  = 0
	explode   = -1
	abandon   = -2
	slowly    = -3
	refuse    = -4
	loadFails = "broken"
)

func (g *counter) Load(_ context.Context, c *grain.Context, s nexus.Snapshot) error {
	if c.ID == loadFails {
		return nexus.Errorf(nexus.NotFound, "counter %s", c.ID)
	}
	if len(s.Payload) > 0 {
		if _, err := fmt.Sscan(string(s.Payload), &g.sum); err != nil {
			return err
		}
	}
	g.version = s.Version
	if g.ticks != nil {
		c.Every(time.Second, "tick")
	}
	return nil
}

func (g *counter) Receive(c *grain.Context, msg any) {
	n, ok := msg.(*wrapperspb.Int64Value)
	if !ok { // the tick
		g.ticks.Add(1)
		return
	}
	switch n.Value {
	case explode:
		panic("boom")
	case abandon:
		c.Abandon(errors.New("no longer sure"))
		c.Asker().Bounce()
	case slowly:
		asker := c.Asker()
		c.Work(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, func(err error) { asker.Fail(err) })
	case refuse:
		e := nexus.InvalidField("n", "must not be %d", n.Value)
		e.RetryAfter = 3 * time.Second
		c.Fail(e)
	default:
		g.sum += n.Value
		c.Reply(wrapperspb.Int64(g.sum))
	}
}

func (g *counter) Stop(ctx context.Context, c *grain.Context) {
	if g.stopped != nil {
		g.stopped.Add(1)
	}
	if err := g.store.Save(ctx, c.Fence(), nexus.Snapshot{Version: g.version + 1, Payload: fmt.Append(nil, g.sum)}); err != nil {
		c.Log.Warn("save", "err", err)
	}
}

func (g *counter) Busy() bool { return g.busy }

func counterKind(store grain.Store, edit func(*counter)) grain.Kind {
	return grain.Kind{Name: "counter", New: func(string) grain.Grain {
		g := &counter{store: store}
		if edit != nil {
			edit(g)
		}
		return g
	}}
}

func add(ctx context.Context, d grain.Directory, id string, n int64) (int64, error) {
	v, err := grain.Ask[*wrapperspb.Int64Value](ctx, d, grain.Ref{Kind: "counter", ID: id}, wrapperspb.Int64(n))
	return v.GetValue(), err
}

func mustAdd(t *testing.T, d grain.Directory, id string, n, want int64) {
	t.Helper()
	got, err := add(t.Context(), d, id, n)
	if err != nil || got != want {
		t.Fatalf("add %d to %s = %d, %v; want %d", n, id, got, err, want)
	}
}

func TestGrainKeepsItsStateBetweenCallsAndActivations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		first := graintest.NewNode(t, store, counterKind(store, nil))
		mustAdd(t, first, "a", 2, 2)
		mustAdd(t, first, "a", 3, 5)
		mustAdd(t, first, "b", 1, 1)
		first.Close()
		second := graintest.NewNode(t, store, counterKind(store, nil))
		mustAdd(t, second, "a", readOnly, 5)
	})
}

func TestStaleActivationCannotSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		old := graintest.NewNode(t, store, counterKind(store, nil))
		mustAdd(t, old, "a", 7, 7)
		young := graintest.NewNode(t, store, counterKind(store, nil))
		mustAdd(t, young, "a", 1, 1) // the old one never saved
		old.Close()
		young.Close()
		mustAdd(t, graintest.NewNode(t, store, counterKind(store, nil)), "a", readOnly, 1)
	})
}

func TestErrorsCrossTheMailboxWithCodeAndFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		node := graintest.NewNode(t, store, counterKind(store, nil))
		_, err := add(t.Context(), node, "a", refuse)
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != "n" || e.RetryAfter != 3*time.Second {
			t.Fatalf("got %#v", err)
		}
	})
}

func TestFailedLoadIsAnsweredAndTriedAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		node := graintest.NewNode(t, store, counterKind(store, nil))
		if _, err := add(t.Context(), node, loadFails, 1); nexus.CodeOf(err) != nexus.NotFound {
			t.Fatalf("got %v, want not found", err)
		}
		away := true
		store.Fault = func() error {
			if away {
				return nexus.Errorf(nexus.Unavailable, "the database is away")
			}
			return nil
		}
		if _, err := add(t.Context(), node, "a", 1); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("got %v, want unavailable", err)
		}
		away = false
		mustAdd(t, node, "a", 1, 1)
	})
}

func TestPanicAnswersTheAskerAndEndsTheActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		node := graintest.NewNode(t, store, counterKind(store, nil))
		mustAdd(t, node, "a", 5, 5)
		began := time.Now()
		if _, err := add(t.Context(), node, "a", explode); nexus.CodeOf(err) != nexus.Internal || err.Error() != "internal error" {
			t.Fatalf("got %v, want an internal error that says nothing more", err)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("the asker waited %v", took)
		}
		mustAdd(t, node, "a", 1, 1) // what was not saved is gone with the activation
	})
}

func TestAskFollowsTheGrainToItsNextActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		node := graintest.NewNode(t, store, counterKind(store, nil))
		mustAdd(t, node, "a", 5, 5)
		pid, err := node.Locate(t.Context(), grain.Ref{Kind: "counter", ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		node.System().Root.Poison(pid)
		mustAdd(t, node, "a", 1, 6) // saved at the end, loaded by the next
	})
}

func TestAskEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		node := graintest.NewNode(t, store, counterKind(store, nil))
		for name, n := range map[string]int64{"abandons for ever": abandon, "works too long": slowly} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			began := time.Now()
			if _, err := add(ctx, node, "a", n); nexus.CodeOf(err) != nexus.Unavailable {
				t.Errorf("%s: got %v, want unavailable", name, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("%s: took %v", name, took)
			}
			cancel()
		}
	})
}

func TestWorkIsBoundedAndDoesNotHoldUpTheGrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := graintest.NewStore()
		node := graintest.NewNode(t, store, counterKind(store, nil))
		done := make(chan error, 1)
		go func() {
			_, err := add(t.Context(), node, "a", slowly)
			done <- err
		}()
		synctest.Wait()
		began := time.Now()
		mustAdd(t, node, "a", 1, 1)
		if took := time.Since(began); took != 0 {
			t.Fatalf("the grain was held up for %v", took)
		}
		if err := <-done; nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("got %v, want unavailable", err)
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Fatalf("the work ended after %v, want 2 s", took)
		}
	})
}

func TestTicksFallOnTheClocksEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // virtual: not on an edge
		store, ticks := graintest.NewStore(), new(atomic.Int64)
		node := graintest.NewNode(t, store, counterKind(store, func(g *counter) { g.ticks = ticks }))
		mustAdd(t, node, "a", 1, 1)
		time.Sleep(700 * time.Millisecond)
		synctest.Wait()
		if ticks.Load() != 1 {
			t.Fatalf("%d ticks at the first edge, want 1", ticks.Load())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if ticks.Load() != 3601 {
			t.Fatalf("%d ticks after an hour, want 3601", ticks.Load())
		}
		node.Close()
		time.Sleep(time.Minute)
		synctest.Wait()
		if ticks.Load() != 3601 {
			t.Fatalf("ticks go on after the end: %d", ticks.Load())
		}
	})
}

func TestIdleGrainIsSavedAndLeavesUnlessBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, stopped, busy := graintest.NewStore(), new(atomic.Int64), true
		kind := counterKind(store, func(g *counter) { g.stopped, g.busy = stopped, busy })
		kind.Idle = time.Minute
		node := graintest.NewNode(t, store, kind)
		mustAdd(t, node, "busy", 1, 1)
		busy = false
		mustAdd(t, node, "idle", 2, 2)
		time.Sleep(50 * time.Second)
		mustAdd(t, node, "idle", 0, 2)
		time.Sleep(50 * time.Second)
		synctest.Wait()
		if stopped.Load() != 0 {
			t.Fatal("a grain left although it was asked 50 s ago")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if stopped.Load() != 1 {
			t.Fatalf("%d grains left, want the idle one", stopped.Load())
		}
		mustAdd(t, node, "idle", 0, 2)
	})
}
