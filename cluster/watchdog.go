package cluster

import (
	"context"
	"time"
)

const (
	// frozenAfter is the gap in this process's time past which other nodes may have replaced it.
	frozenAfter = 1500 * time.Millisecond
	watchEvery  = 250 * time.Millisecond
)

// watch calls frozen when this process has stood still for too long, as after SIGSTOP, a migration of its
// machine, or a hopeless shortage of processors: its grains may live elsewhere by now. Fences keep what it may still write
// from being kept, but what it would tell its sockets is old.
func watch(ctx context.Context, frozen func(time.Duration)) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	last := time.Now().Round(0) // wall clock: the monotonic one stands still with a suspended machine
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		now := time.Now().Round(0)
		if gap := now.Sub(last); gap > frozenAfter {
			frozen(gap)
		}
		last = now
	}
}
