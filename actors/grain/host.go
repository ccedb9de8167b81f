package grain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"nexus"
)

// Env is what the activations of one node share.
type Env struct {
	Store   Store
	Bus     Bus
	Log     *slog.Logger
	Metrics *Metrics
	// Timeout bounds a claim with its load, one job of Work, and a last save. 2 s if zero.
	Timeout time.Duration
	// Loads bounds by its capacity how many activations are claimed and loaded at once: with thousands on their way here each
	// would wait for a connection until its time is over, and all would begin again. Nil: no bound.
	Loads chan struct{}
	// Saves bounds likewise how many activations stop at once. They have turns of their own: a load may wait for another
	// node's last save, which must not wait for that node's loads.
	Saves chan struct{}
}

// Props returns how to Spawn activations of a kind: one for all of them.
func Props(k Kind, env Env) *actor.Props {
	if env.Timeout == 0 {
		env.Timeout = 2 * time.Second
	}
	newHost := func() actor.Actor { return &host{kind: &k, env: &env} }
	// The other mailbox lays places for ten messages out in advance, which costs more than the rest of most activations' mailboxes.
	return actor.PropsFromProducer(newHost, actor.WithSupervisor(endOnPanic), actor.WithMailbox(actor.UnboundedLockfree()))
}

// Spawn spawns an activation of a grain, as a child of c, by the Props of its kind. The caller sees to it that one at a time is
// spawned per node; across nodes the fence does.
func Spawn(c actor.SpawnerContext, by *actor.Props, to Ref) *actor.PID {
	return c.SpawnPrefix(by, to.String())
}

// idOf is the id of the grain whose activation Spawn has given a name.
func idOf(kind string, self, parent *actor.PID) string {
	name := self.Id
	if parent != nil {
		name = name[len(parent.Id)+len("/"):]
	}
	return name[len(kind)+len("/") : strings.LastIndexByte(name, '$')] // behind which comes what SpawnPrefix adds
}

// endOnPanic ends a worker that panicked outside the recovery of its jobs. The host's own turns all recover, for
// the supervisor of an activation is its parent's, which would restart it in place with its old timers running.
var endOnPanic = actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective })

// Leave is the message that tells an activation to end in order: who asked before is answered, as far as a job of Work is
// already to answer it, who asks later is sent on, and Stop comes last.
type Leave struct{}

// Show is the message that asks an activation for its fence. One that has none, or is on its way out, does not answer.
type Show struct{ To func(nexus.Fence) }

// Overtaken is the message that tells an activation that a fence is over, and with it the activation, if it still holds that one. One that
// writes nothing would not notice otherwise.
type Overtaken struct{ Fence nexus.Fence }

// Messages that a host sends itself.
type (
	tick struct {
		period time.Duration
		edge   time.Time // that it is for
		msg    any
	}
	delayed struct{ msg any }
	job     struct {
		run  func(context.Context) error
		done func(error)
	}
	finished struct {
		done func(error)
		err  error
	}
	idle struct{}
)

// host is the actor around a grain.
type host struct {
	kind   *Kind // shared, as env is
	env    *Env
	grain  Grain
	ctx    Context
	fence  atomic.Pointer[nexus.Fence] // also read and renewed by the worker; nil: the zero fence
	failed error                       // why Load failed; whoever asks is told
	ended  bool                        // stopped or abandoned: no further call of the grain
	leaves bool                        // once no job is under way
	busy   time.Time
	worker *actor.PID // runs Work; nil until first used
	armed  []timer    // few at a time
	calls  calls
	call   *call // the present message is an attempt of; nil: of none that may be repeated
	jobs   int   // under way
}

// timer is one that has not fired, and the message that it sends then, a pointer.
type timer struct {
	*time.Timer
	msg any
}

// Receive implements actor.Actor.
func (h *host) Receive(ac actor.Context) {
	h.ctx.actor = ac
	switch m := ac.Message().(type) {
	case *actor.Started:
		h.start(ac)
	case *actor.Stopping:
		h.stop()
	case *actor.Stopped:
		h.env.Metrics.ended(h.kind.Name)
		if e, ok := h.grain.(Ender); ok {
			e.Ended(&h.ctx)
		}
	case *actor.Restarting, *actor.DeadLetterResponse: // the latter to a Send, which promised nothing
	case *finished:
		h.jobs--
		h.guard(ac, "work", func() { m.done(m.err) })
		if h.leaves && h.jobs == 0 && !h.ended {
			ac.Poison(ac.Self())
		}
	case *Leave:
		h.fired(m)
		h.leave(ac)
	case *Show:
		if !h.ended && h.failed == nil && !h.kind.Volatile {
			m.To(h.ctx.Fence())
		}
	case *Overtaken:
		if h.failed == nil && h.jobs == 0 && h.ctx.Fence() == m.Fence { // a job may be renewing it, and will be told if not
			h.abandon(ac, nexus.Errorf(nexus.Fenced, "epoch %d is over, by the word of others", m.Fence.Epoch))
		}
	case *tick:
		h.fired(m)
		h.env.Metrics.ticked(h.kind.Name, time.Since(m.edge))
		h.guard(ac, "tick", func() { h.grain.Receive(&h.ctx, m.msg) })
		h.arm(ac, *m)
	case *delayed:
		h.fired(m)
		h.guard(ac, "timer", func() { h.grain.Receive(&h.ctx, m.msg) })
	case *idle:
		h.fired(m)
		h.passivate(ac)
	default:
		h.message(ac, m)
	}
}

func (h *host) start(ac actor.Context) {
	began := time.Now()
	id := idOf(h.kind.Name, ac.Self(), ac.Parent())
	h.ctx.ID, h.ctx.Log, h.ctx.host = id, slog.New(logs{h}), h
	h.env.Metrics.started(h.kind.Name)
	h.inTurn(h.env.Loads, func(ctx context.Context) { h.failed = h.load(ctx) })
	h.env.Metrics.loaded(h.kind.Name, time.Since(began), h.failed)
	if h.failed != nil {
		h.ctx.Log.Warn("activation failed", "err", h.failed)
		// Behind what already waits, so that each waiting caller is told.
		ac.Poison(ac.Self())
		return
	}
	h.busy = time.Now()
	if h.kind.Idle > 0 {
		h.schedule(ac, h.kind.Idle, &idle{})
	}
}

// inTurn loads or stops when it is this activation's turn; what keeps nothing has no turn to wait for. The time for it begins then.
func (h *host) inTurn(turns chan struct{}, do func(context.Context)) {
	if turns != nil && !h.kind.Volatile {
		turns <- struct{}{} // every turn is bounded in time, and so is this
		defer func() { <-turns }()
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.env.Timeout)
	defer cancel()
	do(ctx)
}

func (h *host) load(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("load %s panicked: %v\n%s", h.kind.Name, r, debug.Stack())
		}
	}()
	var snap nexus.Snapshot
	if !h.kind.Volatile {
		var f nexus.Fence
		if f, snap, err = h.env.Store.Claim(ctx, h.kind.Name, h.ctx.ID); err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		h.fence.Store(&f)
	}
	h.grain = h.kind.New(h.ctx.ID)
	return h.grain.Load(ctx, &h.ctx, snap)
}

func (h *host) message(ac actor.Context, m any) {
	if h.failed != nil {
		h.ctx.Fail(h.failed)
		return
	}
	if h.ended || h.leaves {
		h.ctx.Asker().Bounce()
		return
	}
	began := time.Now()
	h.busy = began
	if sender := ac.Sender(); repeats(ac.ActorSystem(), sender) {
		c, fresh := h.calls.take(sender, began)
		if !fresh {
			if c.answer != nil {
				h.ctx.Reply(c.answer)
			}
			return
		}
		h.call = c
		defer func() { h.call = nil }()
	}
	h.guard(ac, "message", func() { h.grain.Receive(&h.ctx, m) })
	if pm, ok := m.(proto.Message); ok {
		h.env.Metrics.handled(h.kind.Name, string(pm.ProtoReflect().Descriptor().Name()), time.Since(began))
	}
}

// guard keeps a panic of the grain from taking the asker's answer with it: the asker hears of an
// internal error, and the activation, whose state can no longer be trusted, ends.
func (h *host) guard(ac actor.Context, what string, call func()) {
	if h.ended || h.failed != nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			err := fmt.Errorf("%s panicked: %v", what, r)
			h.ctx.Log.Error("grain panicked", "err", err, "stack", string(debug.Stack()))
			h.env.Metrics.panicked(h.kind.Name)
			h.ctx.Fail(err)
			h.abandon(ac, err)
		}
	}()
	call()
}

// leave ends the activation behind the jobs under way, or, told again, at once: jobs may make others without end.
func (h *host) leave(ac actor.Context) {
	if h.ended || h.failed != nil {
		return // it is on its way
	}
	if h.leaves || h.jobs == 0 {
		ac.Poison(ac.Self())
	} else {
		h.schedule(ac, h.env.Timeout, &Leave{})
	}
	h.leaves = true
}

func (h *host) stop() {
	for _, t := range h.armed {
		t.Stop()
	}
	if h.ended || h.failed != nil {
		return
	}
	h.ended = true // messages may still come while the worker ends
	defer func() {
		if r := recover(); r != nil {
			h.ctx.Log.Error("grain panicked at its end", "err", r, "stack", string(debug.Stack()))
		}
	}()
	h.inTurn(h.env.Saves, func(ctx context.Context) { h.grain.Stop(ctx, &h.ctx) })
}

func (h *host) abandon(ac actor.Context, err error) {
	if h.ended {
		return
	}
	h.ended = true
	if nexus.CodeOf(err) == nexus.Fenced {
		h.env.Metrics.fenced(h.kind.Name)
	}
	h.ctx.Log.Warn("activation abandoned", "err", err)
	// Behind what already waits: its senders are bounced to the next activation at once.
	ac.Poison(ac.Self())
}

func (h *host) passivate(ac actor.Context) {
	h.guard(ac, "busy", func() {
		if b, ok := h.grain.(Busy); ok && b.Busy() {
			h.busy = time.Now()
		}
	})
	if h.ended {
		return
	}
	if rest := h.kind.Idle - time.Since(h.busy); rest > 0 {
		h.schedule(ac, rest, &idle{})
		return
	}
	ac.Poison(ac.Self())
}

// arm schedules the next tick on the clock's next edge.
func (h *host) arm(ac actor.Context, t tick) {
	now := time.Now()
	t.edge = nextEdge(now, t.edge, t.period)
	h.schedule(ac, t.edge.Sub(now), &t)
}

// nextEdge is the first multiple of the period after now that is not the last one: while the wall clock is being slowed
// down, a timer fires a little before its edge, which must not tick twice.
func nextEdge(now, last time.Time, period time.Duration) time.Time {
	edge := now.Truncate(period).Add(period)
	if edge.Equal(last) {
		edge = edge.Add(period)
	}
	return edge
}

func (h *host) later(ac actor.Context, d time.Duration, msg any) {
	h.schedule(ac, d, &delayed{msg: msg})
}

func (h *host) schedule(ac actor.Context, d time.Duration, msg any) {
	if h.ended {
		return
	}
	root, self := ac.ActorSystem().Root, ac.Self()
	h.armed = append(h.armed, timer{time.AfterFunc(d, func() { root.Send(self, msg) }), msg})
}

// fired forgets the timer whose message has come. What is armed at the end is stopped.
func (h *host) fired(msg any) {
	h.armed = slices.DeleteFunc(h.armed, func(t timer) bool { return t.msg == msg })
}

func (h *host) work(ac actor.Context, run func(context.Context) error, done func(error)) {
	if h.worker == nil {
		timeout := h.env.Timeout
		h.worker = ac.Spawn(actor.PropsFromFunc(func(wc actor.Context) {
			if j, ok := wc.Message().(*job); ok {
				wc.Send(wc.Parent(), &finished{done: j.done, err: runJob(timeout, j.run)})
			}
		}))
	}
	h.jobs++
	ac.Send(h.worker, &job{run: run, done: done})
}

func runJob(timeout time.Duration, run func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("work panicked: %v\n%s", r, debug.Stack())
		}
	}()
	return run(ctx)
}

func asError(err error) (*nexus.Error, bool) {
	var e *nexus.Error
	ok := errors.As(err, &e)
	return e, ok && e.Code != nexus.Internal
}
