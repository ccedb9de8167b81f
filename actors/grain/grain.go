package grain

import (
	"context"
	"time"

	"nexus"
)

// Ref names a grain.
type Ref struct {
	Kind string
	ID   string
}

// String returns "kind/id".
func (r Ref) String() string { return r.Kind + "/" + r.ID }

// Kind describes one kind of grain.
type Kind struct {
	// Name is the kind's name in addresses, fences, metrics and logs.
	Name string
	// New makes the grain of one activation, before it is loaded.
	New func(id string) Grain
	// Idle is how long an activation without messages lives; 0 is for ever.
	Idle time.Duration
	// Volatile kinds keep nothing: they are not claimed, their fence is zero and their snapshot empty.
	Volatile bool
}

// Grain is the behaviour of one activation. The methods are called one at a time.
type Grain interface {
	// Load builds the state; c.Fence() is already claimed. An error fails the activation: whoever
	// asked is answered with it, and the next call tries afresh. ctx bounds the reads.
	Load(ctx context.Context, c *Context, s nexus.Snapshot) error
	// Receive handles a message: a protobuf message from a caller, or a value that the grain
	// sent itself by Every or After. Callers are answered by c.Reply or c.Fail, now or later through c.Asker.
	Receive(c *Context, msg any)
	// Stop is the last call: what is worth a last save is saved within ctx. It is not called after a
	// failed Load nor after Abandon, when writing is pointless.
	Stop(ctx context.Context, c *Context)
}

// Busy is what a grain implements that must not be passivated at times, although nobody sends it messages.
type Busy interface {
	// Busy reports whether the activation is needed now.
	Busy() bool
}

// Ender is what a grain implements of whose end others must hear, however it ends.
type Ender interface {
	// Ended is the very last call, and comes also after Abandon. The activation cannot be reached any more; all that it does is to send.
	Ended(c *Context)
}

// HubName is the name of the actor on each node that takes broadcasts for the node's sockets.
const HubName = "hub"

// Bus carries broadcasts to the hub of every node. Publish never blocks.
type Bus interface {
	Publish(b *Broadcast)
}

// Failed turns an error into the answer that carries it.
func Failed(err error) *Failure {
	f := &Failure{Code: string(nexus.CodeOf(err)), Message: "internal error"}
	if f.Code == string(nexus.Unavailable) { // a context that ended has no words of its own
		f.Message = busyMessage
	}
	if e, ok := asError(err); ok {
		f.Message = e.Message
		f.RetryAfterMs, f.State = e.RetryAfter.Milliseconds(), e.State
		for _, fe := range e.Fields {
			f.Fields = append(f.Fields, &FieldFailure{Field: fe.Field, Detail: fe.Detail})
		}
	}
	return f
}

// Err turns the answer back into the error.
func (x *Failure) Err() error {
	e := nexus.Errorf(nexus.Code(x.GetCode()), "%s", x.GetMessage())
	e.RetryAfter, e.State = time.Duration(x.GetRetryAfterMs())*time.Millisecond, x.GetState()
	for _, f := range x.GetFields() {
		e.Fields = append(e.Fields, nexus.FieldError{Field: f.GetField(), Detail: f.GetDetail()})
	}
	return e
}
