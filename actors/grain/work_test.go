package grain_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

var quiet = slog.New(slog.DiscardHandler)

// script is a grain whose behaviour is written in the test that uses it.
type script struct {
	load    func(c *grain.Context) error
	receive func(c *grain.Context, msg any)
	stop    func()
	busy    func() bool
}

func (s *script) Load(_ context.Context, c *grain.Context, _ nexus.Snapshot) error {
	if s.load == nil {
		return nil
	}
	return s.load(c)
}

func (s *script) Receive(c *grain.Context, msg any) { s.receive(c, msg) }

func (s *script) Stop(context.Context, *grain.Context) {
	if s.stop != nil {
		s.stop()
	}
}

func (s *script) Busy() bool { return s.busy != nil && s.busy() }

func scripted(s script) grain.Kind {
	return grain.Kind{Name: "counter", New: func(string) grain.Grain { return &s }}
}

// notes is what a grain has done, in order.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) want(t *testing.T, lines ...string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.lines, lines) {
		t.Fatalf("got %q\nwant %q", n.lines, lines)
	}
}

func TestJobsRunOneAfterAnotherAndSurviveAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did, heard notes
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{receive: func(c *grain.Context, _ any) {
			for i := range 3 {
				c.Work(func(context.Context) error {
					did.add("job %d begins", i)
					time.Sleep(time.Second)
					did.add("job %d ends", i)
					if i == 1 {
						panic("boom")
					}
					return nil
				}, func(err error) { heard.add("done %d %q", i, nexus.CodeOf(err)) })
			}
			c.Reply(&wrapperspb.Int64Value{})
		}}))
		mustAdd(t, node, "a", 1, 0)
		time.Sleep(time.Minute)
		synctest.Wait()
		did.want(t, "job 0 begins", "job 0 ends", "job 1 begins", "job 1 ends", "job 2 begins", "job 2 ends")
		heard.want(t, `done 0 ""`, `done 1 "internal"`, `done 2 ""`)
	})
}

func TestPanicAfterAJobEndsTheActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := true
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{receive: func(c *grain.Context, _ any) {
			asker := c.Asker()
			c.Work(func(context.Context) error { return nil }, func(error) {
				if first {
					first = false
					panic("boom")
				}
				asker.Reply(wrapperspb.Int64(7))
			})
		}}))
		mustAdd(t, node, "a", 1, 7) // the asker went on to the next activation
	})
}

func TestAfterDeliversOnceUnlessTheActivationEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did notes
		began := time.Now()
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{
			load: func(c *grain.Context) error {
				c.After(time.Minute, "first")
				c.After(time.Minute, "second")
				c.After(time.Hour, "never")
				return nil
			},
			receive: func(c *grain.Context, msg any) {
				if line, ok := msg.(string); ok {
					did.add("%s after %v", line, time.Since(began))
					return
				}
				c.Reply(&wrapperspb.Int64Value{})
			},
		}))
		mustAdd(t, node, "a", 1, 0)
		time.Sleep(2 * time.Minute)
		node.Close()
		time.Sleep(2 * time.Hour)
		slices.Sort(did.lines)
		did.want(t, "first after 1m0s", "second after 1m0s")
	})
}

func TestAbandonFromATimerSkipsTheLastSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did notes
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{
			load: func(c *grain.Context) error {
				c.After(time.Minute, "doubt")
				c.Every(time.Second, 1)
				return nil
			},
			receive: func(c *grain.Context, msg any) {
				switch msg.(type) {
				case string:
					c.Abandon(errors.New("no longer sure"))
					did.add("abandoned")
				case *wrapperspb.Int64Value:
					c.Reply(&wrapperspb.Int64Value{})
				}
			},
			stop: func() { did.add("stopped") },
		}))
		mustAdd(t, node, "a", 1, 0)
		time.Sleep(90 * time.Second)
		mustAdd(t, node, "a", 1, 0) // by the next activation
		did.want(t, "abandoned")
		time.Sleep(time.Second)
		node.Close()
		did.want(t, "abandoned", "stopped")
	})
}

func TestTicksOfSeveralPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seconds, minutes, also, late atomic.Int64
		ended := false
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{
			load: func(c *grain.Context) error {
				c.Every(time.Second, "s")
				c.Every(time.Second, "also")
				c.Every(time.Minute, "m")
				return nil
			},
			receive: func(c *grain.Context, msg any) {
				if ended {
					late.Add(1)
				}
				switch msg {
				case "s":
					seconds.Add(1)
				case "also":
					also.Add(1)
				case "m":
					minutes.Add(1)
				default:
					c.Reply(&wrapperspb.Int64Value{})
				}
			},
			stop: func() { ended = true },
		}))
		mustAdd(t, node, "a", 1, 0)
		time.Sleep(10*time.Minute + time.Millisecond)
		synctest.Wait()
		if seconds.Load() != 600 || also.Load() != 600 || minutes.Load() != 10 {
			t.Fatalf("%d, %d and %d ticks in ten minutes", seconds.Load(), also.Load(), minutes.Load())
		}
		dead := 0
		node.System().EventStream.Subscribe(func(e any) {
			if _, ok := e.(*actor.DeadLetterEvent); ok {
				dead++
			}
		})
		node.Close()
		dead = 0
		time.Sleep(time.Hour)
		if late.Load() != 0 || dead != 0 {
			t.Fatalf("%d ticks after the end, %d timers went off", late.Load(), dead)
		}
	})
}

func TestSlowGrainSkipsTicksAndNeverQueuesThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ticks := 0
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{
			load: func(c *grain.Context) error { c.Every(time.Second, "tick"); return nil },
			receive: func(c *grain.Context, msg any) {
				if msg == "tick" {
					ticks++
					time.Sleep(2500 * time.Millisecond)
					return
				}
				c.Reply(&wrapperspb.Int64Value{})
			},
		}))
		mustAdd(t, node, "a", 1, 0)
		time.Sleep(30 * time.Second)
		began := time.Now()
		mustAdd(t, node, "a", 1, 0)
		if took := time.Since(began); ticks > 11 || took > 2500*time.Millisecond {
			t.Fatalf("%d ticks in 30 s, and a caller waited %v", ticks, took)
		}
	})
}

// TestMessageDuringTheEndIsBounced asks a grain that has stopped but whose last job is still running.
func TestMessageDuringTheEndIsBounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := 0
		kind := scripted(script{})
		kind.New = func(string) grain.Grain {
			lives++
			life := lives
			return &script{receive: func(c *grain.Context, _ any) {
				if life == 1 {
					c.Work(func(ctx context.Context) error { <-ctx.Done(); return nil }, func(error) { t.Error("done after the end") })
				}
				c.Reply(wrapperspb.Int64(int64(life)))
			}}
		}
		node := graintest.NewNode(t, graintest.NewStore(), kind)
		mustAdd(t, node, "a", 1, 1)
		synctest.Wait() // the job has begun
		pid, err := node.Locate(t.Context(), grain.Ref{Kind: "counter", ID: "a"})
		if err != nil {
			t.Fatal(err)
		}
		node.System().Root.Stop(pid)
		synctest.Wait()
		began := time.Now()
		mustAdd(t, node, "a", 1, 2)
		if took := time.Since(began); took > 2*20*time.Millisecond {
			t.Fatalf("the caller waited %v", took)
		}
		time.Sleep(3 * time.Second)
	})
}

func TestFencedLoadSendsTheAskerOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fenced := 3
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{
			load: func(*grain.Context) error {
				if fenced--; fenced >= 0 {
					return nexus.Errorf(nexus.Fenced, "somebody was faster")
				}
				return nil
			},
			receive: func(c *grain.Context, _ any) { c.Reply(wrapperspb.Int64(1)) },
		}))
		mustAdd(t, node, "a", 1, 1)
	})
}

func TestPanicInBusyEndsTheActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var loads, ticks atomic.Int64
		kind := scripted(script{
			load: func(c *grain.Context) error { loads.Add(1); c.Every(time.Minute, "tick"); return nil },
			receive: func(c *grain.Context, msg any) {
				if msg == "tick" {
					ticks.Add(1)
					return
				}
				c.Reply(wrapperspb.Int64(loads.Load()))
			},
			busy: func() bool { panic("boom") },
		})
		kind.Idle = 30 * time.Second
		node := graintest.NewNode(t, graintest.NewStore(), kind)
		mustAdd(t, node, "a", 1, 1)
		time.Sleep(10 * time.Minute)
		if loads.Load() != 1 || ticks.Load() != 0 {
			t.Fatalf("%d loads and %d ticks: restarted in place", loads.Load(), ticks.Load())
		}
		mustAdd(t, node, "a", 1, 2)
	})
}

func TestSendToNobodyIsNotHeardOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did notes
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{receive: func(c *grain.Context, msg any) {
			did.add("%T", msg)
			c.Send(actor.NewPID(c.Self().Address, "nobody"), &emptypb.Empty{})
			c.Reply(&wrapperspb.Int64Value{})
		}}))
		mustAdd(t, node, "a", 1, 0)
		synctest.Wait()
		did.want(t, "*wrapperspb.Int64Value")
	})
}

// slowStore takes a second for each claim, and notes how many are under way.
type slowStore struct {
	*graintest.Store

	claims, saves underWay
}

// underWay counts what begins and ends.
type underWay struct {
	mu             sync.Mutex
	now, most, all int
}

func (u *underWay) add(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.now += n
	u.most, u.all = max(u.most, u.now), u.all+max(n, 0)
}

// Claim implements grain.Store.
func (s *slowStore) Claim(ctx context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error) {
	s.claims.add(1)
	defer s.claims.add(-1)
	select {
	case <-time.After(time.Second):
		return s.Store.Claim(ctx, kind, id)
	case <-ctx.Done():
		return nexus.Fence{}, nexus.Snapshot{}, ctx.Err()
	}
}

// Save implements grain.Store.
func (s *slowStore) Save(ctx context.Context, f nexus.Fence, snap nexus.Snapshot) error {
	s.saves.add(1)
	defer s.saves.add(-1)
	select {
	case <-time.After(time.Second):
		return s.Store.Save(ctx, f, snap)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestManyActivationsTakeTurns has more grains come at once, and then leave at once, than can be claimed or saved within the time
// for one: each waits for its turn, none has to begin again, and none loses its last save.
func TestManyActivationsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const grains, turns = 40, 4
		store := &slowStore{Store: graintest.NewStore()}
		node := graintest.NewNode(t, store.Store)
		env := grain.Env{
			Store: store, Log: quiet, Metrics: grain.NewMetrics(prometheus.NewRegistry()),
			Loads: make(chan struct{}, turns), Saves: make(chan struct{}, turns),
		}
		root, props := node.System().Root, grain.Props(counterKind(store, nil), env)
		var pids []*actor.PID
		for i := range grains {
			pids = append(pids, grain.Spawn(root, props, grain.Ref{Kind: "counter", ID: strconv.Itoa(i)}))
		}
		time.Sleep(grains / turns * time.Second)
		for _, pid := range pids {
			if _, err := grain.Request(t.Context(), node.System(), pid, wrapperspb.Int64(1)); err != nil {
				t.Fatal(err)
			}
		}
		for _, pid := range pids {
			root.Poison(pid)
		}
		time.Sleep(grains / turns * time.Second)
		synctest.Wait()
		for name, u := range map[string]*underWay{"claims": &store.claims, "saves": &store.saves} {
			if u.most != turns || u.all != grains {
				t.Errorf("%d %s, up to %d at once", u.all, name, u.most)
			}
		}
		for i := range grains {
			if store.Kept("counter", strconv.Itoa(i)).Version != 1 {
				t.Errorf("grain %d lost its last save", i)
			}
		}
	})
}

func TestMetricsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, store := prometheus.NewRegistry(), graintest.NewStore()
		env := grain.Env{Store: store, Log: quiet, Metrics: grain.NewMetrics(reg)}
		node, props := graintest.NewNode(t, store), grain.Props(counterKind(store, nil), env)
		spawn := func(id string) *actor.PID {
			return grain.Spawn(node.System().Root, props, grain.Ref{Kind: "counter", ID: id})
		}
		ask := func(pid *actor.PID, n int64) {
			if _, err := grain.Request(t.Context(), node.System(), pid, wrapperspb.Int64(n)); err != nil && !errors.Is(err, grain.ErrGone) {
				t.Fatal(err)
			}
		}
		good := spawn("a")
		ask(good, 1)
		ask(spawn(loadFails), 1)
		ask(spawn("b"), explode)
		synctest.Wait()
		want := map[string]float64{"nexus_grains": 1, "nexus_grain_panics_total": 1, "nexus_grain_activations_total not_found": 1, "nexus_grain_activations_total ok": 2}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					if l.GetName() == "outcome" {
						name += " " + l.GetValue()
					}
				}
				if w, ok := want[name]; ok {
					if got := m.GetGauge().GetValue() + m.GetCounter().GetValue(); got != w {
						t.Errorf("%s is %v, want %v", name, got, w)
					}
					delete(want, name)
				}
			}
		}
		if len(want) > 0 {
			t.Errorf("missing: %v", want)
		}
		if err := node.System().Root.PoisonFuture(good).Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestALateTickIsSeen holds a grain up over an edge of the clock: the tick before is on time, and the one of that edge is late.
func TestALateTickIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg, store := prometheus.NewRegistry(), graintest.NewStore()
		kind := scripted(script{
			load: func(c *grain.Context) error { c.Every(time.Second, "tick"); return nil },
			receive: func(c *grain.Context, msg any) {
				if msg != "tick" {
					time.Sleep(400 * time.Millisecond)
					c.Reply(&wrapperspb.Int64Value{})
				}
			},
		})
		node := graintest.NewNode(t, store)
		props := grain.Props(kind, grain.Env{Store: store, Log: quiet, Metrics: grain.NewMetrics(reg)})
		pid := grain.Spawn(node.System().Root, props, grain.Ref{Kind: kind.Name, ID: "a"})
		time.Sleep(1900 * time.Millisecond) // over one edge
		if _, err := grain.Request(t.Context(), node.System(), pid, wrapperspb.Int64(1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := node.System().Root.PoisonFuture(pid).Wait(); err != nil {
			t.Fatal(err)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		seen := false
		for _, f := range families {
			if f.GetName() == "nexus_grain_tick_late_seconds" {
				h := f.GetMetric()[0].GetHistogram()
				seen = h.GetSampleCount() == 2 && math.Abs(h.GetSampleSum()-0.3) < 1e-9
				t.Logf("%d ticks were %v s late", h.GetSampleCount(), h.GetSampleSum())
			}
		}
		if !seen {
			t.Error("not two ticks of which one was 0.3 s late")
		}
	})
}

// TestWhoLeavesAnswersFirst has a grain leave while a job is under way whose end answers somebody, and one whose jobs have
// no end.
func TestWhoLeavesAnswersFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var did notes
		lives := 0
		kind := scripted(script{})
		kind.New = func(id string) grain.Grain {
			lives++
			life := int64(lives)
			receive := func(c *grain.Context, _ any) {
				asker := c.Asker()
				var again func(error)
				again = func(error) {
					asker.Reply(wrapperspb.Int64(life))
					if id == "endless" {
						c.Work(func(context.Context) error { time.Sleep(300 * time.Millisecond); return nil }, again)
					}
				}
				c.Work(func(context.Context) error { time.Sleep(time.Second); return nil }, again)
			}
			return &script{receive: receive, stop: func() { did.add("%s %d stops", id, life) }}
		}
		node := graintest.NewNode(t, graintest.NewStore(), kind)
		leave := func(id string) {
			pid, err := node.Locate(t.Context(), grain.Ref{Kind: "counter", ID: id})
			if err != nil {
				t.Fatal(err)
			}
			node.System().Root.Send(pid, &grain.Leave{})
		}
		var asked sync.WaitGroup
		asked.Go(func() { mustAdd(t, node, "a", 1, 1) })
		synctest.Wait()
		leave("a")
		synctest.Wait()
		did.want(t)
		asked.Go(func() { mustAdd(t, node, "a", 1, 2) }) // sent on, for it came later
		time.Sleep(900 * time.Millisecond)
		did.want(t)
		time.Sleep(200 * time.Millisecond)
		did.want(t, "a 1 stops")
		asked.Wait()
		leave("a")
		synctest.Wait()
		did.want(t, "a 1 stops", "a 2 stops")

		mustAdd(t, node, "endless", 1, 3)
		leave("endless")
		time.Sleep(3 * time.Second)
		did.want(t, "a 1 stops", "a 2 stops", "endless 3 stops")
	})
}
