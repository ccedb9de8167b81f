package e2e_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nexus"
)

// TestTicksComeOneSecondApart listens to three halls for 21 s, so to more than 60 ticks: at rest, and under 200 requests a second.
func TestTicksComeOneSecondApart(t *testing.T) {
	s := campus(t)
	halls, gates := s.halls(t)[:3], s.gates(t, 4)
	const ticks = 22
	for _, load := range []int{0, 200} {
		t.Run(fmt.Sprintf("%d requests a second", load), func(t *testing.T) {
			c := connect(t, s, "/mess", nil)
			c.call(&struct{}{}, "subscribe", map[string]any{"halls": []string{"*"}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var sent *requests
			if load > 0 {
				sent = s.ask(ctx, t, load, gates, halls)
			}
			var gaps []float64
			for _, h := range halls {
				var last crowd
				for i := range ticks {
					u := c.crowd(h.Name, func(u crowd) bool { return u.HallID == string(h.ID) })
					if i > 0 {
						gaps = append(gaps, u.At-last.At)
						if u.Seq != last.Seq+1 {
							t.Errorf("%s: seq %d after %d", h.Name, u.Seq, last.Seq)
						}
					}
					last = u
				}
			}
			cancel()
			if sent != nil {
				sent.check(t, load*(ticks-1))
			}
			off := make([]float64, len(gaps))
			for i, g := range gaps {
				off[i] = math.Abs(g - 1000)
			}
			median, p99 := quantile(gaps, 0.5), quantile(off, 0.99)
			t.Logf("%d ticks: median %.1f ms, p99 %.1f ms off the second, at most %.1f ms", len(gaps), median, p99, quantile(off, 1))
			if math.Abs(median-1000) > 10 || p99 > 100 {
				t.Errorf("ticks come %.1f ms apart (median), p99 %.1f ms off", median, p99)
			}
		})
	}
}

// quantile is the q-quantile by nearest rank.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(math.Round(q*float64(len(sorted)-1)))]
}

// requests is a load that goes on until its context ends.
type requests struct {
	ok, wrong atomic.Int64
	wg        sync.WaitGroup
}

// ask sends so many requests a second: check-ins, and looks at the crowd, in turn.
func (s *server) ask(ctx context.Context, t testing.TB, perSecond int, gates []caller, halls []nexus.Hall) *requests {
	r := &requests{}
	pace := time.NewTicker(time.Second / time.Duration(perSecond))
	todo := make(chan int)
	for range 16 {
		r.wg.Go(func() {
			for n := range todo {
				hall, gate := halls[n%len(halls)].ID, gates[n%len(gates)]
				method, path, body := "GET", "/mess/halls/"+string(hall)+"/live", any(nil)
				if n%2 == 0 {
					method, path, body = "POST", checkins(hall), map[string]any{"events": []any{in("gate", t.Name()+strconv.Itoa(n))}}
				}
				if a, err := gate.do(t.Context(), method, path, body); err != nil || a.status != 200 {
					r.wrong.Add(1)
					t.Errorf("%s %s: %v %d %.200s", method, path, err, a.status, a.body)
					return
				}
				r.ok.Add(1)
			}
		})
	}
	r.wg.Go(func() {
		defer pace.Stop()
		defer close(todo)
		for n := 0; ; n++ {
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
			select {
			case todo <- n:
			case <-ctx.Done():
				return
			}
		}
	})
	return r
}

// check waits for the end of the load, and wants at least nine tenths of it to have been done.
func (r *requests) check(t testing.TB, want int) {
	t.Helper()
	r.wg.Wait()
	t.Logf("%d requests answered, %d wrongly", r.ok.Load(), r.wrong.Load())
	if r.ok.Load() < int64(want)*9/10 {
		t.Errorf("only %d requests of %d were answered", r.ok.Load(), want)
	}
}
