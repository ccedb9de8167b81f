package grain

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"nexus"
)

// Directory knows where grains live. A node of the cluster is one.
type Directory interface {
	// Locate returns the address of the grain's activation, activating it where it belongs if it has
	// none. The address may be old by the time it is used.
	Locate(ctx context.Context, to Ref) (*actor.PID, error)
	// Forget drops an address that no longer answers.
	Forget(to Ref, pid *actor.PID)
	// Admit counts one call in and returns how to count it out again. It fails with
	// nexus.Unavailable when as many calls are under way as the node can bear.
	Admit() (leave func(), err error)
	// System is the actor system that messages leave from.
	System() *actor.ActorSystem
}

// One attempt at a grain of another node is given up after attempt, for a node that died says nothing. A grain
// of this node cannot vanish silently, so that an attempt at it lasts as long as the caller waits.
const (
	attempt  = 600 * time.Millisecond
	backoff0 = 20 * time.Millisecond
	backoff1 = 320 * time.Millisecond
	// A message that reaches a mailbox in the very moment its activation ends is dropped unseen. Whoever has no
	// answer after lookAgain therefore watches the activation, which tells of its end, past or to come.
	lookAgain = 50 * time.Millisecond
)

// Ask sends msg to the grain, activating it where needed, and returns its answer. It tries again, with a jittered
// back-off, when an activation ends under it or its node falls silent, until ctx ends. One activation handles msg once,
// and answers every attempt alike; but it may end after it has handled msg and before its answer arrives, so that
// messages must bear being handled once more by its successor. Errors carry the code that the grain failed with; a context that
// ends, and a ctx without a deadline at a dead cluster, give nexus.Unavailable.
func Ask[R proto.Message](ctx context.Context, d Directory, to Ref, msg proto.Message) (R, error) {
	var zero R
	leave, err := d.Admit()
	if err != nil {
		return zero, err
	}
	defer leave()
	r := newReply(d.System())
	defer r.close()
	for wait := backoff0; ; wait = min(2*wait, backoff1) {
		answer, err := r.attempt(ctx, d, to, msg)
		switch {
		case err == nil:
			return typed[R](to, answer)
		case !errors.Is(err, ErrGone):
			return zero, err
		}
		// Half fixed, half random: callers of one dead node must not come back in step.
		if !nexus.Pause(ctx, wait/2+rand.N(wait/2)) {
			return zero, nexus.Wrap(nexus.Unavailable, fmt.Errorf("ask %s: %w", to, context.Cause(ctx)), busyMessage)
		}
	}
}

// busyMessage is what a caller is told whose time ran out.
const busyMessage = "the service is busy, try again"

// ErrGone says that the actor asked is no more, or not to be reached: ask its successor.
var ErrGone = errors.New("grain gone")

func (r *reply) attempt(ctx context.Context, d Directory, to Ref, msg proto.Message) (any, error) {
	pid, err := d.Locate(ctx, to)
	if err != nil {
		return nil, err
	}
	ctx, cancel := Attempt(ctx, d.System(), pid.Address)
	defer cancel()
	answer, err := r.request(ctx, pid, msg)
	if errors.Is(err, ErrGone) {
		d.Forget(to, pid)
	}
	return answer, err
}

// Attempt bounds one attempt to reach an actor at address: a node that has died says nothing, so that one at another
// node ends with ErrGone after a while.
func Attempt(ctx context.Context, system *actor.ActorSystem, address string) (context.Context, context.CancelFunc) {
	if address == system.Address() {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, attempt, ErrGone)
}

// Request sends msg to an actor and returns its answer. It fails with ErrGone when the actor has ended or ctx
// ends with that cause, and with nexus.Unavailable around ctx's cause when ctx ends first.
func Request(ctx context.Context, system *actor.ActorSystem, pid *actor.PID, msg proto.Message) (any, error) {
	r := newReply(system)
	defer r.close()
	return r.request(ctx, pid, msg)
}

// request is Request with this place for the answer. What an earlier attempt has brought by now is the answer as well.
func (r *reply) request(ctx context.Context, pid *actor.PID, msg proto.Message) (any, error) {
	select {
	case answer := <-r.got:
		if answer != gone {
			return answer, nil
		}
	default:
	}
	r.system.Root.RequestWithCustomSender(pid, msg, r.pid)
	look := time.NewTimer(lookAgain)
	defer look.Stop()
	for {
		select {
		case answer := <-r.got:
			if answer == gone {
				return nil, ErrGone
			}
			return answer, nil
		case <-look.C:
			r.watch(pid)
			defer r.unwatch(pid)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), ErrGone) {
				return nil, ErrGone
			}
			return nil, nexus.Wrap(nexus.Unavailable, fmt.Errorf("ask %s: %w", pid.Id, context.Cause(ctx)), busyMessage)
		}
	}
}

// typed checks that the answer is what the caller expects.
func typed[R proto.Message](to Ref, answer any) (R, error) {
	var zero R
	switch a := answer.(type) {
	case *Failure:
		return zero, a.Err()
	case R:
		return a, nil
	default:
		return zero, nexus.Errorf(nexus.Internal, "%s answered %T, not %T", to, answer, zero)
	}
}

// askPrefix begins the id of every reply, and of no other actor: after it comes a number that is never given out again.
const askPrefix = "ask$"

// reply is a process that takes the answer to one call, whichever attempt brings it. protoactor's Future knows no
// context and would hold its timer until the time-out of each call.
type reply struct {
	system *actor.ActorSystem
	pid    *actor.PID
	got    chan any // one place: what comes after the first answer is dropped
}

// gone stands for the end of the activation asked.
var gone any = new(struct{ byte })

func newReply(system *actor.ActorSystem) *reply {
	r := &reply{system: system, got: make(chan any, 1)}
	r.pid, _ = system.ProcessRegistry.Add(r, "ask"+system.ProcessRegistry.NextId()) // an id begins with $
	return r
}

func (r *reply) watch(pid *actor.PID) {
	process, _ := r.system.ProcessRegistry.Get(pid)
	process.SendSystemMessage(pid, &actor.Watch{Watcher: r.pid})
}

func (r *reply) unwatch(pid *actor.PID) {
	process, _ := r.system.ProcessRegistry.Get(pid)
	process.SendSystemMessage(pid, &actor.Unwatch{Watcher: r.pid})
}

func (r *reply) close() { r.system.ProcessRegistry.Remove(r.pid) }

func (r *reply) take(m any) {
	select {
	case r.got <- m:
	default:
	}
}

// SendUserMessage takes the answer.
func (r *reply) SendUserMessage(_ *actor.PID, message any) {
	_, msg, _ := actor.UnwrapEnvelope(message)
	if _, dead := msg.(*actor.DeadLetterResponse); dead {
		msg = gone
	}
	r.take(msg)
}

// SendSystemMessage takes the news that the activation watched has ended.
func (r *reply) SendSystemMessage(_ *actor.PID, message any) {
	if _, ended := message.(*actor.Terminated); ended {
		r.take(gone)
	}
}

// Stop does nothing: close ends a reply.
func (r *reply) Stop(*actor.PID) {}
