package redislimit

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"nexus/cluster/redisbus"
	"nexus/cluster/redisbus/redistest"
	"nexus/transport/leaktest"
	"nexus/transport/limit"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	leaktest.Main(m)
}

// silent is a logger of the client's.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// patience is more than a machine stands still.
const patience = time.Minute

func open(t testing.TB, s *redistest.Server, nodes int) *Limiter {
	t.Helper()
	return openWithin(t, s, nodes, patience)
}

func openWithin(t testing.TB, s *redistest.Server, nodes int, timeout time.Duration) *Limiter {
	t.Helper()
	o, err := redisbus.Options(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
	client := redis.NewClient(o)
	l := New(Config{
		Client: client, Keys: 1000, Nodes: func() int { return nodes }, Timeout: timeout, Log: slog.New(slog.DiscardHandler),
		Failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "failures", Help: "x"}),
	})
	t.Cleanup(func() {
		l.Close()
		l.Close()
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// step is one event of a history.
type step struct {
	pause time.Duration
	rule  limit.Rule
}

// TestAsTheMemoryDoes replays histories: Redis, told the time, decides as limit.Memory does in a bubble of its own time.
func TestAsTheMemoryDoes(t *testing.T) {
	l := open(t, redistest.Start(t), 1)
	histories := rapid.Custom(func(t *rapid.T) []step {
		gap := rapid.IntRange(1, 2_000_000).Draw(t, "gap")
		rule := limit.Rule{Rate: 1e6 / float64(gap), Burst: rapid.IntRange(1, 20).Draw(t, "burst")}
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
			s := step{time.Duration(rapid.IntRange(0, 3*gap).Draw(t, "pause")) * time.Microsecond, rule}
			s.rule.Peek = rapid.Bool().Draw(t, "peek")
			return s
		}), 1, 40).Draw(t, "steps")
	})
	for seed := range 100 {
		history := histories.Example(seed)
		want := make([]limit.Decision, len(history))
		synctest.Test(t, func(t *testing.T) {
			m := limit.NewMemory(10)
			for i, s := range history {
				time.Sleep(s.pause)
				want[i] = m.Allow(t.Context(), "k", s.rule)
			}
		})
		at := time.Now().Add(-time.Hour)
		key := fmt.Sprint("history", seed)
		for i, s := range history {
			at = at.Add(s.pause)
			got, err := l.ask(t.Context(), key, s.rule, strconv.FormatInt(at.UnixMicro(), 10))
			if err != nil {
				t.Fatal(err)
			}
			if !alike(got, want[i]) {
				t.Fatalf("history %d, event %d of %+v: %+v, want %+v", seed, i, s.rule, got, want[i])
			}
		}
	}
}

// alike allows for the memory's nanoseconds: a rate is rarely a whole number of them.
func alike(a, b limit.Decision) bool {
	near := func(x, y time.Duration) bool { return (x - y).Abs() <= time.Microsecond }
	return a.Allowed == b.Allowed && a.Limit == b.Limit && a.Remaining == b.Remaining && near(a.Reset, b.Reset) && near(a.RetryAfter, b.RetryAfter)
}

// TestOneCountForAllNodes: however many ask at once, so many pass as the rule says.
func TestOneCountForAllNodes(t *testing.T) {
	s := redistest.Start(t)
	var passed atomic.Int64
	var all sync.WaitGroup
	for range 3 {
		l := open(t, s, 3)
		if !l.Shared() {
			t.Fatal("redis does not count")
		}
		for range 4 {
			all.Go(func() {
				for range 50 {
					if l.Allow(context.Background(), "k", limit.Rule{Rate: 0.001, Burst: 60}).Allowed {
						passed.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	if passed.Load() != 60 {
		t.Errorf("%d passed, want 60", passed.Load())
	}
	const full = 60 * 1000 * time.Second
	if left, err := open(t, s, 3).client.PTTL(t.Context(), prefix+"k").Result(); err != nil || left <= full/2 || left > full {
		t.Errorf("the key is kept for %v, want %v: %v", left, full, err)
	}
}

// questions counts what Redis is asked, probes aside.
type questions struct{ n atomic.Int64 }

func (*questions) DialHook(next redis.DialHook) redis.DialHook { return next }

func (q *questions) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !slices.Contains(cmd.Args(), any(prefix+"probe")) {
			q.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (*questions) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// TestRedisIsLost: each node goes on with its share, asking Redis no more, and Redis is found again.
func TestRedisIsLost(t *testing.T) {
	s := redistest.Start(t)
	l := openWithin(t, s, 3, 200*time.Millisecond)
	var asked questions
	l.client.AddHook(&asked)
	rule := limit.Rule{Rate: 0.0001, Burst: 60}
	// shared waits until Redis counts, as it may not for a moment on a machine that stands still.
	shared := func(when string) {
		t.Helper()
		for i, deadline := 0, time.Now().Add(patience); ; i++ {
			d := l.Allow(t.Context(), fmt.Sprint(when, i), rule)
			if d.Limit == rule.Burst {
				if !d.Allowed || d.Remaining != 59 {
					t.Errorf("%s: %+v", when, d)
				}
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: not found", when)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	for _, f := range []struct {
		name       string
		lose, back func()
	}{
		{"killed", s.Kill, s.Restart},
		{"frozen", func() { s.Signal(syscall.SIGSTOP) }, func() { s.Signal(syscall.SIGCONT) }},
	} {
		shared(f.name + " before")
		f.lose()
		passed := 0
		if l.Allow(t.Context(), f.name, rule).Allowed {
			passed++
		}
		before := asked.n.Load()
		for range 1000 {
			if l.Allow(t.Context(), f.name, rule).Allowed {
				passed++
			}
		}
		// Once more is right: the answer to a probe from before may be read behind the first failure.
		if more := asked.n.Load() - before; passed != 20 || more > 1 {
			t.Errorf("%s: %d passed, want 20; redis was asked %d times", f.name, passed, more)
		}
		f.back()
		shared(f.name + " back")
	}
}

// TestTheCallerLeaves: a context that ends is no failure of Redis.
func TestTheCallerLeaves(t *testing.T) {
	l := open(t, redistest.Start(t), 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d := l.Allow(ctx, "k", limit.Rule{Rate: 1, Burst: 1}); !d.Allowed || !l.Shared() {
		t.Errorf("%+v, shared %v", d, l.Shared())
	}
}

func BenchmarkAllow(b *testing.B) {
	l := open(b, redistest.Start(b), 1)
	for b.Loop() {
		l.Allow(b.Context(), "k", limit.Rule{Rate: 1e6, Burst: 1 << 20})
	}
}
