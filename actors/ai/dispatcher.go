package ai

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/cenkalti/backoff/v5"
	"github.com/sony/gobreaker/v2"

	"nexus"
)

const (
	// tripAfter is how many failures in a row open a model's breaker, and openFor for how long nobody asks it then; one call tries it after that.
	tripAfter = 5
	openFor   = 20 * time.Second
	// shutFor is for how long a model is left alone that does not take the key or the request: an operator must see to it.
	shutFor = 5 * time.Minute
)

// dispatcher hands calls to workers. It never blocks.
type dispatcher struct {
	o     Options
	board *board

	lines  [priorities][]*task
	idle   []*actor.PID
	busy   map[string]*task // by the worker's id
	models map[string]*access

	backoff *backoff.ExponentialBackOff // for the next worker, while they fail one after another
	ending  context.Context
	end     context.CancelFunc
}

// access is how one model may be asked from here.
type access struct {
	breaker *gobreaker.TwoStepCircuitBreaker[Answer]
	pause   time.Time // nobody asks before: it asked for that itself
	// Before spent, nobody asks for as many tokens as the budget has refused, or more; who asks for less may try.
	spent   time.Time
	refused int
}

type (
	// finished comes from a worker.
	finished struct {
		task   *task
		answer Answer
		err    error
		cost   Answer // what was used up, whatever came of it
	}
	// hire has one more worker begin.
	hire struct{}
)

// oneForOne ends a worker that fails; the dispatcher replaces it when it thinks fit.
var oneForOne = actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective })

func newDispatcher(o Options, b *board) *dispatcher {
	d := &dispatcher{o: o, board: b, busy: map[string]*task{}, models: map[string]*access{}, backoff: backoff.NewExponentialBackOff()}
	d.ending, d.end = context.WithCancel(context.Background())
	d.backoff.InitialInterval, d.backoff.MaxInterval = 100*time.Millisecond, 30*time.Second
	for _, name := range o.Models {
		d.models[name] = &access{breaker: gobreaker.NewTwoStepCircuitBreaker[Answer](gobreaker.Settings{
			Name: name, Timeout: openFor, MaxRequests: 1,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= tripAfter },
			IsSuccessful: func(err error) bool {
				return nexus.CodeOf(err) != nexus.Unavailable // it answered, if only that it has had enough
			},
			IsExcluded: func(err error) bool {
				var o *ours
				return errors.As(err, &o)
			},
			OnStateChange: func(name string, from, to gobreaker.State) {
				b.tripped(name, to == gobreaker.StateOpen)
				o.Log.Warn("the breaker of a model", "model", name, "was", from.String(), "is", to.String())
			},
		})}
		b.breakers[name] = d.models[name].breaker
	}
	return d
}

func (d *dispatcher) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		for range d.o.Workers {
			d.hire(c)
		}
	case *task:
		d.take(m)
	case *finished:
		d.finished(c, m)
	case *hire:
		d.hire(c)
	case *actor.Terminated:
		if d.ending.Err() == nil { // at the end all of them are
			d.lost(c, m.Who)
		}
	case *actor.Stopping:
		d.stop()
	}
	if d.ending.Err() == nil {
		d.assign(c)
	}
	d.show()
}

func (d *dispatcher) hire(c actor.Context) {
	w := &worker{o: d.o, dispatcher: c.Self(), ending: d.ending}
	pid := c.Spawn(actor.PropsFromFunc(w.receive))
	d.idle = append(d.idle, pid)
}

// take lets a task wait for a worker, or refuses it at once.
func (d *dispatcher) take(t *task) {
	if err := d.closed(t); err != nil {
		d.refuse(t, err)
		return
	}
	if len(d.lines[t.priority]) >= maxQueued { // those whose askers have gone hold no place
		d.lines[t.priority] = slices.DeleteFunc(d.lines[t.priority], func(o *task) bool { return o.ctx.Err() != nil })
	}
	if len(d.lines[t.priority]) >= maxQueued {
		d.refuse(t, comeAgain(nexus.Errorf(nexus.Unavailable, "too many wait for a model"), soon))
		return
	}
	d.lines[t.priority] = append(d.lines[t.priority], t)
}

func (d *dispatcher) refuse(t *task, err error) {
	d.board.refused(t, err)
	t.done(Answer{}, err)
}

// closed says why a task's model is not to be asked now.
func (d *dispatcher) closed(t *task) error {
	m := d.models[t.call.Model]
	if m == nil {
		return nexus.Errorf(nexus.NotFound, "no model %q is configured", t.call.Model)
	}
	if wait := time.Until(m.pause); wait > 0 {
		return comeAgain(nexus.Errorf(nexus.RateLimited, "the model is not to be asked for a while"), wait)
	}
	if wait := time.Until(m.spent); wait > 0 && t.call.Estimate() >= m.refused {
		return comeAgain(nexus.Errorf(nexus.RateLimited, "the model's budget is spent"), wait)
	}
	if m.breaker.State() == gobreaker.StateOpen {
		return comeAgain(errOpen, openFor/2)
	}
	return nil
}

var errOpen = nexus.Errorf(nexus.Unavailable, "the model has failed too often of late")

// assign gives workers what waits, the pressing first. The last idle worker of several is kept for who waits.
func (d *dispatcher) assign(c actor.Context) {
	for p := range d.lines {
		reserve := 0
		if Priority(p) != Waiting && d.o.Workers > 1 {
			reserve = 1
		}
		for len(d.lines[p]) > 0 && len(d.idle) > reserve {
			t := d.lines[p][0]
			d.lines[p] = d.lines[p][1:]
			d.start(c, t)
		}
	}
}

// start hands a task to an idle worker, unless there is no sense in it any more.
func (d *dispatcher) start(c actor.Context, t *task) {
	if t.ctx.Err() != nil {
		return // whoever asked has gone
	}
	if err := d.closed(t); err != nil {
		d.refuse(t, err)
		return
	}
	report, err := d.models[t.call.Model].breaker.Allow()
	if err != nil { // half open, and somebody tries it
		d.refuse(t, comeAgain(errOpen, soon))
		return
	}
	w := d.idle[len(d.idle)-1]
	d.idle = d.idle[:len(d.idle)-1]
	d.busy[w.Id] = t
	c.Send(w, &work{task: t, report: report})
}

// finished answers whoever asked, and learns from what came of it.
func (d *dispatcher) finished(c actor.Context, f *finished) {
	delete(d.busy, c.Sender().Id)
	d.idle = append(d.idle, c.Sender())
	d.backoff.Reset()
	m := d.models[f.task.call.Model]
	err := f.err
	switch nexus.CodeOf(f.err) {
	case nexus.RateLimited: // nobody of this node needs to find out for themselves
		if until := time.Now().Add(again(f.err)); !errors.As(f.err, new(*ours)) {
			m.pause = until
		} else {
			m.spent, m.refused = until, f.task.call.Estimate()
		}
		err = comeAgain(f.err, again(f.err))
	case nexus.Unavailable:
		err = comeAgain(f.err, again(f.err))
	case nexus.Forbidden:
		m.pause = time.Now().Add(shutFor)
		d.o.Log.Error("a model refuses what it is asked; see to its key and name", "model", f.task.call.Model, "err", f.err)
	}
	d.board.finished(f, time.Now())
	f.task.done(f.answer, err)
}

// lost replaces a worker that has failed, the later the more of them fail one after another. Its task is answered: nobody knows whether it would fail again.
func (d *dispatcher) lost(c actor.Context, who *actor.PID) {
	if t := d.busy[who.Id]; t != nil {
		delete(d.busy, who.Id)
		d.refuse(t, comeAgain(errFailed, soon))
	} else {
		for i, w := range d.idle {
			if w.Id == who.Id {
				d.idle = append(d.idle[:i:i], d.idle[i+1:]...)
				break
			}
		}
	}
	d.board.lost()
	wait := d.backoff.NextBackOff()
	d.o.Log.Error("an AI worker has failed", "replaced after", wait)
	root, self := c.ActorSystem().Root, c.Self()
	time.AfterFunc(wait, func() { root.Send(self, &hire{}) })
}

// stop tells everybody to come again, to another node or later.
func (d *dispatcher) stop() {
	d.end()
	tell := func(t *task) {
		d.refuse(t, comeAgain(errEnding, soon))
	}
	for p, line := range d.lines {
		for _, t := range line {
			tell(t)
		}
		d.lines[p] = nil
	}
	for _, t := range d.busy { // what their workers say now is heard by nobody
		tell(t)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (d *dispatcher) show() {
	s := PoolStatus{Workers: len(d.idle) + len(d.busy), Busy: len(d.busy)}
	s.Waiting, s.Background = len(d.lines[Waiting]), len(d.lines[Background])
	for name, m := range d.models {
		at := later(m.pause, m.spent).UTC().Truncate(time.Millisecond)
		s.Models = append(s.Models, ModelStatus{Model: name, PausedUntil: &at})
	}
	d.board.show(s)
}
