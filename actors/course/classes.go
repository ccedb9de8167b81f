package course

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"nexus"
	"nexus/actors/grain"
)

const (
	// beat is how often an open class looks at its clock: tells its staff how many are there, if that changed, and its code, if that did.
	beat = time.Second
	// maxMarks bounds the tries that wait for the database; a class has no more students than that.
	maxMarks = 10_000
	// marksAtOnce is how many are kept in one transaction.
	marksAtOnce = 500
)

// classes is the part of the grain that holds the open class. Tries to be marked are judged by the clock of the moment they come, and kept together;
// callers are answered after the commit.
type classes struct {
	store ClassStore
	roll  func() Roll // who has a seat

	open    *OpenClass
	guesses map[nexus.UserID]int // wrong codes in the present window
	window  int64
	shown   int // how many were there when the staff was told last; below 0: never

	marks     []try
	jobs      []func(*grain.Context) // what staff wants, one after another
	writing   bool
	uncertain bool // a write failed and may have been committed all the same
	beating   bool
	told      int64
}

// try is a student's try to be marked, on its way to the store. Nobody waits for one with a wrong code: it is only put on record.
type try struct {
	asker grain.Asker
	mark  Mark
}

type beatNow struct{}

func (x *classes) load(ctx context.Context, c *grain.Context) (err error) {
	if x.open, err = x.store.OpenClass(ctx, c.Fence()); err == nil {
		x.opened(c)
	}
	return err
}

// busy reports whether a class is open, whose clock must go on.
func (x *classes) busy() bool { return x.open != nil }

func (x *classes) stop() {
	for _, t := range x.marks {
		t.asker.Bounce()
	}
	x.marks, x.jobs = nil, nil // whoever asked for a job asks again
}

// opened sees to it that the clock of an open class goes on.
func (x *classes) opened(c *grain.Context) {
	x.shown, x.guesses, x.window = -1, nil, 0
	if x.open != nil && !x.beating {
		x.beating = true
		c.After(0, beatNow{})
	}
}

// beat tells the staff what has changed, and ends the class when its time is over.
func (x *classes) beat(c *grain.Context) {
	x.beating = false
	if x.open == nil {
		return
	}
	now := time.Now()
	if w := window(now); w != x.window {
		x.window, x.guesses = w, nil
		c.Publish(x.codeEvent(c, w))
	}
	if n := x.present(); n != x.shown {
		x.shown = n
		x.told++
		c.Publish(attendanceTick(nexus.CourseID(c.ID), x.open.Class.ID, n, len(x.roll().Seats), c.Fence().Epoch<<seqBits+x.told))
	}
	if x.uncertain {
		x.write(c)
	}
	if !now.Before(x.open.Class.EndsAt) && len(x.jobs) == 0 {
		x.do(c, grain.Asker{}, Act{What: ActClose, Class: x.open.Class})
	}
	x.beating = true
	c.After(beat, beatNow{})
}

func (x *classes) codeEvent(c *grain.Context, w int64) *grain.Broadcast {
	return codeShown(nexus.CourseID(c.ID), x.open.Class.ID, codeOf(x.open.Secret, x.open.Class.ID, w), windowEnds(w))
}

// present is how many are there, late or not.
func (x *classes) present() (n int) {
	for _, s := range x.open.Marks {
		if s == nexus.Present || s == nexus.Late {
			n++
		}
	}
	return n
}

// is returns the open class if it is the one that is meant.
func (x *classes) is(id string) (*OpenClass, error) {
	if x.open == nil || string(x.open.Class.ID) != id {
		return nil, nexus.Errorf(nexus.StateConflict, "this class is not open")
	}
	return x.open, nil
}

func (x *classes) showCode(c *grain.Context, m *ShowCode) {
	open, err := x.is(m.GetSession())
	if err != nil {
		c.Fail(err)
		return
	}
	w := window(time.Now())
	c.Reply(&ShownCode{
		Code: codeOf(open.Secret, open.Class.ID, w), ValidUntil: timestamppb.New(windowEnds(w)),
		Present: int32(x.present()), Total: int32(len(x.roll().Seats)), //nolint:gosec // bounded by the schema
	})
}

// mark judges a try at once, and has it kept.
func (x *classes) mark(c *grain.Context, m *MarkMe) {
	open, err := x.is(m.GetSession())
	if err != nil {
		c.Fail(err)
		return
	}
	now, user := time.Now().UTC().Truncate(time.Millisecond), nexus.UserID(m.GetUser())
	if status, _ := x.roll().Standing(user); status != nexus.Enrolled {
		c.Fail(nexus.Errorf(nexus.Forbidden, "you are not enrolled in this course"))
		return
	}
	if len(x.marks) >= maxMarks {
		e := nexus.Errorf(nexus.Unavailable, "too many marks wait, try again")
		e.RetryAfter = beat
		c.Fail(e)
		return
	}
	if w := window(now); w != x.window { // the beat is a moment late
		x.window, x.guesses = w, nil
	}
	if x.guesses[user] >= maxGuesses {
		e := nexus.Errorf(nexus.RateLimited, "too many wrong codes, wait for the next one")
		e.RetryAfter = windowEnds(x.window).Sub(now)
		c.Fail(e)
		return
	}
	try := try{mark: Mark{User: user, Status: statusAt(open.Class, now), Outcome: OutcomeMarked, Device: m.GetDevice(), At: now}}
	good, late := taken(open.Secret, open.Class.ID, m.GetCode(), now)
	if !good {
		if x.guesses == nil {
			x.guesses = map[nexus.UserID]int{}
		}
		x.guesses[user]++
		try.mark.Outcome = OutcomeWrongCode
		c.Fail(onCode("is wrong or too old: codes are good for half a minute at most"))
	} else {
		try.asker = c.Asker()
		try.mark.Flags = flagsOf(open, m, user, late)
	}
	x.marks = append(x.marks, try)
	x.write(c)
}

// onCode is an error of a code.
func onCode(detail string) error {
	e := nexus.Errorf(nexus.Conflict, "code: %s", detail)
	e.Fields = []nexus.FieldError{{Field: "code", Detail: detail}}
	return e
}

// flagsOf are the reasons to look twice at a mark.
func flagsOf(open *OpenClass, m *MarkMe, user nexus.UserID, late bool) []string {
	flags := []string{}
	add := func(flag string, is bool) {
		if is {
			flags = append(flags, flag)
		}
	}
	add(FlagCodeLate, late)
	add(FlagNoDevice, len(m.GetDevice()) == 0)
	if key := string(m.GetDevice()); key != "" {
		first, used := open.Devices[key]
		add(FlagDeviceShared, used && first != user)
		if !used {
			open.Devices[key] = user
		}
	}
	if open.Class.Fenced && open.Place != nil && open.FenceM > 0 {
		add(FlagNoPosition, !m.GetPlaced())
		add(FlagOutside, m.GetPlaced() && distance(*open.Place, nexus.Position{Lat: m.GetLat(), Lng: m.GetLng()}) > float64(open.FenceM))
	}
	return flags
}

func (x *classes) correct(c *grain.Context, m *CorrectMark) {
	asker, by := c.Asker(), callerFrom(m.GetBy())
	user, status := nexus.UserID(m.GetUser()), nexus.AttendanceStatus(m.GetStatus())
	x.job(c, func(c *grain.Context) {
		var mark nexus.AttendanceMark
		var news []string
		x.work(c, func(ctx context.Context) (err error) {
			mark, news, err = x.store.Correct(ctx, c.Fence(), by, nexus.ClassID(m.GetSession()), user, status, m.GetReason())
			return err
		}, func(err error) {
			if err != nil {
				asker.Fail(err)
				return
			}
			if x.open != nil && string(x.open.Class.ID) == m.GetSession() {
				x.open.Marks[user] = mark.Status
			}
			x.spread(c, news)
			asker.Reply(markedOf(mark))
		})
	})
}

// act takes what staff wants done with a class.
func (x *classes) act(c *grain.Context, m *DoClass) {
	a := Act{What: m.GetWhat(), By: callerFrom(m.GetBy()), Reason: m.GetReason(), Open: m.GetOpen()}
	if err := json.Unmarshal(m.GetClass(), &a.Class); err != nil {
		c.Fail(nexus.Wrap(nexus.Internal, err, "decode a class"))
		return
	}
	a.Class.Course = nexus.CourseID(c.ID)
	x.do(c, c.Asker(), a)
}

func (x *classes) do(c *grain.Context, asker grain.Asker, a Act) {
	x.job(c, func(c *grain.Context) {
		var class nexus.Class
		var changed bool
		var news []string
		var open *OpenClass
		now := time.Now().UTC().Truncate(time.Millisecond)
		x.work(c, func(ctx context.Context) (err error) {
			if class, changed, news, err = x.store.Do(ctx, c.Fence(), a, now); err == nil {
				open, err = x.store.OpenClass(ctx, c.Fence())
			}
			return err
		}, func(err error) {
			if err != nil {
				asker.Fail(err)
				return
			}
			x.took(c, open)
			if changed {
				c.Publish(scheduleUpdate(class, a, now))
			}
			x.spread(c, news)
			asker.Reply(classDone(class))
		})
	})
}

// took takes what is open now.
func (x *classes) took(c *grain.Context, open *OpenClass) {
	same := x.open != nil && open != nil && x.open.Class.ID == open.Class.ID && x.open.Class.Version == open.Class.Version
	if x.open = open; !same {
		x.opened(c)
	}
}

// job has something done once what was asked for before is done.
func (x *classes) job(c *grain.Context, do func(*grain.Context)) {
	x.jobs = append(x.jobs, do)
	x.write(c)
}

// write does one thing after another: makes sure of what an earlier failure left open, keeps the marks, does what staff wants.
func (x *classes) write(c *grain.Context) {
	switch {
	case x.writing:
	case x.uncertain:
		x.catchUp(c)
	case len(x.marks) > 0:
		x.keep(c)
	case len(x.jobs) > 0:
		do := x.jobs[0]
		x.jobs = x.jobs[1:]
		do(c)
	}
}

// work runs a job of the store, and then done, unless the activation is not the present one any more.
func (x *classes) work(c *grain.Context, job func(context.Context) error, done func(error)) {
	x.writing = true
	c.Work(job, func(err error) {
		x.writing = false
		switch nexus.CodeOf(err) {
		case nexus.Unavailable, nexus.Internal:
			c.Log.Warn("class not kept", "err", err)
			x.uncertain = true
		}
		done(err)
		if nexus.CodeOf(err) == nexus.Fenced {
			x.stop()
			c.Abandon(err)
			return
		}
		x.write(c)
	})
}

// keep has tries kept together.
func (x *classes) keep(c *grain.Context) {
	n := min(len(x.marks), marksAtOnce)
	batch := x.marks[:n:n]
	x.marks = x.marks[n:]
	if x.open == nil {
		for _, t := range batch {
			t.asker.Fail(nexus.Errorf(nexus.StateConflict, "this class is not open"))
		}
		x.write(c)
		return
	}
	class := x.open.Class.ID
	marks := make([]Mark, len(batch))
	for i, t := range batch {
		marks[i] = t.mark
	}
	var kept []nexus.AttendanceMark
	x.work(c, func(ctx context.Context) (err error) {
		kept, err = x.store.Mark(ctx, c.Fence(), class, marks)
		return err
	}, func(err error) {
		for i, t := range batch {
			switch {
			case err != nil:
				t.asker.Fail(err)
			case marks[i].Outcome == OutcomeMarked:
				if x.open != nil && x.open.Class.ID == class {
					x.open.Marks[t.mark.User] = kept[i].Status
				}
				t.asker.Reply(markedOf(kept[i]))
			}
		}
	})
}

// catchUp reads what is there, after what an uncertain write sent has landed or never will.
func (x *classes) catchUp(c *grain.Context) {
	var open *OpenClass
	x.writing = true
	c.Work(func(ctx context.Context) (err error) {
		if err = c.Renew(ctx); err == nil {
			open, err = x.store.OpenClass(ctx, c.Fence())
		}
		return err
	}, func(err error) {
		x.writing = false
		switch {
		case nexus.CodeOf(err) == nexus.Fenced:
			x.stop()
			c.Abandon(err)
		case err != nil:
			c.Log.Warn("store is away", "err", err)
			for _, t := range x.marks { // the next beat, or who comes next, tries again
				t.asker.Fail(err)
			}
			x.marks = slices.DeleteFunc(x.marks, func(try) bool { return true })
		default:
			x.uncertain = false
			x.took(c, open)
			x.write(c)
		}
	})
}

func (x *classes) spread(c *grain.Context, news []string) {
	if len(news) > 0 {
		c.Publish(&grain.Broadcast{News: news})
	}
}

func markedOf(m nexus.AttendanceMark) *Marked { return &Marked{Mark: encode(m)} }

func classDone(c nexus.Class) *ClassDone { return &ClassDone{Class: encode(c)} }
