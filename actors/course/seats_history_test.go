package course

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"nexus"
)

// asked is one request, and what its client heard; or, of nobody, what the rows say in the end.
type asked struct {
	user     nexus.UserID
	drop     bool
	status   nexus.EnrollmentStatus
	position int
	code     nexus.Code
	rows     Roll
}

// oneByOne is a course that takes one request after the other: what any history has to look like. Its state is a Roll.
var oneByOne = porcupine.Model{
	Init: func() any { return rollOf(2, 3) },
	Step: func(state, input, _ any) (bool, any) {
		r, a := state.(Roll).Clone(), input.(asked)
		if a.user == "" {
			return alike(r, a.rows), r
		}
		var err error
		if a.drop {
			_, err = r.Drop(a.user)
		} else {
			_, err = r.Enrol(a.user)
		}
		status, position := r.Standing(a.user)
		r.Promote(anybody)
		// Whoever does not know what became of a request cannot be wrong about it.
		return a.code == nexus.Unavailable || a.code == nexus.CodeOf(err) && (a.drop || a.status == status && a.position == position), r
	},
	Equal:             func(a, b any) bool { return alike(a.(Roll), b.(Roll)) },
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// alike reports whether the same people have seats and wait in the same order.
func alike(a, b Roll) bool {
	same := slices.Equal(slices.Sorted(maps.Keys(a.Seats)), slices.Sorted(maps.Keys(b.Seats)))
	return same && slices.EqualFunc(a.Waiting, b.Waiting, func(x, y Waiter) bool { return x.User == y.User })
}

// TestAnyHistoryIsOneOrder: clients of two nodes, which both believe to hold the course, come and go, while the store is away at times and at other
// times loses the answer to a commit. What all of them hear fits one order that agrees with real time, and so do the rows in the end.
func TestAnyHistoryIsOneOrder(t *testing.T) {
	for seed := range uint64(20) {
		if got := history(t, seed, true); got != porcupine.Ok {
			t.Errorf("seed %d: %s", seed, got)
		}
	}
	for seed := range uint64(4) {
		if history(t, seed, false) == porcupine.Illegal {
			return
		}
	}
	t.Error("nothing is noticed without fences")
}

func history(t *testing.T, seed uint64, fenced bool) porcupine.CheckResult {
	t.Helper()
	var all []porcupine.Operation
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2, 3)
		f.fences.Unfenced = !fenced
		chance := rand.New(rand.NewPCG(seed, 0))
		_, one := class(t, f)
		_, two := class(t, f)
		f.before = func(context.Context) (err error) {
			f.with(func() {
				switch chance.IntN(20) {
				case 0:
					err = errAway
				case 1:
					f.doubt = errAway
				}
			})
			return err
		}
		var mu sync.Mutex
		var clients sync.WaitGroup
		for i := range 4 {
			mine := rand.New(rand.NewPCG(seed, uint64(i+1)))
			clients.Go(func() {
				for range 10 {
					time.Sleep(time.Duration(mine.Int64N(int64(4 * time.Millisecond))))
					a := asked{user: nexus.UserID(fmt.Sprint("s", mine.IntN(8))), drop: mine.IntN(3) == 0}
					o := porcupine.Operation{ClientId: i, Call: time.Now().UnixNano()}
					a.ask(t, []Client{one, two}[mine.IntN(2)])
					if o.Return = time.Now().UnixNano(); a.code == nexus.Unavailable {
						o.Return = math.MaxInt64 // it may happen yet, or never
					}
					o.Input = a
					mu.Lock()
					all = append(all, o)
					mu.Unlock()
				}
			})
		}
		clients.Wait()
		now := time.Now().UnixNano()
		f.with(func() {
			all = append(all, porcupine.Operation{Input: asked{rows: f.roll.Clone()}, Call: now + 1, Return: now + 2})
		})
	})
	return porcupine.CheckOperationsTimeout(oneByOne, all, time.Minute)
}

// ask sends a request, and hears what comes of it.
func (a *asked) ask(t *testing.T, c Client) {
	do := c.Enrol
	if a.drop {
		do = c.Drop
	}
	e, err := do(t.Context(), nexus.Caller{User: a.user}, courseID, a.user)
	a.status, a.position, a.code = e.Status, e.Position, nexus.CodeOf(err)
}
