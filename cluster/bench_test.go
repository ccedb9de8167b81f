package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

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
