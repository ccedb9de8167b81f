package incident

import (
	"context"
	"errors"
	"maps"
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
	away   bool                 // the store, when last asked
	cried  map[string]time.Time // of incidents and timers: when last
	failed map[string]failure   // of timers
}

// failure is since when, and until when, something has not worked.
type failure struct{ first, last time.Time }

// StartWatch starts a watch over a desk's store; the desk's hints tell of what it does. Close ends it, before the desk.
func StartWatch(d *Desk) *Watch {
	w := &Watch{desk: d, cried: make(map[string]time.Time), failed: make(map[string]failure)}
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
		err := errors.Join(w.expire(ctx), w.rescue(ctx))
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
	outs, failed, err := w.desk.store.ExpireTimers(ctx, watchBatch)
	for _, out := range outs {
		w.desk.stored(out)
		w.desk.crier.metrics.expired()
	}
	w.unraised(failed)
	return err
}

// unraised cries out for safety timers whose alarm could not be raised for a while, each once a minute. It is tried again every second.
func (w *Watch) unraised(timers []FailedTimer) {
	now := time.Now()
	maps.DeleteFunc(w.failed, func(_ string, f failure) bool { return now.Sub(f.last) >= forgetFailure })
	for _, t := range timers {
		f, ok := w.failed[t.ID]
		if !ok {
			f.first = now
		}
		f.last = now
		w.failed[t.ID] = f
		if now.Sub(f.first) >= late && w.cries(t.ID) {
			w.desk.crier.timer(t)
		}
	}
}

// forgetFailure is how long ago a timer failed last that is tried no more: somebody else has raised it.
const forgetFailure = 10 * time.Second

// rescue does what is overdue, and says so loudly: it should not have come to this. Of several nodes that notice the same, one
// finds it still to be done.
func (w *Watch) rescue(ctx context.Context) error {
	listing, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	ids, err := w.desk.store.Overdue(listing, late, watchBatch)
	if err != nil {
		return err
	}
	// One that a frozen node holds locked must not keep the others waiting; when several fail the store is away.
	var failed []error
	for _, id := range ids {
		if err := w.advance(ctx, id); err != nil {
			if failed = append(failed, err); len(failed) == maxFailed {
				break
			}
		}
	}
	return errors.Join(failed...)
}

// maxFailed is how many incidents a round of rescue gives up on before it takes the store to be away.
const maxFailed = 5

// advance does what an incident is overdue for. An error is that of a store that is away; another concerns this incident alone.
func (w *Watch) advance(ctx context.Context, id nexus.IncidentID) error {
	ctx, cancel := context.WithTimeout(ctx, watchWait)
	defer cancel()
	out, err := w.desk.store.Advance(ctx, nexus.Fence{}, id)
	switch {
	case nexus.CodeOf(err) == nexus.Unavailable:
		return err
	case err != nil:
		w.stuck(ctx, id, err)
	case len(out.Events) > 0:
		w.desk.stored(out)
		w.desk.crier.alarm(id, out.State.User, ReasonOverdue)
	}
	return nil
}

// stuck cries out for an incident that cannot be advanced, once a minute.
func (w *Watch) stuck(ctx context.Context, id nexus.IncidentID, err error) {
	if w.cries(string(id)) {
		w.desk.crier.log.Error("incident cannot be advanced", "incident", id, "err", err)
		// Who raised it is told even of one whose history cannot be read. If not even that is known, it must be cried out all the same.
		state, _, _ := w.desk.store.Look(ctx, id)
		w.desk.crier.alarm(id, state.User, ReasonStuck)
	}
}

// cries reports whether it is time to cry out for something: once a minute.
func (w *Watch) cries(id string) bool {
	now := time.Now()
	maps.DeleteFunc(w.cried, func(_ string, at time.Time) bool { return now.Sub(at) >= time.Minute })
	if _, lately := w.cried[id]; lately {
		return false
	}
	w.cried[id] = now
	return true
}
