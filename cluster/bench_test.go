package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

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

// BenchmarkAsk asks grains of this node, and of another over loopback TCP, by so many callers at once.
func BenchmarkAsk(b *testing.B) {
	c := &campus{t: b, store: graintest.NewStore()}
	one := c.start()
	two := c.start(one)
	c.meet(2, one, two)
	ids := elsewhere(one, 64)
	for name, asks := range map[string]*Node{"here": two, "there": one} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", name, callers), func(b *testing.B) {
				for _, id := range ids {
					if _, err := ask(b.Context(), asks, id); err != nil {
						b.Fatal(err)
					}
				}
				b.ResetTimer()
				report(b, callers, func(i int) error {
					_, err := ask(b.Context(), asks, ids[i%len(ids)])
					return err
				})
			})
		}
	}
}

// report makes b.N calls and reports how many a second, and how long they took.
func report(b *testing.B, callers int, call func(i int) error) {
	took := make([]time.Duration, b.N)
	var all sync.WaitGroup
	began := time.Now()
	for from := range callers {
		all.Go(func() {
			for i := from; i < b.N; i += callers {
				t := time.Now()
				if err := call(i); err != nil {
					b.Error(err)
				}
				took[i] = time.Since(t)
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "calls/s")
	slices.Sort(took)
	b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-us")
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
