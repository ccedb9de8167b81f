package ai

import (
	"context"
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/ai/budget"
)

// settleWithin bounds what is said to a budget afterwards.
const settleWithin = 2 * time.Second

// worker makes one request at a time, and blocks while it does.
type worker struct {
	o          Options
	dispatcher *actor.PID
	ending     context.Context // of the pool
}

// work is a task for a worker; report tells the model's breaker what came of it.
type work struct {
	task   *task
	report func(error)
}

func (w *worker) receive(c actor.Context) {
	m, ok := c.Message().(*work)
	if !ok {
		return
	}
	f := &finished{task: m.task, err: &ours{errFailed}} // should it panic
	defer func() { m.report(f.err) }()
	*f = *w.do(m.task)
	c.Request(w.dispatcher, f)
}

// ours is trouble of our own, of which a model's breaker hears nothing.
type ours struct{ error }

// Unwrap returns what it is.
func (o *ours) Unwrap() error { return o.error }

var errFailed = nexus.Errorf(nexus.Unavailable, "the worker failed")

// do asks the budget and then the model.
func (w *worker) do(t *task) *finished {
	f := &finished{task: t}
	ctx, cancel := context.WithTimeout(t.ctx, callTimeout)
	defer cancel()
	defer context.AfterFunc(w.ending, cancel)()
	asked := time.Now() // and granted later than that
	number, err := w.o.Budget.Take(ctx, t.call.Model, t.call.Estimate())
	if err != nil {
		f.err = &ours{err}
		return f
	}
	tokens, sent := t.call.Estimate(), false
	defer func() { w.settle(t.call.Model, number, tokens, sent) }()
	if time.Since(asked) > budget.UseWithin {
		f.err = &ours{nexus.Errorf(nexus.Unavailable, "the budget answered too late")}
		return f
	}
	sent = true
	f.answer, f.err = w.o.Model.Generate(ctx, t.call)
	f.cost = f.answer
	var u *Unusable
	switch {
	case errors.As(f.err, &u):
		f.cost = u.Cost
	case f.err != nil && (errors.Is(t.ctx.Err(), context.Canceled) || w.ending.Err() != nil): // it was not given the time
		f.err = &ours{f.err}
	}
	if n := f.cost.TokensIn + f.cost.TokensOut; n > 0 {
		tokens = n
	}
	return f
}

// settle is said whatever came of the request, also when whoever asked has gone. What does not get through leaves the estimate on account.
func (w *worker) settle(model string, number int64, tokens int, sent bool) {
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	if err := w.o.Budget.Settle(ctx, model, number, tokens, sent); err != nil {
		w.o.Log.Debug("settle a model's budget", "model", model, "err", err)
	}
}
