package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// world counts what becomes of the probes of a node, and lets a test hold them up.
type world struct {
	store                 *graintest.Store
	made, saved           atomic.Int64
	stopping, mostAtOnce  atomic.Int64
	onLoad, onAsk, onStop func()
}

// probe is a grain that answers with the epoch of its activation.
type probe struct{ w *world }

func (p *probe) Load(context.Context, *grain.Context, nexus.Snapshot) error {
	p.w.made.Add(1)
	if p.w.onLoad != nil {
		p.w.onLoad()
	}
	return nil
}

func (p *probe) Receive(c *grain.Context, _ any) {
	asker, epoch := c.Asker(), c.Fence().Epoch
	if p.w.onAsk == nil {
		asker.Reply(wrapperspb.Int64(epoch))
		return
	}
	c.Work(func(context.Context) error { p.w.onAsk(); return nil }, func(error) { asker.Reply(wrapperspb.Int64(epoch)) })
}

func (p *probe) Stop(ctx context.Context, c *grain.Context) {
	now := p.w.stopping.Add(1)
	for most := p.w.mostAtOnce.Load(); now > most; most = p.w.mostAtOnce.Load() {
		if p.w.mostAtOnce.CompareAndSwap(most, now) {
			break
		}
	}
	if p.w.onStop != nil {
		p.w.onStop()
	}
	if p.w.store.Save(ctx, c.Fence(), nexus.Snapshot{Version: 1}) == nil {
		p.w.saved.Add(1)
	}
	p.w.stopping.Add(-1)
}

func (w *world) start(t *testing.T, edit func(*Config)) *Node {
	t.Helper()
	w.store = graintest.NewStore()
	cfg := Config{
		Kinds: []grain.Kind{{Name: "probe", New: func(string) grain.Grain { return &probe{w: w} }}},
		Store: w.store, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
	if edit != nil {
		edit(&cfg)
	}
	n, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, run func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		run(t)
		time.Sleep(2 * time.Second) // the actor system's dead-letter throttle, which nothing else ends
	})
}

func mustClose(t *testing.T, n *Node) {
	t.Helper()
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func ask(ctx context.Context, n *Node, id string) (int64, error) {
	v, err := grain.Ask[*wrapperspb.Int64Value](ctx, n, grain.Ref{Kind: "probe", ID: id}, wrapperspb.Int64(0))
	return v.GetValue(), err
}

func mustAsk(t *testing.T, n *Node, id string, epoch int64) {
	t.Helper()
	if got, err := ask(t.Context(), n, id); err != nil || got != epoch {
		t.Fatalf("activation %d of %s answered, %v; want %d", got, id, err, epoch)
	}
}

func TestManyCallersMakeOneActivation(t *testing.T) {
	var w world
	n := w.start(t, nil)
	const ids, callers = 20, 100
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for id := range ids {
				if epoch, err := ask(t.Context(), n, fmt.Sprint(id)); err != nil || epoch != 1 {
					t.Errorf("activation %d of %d, %v", epoch, id, err)
				}
			}
		})
	}
	all.Wait()
	if w.made.Load() != ids {
		t.Errorf("%d activations of %d grains", w.made.Load(), ids)
	}
	mustClose(t, n)
	if w.saved.Load() != ids {
		t.Errorf("%d of %d saved", w.saved.Load(), ids)
	}
}

func TestLocate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w world
		n := w.start(t, nil)
		defer mustClose(t, n)
		if _, err := n.Locate(t.Context(), grain.Ref{Kind: "unheard of", ID: "a"}); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("got %v", err)
		}
		to := grain.Ref{Kind: "probe", ID: "a"}
		first, err := n.Locate(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		n.system.Root.Poison(first)
		mustAsk(t, n, "a", 2)
		second, err := n.Locate(t.Context(), to)
		if err != nil || second.Equal(first) {
			t.Fatalf("%v, %v; want another than %v", second, err, first)
		}
		n.Forget(to, first) // news of long ago
		if again, err := n.Locate(t.Context(), to); err != nil || !again.Equal(second) {
			t.Fatalf("%v, %v; want %v", again, err, second)
		}
	})
}

func TestEndedGrainIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w world
		n := w.start(t, func(c *Config) { c.Kinds[0].Idle = time.Minute })
		defer mustClose(t, n)
		for id := range 100 {
			mustAsk(t, n, fmt.Sprint(id), 1)
		}
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		n.mu.RLock()
		left := len(n.addresses)
		n.mu.RUnlock()
		if left != 0 || w.saved.Load() != 100 {
			t.Fatalf("%d addresses left, %d saved", left, w.saved.Load())
		}
	})
}

func TestTooManyCallsAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		w := world{onAsk: func() { <-open }}
		reg := prometheus.NewRegistry()
		n := w.start(t, func(c *Config) { c.MaxCalls, c.Registry = 2, reg })
		defer mustClose(t, n)
		answers := make(chan error, 2)
		for range 2 {
			go func() { _, err := ask(t.Context(), n, "a"); answers <- err }()
		}
		synctest.Wait()
		_, err := ask(t.Context(), n, "b")
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.Unavailable || e.RetryAfter != time.Second {
			t.Fatalf("got %v", err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "nexus_grain_calls_refused_total" && f.GetMetric()[0].GetCounter().GetValue() != 1 {
				t.Errorf("counted %v", f)
			}
		}
		close(open)
		for range 2 {
			if err := <-answers; err != nil {
				t.Error(err)
			}
		}
		mustAsk(t, n, "b", 1)
	})
}

func TestKeeperWakesWhatMustLive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w world
		away, ids := errors.New("the database is away"), []string{"a", "b"}
		var mu sync.Mutex
		n := w.start(t, func(c *Config) {
			c.Keep = []Keep{
				{Kind: "unheard of", IDs: func(context.Context) ([]string, error) { return []string{"x"}, nil }},
				{Kind: "probe", IDs: func(context.Context) ([]string, error) {
					mu.Lock()
					defer mu.Unlock()
					return ids, away
				}},
			}
		})
		defer mustClose(t, n)
		synctest.Wait()
		if w.made.Load() != 0 {
			t.Fatal("woke what it could not list")
		}
		mu.Lock()
		away = nil
		mu.Unlock()
		time.Sleep(keepEvery)
		synctest.Wait()
		if w.made.Load() != 2 {
			t.Fatalf("%d live, want 2", w.made.Load())
		}
		pid, err := n.Locate(t.Context(), grain.Ref{Kind: "probe", ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		n.system.Root.Stop(pid)
		time.Sleep(keepEvery)
		synctest.Wait()
		if w.made.Load() != 3 {
			t.Fatalf("%d activations, want a third", w.made.Load())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if w.made.Load() != 3 {
			t.Fatalf("%d activations: woke what lives", w.made.Load())
		}
	})
}

func TestCloseReleasesSomeAtOnceAndEachSaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const grains = 500
		w := world{onStop: func() { time.Sleep(100 * time.Millisecond) }}
		n := w.start(t, nil)
		for id := range grains {
			mustAsk(t, n, fmt.Sprint(id), 1)
		}
		began := time.Now()
		mustClose(t, n)
		if w.saved.Load() != grains || w.mostAtOnce.Load() != releaseAtOnce {
			t.Fatalf("%d saved, %d at once", w.saved.Load(), w.mostAtOnce.Load())
		}
		if took, want := time.Since(began), 1600*time.Millisecond; took != want { // 500 in rounds of 32
			t.Fatalf("took %v, want %v", took, want)
		}
	})
}

// TestCloseWhileGrainsLeaveByThemselves has every grain passivate in the middle of the release.
func TestCloseWhileGrainsLeaveByThemselves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const grains = 500
		w := world{onStop: func() { time.Sleep(30 * time.Second) }}
		n := w.start(t, func(c *Config) { c.Kinds[0].Idle = time.Minute })
		for id := range grains {
			mustAsk(t, n, fmt.Sprint(id), 1)
		}
		time.Sleep(45 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Fatal(err)
		}
		if w.saved.Load() != grains {
			t.Fatalf("%d saved", w.saved.Load())
		}
	})
}

func TestCloseGivesUpWhenItsTimeIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		w := world{onStop: func() { <-open }}
		n := w.start(t, nil)
		mustAsk(t, n, "stuck", 1)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := n.Close(ctx); err == nil || time.Since(began) != 5*time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		close(open)
		synctest.Wait()
		if w.saved.Load() != 1 {
			t.Fatal("the last save was not made")
		}
	})
}

func TestClosedNodeRefusesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		open := make(chan struct{})
		w := world{onStop: func() { <-open }}
		n := w.start(t, nil)
		mustAsk(t, n, "a", 1)
		closed := make(chan error)
		go func() { closed <- n.Close(t.Context()) }()
		synctest.Wait()
		if _, err := ask(t.Context(), n, "b"); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("while it closes: %v", err)
		}
		close(open)
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		mustClose(t, n) // once more
		began := time.Now()
		for _, id := range []string{"a", "b"} {
			// Its context has no deadline.
			if _, err := ask(t.Context(), n, id); nexus.CodeOf(err) != nexus.Unavailable || time.Since(began) != 0 {
				t.Fatalf("%v after %v", err, time.Since(began))
			}
		}
	})
}

func TestPublishReachesTheHub(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var w world
		n := w.start(t, nil)
		defer mustClose(t, n)
		n.Publish(&grain.Broadcast{Event: "before there is a hub"})
		var got []string
		n.SetHub(func(b *grain.Broadcast) { got = append(got, b.GetEvent()) })
		n.Publish(&grain.Broadcast{Event: "after"})
		if len(got) != 1 || got[0] != "after" {
			t.Fatalf("got %q", got)
		}
	})
}
