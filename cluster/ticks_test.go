package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// clocks notes when grains tick that must always live.
type clocks struct {
	mu    sync.Mutex
	ticks map[string][]time.Time
}

type clock struct {
	all *clocks
	x   *simNode
}

func (g *clock) Load(_ context.Context, c *grain.Context, _ nexus.Snapshot) error {
	c.Every(time.Second, "tick")
	return nil
}

func (g *clock) Receive(c *grain.Context, _ any) {
	if g.x.store.dead.Load() {
		return
	}
	g.all.mu.Lock()
	defer g.all.mu.Unlock()
	g.all.ticks[c.ID] = append(g.all.ticks[c.ID], time.Now())
}

func (g *clock) Stop(context.Context, *grain.Context) {}

func TestXDrainTicks(t *testing.T) {
	for _, nodes := range []int{2, 3, 5, 8} {
		for _, mode := range []string{"drain", "join", "kill", "silent"} {
			hist := map[time.Duration]int{}
			for phase := range 10 {
				synctest.Test(t, func(t *testing.T) {
					s := newSim(t, uint64(phase+1))
					s.calm.Store(true)
					all := &clocks{ticks: make(map[string][]time.Time)}
					var ids []string
					for i := range 30 {
						ids = append(ids, fmt.Sprint(i))
					}
					s.keep = []Keep{{Kind: "clock", IDs: func(context.Context) ([]string, error) { return ids, nil }}}
					s.kinds = func(x *simNode) []grain.Kind {
						return []grain.Kind{{Name: "clock", New: func(string) grain.Grain { return &clock{all, x} }}}
					}
					for range nodes {
						s.start("")
					}
					s.mustAgree()
					time.Sleep(20*time.Second + time.Duration(phase)*100*time.Millisecond + 50*time.Millisecond)
					all.mu.Lock()
					clear(all.ticks)
					all.mu.Unlock()
					time.Sleep(3 * time.Second)
					switch mode {
					case "drain":
						x := s.nodes[0]
						s.leave(x)
					case "join":
						s.start("")
					case "kill":
						s.crash(s.nodes[0], false)
					case "silent":
						s.crash(s.nodes[0], true)
					}
					time.Sleep(15 * time.Second)
					all.mu.Lock()
					for _, ts := range all.ticks {
						var most time.Duration
						for i := range ts {
							if i > 0 {
								most = max(most, ts[i].Sub(ts[i-1]))
							}
						}
						hist[most]++
					}
					all.mu.Unlock()
					s.end()
					time.Sleep(time.Minute)
				})
			}
			t.Log(nodes, mode, hist)
		}
	}
}
