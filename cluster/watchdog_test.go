package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// stood makes a watchdog as it is right after its process has stood still: every goroutine may run, and its own did not yet.
func (w *watchdog) stood(d time.Duration) { w.beat.Store(time.Now().Add(-d).UnixNano()) }

// TestANodeThatStoodStillIsNotAwake before it has noticed, unless it is alone, so that nobody can have replaced it.
func TestANodeThatStoodStillIsNotAwake(t *testing.T) {
	settled(t, 2, func(t *testing.T, s *sim) {
		n := s.nodes[0]
		if !n.Awake() {
			t.Error("a node that nobody watches is not awake")
		}
		for stood, awake := range map[time.Duration]bool{0: true, frozenAfter: true, frozenAfter + time.Millisecond: false, time.Hour: false} {
			n.watchdog.stood(stood)
			if n.Awake() != awake {
				t.Errorf("awake is %v after %v", !awake, stood)
			}
		}
		s.leave(s.nodes[1])
		s.mustAgree()
		if n.watchdog.stood(time.Hour); !n.Awake() {
			t.Error("a node alone is not awake")
		}
	})
}

// TestTheWatchdogNotices a gap when it wakes, and until it is dealt with nobody takes the process to be awake.
func TestTheWatchdogNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w watchdog
		var found []time.Duration
		watch := func(d time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			w.watch(ctx, func(gap time.Duration) {
				if w.gap() <= frozenAfter {
					t.Error("the gap is forgotten before it is dealt with")
				}
				found = append(found, gap)
			})
		}
		watch(time.Minute)
		if len(found) > 0 || w.gap() > watchEvery {
			t.Errorf("found %v, gap %v", found, w.gap())
		}
		w.stood(10 * time.Second)
		watch(time.Minute)
		if len(found) != 1 || found[0] != 10*time.Second || w.gap() > watchEvery {
			t.Errorf("found %v, gap %v", found, w.gap())
		}
	})
}
