package grain_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/types/known/emptypb"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

func TestRequestToADeadActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := graintest.NewNode(t, graintest.NewStore())
		if _, err := grain.Request(t.Context(), node.System(), actor.NewPID(node.System().Address(), "nobody"), &emptypb.Empty{}); !errors.Is(err, grain.ErrGone) {
			t.Fatalf("got %v", err)
		}
		// One that ends without an answer.
		pid := node.System().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*emptypb.Empty); ok {
				c.Stop(c.Self())
			}
		}))
		began := time.Now()
		if _, err := grain.Request(t.Context(), node.System(), pid, &emptypb.Empty{}); !errors.Is(err, grain.ErrGone) || time.Since(began) > 50*time.Millisecond {
			t.Fatalf("got %v after %v", err, time.Since(began))
		}
		// One that says nothing.
		mute := node.System().Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		why := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		if _, err := grain.Request(ctx, node.System(), mute, &emptypb.Empty{}); nexus.CodeOf(err) != nexus.Unavailable || !errors.Is(err, why) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestWrongAnswerIsInternal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := graintest.NewNode(t, graintest.NewStore(), scripted(script{receive: func(c *grain.Context, _ any) { c.Reply(&emptypb.Empty{}) }}))
		if _, err := add(t.Context(), node, "a", 1); nexus.CodeOf(err) != nexus.Internal {
			t.Fatalf("got %v", err)
		}
	})
}

// TestNoCallIsLostOrDoubled asks a grain from many sides, each of which ends its activation now and then.
func TestNoCallIsLostOrDoubled(t *testing.T) {
	const callers, calls = 50, 100
	store := graintest.NewStore()
	node := graintest.NewNode(t, store, counterKind(store, nil))
	var answered, failed atomic.Int64
	end := func(at int) {
		pid, err := node.Locate(t.Context(), grain.Ref{Kind: "counter", ID: "a"})
		switch {
		case err != nil:
			t.Error(err)
		case at%2 == 0:
			node.System().Root.Stop(pid) // ahead of what waits in its mailbox
		default:
			node.System().Root.Poison(pid)
		}
	}
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range calls {
				if _, err := add(t.Context(), node, "a", 1); err != nil {
					failed.Add(1)
				} else {
					answered.Add(1)
				}
				if i%20 == caller%20 {
					end(i)
				}
			}
		})
	}
	all.Wait()
	sum, err := add(t.Context(), node, "a", readOnly)
	if err != nil || sum < answered.Load() || sum > answered.Load()+failed.Load() {
		t.Fatalf("%d counted, %v; %d were answered and %d failed", sum, err, answered.Load(), failed.Load())
	}
}
