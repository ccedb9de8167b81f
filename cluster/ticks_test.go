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

// clocks notes what becomes of grains that must always live, and tick.
type clocks struct {
	mu    sync.Mutex
	left  map[string]time.Time     // when the last activation in order stopped
	away  map[string]time.Duration // until the next one began
	last  map[string]time.Time     // tick
	pause map[string]time.Duration // the longest between two ticks
}

func (k *clocks) note(do func(now time.Time)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	do(time.Now())
}

// clock ticks every second.
type clock struct {
	all *clocks
	on  *simNode
}

func (g *clock) Load(_ context.Context, c *grain.Context, _ nexus.Snapshot) error {
	g.all.note(func(now time.Time) {
		if left, ok := g.all.left[c.ID]; ok {
			g.all.away[c.ID] = now.Sub(left)
		}
	})
	c.Every(time.Second, "tick")
	return nil
}

func (g *clock) Receive(c *grain.Context, _ any) {
	if g.on.store.dead.Load() {
		return // nobody hears it
	}
	g.all.note(func(now time.Time) {
		if last, ok := g.all.last[c.ID]; ok {
			g.all.pause[c.ID] = max(g.all.pause[c.ID], now.Sub(last))
		}
		g.all.last[c.ID] = now
	})
}

func (g *clock) Stop(_ context.Context, c *grain.Context) {
	g.all.note(func(now time.Time) { g.all.left[c.ID] = now })
}

// ticking runs a test on a campus of three nodes with thirty clocks.
func ticking(t *testing.T, seed uint64, run func(t *testing.T, s *sim, all *clocks)) {
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed)
		s.calm.Store(true)
		all := &clocks{
			left: make(map[string]time.Time), away: make(map[string]time.Duration),
			last: make(map[string]time.Time), pause: make(map[string]time.Duration),
		}
		var ids []string
		for i := range 30 {
			ids = append(ids, fmt.Sprint(i))
		}
		s.keep = []Keep{{Kind: "clock", IDs: func(context.Context) ([]string, error) { return ids, nil }}}
		s.kinds = func(x *simNode) []grain.Kind {
			return []grain.Kind{{Name: "clock", New: func(string) grain.Grain { return &clock{all, x} }}}
		}
		for range 3 {
			s.start("")
		}
		s.mustAgree()
		time.Sleep(2*settleFor + time.Duration(seed)*170*time.Millisecond)
		all.note(func(time.Time) { clear(all.left); clear(all.away); clear(all.pause) })
		run(t, s, all)
		s.end()
		time.Sleep(time.Minute)
	})
}

func TestAGrainThatIsHandedOverIsAwayForMilliseconds(t *testing.T) {
	for seed := uint64(1); seed <= 3; seed++ {
		ticking(t, seed, func(t *testing.T, s *sim, all *clocks) {
			s.leave(s.nodes[0])
			time.Sleep(10 * time.Second)
			all.note(func(time.Time) {
				if len(all.away) == 0 || len(all.away) != len(all.left) {
					t.Errorf("%d grains left, %d came back", len(all.left), len(all.away))
				}
				for id, away := range all.away {
					if away > 50*time.Millisecond {
						t.Errorf("grain %s was away for %v", id, away)
					}
				}
				for id, pause := range all.pause {
					if pause > 2*time.Second {
						t.Errorf("grain %s did not tick for %v", id, pause)
					}
				}
			})
		})
	}
}

// TestAKilledProcessIsMissedAtOnce also has a machine that loses its power, which nobody tells of.
func TestAKilledProcessIsMissedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		silent bool
		bound  time.Duration
	}{"killed": {false, 2 * time.Second}, "power lost": {true, 6 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			for seed := uint64(1); seed <= 3; seed++ {
				ticking(t, seed, func(t *testing.T, s *sim, all *clocks) {
					s.crash(s.nodes[0], c.silent)
					time.Sleep(10 * time.Second)
					all.note(func(now time.Time) {
						for id, last := range all.last {
							if pause := max(all.pause[id], now.Sub(last)); pause > c.bound {
								t.Errorf("grain %s did not tick for %v", id, pause)
							}
						}
					})
				})
			}
		})
	}
}

// TestWhoIsDoubtedComesBack doubts a member that lives.
func TestWhoIsDoubtedComesBack(t *testing.T) {
	settled(t, 3, func(t *testing.T, s *sim) {
		a, b := s.nodes[0], s.nodes[1]
		a.doubt(b.system.Address()) // it answers
		time.Sleep(time.Second)
		if a.Size() != 3 {
			t.Fatalf("%d members", a.Size())
		}
		a.membership.doubt(b.id)
		time.Sleep(time.Second)
		if a.Size() != 2 || b.Size() != 3 {
			t.Fatalf("%d and %d members", a.Size(), b.Size())
		}
		time.Sleep(doubtedFor)
		if a.Size() != 3 {
			t.Fatalf("%d members", a.Size())
		}
	})
}
