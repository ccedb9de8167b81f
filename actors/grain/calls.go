package grain

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

const (
	// callsKept and callsKeptFor bound what an activation remembers of the calls of other nodes: some attempts long. A
	// call that comes again after that is handled again.
	callsKept    = 8192
	callsKeptFor = 10 * time.Second
)

// call is one Ask of another node, which may come more than once.
type call struct {
	from   caller
	at     time.Time     // of the first attempt
	open   bool          // the grain has it and owes the answer
	answer proto.Message // nil: none yet
}

// caller tells one Ask from all others of the campus: the place that takes its answer, which no other has, ever.
type caller struct{ address, id string }

// calls is what an activation remembers, so that a call that comes again, because its answer was late or got lost, is
// neither handled twice nor answered otherwise than the first time. It dies with the activation.
type calls struct {
	known map[caller]*call
	order []*call // the oldest first
}

// take notes a call at its first attempt, and reports whether it is for the grain to handle. If not, it has been: the
// answer is given again, or still to come, and every attempt waits for it at the same place.
func (cs *calls) take(from *actor.PID, now time.Time) (c *call, fresh bool) {
	cs.forget(now)
	who := caller{from.GetAddress(), from.GetId()}
	if c, ok := cs.known[who]; ok {
		fresh = !c.open && c.answer == nil // it was sent on, and has come back
		c.open = c.open || fresh
		return c, fresh
	}
	if cs.known == nil {
		cs.known = make(map[caller]*call)
	}
	c = &call{from: who, at: now, open: true}
	cs.known[who], cs.order = c, append(cs.order, c)
	return c, true
}

func (cs *calls) forget(now time.Time) {
	for len(cs.order) > 0 && (len(cs.order) >= callsKept || now.Sub(cs.order[0].at) > callsKeptFor) {
		delete(cs.known, cs.order[0].from)
		cs.order[0], cs.order = nil, cs.order[1:]
	}
}

// repeats reports whether a message may be one more attempt of a call. Those of this node never are while the
// activation lives, for they last as long as their caller waits.
func repeats(system *actor.ActorSystem, sender *actor.PID) bool {
	return sender != nil && sender.Address != system.Address() && strings.HasPrefix(sender.Id, askPrefix)
}
