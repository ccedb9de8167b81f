package grain

import (
	"context"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"nexus"
)

// Context is what a grain may do besides thinking. It belongs to the activation and
// is used only within its calls.
type Context struct {
	// ID is the grain's identity within its kind.
	ID string
	// Log carries the grain's kind and id.
	Log *slog.Logger

	host  *host
	actor actor.Context
}

// Fence proves this activation; every write of the grain carries it. Zero for volatile kinds. It changes with Renew,
// so that it is asked for when a write is made, within the job that makes it.
func (c *Context) Fence() nexus.Fence {
	if f := c.host.fence.Load(); f != nil {
		return *f
	}
	return nexus.Fence{}
}

// Renew makes certain, after a write whose outcome nobody knows, that it has either been kept or never will be: it raises
// the fence's epoch, which shuts out whatever is still on its way. It is called within a job of Work, and fails with
// nexus.Fenced if a newer activation exists.
func (c *Context) Renew(ctx context.Context) error {
	f, err := c.host.env.Store.Renew(ctx, c.Fence())
	if err != nil {
		return err
	}
	c.host.fence.Store(&f)
	return nil
}

// Asker is someone who waits for an answer. The zero Asker is nobody, and answering nobody does nothing. A grain answers
// within its turns.
type Asker struct {
	system *actor.ActorSystem
	pid    *actor.PID
	call   *call // nil: this is no attempt of a call that may be repeated
}

// Reply answers.
func (a Asker) Reply(m proto.Message) {
	if a.call != nil {
		a.call.open, a.call.answer = false, m
	}
	a.send(m)
}

func (a Asker) send(m proto.Message) {
	if a.pid != nil {
		a.system.Root.Send(a.pid, m)
	}
}

// Fail answers with an error. One that was fenced is no answer: it sends the asker on, as Bounce does.
func (a Asker) Fail(err error) {
	if nexus.CodeOf(err) == nexus.Fenced {
		a.Bounce()
		return
	}
	a.Reply(Failed(err))
}

// Bounce sends the asker to the grain's next activation, where Ask repeats the message.
func (a Asker) Bounce() {
	if a.call != nil {
		a.call.open = false
	}
	a.send(&actor.DeadLetterResponse{})
}

// AskerOf returns who sent an actor its present message.
func AskerOf(c actor.Context) Asker { return Asker{system: c.ActorSystem(), pid: c.Sender()} }

// Asker returns who sent the present message, to be answered now or later.
func (c *Context) Asker() Asker {
	a := AskerOf(c.actor)
	a.call = c.host.call
	return a
}

// Reply answers the present message.
func (c *Context) Reply(m proto.Message) { c.Asker().Reply(m) }

// Fail answers the present message with an error.
func (c *Context) Fail(err error) { c.Asker().Fail(err) }

// Send sends a message to an actor, at most once, with the grain as its sender.
func (c *Context) Send(to *actor.PID, m proto.Message) { c.actor.Request(to, m) }

// Self is the address of this activation.
func (c *Context) Self() *actor.PID { return c.actor.Self() }

// Watch asks to Receive *actor.Terminated once the actor has ended or its node is lost.
func (c *Context) Watch(pid *actor.PID) { c.actor.Watch(pid) }

// Unwatch takes Watch back.
func (c *Context) Unwatch(pid *actor.PID) { c.actor.Unwatch(pid) }

// Publish sends a broadcast to every node's subscribed sockets, at most once.
func (c *Context) Publish(b *Broadcast) { c.host.env.Bus.Publish(b) }

// Every delivers msg at each multiple of the period on the wall clock, until the activation ends. All grains with one
// period thus tick on the same edge, so that what they send leaves together. The next tick is armed after the last one
// was handled: a grain that falls behind skips ticks, it never queues them.
func (c *Context) Every(period time.Duration, msg any) {
	c.host.arm(c.actor, tick{period: period, msg: msg})
}

// After delivers msg once, unless the activation ends before.
func (c *Context) After(d time.Duration, msg any) {
	c.host.later(c.actor, d, msg)
}

// Work runs job apart from the grain, which goes on handling messages, and then done with job's error in a turn of
// the grain. Jobs of one grain run one after another. job may block until its ctx ends and must not touch the grain's
// state. A grain keeps a bound on the jobs it has under way.
func (c *Context) Work(job func(ctx context.Context) error, done func(error)) {
	c.host.work(c.actor, job, done)
}

// Abandon ends this activation without a last save: it was fenced, or no longer trusts its state. What
// still waits in its mailbox is sent again by the callers, to the next activation.
func (c *Context) Abandon(err error) { c.host.abandon(c.actor, err) }
