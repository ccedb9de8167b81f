package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// elsewhere returns ids of probes that live on another node than the one that asks.
func elsewhere(asks *Node, n int) (ids []string) {
	for i := 0; len(ids) < n; i++ {
		if owner, ok := asks.ring.Load().Owner("probe", fmt.Sprint(i)); ok && owner.ID != asks.id {
			ids = append(ids, fmt.Sprint(i))
		}
	}
	return ids
}

// BenchmarkAsk asks grains of this node, and of another over loopback TCP, by so many callers at once, and so that the figure
// means something, asks for the same by plainer means: protoactor's RequestFuture to plain actors, here and over
// protoactor's own remoting, and a round trip through Go channels. x-future is how often as fast as RequestFuture
// a way is; both take turns within one run, so that the ratio holds on a noisy machine.
//
// Ask does more than a future: it finds the grain, counts the call in and out, knows contexts, tries again, and has the
// grain's turn counted and timed.
func BenchmarkAsk(b *testing.B) {
	c := &campus{t: b, store: graintest.NewStore()}
	one := c.start()
	two := c.start(one)
	c.meet(2, one, two)
	ids := elsewhere(one, 64)
	asks := func(n *Node) func(i int) error {
		for _, id := range ids {
			if _, err := ask(b.Context(), n, id); err != nil {
				b.Fatal(err)
			}
		}
		return func(i int) error { _, err := ask(b.Context(), n, ids[i%len(ids)]); return err }
	}
	near, far := futures(b, len(ids))
	for _, way := range []struct {
		name         string
		call, future func(i int) error
	}{
		{"here/channel", channels(b, len(ids)), near},
		{"here/future", near, near},
		{"here/ask", asks(two), near},
		{"there/future", far, far},
		{"there/ask", asks(one), far},
	} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", way.name, callers), func(b *testing.B) { compare(b, callers, way.call, way.future) })
		}
	}
}

// channels answers by goroutines.
func channels(b *testing.B, n int) func(i int) error {
	type request struct {
		msg   *wrapperspb.Int64Value
		reply chan *wrapperspb.Int64Value
	}
	ways := make([]chan request, n)
	for i := range ways {
		ways[i] = make(chan request)
		go func() {
			for r := range ways[i] {
				r.reply <- wrapperspb.Int64(r.msg.GetValue() + 1)
			}
		}()
		b.Cleanup(func() { close(ways[i]) })
	}
	return func(i int) error {
		r := request{wrapperspb.Int64(0), make(chan *wrapperspb.Int64Value, 1)}
		ways[i%n] <- r
		<-r.reply
		return nil
	}
}

// futures answers by plain actors of protoactor, of the same system and of another one.
func futures(b *testing.B, n int) (near, far func(i int) error) {
	start := func() *actor.ActorSystem {
		system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		r := remote.NewRemote(system, remote.Configure("127.0.0.1", 0))
		r.Start()
		b.Cleanup(func() { r.Shutdown(true); system.Shutdown() })
		return system
	}
	here, there := start(), start()
	pids := make([]*actor.PID, n)
	for i := range pids {
		pids[i] = there.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*wrapperspb.Int64Value); ok {
				c.Respond(wrapperspb.Int64(m.GetValue() + 1))
			}
		}))
	}
	from := func(system *actor.ActorSystem) func(i int) error {
		return func(i int) error {
			_, err := system.Root.RequestFuture(pids[i%n], wrapperspb.Int64(0), 10*time.Second).Result()
			return err
		}
	}
	return from(there), from(here)
}

// compare makes b.N calls and reports how many a second, how long they took, and how the rate compares with that of as many
// calls to future, made in turns.
func compare(b *testing.B, callers int, call, future func(i int) error) {
	const turns = 20
	var (
		took              []time.Duration
		spent, otherSpent time.Duration
	)
	b.ResetTimer()
	for turn := range turns {
		n := b.N*(turn+1)/turns - b.N*turn/turns
		b.StopTimer()
		_, d := calls(b, n, callers, future)
		otherSpent += d
		b.StartTimer()
		each, d := calls(b, n, callers, call)
		took, spent = append(took, each...), spent+d
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(len(took))/spent.Seconds(), "calls/s")
	b.ReportMetric(float64(took[b.N/2].Nanoseconds())/1000, "p50-us")
	b.ReportMetric(float64(took[b.N*99/100].Nanoseconds())/1000, "p99-us")
	b.ReportMetric(otherSpent.Seconds()/spent.Seconds(), "x-future")
}

// calls makes n calls and returns how long each took, and all of them.
func calls(b *testing.B, n, callers int, call func(i int) error) ([]time.Duration, time.Duration) {
	took := make([]time.Duration, n)
	var all sync.WaitGroup
	began := time.Now()
	for from := range callers {
		all.Go(func() {
			for i := from; i < n; i += callers {
				t := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(t)
			}
		})
	}
	all.Wait()
	return took, time.Since(began)
}

// BenchmarkDrain has a node hand over all its grains while callers ask each of them, through the node that takes them,
// and reports the longest time that one of them did not answer.
func BenchmarkDrain(b *testing.B) {
	for _, grains := range []int{1000, 10_000} {
		b.Run(fmt.Sprint(grains), func(b *testing.B) {
			for range b.N {
				drain(b, grains)
			}
		})
	}
}

func drain(b *testing.B, grains int) {
	c := &campus{t: b, store: graintest.NewStore()}
	one := c.start()
	two := c.start(one)
	c.meet(2, one, two)
	ids := elsewhere(one, grains)
	for _, id := range ids {
		if _, err := ask(b.Context(), one, id); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(b.Context())
	var (
		all     sync.WaitGroup
		longest [8]time.Duration
		calls   [8]int
	)
	for k := range longest {
		all.Go(func() {
			for i := k; ctx.Err() == nil; i += len(longest) {
				t := time.Now()
				if _, err := grain.Ask[*wrapperspb.Int64Value](ctx, one, grain.Ref{Kind: "probe", ID: ids[i%len(ids)]}, wrapperspb.Int64(0)); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
				longest[k] = max(longest[k], time.Since(t))
				calls[k]++
			}
		})
	}
	<-time.After(200 * time.Millisecond) // of calls at rest
	began := time.Now()
	if err := two.Drain(b.Context()); err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	<-time.After(200 * time.Millisecond)
	cancel()
	all.Wait()
	b.ReportMetric(float64(took.Milliseconds()), "drain-ms")
	b.ReportMetric(float64(slices.Max(longest[:]).Milliseconds()), "gap-ms")
	if err := one.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// pooled is a store behind as many connections as a node has by default, each of which takes a while for a claim or a save.
type pooled struct {
	grain.Store
	conns chan struct{}
}

func (p pooled) pass() (done func()) {
	p.conns <- struct{}{}
	<-time.After(3 * time.Millisecond)
	return func() { <-p.conns }
}

// Claim implements grain.Store.
func (p pooled) Claim(ctx context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error) {
	defer p.pass()()
	return p.Store.Claim(ctx, kind, id)
}

// Save implements grain.Store.
func (p pooled) Save(ctx context.Context, f nexus.Fence, s nexus.Snapshot) error {
	defer p.pass()()
	return p.Store.Save(ctx, f, s)
}

// kept is a grain that must always live, and saves when it stops.
type kept struct {
	store grain.Store
	fresh int64
	lost  *atomic.Int64 // last saves
}

func (k *kept) Load(_ context.Context, _ *grain.Context, s nexus.Snapshot) error {
	k.fresh = s.Version + 1
	return nil
}

func (*kept) Receive(*grain.Context, any) {}

func (k *kept) Stop(ctx context.Context, c *grain.Context) {
	if k.store.Save(ctx, c.Fence(), nexus.Snapshot{Version: k.fresh}) != nil {
		k.lost.Add(1)
	}
}

// BenchmarkEightJoinAndLeave has eight nodes join three at once, and leave at once, while 10,000 grains live, and reports how long it
// takes until all live in their places, the processor time that takes on all nodes, and the last saves that a fence kept out.
func BenchmarkEightJoinAndLeave(b *testing.B) {
	for range b.N {
		eight(b)
	}
}

func eight(b *testing.B) {
	const grains = 10_000
	ids := make([]string, grains)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	store, lost := graintest.NewStore(), new(atomic.Int64)
	c := &campus{t: b, store: store, edit: func(cfg *Config) {
		s := pooled{store, make(chan struct{}, 16)}
		cfg.Store = s
		cfg.Kinds = []grain.Kind{{Name: "kept", New: func(string) grain.Grain { return &kept{store: s, lost: lost} }}}
		cfg.Keep = []Keep{{Kind: "kept", IDs: func(context.Context) ([]string, error) { return ids, nil }}}
	}}
	whole := func(nodes []*Node) {
		c.meet(len(nodes), nodes...)
		for {
			live := 0
			for _, m := range nodes[0].Inspect(b.Context()) {
				live += m.Grains["kept"]
			}
			if live == grains {
				return
			}
			select {
			case <-b.Context().Done():
				b.Fatal("the grains find no place")
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	report := func(what string, do func()) {
		var before, after syscall.Rusage
		lost.Store(0)
		began := time.Now()
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
			b.Fatal(err)
		}
		do()
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), what+"-s")
		b.ReportMetric(float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano())/1e9, what+"-cpu-s")
		b.ReportMetric(float64(lost.Load()), what+"-lost")
	}
	first := []*Node{c.start()}
	first = append(first, c.start(first[0]), c.start(first[0]))
	whole(first)
	<-time.After(settleFor) // nothing moves any more
	var more []*Node
	report("join", func() {
		for range 8 {
			more = append(more, c.start(first[0]))
		}
		whole(slices.Concat(first, more))
	})
	report("leave", func() {
		var all sync.WaitGroup
		for _, n := range more {
			all.Go(func() {
				if err := n.Close(context.Background()); err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		whole(first)
	})
}
