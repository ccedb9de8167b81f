package incident

import (
	"context"
	"sync"
	"time"

	"nexus"
)

const (
	watchEvery = time.Second
	// late is how long a grain may be late before the watch does its work: less than the time in which a killed node is noticed,
	// for nobody waits longer than this because of one.
	late = 2 * time.Second
	// watchBatch bounds what is done in one round; the rest is done a second later.
	watchBatch = 100
	watchWait  = 2 * time.Second // for the store, each time
)

// Watch runs on every node and does what no grain did in time. It also raises an SOS for each safety timer that has run out.
type Watch struct {
	desk   *Desk
	cancel context.CancelFunc
	loop   sync.WaitGroup
	away   bool // the store, when last asked
}

// StartWatch starts a watch over a desk's store; the desk's hints tell of what it does. Close ends it, before the desk.
func StartWatch(d *Desk) *Watch {
	w := &Watch{desk: d}
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.loop.Go(func() { w.run(ctx) })
	return w
}

// Close ends the watch.
func (w *Watch) Close() {
	w.cancel()
	w.loop.Wait()
}

func (w *Watch) run(ctx context.Context) {
	for nexus.Pause(ctx, watchEvery) {
		err := w.expire(ctx)
		if err == nil {
			err = w.rescue(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		w.note(err)
	}
}

// note logs when the store goes away and when it is back, and nothing in between.
func (w *Watch) note(err error) {
	switch log := w.desk.crier.log; {
	case err != nil && !w.away:
		log.Error("the watch over incidents cannot see", "err", err)
	case err == nil && w.away:
		log.Info("the watch over incidents sees again")
	}
	w.away = err != nil
}

// expire raises an SOS for each safety timer that has run out.
func (w *Watch) expire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	outs, err := w.desk.store.ExpireTimers(ctx, watchBatch)
	for _, out := range outs {
		w.desk.stored(out)
		w.desk.crier.metrics.expired()
	}
	return err
}

// rescue does what is overdue, and says so loudly: it should not have come to this. Of several nodes that notice the same, one
// finds it still to be done.
func (w *Watch) rescue(ctx context.Context) error {
	listing, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	ids, err := w.desk.store.Overdue(listing, late, watchBatch)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if e := w.advance(ctx, id); e != nil && err == nil {
			err = e // the others are tried all the same
		}
	}
	return err
}

func (w *Watch) advance(ctx context.Context, id nexus.IncidentID) error {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	out, err := w.desk.store.Advance(ctx, nexus.Fence{}, id)
	if err != nil || len(out.Events) == 0 {
		return err
	}
	w.desk.stored(out)
	w.desk.crier.alarm(id, ReasonOverdue)
	return nil
}
