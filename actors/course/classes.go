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
	// maxTries bounds the tries that wait for the database: more than a class has students. maxJobs is what staff may ask for beyond that, so that
	// no crowd of students keeps a class from being closed.
	maxTries = 10_000
	maxJobs  = 100
	// marksAtOnce is how many are kept in one transaction.
	marksAtOnce = 500
)

// classes is the part of the grain that holds the open class. Tries to be marked are judged by the clock of the moment they come, and kept together;
// what staff wants is done in its turn: who came before a close is kept, and no stream of students holds one up. Callers are answered after the commit.
type classes struct {
	store ClassStore
	roll  func() Roll // who has a seat

	open  *OpenClass
	tries map[nexus.UserID]tried // in window
	// window is the one whose tries are counted, coded the one whose code the staff was told last, and shown how many were there then; below 0: never.
	window, coded int64
	shown         int

	waiting   []errand
	writing   bool
	uncertain bool // a write failed and may have been committed all the same
	closing   bool // the end of the open class is on its way
	beating   bool
	told      int64
}

// tried counts one student's tries in a window.
type tried struct{ wrong, good int }

// errand is what waits for the store: a student's try to be marked in a class, or a job for the staff. Nobody waits for a try with a wrong code: it is
// only put on record.
type errand struct {
	asker grain.Asker
	class nexus.ClassID
	mark  Mark
	job   func(*grain.Context)
}

type beatNow struct{}

func (x *classes) load(ctx context.Context, c *grain.Context) (err error) {
	if x.open, err = x.store.OpenClass(ctx, c.Fence()); err == nil {
		x.opened(c)
	}
	return err
}

// busy reports whether a class is open, whose clock must go on, or may be.
func (x *classes) busy() bool { return x.open != nil || x.uncertain }

func (x *classes) stop() {
	for _, e := range x.waiting {
		e.asker.Bounce()
	}
	x.waiting = nil
}

// opened sees to it that the clock of an open class goes on.
func (x *classes) opened(c *grain.Context) {
	x.shown, x.coded, x.tries, x.closing = -1, 0, nil, false
	x.beatAfter(c, 0)
}

// beatAfter has the grain look at its clock, for as long as it is busy.
func (x *classes) beatAfter(c *grain.Context, d time.Duration) {
	if x.busy() && !x.beating {
		x.beating = true
		c.After(d, beatNow{})
	}
}

// beat makes sure of what an earlier failure left open, and sees to the class that is.
func (x *classes) beat(c *grain.Context) {
	x.beating = false
	if x.uncertain {
		x.write(c)
	}
	if x.open != nil {
		x.look(c)
	}
	x.beatAfter(c, beat)
}

// look tells the staff what has changed, and ends the class when its time is over.
func (x *classes) look(c *grain.Context) {
	now := time.Now()
	if w := window(now); w != x.coded {
		x.coded = w
		c.Publish(x.codeEvent(c, w))
	}
	if n := x.present(); n != x.shown {
		x.shown = n
		x.told++
		c.Publish(attendanceTick(nexus.CourseID(c.ID), x.open.Class.ID, n, len(x.roll().Seats), c.Fence().Epoch<<seqBits+x.told))
	}
	if !now.Before(x.open.Class.EndsAt) && !x.closing {
		x.closing = x.do(c, grain.Asker{}, Act{What: ActClose, Class: x.open.Class})
	}
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

// is returns the open class if it is the one that is meant. Unavailable while nobody knows which is.
func (x *classes) is(c *grain.Context, id string) (*OpenClass, error) {
	if x.open != nil && string(x.open.Class.ID) == id {
		return x.open, nil
	}
	if x.uncertain {
		x.write(c)
		e := nexus.Errorf(nexus.Unavailable, "it is not known at this moment whether this class is open, try again")
		e.RetryAfter = beat
		return nil, e
	}
	return nil, nexus.Errorf(nexus.StateConflict, "this class is not open")
}

func (x *classes) showCode(c *grain.Context, m *ShowCode) {
	open, err := x.is(c, m.GetSession())
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
	open, err := x.is(c, m.GetSession())
	if err != nil {
		c.Fail(err)
		return
	}
	now, user := time.Now().UTC().Truncate(time.Millisecond), nexus.UserID(m.GetUser())
	if !now.Before(open.Class.EndsAt) {
		c.Fail(nexus.Errorf(nexus.StateConflict, "this class is over"))
		return
	}
	if status, _ := x.roll().Standing(user); status != nexus.Enrolled {
		c.Fail(nexus.Errorf(nexus.Forbidden, "you are not enrolled in this course"))
		return
	}
	if len(x.waiting) >= maxTries {
		c.Fail(crowded())
		return
	}
	good, late := taken(open.Secret, open.Class.ID, m.GetCode(), now)
	if err := x.count(user, good, now); err != nil {
		c.Fail(err)
		return
	}
	e := errand{class: open.Class.ID, mark: Mark{User: user, Status: statusAt(open.Class, now), Outcome: OutcomeMarked, Device: m.GetDevice(), At: now}}
	if good {
		e.asker = c.Asker()
		e.mark.Flags = flagsOf(open, m, user, late)
	} else {
		e.mark.Outcome = OutcomeWrongCode
		c.Fail(onCode("is wrong or too old: codes are good for half a minute at most"))
	}
	x.waiting = append(x.waiting, e)
	x.write(c)
}

// count counts a try, each of which is a row on record, and refuses what is too much in one window.
func (x *classes) count(user nexus.UserID, good bool, now time.Time) error {
	if w := window(now); w != x.window || x.tries == nil {
		x.window, x.tries = w, map[nexus.UserID]tried{}
	}
	n := x.tries[user]
	if n.wrong >= maxGuesses || good && n.good >= maxRepeats {
		e := nexus.Errorf(nexus.RateLimited, "too many tries, wait for the next code")
		e.RetryAfter = windowEnds(x.window).Sub(now)
		return e
	}
	if good {
		n.good++
	} else {
		n.wrong++
	}
	x.tries[user] = n
	return nil
}

// uncount forgets a good try that could not be kept, so that whoever has to ask again may. Guesses count.
func (x *classes) uncount(m Mark) {
	if n := x.tries[m.User]; m.Outcome == OutcomeMarked && window(m.At) == x.window && n.good > 0 {
		n.good--
		x.tries[m.User] = n
	}
}

// crowded refuses what more waits than may.
func crowded() error {
	e := nexus.Errorf(nexus.Unavailable, "too many wait for this class at this moment, try again")
	e.RetryAfter = beat
	return e
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
	add(FlagDeviceShared, open.first(m.GetDevice(), user) != user)
	if open.Class.Fenced && open.Place != nil && open.FenceM > 0 {
		add(FlagNoPosition, !m.GetPlaced())
		add(FlagOutside, m.GetPlaced() && distance(*open.Place, nexus.Position{Lat: m.GetLat(), Lng: m.GetLng()}) > float64(open.FenceM))
	}
	return flags
}

func (x *classes) correct(c *grain.Context, m *CorrectMark) {
	asker, by := c.Asker(), callerFrom(m.GetBy())
	user, status := nexus.UserID(m.GetUser()), nexus.AttendanceStatus(m.GetStatus())
	x.job(c, asker, func(c *grain.Context) {
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

// do has an act done in its turn, unless too much waits.
func (x *classes) do(c *grain.Context, asker grain.Asker, a Act) bool {
	return x.job(c, asker, func(c *grain.Context) {
		var done Done
		now := time.Now().UTC().Truncate(time.Millisecond)
		x.work(c, func(ctx context.Context) (err error) {
			done, err = x.store.Do(ctx, c.Fence(), a, now)
			return err
		}, func(err error) {
			if err != nil {
				if a.What == ActClose {
					x.closing = false // the next beat asks again
				}
				asker.Fail(err)
				return
			}
			x.took(c, done.Open)
			if done.Changed {
				c.Publish(scheduleUpdate(done.Class, a, now))
			}
			x.spread(c, done.News)
			asker.Reply(classDone(done.Class))
		})
	})
}

// took takes what is open now, as the store has it. Whom the devices mark whose tries still wait is known here alone.
func (x *classes) took(c *grain.Context, open *OpenClass) {
	same := x.open != nil && open != nil && x.open.Class.ID == open.Class.ID && x.open.Class.Version == open.Class.Version
	x.open = open
	for _, e := range x.waiting {
		if open != nil && e.class == open.Class.ID && e.mark.Outcome == OutcomeMarked {
			open.first(e.mark.Device, e.mark.User)
		}
	}
	if !same {
		x.opened(c)
	}
}

// job has something done once what was asked for before is done. It refuses what is too much.
func (x *classes) job(c *grain.Context, asker grain.Asker, do func(*grain.Context)) bool {
	if len(x.waiting) >= maxTries+maxJobs {
		asker.Fail(crowded())
		return false
	}
	x.waiting = append(x.waiting, errand{asker: asker, job: do})
	x.write(c)
	return true
}

// write does one thing after another: makes sure of what an earlier failure left open, keeps the tries up to the next job, does the job.
func (x *classes) write(c *grain.Context) {
	switch {
	case x.writing:
	case x.uncertain:
		x.catchUp(c)
	case len(x.waiting) == 0:
	case x.waiting[0].job != nil:
		do := x.waiting[0].job
		x.waiting = x.waiting[1:]
		do(c)
	default:
		x.keep(c, x.take())
	}
}

// take returns the tries at the head of the line.
func (x *classes) take() []errand {
	n := 0
	for n < len(x.waiting) && n < marksAtOnce && x.waiting[n].job == nil {
		n++
	}
	batch := x.waiting[:n:n]
	x.waiting = x.waiting[n:]
	return batch
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
			x.beatAfter(c, beat)
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

// keep has tries kept together, but for those of a class that was closed since.
func (x *classes) keep(c *grain.Context, batch []errand) {
	batch = slices.DeleteFunc(batch, func(e errand) bool {
		gone := x.open == nil || e.class != x.open.Class.ID
		if gone {
			e.asker.Fail(nexus.Errorf(nexus.StateConflict, "this class is not open"))
		}
		return gone
	})
	if len(batch) == 0 {
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
				x.uncount(t.mark)
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
			for _, e := range x.waiting { // the next beat, or who comes next, tries again
				x.uncount(e.mark)
				e.asker.Fail(err)
			}
			x.waiting, x.closing = nil, false
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
