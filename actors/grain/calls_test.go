package grain

import (
	"fmt"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestCallsAreRememberedWithinBounds(t *testing.T) {
	var cs calls
	now := time.Now()
	take := func(i int) (*call, bool) { return cs.take(actor.NewPID("there", fmt.Sprint(i)), now) }
	want := func(i int, want bool) *call {
		t.Helper()
		c, fresh := take(i)
		if fresh != want {
			t.Fatalf("call %d is fresh: %v", i, fresh)
		}
		return c
	}
	first := want(1, true)
	want(1, false) // its answer is still to come
	Asker{call: first}.Bounce()
	want(1, true) // it was sent on, and is back
	Asker{call: first}.Reply(&emptypb.Empty{})
	if c := want(1, false); c.answer == nil {
		t.Fatal("the answer is forgotten")
	}
	now = now.Add(callsKeptFor)
	want(1, false)
	now = now.Add(time.Nanosecond)
	want(1, true)

	for i := range 3 * callsKept {
		want(i+2, true)
	}
	if len(cs.order) != callsKept || len(cs.known) != callsKept {
		t.Fatalf("%d and %d calls are kept", len(cs.order), len(cs.known))
	}
	want(3*callsKept+1, false)
	want(1, true)
}

func TestOnlyAsksOfOtherNodesMayBeRepeated(t *testing.T) {
	here := actor.NewActorSystem()
	defer here.Shutdown()
	for _, c := range []struct {
		sender *actor.PID
		want   bool
	}{
		{nil, false},
		{actor.NewPID("there", "ask$1"), true},
		{actor.NewPID(here.Address(), "ask$1"), false},
		{actor.NewPID("there", "hub"), false},
		{actor.NewPID("there", "asking/1$2"), false},
	} {
		if got := repeats(here, c.sender); got != c.want {
			t.Errorf("%v: %v", c.sender, got)
		}
	}
	if r := newReply(here); !repeats(actor.NewActorSystem(), actor.NewPID("there", r.pid.Id)) {
		t.Errorf("the id of a reply is %q", r.pid.Id)
	}
}
