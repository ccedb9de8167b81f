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

// TestTicksComeOneSecondApart listens to three halls until some 20 s in a row, so more than 60 ticks, were on time: at rest, and
// under 200 requests a second. A machine that stands still makes some of them late, a server that is not on time all.
func TestTicksComeOneSecondApart(t *testing.T) {
	s := campus(t)
	halls, gates := s.halls(t)[:3], s.gates(t, 4)
	const row, most = 21, 80 // gaps between ticks of a hall: that are judged together, and that are waited for
	for _, load := range []int{0, 200} {
		t.Run(fmt.Sprintf("%d requests a second", load), func(t *testing.T) {
			c := connect(t, s, "/mess", options{"transports": []string{"websocket"}})
			c.crowd("the newest tick, which comes at once", nil)
			c.call(&struct{}{}, "subscribe", map[string]any{"halls": []string{"*"}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var sent *requests
			if load > 0 {
				sent = s.ask(ctx, t, load, gates, halls)
			}
			still := standstills(ctx)
			last := make([]crowd, len(halls))
			var gaps []gap
			next := func() {
				for i, h := range halls {
					u := c.crowd(h.Name, func(u crowd) bool { return u.HallID == string(h.ID) })
					if was := last[i]; was.Seq > 0 {
						gaps = append(gaps, gap{was.At, u.At})
						if !u.follows(was) {
							t.Errorf("%s: seq %d after %d", h.Name, u.Seq, was.Seq)
						}
					}
					last[i] = u
				}
			}
			next()
			var p pace
			for n := 1; n <= most; n++ {
				if next(); n < row {
					continue
				}
				if p = paceOf(gaps[len(gaps)-row*len(halls):], nil); p.onTime() {
					break
				}
			}
			cancel()
			if sent != nil {
				sent.check(t)
			}
			t.Log(p)
			if p.onTime() {
				return
			}
			// It was never on time for so long. What this process, which does next to nothing, has stood still for is no fault of the server.
			times := <-still
			all := paceOf(gaps, times)
			t.Logf("the machine stood still %d times; of what is left: %v", len(times), all)
			if all.n >= row && !all.onTime() {
				t.Error("ticks do not come a second apart")
			}
		})
	}
}

// gap is the time between two ticks of a hall, in ms since the Unix epoch.
type gap struct{ from, to float64 }

// pace is how even ticks come, in ms.
type pace struct {
	n                   int
	median, p99, atMost float64 // of the gaps; and how far these are off the second
}

// paceOf is the pace of the gaps during which the machine never stood still.
func paceOf(gaps, still []gap) (p pace) {
	var took, off []float64
	for _, g := range gaps {
		if !slices.ContainsFunc(still, func(s gap) bool { return s.from < g.to && g.from < s.to }) {
			took, off = append(took, g.to-g.from), append(off, math.Abs(g.to-g.from-1000))
		}
	}
	if len(took) == 0 {
		return pace{}
	}
	return pace{len(took), quantile(took, 0.5), quantile(off, 0.99), quantile(off, 1)}
}

func (p pace) onTime() bool { return math.Abs(p.median-1000) <= 10 && p.p99 <= 100 }

// String implements fmt.Stringer.
func (p pace) String() string {
	return fmt.Sprintf("%d ticks: median %.1f ms, p99 %.1f ms off the second, at most %.1f ms", p.n, p.median, p.p99, p.atMost)
}

// standstills notes until ctx ends when this process was woken late, each with a second around, in which others catch up.
func standstills(ctx context.Context) <-chan []gap {
	const every, late = 10, 40.0 // ms
	found := make(chan []gap, 1)
	go func() {
		tick := time.NewTicker(every * time.Millisecond)
		defer tick.Stop()
		var all []gap
		for last := float64(time.Now().UnixMicro()) / 1000; ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				found <- all
				return
			}
			now := float64(time.Now().UnixMicro()) / 1000
			if now-last > every+late {
				all = append(all, gap{last - 1000, now + 1000})
			}
			last = now
		}
	}()
	return found
}

func TestPace(t *testing.T) {
	var gaps []gap
	for i := range 60 {
		gaps = append(gaps, gap{float64(i) * 1000, float64(i+1) * 1000})
	}
	if p := paceOf(gaps, nil); !p.onTime() || p.n != 60 {
		t.Errorf("even ticks: %v", p)
	}
	late := slices.Clone(gaps)
	for i := range late[:3] {
		late[i].to += 300
	}
	if p := paceOf(late, nil); p.onTime() {
		t.Errorf("three of sixty are late: %v", p)
	}
	if p := paceOf(late, []gap{{0, 2500}}); !p.onTime() || p.n != 57 {
		t.Errorf("the machine stood still when they were late: %v", p)
	}
	slow := slices.Clone(gaps)
	for i := range slow {
		slow[i].to += 20
	}
	if p := paceOf(slow, nil); p.onTime() {
		t.Errorf("all are slow: %v", p)
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
				if a, err := gate.insist(t.Context(), method, path, body); err != nil || a.status != 200 {
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

// check waits for the end of the load. How much of it a machine bears is a figure.
func (r *requests) check(t testing.TB) {
	t.Helper()
	r.wg.Wait()
	t.Logf("%d requests answered, %d wrongly", r.ok.Load(), r.wrong.Load())
	if r.ok.Load() < 100 {
		t.Errorf("%d requests are no load", r.ok.Load())
	}
}
