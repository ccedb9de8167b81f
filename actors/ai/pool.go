package ai

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
)

// Priority says who waits for an answer.
type Priority int

// The priorities, the more pressing first.
const (
	Waiting    Priority = iota // a person looks at a screen
	Background                 // a job, which comes again
	priorities
)

// maxQueued bounds who waits for a worker in each priority. Jobs are told to come again long before: they are as many as their own workers.
const maxQueued = 100

// Budget is what the campus may ask of each model; budget.Client is one.
type Budget interface {
	// Take asks to make a request of about so many tokens at once, and returns the grant's number. RateLimited says when to come again.
	Take(ctx context.Context, model string, tokens int) (int64, error)
	// Settle says what a granted request came to; sent is false if it was never made.
	Settle(ctx context.Context, model string, number int64, tokens int, sent bool) error
}

// Options are what a pool is made of.
type Options struct {
	System  *actor.ActorSystem
	Model   Model
	Models  []string // the names that may be asked for
	Prices  map[string]Price
	Budget  Budget
	Workers int // 4 if zero; at least one of two or more is kept for who waits
	Log     *slog.Logger
	Metrics *Metrics // nil: none
}

// Pool is a node's access to models. It is safe for use by many.
type Pool struct {
	system *actor.ActorSystem
	pid    *actor.PID
	closed chan struct{} // by Close, once
	once   sync.Once
	status *board
	log    *slog.Logger
}

// Start starts a pool.
func Start(o Options) *Pool {
	if o.Workers == 0 {
		o.Workers = 4
	}
	p := &Pool{system: o.System, closed: make(chan struct{}), status: newBoard(o), log: o.Log}
	d := newDispatcher(o, p.status)
	p.pid = o.System.Root.Spawn(actor.PropsFromFunc(d.receive, actor.WithSupervisor(oneForOne)))
	return p
}

// Ask has a model asked, and returns its answer, with JSON by the call's schema. An error with the code RateLimited or Unavailable is worth another try after its
// RetryAfter, which is always set; ErrUnusable and Forbidden are not. It waits for no longer than ctx, and for Background not at all for what is busy or spent.
func (p *Pool) Ask(ctx context.Context, priority Priority, c Call) (Answer, error) {
	t := &task{ctx: ctx, priority: priority, call: c, answer: make(chan outcome, 1)}
	p.system.Root.Send(p.pid, t)
	select {
	case o := <-t.answer:
		return o.answer, o.err
	case <-ctx.Done():
		e := nexus.Wrap(nexus.Unavailable, context.Cause(ctx), "the model did not answer in time")
		e.RetryAfter = soon
		return Answer{}, e
	case <-p.closed:
		return Answer{}, comeAgain(errEnding, soon)
	}
}

var errEnding = nexus.Errorf(nexus.Unavailable, "this node is ending")

// Status is how the pool stands.
func (p *Pool) Status() PoolStatus { return p.status.read() }

// Close ends the pool. Whoever waits is told to come again; a request that is under way ends with its attempt.
func (p *Pool) Close(ctx context.Context) error {
	p.once.Do(func() { close(p.closed) })
	done := p.system.Root.PoisonFuture(p.pid)
	ended := make(chan error, 1)
	go func() { ended <- done.Wait() }() // ends with the future, within callTimeout
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// task is a call on its way.
type task struct {
	ctx      context.Context
	priority Priority
	call     Call
	answer   chan outcome // one place, filled once
}

type outcome struct {
	answer Answer
	err    error
}

func (t *task) done(a Answer, err error) {
	select {
	case t.answer <- outcome{a, err}:
	default: // answered before, by the end of its worker
	}
}

// soon is when to come again if nothing better is known.
const soon = 5 * time.Second

// comeAgain gives an error that is worth another try a time for it.
func comeAgain(err error, after time.Duration) error {
	e := nexus.Wrap(nexus.CodeOf(err), err, "the model cannot be asked now")
	e.RetryAfter = max(after, time.Millisecond)
	return e
}

// again is when an error says that another try is worth it.
func again(err error) time.Duration {
	var e *nexus.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return soon
}
