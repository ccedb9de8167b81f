package cluster

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// frozenAfter is the gap in this process's time past which other nodes may have replaced it.
	frozenAfter = 1500 * time.Millisecond
	watchEvery  = 250 * time.Millisecond
)

// watchdog notices when this process has stood still for too long, as after SIGSTOP, a migration of its machine, or a hopeless
// shortage of processors: its grains may live elsewhere by now. Fences keep what it may still write from being kept, but what
// it would tell its sockets is old, and what has waited for it to wake its clients have long given up.
type watchdog struct {
	beat atomic.Int64 // when it last looked, in Unix nanoseconds of the wall clock: the monotonic one stands still with a suspended machine; 0: it never did
}

// watch looks until ctx ends, and calls frozen when it finds a gap. Until frozen returns, gap says so too.
func (w *watchdog) watch(ctx context.Context, frozen func(time.Duration)) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		if gap := w.gap(); gap > frozenAfter {
			frozen(gap)
		}
		w.beat.Store(time.Now().UnixNano())
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// gap is how long it has not looked.
func (w *watchdog) gap() time.Duration {
	beat := w.beat.Load()
	if beat == 0 {
		return 0
	}
	return time.Duration(time.Now().UnixNano() - beat)
}
