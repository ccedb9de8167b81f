package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nexus"
)

const (
	queueSize = 4096                   // events waiting per hall; when full, the play waits
	batchSize = 1000                   // the most that the server takes in one request
	batchWait = 200 * time.Millisecond // how long the first event of a batch waits for company
	grace     = 5 * time.Second        // for what is queued when the play is interrupted
)

// sender carries events to the halls, in order within each hall, each exactly once in effect.
type sender struct {
	ctx      context.Context // of the play: ends by interruption, or when a hall is given up
	giveUp   context.CancelCauseFunc
	sending  context.Context // of the requests: ends a grace after an interruption
	halt     context.CancelFunc
	campus   *campus
	patience time.Duration
	run      string // makes the event ids of two runs differ
	seq      int64  // belongs to the goroutine that calls put
	queues   []chan event
	workers  sync.WaitGroup
	closed   sync.Once

	queued, accepted, duplicates, requests, retries atomic.Int64
}

// newSender starts one worker for each hall. Close ends them.
func newSender(ctx context.Context, c *campus, halls []nexus.Hall, patience time.Duration) *sender {
	s := &sender{campus: c, patience: patience, run: nexus.NewID()}
	s.sending, s.halt = context.WithCancel(context.WithoutCancel(ctx))
	s.ctx, s.giveUp = context.WithCancelCause(ctx)
	for _, h := range halls {
		q := make(chan event, queueSize)
		s.queues = append(s.queues, q)
		s.workers.Go(func() { s.work(h, q) })
	}
	return s
}

// put queues an event of a hall, stamped with the present time and an id of its own. It waits while
// the queue is full, and fails once ctx or the sending ends.
func (s *sender) put(ctx context.Context, hall int, e event) error {
	s.seq++
	e.Source, e.EventID, e.At = "simulate", s.run+"-"+strconv.FormatInt(s.seq, 10), stamp(time.Now())
	select {
	case s.queues[hall] <- e:
		s.queued.Add(1)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.sending.Done():
		return context.Cause(s.sending)
	}
}

// close sends what is still queued and ends the workers. It returns why a hall was given up, if one was.
func (s *sender) close() error {
	s.closed.Do(func() {
		for _, q := range s.queues {
			close(q)
		}
	})
	done := make(chan struct{})
	go func() { s.workers.Wait(); close(done) }()
	select {
	case <-done:
	case <-s.ctx.Done():
		late := time.NewTimer(grace)
		defer late.Stop()
		select {
		case <-done:
		case <-late.C:
		}
	}
	s.halt()
	<-done
	err := context.Cause(s.ctx)
	s.giveUp(nil)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil // interrupted, which is no error
	}
	return err
}

// work sends the batches of one hall until its queue is closed. After giving up it
// only drains, so that nobody waits for it.
func (s *sender) work(h nexus.Hall, q <-chan event) {
	for {
		batch := gather(q)
		if len(batch) == 0 {
			return
		}
		if s.sending.Err() != nil {
			continue
		}
		if err := s.send(h, batch); err != nil && s.sending.Err() == nil {
			s.giveUp(fmt.Errorf("report %d events of %s: %w", len(batch), h.Name, err))
			s.halt()
		}
	}
}

// gather waits for an event and then a little for more. An empty batch means that the queue is closed.
func gather(q <-chan event) []event {
	first, ok := <-q
	if !ok {
		return nil
	}
	batch := []event{first}
	full := time.NewTimer(batchWait)
	defer full.Stop()
	for len(batch) < batchSize {
		select {
		case e, ok := <-q:
			if !ok {
				return batch
			}
			batch = append(batch, e)
		case <-full.C:
			return batch
		}
	}
	return batch
}

// send repeats the same batch until the server has answered for it.
func (s *sender) send(h nexus.Hall, batch []event) error {
	retried := func() { s.retries.Add(1) }
	return patiently(s.sending, s.patience, retried, func() error {
		s.requests.Add(1)
		t, err := s.campus.checkIn(s.sending, h.ID, batch)
		s.accepted.Add(int64(t.Accepted))
		s.duplicates.Add(int64(t.Duplicates))
		return err
	})
}

// summary tells what became of everything that was put.
func (s *sender) summary() string {
	acc, dup := s.accepted.Load(), s.duplicates.Load()
	line := fmt.Sprintf("%d events: %d counted, %d counted before; %d requests, %d of them repeated",
		s.queued.Load(), acc, dup, s.requests.Load(), s.retries.Load())
	if lost := s.queued.Load() - acc - dup; lost > 0 {
		line += fmt.Sprintf("; %d never answered", lost)
	}
	return line
}

// patiently calls fn until it succeeds, fails for good, or has failed for longer than patience. Between the calls it
// waits as long as the server asks, half a minute at most, or twice as long each time, from 1/4 s to 8 s, less a random
// part so that many senders do not come back as one.
func patiently(ctx context.Context, patience time.Duration, retried func(), fn func() error) error {
	began := time.Now()
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 8*time.Second) {
		err := fn()
		code := nexus.CodeOf(err)
		if code != nexus.Unavailable && code != nexus.RateLimited || time.Since(began) > patience {
			return err
		}
		pause := wait - rand.N(wait/2)
		if e := (*nexus.Error)(nil); errors.As(err, &e) && e.RetryAfter > 0 {
			pause = min(e.RetryAfter, 30*time.Second)
		}
		if sleep(ctx, pause) != nil {
			return err
		}
		if retried != nil {
			retried()
		}
	}
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
