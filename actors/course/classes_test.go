package course

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// fakeClasses is a ClassStore in memory with one class. Its fences are those of graintest.
type fakeClasses struct {
	fences *graintest.Store

	mu      sync.Mutex
	class   nexus.Class
	secret  []byte
	marks   map[nexus.UserID]nexus.AttendanceMark
	tries   []Mark
	writes  int
	err     error // what a write returns and does not do
	doubt   error // what the next write returns although it is committed
	devices map[string]nexus.UserID
	place   *nexus.Position
	slow    time.Duration // what a round trip takes
}

func newFakeClasses(fences *graintest.Store) *fakeClasses {
	return &fakeClasses{fences: fences, marks: map[nexus.UserID]nexus.AttendanceMark{}, devices: map[string]nexus.UserID{}, secret: make([]byte, 32), slow: time.Millisecond}
}

func (f *fakeClasses) begin(fence nexus.Fence) error {
	time.Sleep(f.slow)
	f.mu.Lock()
	if f.err != nil {
		return f.err
	}
	return f.fences.Check(fence)
}

func (f *fakeClasses) OpenClass(_ context.Context, fence nexus.Fence) (*OpenClass, error) {
	err := f.begin(fence)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.opened(), nil
}

func (f *fakeClasses) opened() *OpenClass {
	if f.class.Status != nexus.ClassOpen {
		return nil
	}
	o := &OpenClass{Class: f.class, Secret: f.secret, Marks: map[nexus.UserID]nexus.AttendanceStatus{}, Devices: map[string]nexus.UserID{}, Place: f.place, FenceM: 50}
	for u, m := range f.marks {
		o.Marks[u] = m.Status
	}
	for d, u := range f.devices {
		o.Devices[d] = u
	}
	return o
}

func (f *fakeClasses) Do(_ context.Context, fence nexus.Fence, a Act, now time.Time) (Done, error) {
	err := f.begin(fence)
	defer f.mu.Unlock()
	if err != nil {
		return Done{}, err
	}
	c, changed, err := a.Apply(f.class, now)
	if err != nil {
		return Done{}, err
	}
	f.class = c
	f.writes++
	err, f.doubt = f.doubt, nil
	return Done{Class: c, Changed: changed, Open: f.opened(), News: []string{"academic/x"}}, err
}

func (f *fakeClasses) Mark(_ context.Context, fence nexus.Fence, _ nexus.ClassID, marks []Mark) (kept []nexus.AttendanceMark, err error) {
	err = f.begin(fence)
	defer f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	f.writes++
	for _, m := range marks {
		f.tries = append(f.tries, m)
		if _, has := f.marks[m.User]; !has && m.Outcome == OutcomeMarked {
			f.marks[m.User] = nexus.AttendanceMark{User: m.User, Status: m.Status, Flags: m.Flags, MarkedAt: m.At}
		}
		kept = append(kept, f.marks[m.User])
	}
	err, f.doubt = f.doubt, nil
	return kept, err
}

func (f *fakeClasses) Correct(
	_ context.Context, fence nexus.Fence, _ nexus.Caller, _ nexus.ClassID, user nexus.UserID, status nexus.AttendanceStatus, reason string,
) (nexus.AttendanceMark, []string, error) {
	err := f.begin(fence)
	defer f.mu.Unlock()
	if err == nil {
		f.marks[user] = nexus.AttendanceMark{User: user, Status: status, Remarks: reason}
	}
	return f.marks[user], nil, err
}

func (f *fakeClasses) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeClasses) status() (s nexus.ClassStatus) {
	f.with(func() { s = f.class.Status })
	return s
}

func (f *fakeClasses) last() (m Mark) {
	time.Sleep(10 * time.Millisecond) // a few round trips
	synctest.Wait()
	f.with(func() { m = f.tries[len(f.tries)-1] })
	return m
}

func (f *fakeClasses) written() (n int) {
	f.with(func() { n = f.writes })
	return n
}

// lesson is a course of n students s0, s1 ... and its one class, which begins now.
type lesson struct {
	*testing.T
	seats *fake
	store *fakeClasses
	node  *graintest.Node
	Client
}

const classID = "01890a5d-ac96-774b-bcce-b302099a00c1"

func teach(t *testing.T, students int, run func(l *lesson)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond) // on no edge
		f := newFake(students, 0)
		for i := range students {
			if _, err := f.roll.Enrol(nexus.UserID(fmt.Sprint("s", i))); err != nil {
				t.Fatal(err)
			}
		}
		l := &lesson{T: t, seats: f, store: newFakeClasses(f.fences)}
		l.store.class = nexus.Class{ID: classID, Course: courseID, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour), Status: nexus.ClassScheduled, Version: 1}
		l.node = graintest.NewNode(t, f.fences, Kind(f, l.store))
		l.Client = NewClient(l.node)
		run(l)
	})
}

func (l *lesson) act(what string) (nexus.Class, error) {
	return l.Do(l.Context(), courseID, Act{What: what, Class: nexus.Class{ID: classID, LateMin: 10, Fenced: l.store.place != nil}})
}

func (l *lesson) open() {
	l.Helper()
	if c, err := l.act(ActOpen); err != nil || c.Status != nexus.ClassOpen {
		l.Fatalf("%+v %v", c, err)
	}
	synctest.Wait()
}

func (l *lesson) code() string {
	l.Helper()
	s, err := l.Code(l.Context(), courseID, classID)
	if err != nil {
		l.Fatal(err)
	}
	return s.Code
}

func (l *lesson) mark(user, code, device string, at *nexus.Position) (nexus.AttendanceMark, error) {
	ctx, cancel := context.WithTimeout(l.Context(), 5*time.Second)
	defer cancel()
	return l.Mark(ctx, courseID, classID, nexus.UserID(user), code, device, at)
}

// events returns the payloads of one kind that were sent since the last call.
func (l *lesson) events(name string) (payloads []string) {
	synctest.Wait()
	for _, b := range l.node.Broadcasts() {
		if b.GetEvent() == name {
			payloads = append(payloads, string(b.GetPayload()))
		}
	}
	return payloads
}

// TestThreeHundredMarkWithinTenSeconds: each once, in few transactions, and the staff hears how many are there no more than once a second.
func TestThreeHundredMarkWithinTenSeconds(t *testing.T) {
	teach(t, 300, func(l *lesson) {
		l.open()
		l.node.Broadcasts()
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * 33 * time.Millisecond)
				if m, err := l.mark(fmt.Sprint("s", i), l.code(), fmt.Sprint("d", i), nil); err != nil || m.Status != nexus.Present || len(m.Flags) != 0 {
					t.Errorf("s%d: %+v %v", i, m, err)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		if len(l.store.marks) != 300 {
			t.Errorf("%d marks", len(l.store.marks))
		}
		ticks := l.events(AttendanceTick)
		if n := len(ticks); n < 9 || n > 12 || ticks[n-1] != `{"sessionId":"`+classID+`","present":300,"total":300}` {
			t.Errorf("%d ticks: %v", n, ticks)
		}
	})
}

// TestWhoMarksAtOnceIsKeptTogether.
func TestWhoMarksAtOnceIsKeptTogether(t *testing.T) {
	teach(t, 300, func(l *lesson) {
		l.open()
		code, before := l.code(), l.store.written()
		var all sync.WaitGroup
		for i := range 300 {
			all.Go(func() {
				if _, err := l.mark(fmt.Sprint("s", i), code, "", nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := l.store.written() - before; n > 5 {
			t.Errorf("%d transactions", n)
		}
	})
}

func TestACodeRotates(t *testing.T) {
	teach(t, 3, func(l *lesson) {
		l.open()
		l.events("")
		first := l.code()
		time.Sleep(16 * time.Second)
		if m, err := l.mark("s0", first, "d0", nil); err != nil || !slices.Equal(m.Flags, []string{FlagCodeLate}) {
			t.Errorf("the code before: %+v %v", m, err)
		}
		time.Sleep(15 * time.Second)
		if _, err := l.mark("s1", first, "d1", nil); nexus.CodeOf(err) != nexus.Conflict || !strings.Contains(err.Error(), "too old") {
			t.Errorf("31 s old: %v", err)
		}
		if n := len(l.events(Code)); n < 2 || n > 3 {
			t.Errorf("%d codes in 31 s", n)
		}
		if m, err := l.mark("s0", "000000", "d0", nil); nexus.CodeOf(err) != nexus.Conflict {
			t.Errorf("%+v %v", m, err)
		}
		if got := l.store.last(); got.Outcome != OutcomeWrongCode {
			t.Errorf("not on record: %+v", got)
		}
	})
}

func TestGuessingIsStopped(t *testing.T) {
	teach(t, 2, func(l *lesson) {
		l.open()
		time.Sleep(15 * time.Second)
		code := l.code()
		for i := range maxGuesses + 2 {
			_, err := l.mark("s0", "x", "", nil)
			if want := map[bool]nexus.Code{true: nexus.Conflict, false: nexus.RateLimited}[i < maxGuesses]; nexus.CodeOf(err) != want {
				t.Errorf("guess %d: %v", i, err)
			}
		}
		if _, err := l.mark("s0", code, "", nil); nexus.CodeOf(err) != nexus.RateLimited {
			t.Errorf("the right one after that: %v", err)
		}
		if _, err := l.mark("s1", code, "", nil); err != nil {
			t.Errorf("another student: %v", err)
		}
		time.Sleep(15 * time.Second)
		if _, err := l.mark("s0", l.code(), "", nil); err != nil {
			t.Errorf("with the next code: %v", err)
		}
	})
}

// TestWhatIsOddIsFlaggedAndNotRefused.
func TestWhatIsOddIsFlaggedAndNotRefused(t *testing.T) {
	teach(t, 6, func(l *lesson) {
		l.store.place = &nexus.Position{Lat: 12.97, Lng: 77.59}
		l.open()
		near, far := &nexus.Position{Lat: 12.9702, Lng: 77.59}, &nexus.Position{Lat: 12.975, Lng: 77.59}
		for _, c := range []struct {
			user, device string
			at           *nexus.Position
			flags        []string
		}{
			{"s0", "phone", near, nil},
			{"s1", "phone", near, []string{FlagDeviceShared}},
			{"s2", "", near, []string{FlagNoDevice}},
			{"s3", "d3", far, []string{FlagOutside}},
			{"s4", "d4", nil, []string{FlagNoPosition}},
			{"s0", "other", far, nil}, // marked before: the mark stays as it is
		} {
			m, err := l.mark(c.user, l.code(), c.device, c.at)
			if err != nil || !slices.Equal(m.Flags, c.flags) {
				t.Errorf("%s: %+v %v, want %v", c.user, m, err, c.flags)
			}
		}
	})
}

func TestWhoMayNotMark(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		if _, err := l.mark("s0", "x", "", nil); nexus.CodeOf(err) != nexus.StateConflict {
			t.Errorf("before it is open: %v", err)
		}
		if _, err := l.Code(l.Context(), courseID, classID); nexus.CodeOf(err) != nexus.StateConflict {
			t.Errorf("its code: %v", err)
		}
		l.open()
		if _, err := l.mark("stranger", l.code(), "", nil); nexus.CodeOf(err) != nexus.Forbidden {
			t.Errorf("who is not enrolled: %v", err)
		}
		if _, err := l.act(ActCancel); nexus.CodeOf(err) != nexus.StateConflict {
			t.Errorf("cancelled while open: %v", err)
		}
	})
}

// TestAClassClosesAtItsEnd, also one whose node was not there at that time.
func TestAClassClosesAtItsEnd(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		time.Sleep(59*time.Minute + 58*time.Second)
		if l.store.status() != nexus.ClassOpen {
			t.Fatal("closed early")
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if l.store.status() != nexus.ClassClosed {
			t.Fatal("still open")
		}
		if got := l.events(ScheduleUpdate); len(got) != 2 || !strings.Contains(got[1], `"type":"closed"`) {
			t.Errorf("%v", got)
		}
		l.store.with(func() { l.store.class.Status = nexus.ClassOpen }) // as if nobody had been there
		node := graintest.NewNode(l.T, l.store.fences, Kind(l.seats, l.store))
		if _, err := NewClient(node).Code(l.Context(), courseID, classID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if l.store.status() != nexus.ClassClosed {
			t.Error("still open on another node")
		}
	})
}

// TestAnOpenClassIsNotPassivated: its clock must go on although nobody asks.
func TestAnOpenClassIsNotPassivated(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		time.Sleep(45 * time.Minute)
		l.events("")
		time.Sleep(time.Minute)
		if n := len(l.events(Code)); n != 4 {
			t.Errorf("%d codes in a minute", n)
		}
	})
}

// TestAnUncertainMarkIsLookedAt: it is kept once, whether it landed or not.
func TestAnUncertainMarkIsLookedAt(t *testing.T) {
	teach(t, 2, func(l *lesson) {
		l.open()
		l.store.with(func() { l.store.doubt = errAway })
		if _, err := l.mark("s0", l.code(), "d", nil); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("%v", err)
		}
		if m, err := l.mark("s0", l.code(), "d", nil); err != nil || m.Status != nexus.Present {
			t.Errorf("%+v %v", m, err)
		}
		l.store.with(func() { l.store.err = errAway })
		if _, err := l.mark("s1", l.code(), "d1", nil); nexus.CodeOf(err) != nexus.Unavailable {
			t.Errorf("%v", err)
		}
		time.Sleep(5 * time.Second)
		l.store.with(func() { l.store.err = nil })
		time.Sleep(2 * time.Second)
		if m, err := l.mark("s1", l.code(), "d1", nil); err != nil || m.Status != nexus.Present {
			t.Errorf("%+v %v", m, err)
		}
	})
}

// TestAnOpenThatNobodyKnowsOfIsFound: it was kept, but neither its answer came nor what was asked afterwards. Students are told to try again, and not
// that the class is not open; its clock goes on as soon as the store is back, though nobody asks.
func TestAnOpenThatNobodyKnowsOfIsFound(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		if _, err := l.Code(l.Context(), courseID, classID); nexus.CodeOf(err) != nexus.StateConflict {
			t.Fatalf("%v", err)
		}
		l.store.with(func() { l.store.doubt = errAway })
		var away sync.WaitGroup
		away.Go(func() {
			time.Sleep(3 * l.store.slow / 2) // the write has landed by now, and the look at it has not
			l.store.with(func() { l.store.err = errAway })
		})
		if _, err := l.act(ActOpen); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("%v", err)
		}
		away.Wait()
		for range 2 {
			if _, err := l.mark("s0", "000000", "d", nil); nexus.CodeOf(err) != nexus.Unavailable {
				t.Errorf("%v", err)
			}
		}
		time.Sleep(2 * idleAfter)
		l.events("")
		l.store.with(func() { l.store.err = nil })
		time.Sleep(2 * beat)
		if got := l.events(Code); len(got) == 0 {
			t.Error("no code is shown")
		}
		if _, err := l.mark("s0", l.code(), "d", nil); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Until(l.store.class.EndsAt) + 2*beat)
		if s := l.store.status(); s != nexus.ClassClosed {
			t.Errorf("%s after its end", s)
		}
	})
}

// TestAFencedClassSendsItsCallersOn.
func TestAFencedClassSendsItsCallersOn(t *testing.T) {
	teach(t, 4, func(l *lesson) {
		l.open()
		other := NewClient(graintest.NewNode(l.T, l.store.fences, Kind(l.seats, l.store)))
		code := l.code()
		for i, c := range []Client{other, l.Client, other, l.Client} {
			if m, err := c.Mark(l.Context(), courseID, classID, nexus.UserID(fmt.Sprint("s", i)), code, "", nil); err != nil || m.Status != nexus.Present {
				t.Errorf("s%d: %+v %v", i, m, err)
			}
		}
		if m, err := l.Correct(l.Context(), nexus.Caller{}, courseID, classID, "s1", nexus.Excused, "ill"); err != nil || m.Status != nexus.Excused {
			t.Errorf("%+v %v", m, err)
		}
		if s, err := l.Code(l.Context(), courseID, classID); err != nil || s.Present != 3 || s.Total != 4 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

// TestEveryCodeIsShown, also when a student's try is what a new window begins with.
func TestEveryCodeIsShown(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		l.events("")
		first := window(time.Now()) + 1
		for w := first; w < first+20; w++ {
			time.Sleep(time.Until(windowEnds(w - 1))) // the beat comes later in the second
			if _, err := l.mark("s0", l.code(), "d0", nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(beat)
			if got := l.events(Code); len(got) != 1 || !strings.Contains(got[0], l.code()) {
				t.Errorf("window %d: %v", w, got)
			}
		}
	})
}

// TestACrowdHoldsUpNoClose: who came before it is kept, who comes after it is refused.
func TestACrowdHoldsUpNoClose(t *testing.T) {
	teach(t, 400, func(l *lesson) {
		l.open()
		l.store.with(func() { l.store.slow = 100 * time.Millisecond })
		code := l.code()
		var all sync.WaitGroup
		var kept, refused atomic.Int64
		for i := range 400 { // for four seconds there is always somebody who waits
			all.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				switch _, err := l.mark(fmt.Sprint("s", i), code, "", nil); nexus.CodeOf(err) {
				case "":
					kept.Add(1)
				case nexus.StateConflict:
					refused.Add(1)
				default:
					t.Errorf("s%d: %v", i, err)
				}
			})
		}
		time.Sleep(time.Second)
		asked := time.Now()
		if c, err := l.act(ActClose); err != nil || c.Status != nexus.ClassClosed || time.Since(asked) > time.Second {
			t.Errorf("%+v %v after %v", c, err, time.Since(asked))
		}
		all.Wait()
		if kept.Load() < 95 || refused.Load() < 200 || int(kept.Load()) != len(l.store.marks) {
			t.Errorf("%d kept, %d refused, %d in the store", kept.Load(), refused.Load(), len(l.store.marks))
		}
	})
}

// TestNobodyIsMarkedAfterTheEnd, though the close is a moment late.
func TestNobodyIsMarkedAfterTheEnd(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		time.Sleep(time.Until(l.store.class.EndsAt) - time.Second)
		l.store.with(func() { l.store.err = errAway })
		time.Sleep(time.Second)
		if _, err := l.mark("s0", codeOf(l.store.secret, classID, window(time.Now())), "", nil); nexus.CodeOf(err) != nexus.StateConflict {
			t.Errorf("%v", err)
		}
		l.store.with(func() { l.store.err = nil })
		time.Sleep(3 * time.Second)
		if l.store.status() != nexus.ClassClosed || len(l.store.marks) != 0 {
			t.Errorf("%s, %v", l.store.status(), l.store.marks)
		}
	})
}

// TestNoJobOutlivesItsStore: what staff wanted while the store was away is answered so, and not done later.
func TestNoJobOutlivesItsStore(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		l.store.with(func() { l.store.err = errAway })
		for range 3 {
			ctx, cancel := context.WithTimeout(l.Context(), 2*time.Second)
			_, err := l.Correct(ctx, nexus.Caller{}, courseID, classID, "s0", nexus.Excused, "ill")
			cancel()
			if nexus.CodeOf(err) != nexus.Unavailable {
				t.Errorf("%v", err)
			}
		}
		l.store.with(func() { l.store.err = nil })
		time.Sleep(time.Minute)
		if len(l.store.marks) != 0 {
			t.Errorf("done late: %v", l.store.marks)
		}
	})
}

// TestJobsAreBounded: a queue that is full refuses at once.
func TestJobsAreBounded(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		x := classes{waiting: make([]errand, maxTries+maxJobs), writing: true}
		if x.job(nil, grain.Asker{}, nil) || len(x.waiting) != maxTries+maxJobs {
			t.Error("one more waits")
		}
		x.waiting = x.waiting[:maxTries]
		if !x.job(nil, grain.Asker{}, nil) || len(x.waiting) != maxTries+1 {
			t.Error("students keep staff out")
		}
	})
}

// TestRepeatsAreBounded: each is a row.
func TestRepeatsAreBounded(t *testing.T) {
	teach(t, 2, func(l *lesson) {
		l.open()
		time.Sleep(15 * time.Second)
		for i := range 2 * maxRepeats {
			_, err := l.mark("s0", l.code(), "d0", nil)
			if want := map[bool]nexus.Code{true: "", false: nexus.RateLimited}[i < maxRepeats]; nexus.CodeOf(err) != want {
				t.Errorf("try %d: %v", i, err)
			}
		}
		if n := len(l.store.tries); n != maxRepeats {
			t.Errorf("%d on record", n)
		}
	})
}

// TestATryThatWasNotKeptIsNone: who has to ask again, because the store is away, may.
func TestATryThatWasNotKeptIsNone(t *testing.T) {
	teach(t, 1, func(l *lesson) {
		l.open()
		time.Sleep(time.Until(windowEnds(window(time.Now()))))
		code := l.code()
		l.store.with(func() { l.store.err = errAway })
		for range 2 * maxRepeats {
			if _, err := l.mark("s0", code, "d0", nil); nexus.CodeOf(err) != nexus.Unavailable {
				t.Errorf("%v", err)
			}
		}
		l.store.with(func() { l.store.err = nil })
		if _, err := l.mark("s0", code, "d0", nil); err != nil {
			t.Error(err)
		}
	})
}

// TestADeviceIsRememberedOverAChange of the class while its mark is on the way.
func TestADeviceIsRememberedOverAChange(t *testing.T) {
	teach(t, 3, func(l *lesson) {
		l.open()
		code := l.code()
		l.store.with(func() { l.store.slow = 100 * time.Millisecond })
		var all sync.WaitGroup
		later := func(after time.Duration, do func()) { all.Go(func() { time.Sleep(after); do() }) }
		later(0, func() {
			if _, err := l.Correct(l.Context(), nexus.Caller{}, courseID, classID, "s2", nexus.Excused, "ill"); err != nil {
				t.Error(err)
			}
		})
		later(20*time.Millisecond, func() {
			if _, err := l.act(ActOpen); err != nil { // reads anew what is open
				t.Error(err)
			}
		})
		for i, flags := range [][]string{nil, {FlagDeviceShared}} {
			later(40*time.Millisecond+time.Duration(i)*300*time.Millisecond, func() {
				if m, err := l.mark(fmt.Sprint("s", i), code, "phone", nil); err != nil || !slices.Equal(m.Flags, flags) {
					t.Errorf("s%d: %+v %v", i, m, err)
				}
			})
		}
		all.Wait()
	})
}

// none is a ClassStore for tests of seats.
type none struct{ ClassStore }

func (none) OpenClass(context.Context, nexus.Fence) (*OpenClass, error) { return nil, nil }

var _ grain.Busy = (*Grain)(nil)
