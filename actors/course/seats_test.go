package course

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

var errAway = nexus.Errorf(nexus.Unavailable, "the database is away")

const courseID = "01890a5d-ac96-774b-bcce-b302099a0001"

// fake is a SeatStore in memory: the rows as they were committed last. Its fences are those of graintest.
type fake struct {
	fences *graintest.Store
	row    chan struct{} // the lock that holds writers apart; whoever waits lets virtual time pass

	mu      sync.Mutex // for what follows
	roll    Roll
	lock    bool // the rows are a second lock: no seat is given twice
	batches []int
	told    []nexus.UserID              // who moved up
	before  func(context.Context) error // ahead of a write; nil: nothing happens
	doubt   error                       // what the next write returns although it is committed
	each    time.Duration               // what each request of a batch takes
}

func newFake(seats, room int) *fake {
	return &fake{fences: graintest.NewStore(), row: make(chan struct{}, 1), roll: rollOf(seats, room), lock: true}
}

func (f *fake) kind() grain.Kind { return Kind(f, none{}) }

// tx does what one transaction does: hook, lock, fence.
func (f *fake) tx(ctx context.Context, fence nexus.Fence, do func() error) error {
	f.mu.Lock()
	before := f.before
	f.mu.Unlock()
	if before != nil {
		if err := before(ctx); err != nil {
			return err
		}
	}
	select {
	case f.row <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.row }()
	time.Sleep(time.Millisecond) // a round trip
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.fences.Check(fence); err != nil {
		return err
	}
	return do()
}

func (f *fake) Roll(ctx context.Context, fence nexus.Fence) (r Roll, err error) {
	err = f.tx(ctx, fence, func() error { r = f.roll.Clone(); return nil })
	return r, err
}

func (f *fake) Settle(ctx context.Context, fence nexus.Fence, roll Roll, requests []Request) (Roll, []Settled, []string, error) {
	roll, answers := roll.Clone(), make([]Settled, len(requests))
	var promoted []Row
	select {
	case <-time.After(time.Duration(len(requests)) * f.each):
	case <-ctx.Done():
		return roll, nil, nil, nexus.Wrap(nexus.Unavailable, ctx.Err(), "too slow")
	}
	err := f.tx(ctx, fence, func() error {
		promoted = roll.Promote(anybody)
		for i, r := range requests {
			if r.Drop {
				_, answers[i].Err = roll.Drop(r.User)
				answers[i].Enrollment.Status = nexus.Dropped
			} else if _, answers[i].Err = roll.Enrol(r.User); answers[i].Err == nil {
				answers[i].Enrollment.Status, answers[i].Enrollment.Position = roll.Standing(r.User)
			}
			promoted = append(promoted, roll.Promote(anybody)...)
		}
		return f.commit(roll, len(requests), promoted)
	})
	return roll, answers, streamsOf(promoted), err
}

func (f *fake) Resize(
	ctx context.Context, fence nexus.Fence, roll Roll, _ nexus.Caller, _ int64, x nexus.CourseChange,
) (Roll, nexus.Course, []string, error) {
	roll = roll.Clone()
	var promoted []Row
	err := f.tx(ctx, fence, func() error {
		if _, _, err := roll.Resize(*x.Capacity, roll.Room); err != nil {
			return err
		}
		promoted = roll.Promote(anybody)
		return f.commit(roll, 1, promoted)
	})
	return roll, nexus.Course{Capacity: roll.Capacity()}, streamsOf(promoted), err
}

func (f *fake) commit(roll Roll, n int, promoted []Row) error {
	if f.lock {
		for u, seat := range roll.Seats {
			for other, taken := range f.roll.Seats {
				if _, still := roll.Seats[other]; seat == taken && u != other && !still {
					continue // given back within this transaction, or remembered wrongly: the rows cannot tell
				} else if seat == taken && u != other {
					return nexus.Errorf(nexus.Conflict, "seat %d is taken", seat)
				}
			}
		}
	}
	f.roll = roll.Clone()
	f.batches = append(f.batches, n)
	for _, row := range promoted {
		f.told = append(f.told, row.User)
	}
	err := f.doubt
	f.doubt = nil
	return err
}

func streamsOf(promoted []Row) (streams []string) {
	for _, row := range promoted {
		streams = append(streams, nexus.OutboxStream(nexus.NoticeChannel, row.User))
	}
	return streams
}

func (f *fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// class is a node with a course.
func class(t *testing.T, f *fake) (*graintest.Node, Client) {
	t.Helper()
	node := graintest.NewNode(t, f.fences, f.kind())
	return node, NewClient(node)
}

func enrol(t *testing.T, c Client, user string) (nexus.Enrollment, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return c.Enrol(ctx, nexus.Caller{User: nexus.UserID(user)}, courseID, nexus.UserID(user))
}

// TestWhoComesTogetherIsSettledTogether, in the order of coming, and everybody is told how many seats are left.
func TestWhoComesTogetherIsSettledTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(30, 1000)
		node, c := class(t, f)
		if _, err := enrol(t, c, "first"); err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		positions := map[int]bool{}
		for i := range 400 {
			all.Go(func() {
				e, err := enrol(t, c, fmt.Sprint("s", i))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if e.Position > 0 {
					positions[e.Position] = true
				}
			})
		}
		all.Wait()
		if len(f.roll.Seats) != 30 || len(f.roll.Waiting) != 371 || len(positions) != 371 {
			t.Errorf("%d seats, %d wait, %d positions", len(f.roll.Seats), len(f.roll.Waiting), len(positions))
		}
		if len(f.batches) > 10 || slices.Max(f.batches) > maxBatch {
			t.Errorf("the batches were %v", f.batches)
		}
		last := node.Broadcasts()
		if b := last[len(last)-1]; b.GetTopic() != SeatsTopic(courseID) || b.GetSlot() == "" ||
			string(b.GetPayload()) != `{"courseId":"`+courseID+`","enrolled":30,"capacity":30,"waitlist":371}` {
			t.Errorf("%v", b)
		}
		for i := range last[1:] {
			if last[i].GetSeq() >= last[i+1].GetSeq() {
				t.Errorf("seq %d and then %d", last[i].GetSeq(), last[i+1].GetSeq())
			}
		}
	})
}

// TestADropPromotesAndThereIsNews.
func TestADropPromotesAndThereIsNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, 5)
		node, c := class(t, f)
		for _, u := range []string{"a", "b", "c"} {
			if _, err := enrol(t, c, u); err != nil {
				t.Fatal(err)
			}
		}
		node.Broadcasts()
		if e, err := c.Drop(t.Context(), nexus.Caller{}, courseID, "a"); err != nil || e.Status != nexus.Dropped {
			t.Fatalf("%+v %v", e, err)
		}
		if !slices.Equal(f.told, []nexus.UserID{"b"}) {
			t.Errorf("told %v", f.told)
		}
		sent := node.Broadcasts()
		if len(sent) != 2 || !slices.Equal(sent[0].GetNews(), []string{"notifications/b"}) {
			t.Errorf("%v", sent)
		}
		if course, err := c.Change(t.Context(), nexus.Caller{}, courseID, 0, nexus.CourseChange{Capacity: new(2)}); err != nil || course.Capacity != 2 {
			t.Errorf("%+v %v", course, err)
		}
		if _, err := c.Change(t.Context(), nexus.Caller{}, courseID, 0, nexus.CourseChange{Capacity: new(1)}); nexus.CodeOf(err) != nexus.Conflict {
			t.Errorf("fewer than are taken: %v", err)
		}
		if e, err := enrol(t, c, "d"); err != nil || e.Position != 1 {
			t.Errorf("after a refusal: %+v %v", e, err)
		}
	})
}

// TestAnUncertainWriteIsLookedAtBeforeTheNext, whether it landed or not.
func TestAnUncertainWriteIsLookedAtBeforeTheNext(t *testing.T) {
	for _, landed := range []bool{true, false} {
		t.Run(fmt.Sprint("landed ", landed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(1, 5)
				_, c := class(t, f)
				if _, err := enrol(t, c, "a"); err != nil {
					t.Fatal(err)
				}
				f.with(func() {
					if landed {
						f.doubt = errAway
					} else {
						f.before = func(context.Context) error { f.with(func() { f.before = nil }); return errAway }
					}
				})
				if _, err := enrol(t, c, "b"); nexus.CodeOf(err) != nexus.Unavailable {
					t.Fatalf("not known, and answered %v", err)
				}
				want := map[bool]int{true: 2, false: 1}[landed]
				if e, err := enrol(t, c, "c"); err != nil || e.Position != want {
					t.Errorf("%+v %v", e, err)
				}
				if e, err := enrol(t, c, "b"); err != nil || e.Position != 3-want {
					t.Errorf("again: %+v %v", e, err)
				}
			})
		})
	}
}

// TestTheStoreAwayRefusesAndComesBack: nobody is left waiting, and nothing is forgotten.
func TestTheStoreAwayRefusesAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(3, 5)
		_, c := class(t, f)
		if _, err := enrol(t, c, "a"); err != nil {
			t.Fatal(err)
		}
		f.with(func() { f.before = func(context.Context) error { return errAway } })
		for _, u := range []string{"b", "c"} {
			if _, err := enrol(t, c, u); nexus.CodeOf(err) != nexus.Unavailable {
				t.Errorf("%v", err)
			}
		}
		f.with(func() { f.before = nil })
		if e, err := enrol(t, c, "d"); err != nil || e.Status != nexus.Enrolled || len(f.roll.Seats) != 2 {
			t.Errorf("%+v %v, %v", e, err, f.roll)
		}
	})
}

// TestASlowStoreIsAskedForLess: what it cannot do at once within a job's time it does in pieces, and in large ones again once it is quick.
func TestASlowStoreIsAskedForLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1000, 0)
		_, c := class(t, f)
		crowd := func(name string) {
			var all sync.WaitGroup
			for i := range maxBatch {
				all.Go(func() {
					for range 20 {
						ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
						_, err := c.Enrol(ctx, nexus.Caller{}, courseID, nexus.UserID(fmt.Sprint(name, i)))
						if cancel(); err == nil {
							return
						}
						time.Sleep(time.Second)
					}
					t.Errorf("%s%d has no seat", name, i)
				})
			}
			all.Wait()
		}
		f.each = 50 * time.Millisecond
		crowd("slow")
		if most := slices.Max(f.batches); most > 40 {
			t.Errorf("%d at once", most)
		}
		f.each = 0
		for i := range 30 {
			crowd(fmt.Sprint("quick", i%3))
		}
		if last := f.batches[len(f.batches)-3:]; slices.Max(last) < 100 {
			t.Errorf("%v", f.batches)
		}
	})
}

// TestWhatFailsAloneSaysNothingOfCrowds: neither a change of the course nor a handful of requests that could not be kept make the next batches smaller.
func TestWhatFailsAloneSaysNothingOfCrowds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1000, 0)
		_, c := class(t, f)
		f.with(func() { f.doubt = errAway })
		if _, err := enrol(t, c, "a"); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("%v", err)
		}
		f.with(func() { f.doubt = errAway })
		if _, err := c.Change(t.Context(), nexus.Caller{}, courseID, 0, nexus.CourseChange{Capacity: new(1001)}); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("%v", err)
		}
		f.each = time.Millisecond
		var all sync.WaitGroup
		for i := range 2 * maxBatch {
			all.Go(func() {
				if _, err := enrol(t, c, fmt.Sprint("s", i)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if most := slices.Max(f.batches); most < maxBatch {
			t.Errorf("%v", f.batches)
		}
	})
}

// TestTooManyAreRefused while the store stands still, and the others are settled afterwards.
func TestTooManyAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, 10_000)
		_, c := class(t, f)
		if _, err := enrol(t, c, "a"); err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		f.with(func() {
			f.before = func(context.Context) error { <-release; return nil }
		})
		var all sync.WaitGroup
		var mu sync.Mutex
		codes := map[nexus.Code]int{}
		for i := range maxWaiting + 10 {
			all.Go(func() {
				_, err := enrol(t, c, fmt.Sprint("s", i))
				mu.Lock()
				defer mu.Unlock()
				codes[nexus.CodeOf(err)]++
			})
		}
		synctest.Wait()
		close(release)
		all.Wait()
		if codes[nexus.Unavailable] < 1 || codes[nexus.Unavailable] > 10 || codes[""] != maxWaiting+10-codes[nexus.Unavailable] {
			t.Errorf("%v", codes)
		}
	})
}

// TestAFencedActivationSendsItsCallersOn: of two nodes that both believe to hold the course one can write, and nobody hears an error.
func TestAFencedActivationSendsItsCallersOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, 50)
		_, one := class(t, f)
		_, two := class(t, f)
		for i := range 20 {
			c := []Client{one, two}[i%2]
			if e, err := enrol(t, c, fmt.Sprint("s", i)); err != nil || e.Position != i {
				t.Fatalf("%d: %+v %v", i, e, err)
			}
		}
		f.fences.Unfenced = true
		_, three := class(t, f)
		if e, err := enrol(t, three, "x"); err != nil || e.Position != 20 {
			t.Fatalf("%+v %v", e, err)
		}
		if e, err := enrol(t, one, "y"); err == nil && e.Position == 21 { // it does not know of x: this is what fences are for
			t.Error("a stale activation answered what is true")
		}
	})
}

// TestAWrongMemoryEndsTheActivation: the rows refuse a seat that is taken; the next activation reads what is there.
func TestAWrongMemoryEndsTheActivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(2, 5)
		_, c := class(t, f)
		if _, err := enrol(t, c, "a"); err != nil {
			t.Fatal(err)
		}
		f.with(func() {
			f.roll.Seats = map[nexus.UserID]int{"a": 2, "b": 1} // somebody wrote past the grain
			f.roll.Free = nil
		})
		if e, err := enrol(t, c, "c"); err != nil || e.Status != nexus.Waitlisted {
			t.Errorf("%+v %v", e, err)
		}
	})
}

// TestWhatWasChangedBehindItsBackIsSeen: the activation that remembers otherwise was shut out, and the next one gives the new seat to who waits.
func TestWhatWasChangedBehindItsBackIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(1, 5)
		node, c := class(t, f)
		for _, u := range []string{"a", "b", "c"} {
			if _, err := enrol(t, c, u); err != nil {
				t.Fatal(err)
			}
		}
		node.Broadcasts()
		if _, _, err := f.fences.Claim(t.Context(), KindName, courseID); err != nil {
			t.Fatal(err)
		}
		f.with(func() { f.roll.Free = []int{2} })
		for range 2 {
			if err := c.MoveUp(t.Context(), courseID); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(f.told, []nexus.UserID{"b"}) {
			t.Errorf("told %v", f.told)
		}
		sent := node.Broadcasts()
		if b := sent[len(sent)-1]; string(b.GetPayload()) != `{"courseId":"`+courseID+`","enrolled":2,"capacity":2,"waitlist":1}` {
			t.Errorf("%v", b)
		}
		if e, err := enrol(t, c, "c"); err != nil || e.Position != 1 {
			t.Errorf("%+v %v", e, err)
		}
	})
}
