package course

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"nexus"
	"nexus/actors/grain"
)

const (
	// maxBatch bounds what is decided in one transaction, maxWaiting what waits for the next ones: a whole year that wants one course at
	// once waits no longer than a caller does.
	maxBatch   = 250
	maxWaiting = 20 * maxBatch
	// minBatch is what is decided at once however slow the database is: if that is too much for it, so is everything.
	minBatch = 10
)

// seats is the part of the grain that gives out seats. What comes in while a transaction is under way is decided together by the next one, in the
// order in which it came; the roll moves, and callers are answered, after the commit alone.
type seats struct {
	store SeatStore
	roll  Roll

	waiting   []wish
	most      int   // how many are decided at once: fewer, while the database is slow
	writing   bool  // a batch or a catch-up is under way
	uncertain bool  // a write failed and may have been committed all the same
	told      int64 // broadcasts of this activation
}

// wish is a caller's request, a change of the course, or, with neither, that those who wait move up.
type wish struct {
	asker   grain.Asker
	request *Request
	change  *resize
}

type resize struct {
	by      nexus.Caller
	version int64
	change  nexus.CourseChange
}

func (s *seats) load(ctx context.Context, c *grain.Context) (err error) {
	s.most = maxBatch
	s.roll, err = s.store.Roll(ctx, c.Fence())
	return err
}

// stop sends who was not answered yet to the next activation.
func (s *seats) stop() {
	for _, w := range s.waiting {
		w.asker.Bounce()
	}
	s.waiting = nil
}

func (s *seats) ask(c *grain.Context, by *By, user string, drop bool) {
	s.enqueue(c, wish{asker: c.Asker(), request: &Request{By: callerFrom(by), User: nexus.UserID(user), Drop: drop}})
}

func (s *seats) change(c *grain.Context, m *Change) {
	r := resize{by: callerFrom(m.GetBy()), version: m.GetVersion()}
	if err := json.Unmarshal(m.GetChange(), &r.change); err != nil {
		c.Fail(nexus.Wrap(nexus.Internal, err, "decode the change of a course"))
		return
	}
	s.enqueue(c, wish{asker: c.Asker(), change: &r})
}

// enqueue takes a wish to be decided with the next batch, or refuses it when too many wait.
func (s *seats) enqueue(c *grain.Context, w wish) {
	if len(s.waiting) >= maxWaiting {
		e := nexus.Errorf(nexus.Unavailable, "too many want a seat in this course at this moment, try again")
		e.RetryAfter = time.Second
		w.asker.Fail(e)
		return
	}
	s.waiting = append(s.waiting, w)
	s.write(c)
}

// write has what waits decided, one batch at a time, after making sure of what an earlier failure left open.
func (s *seats) write(c *grain.Context) {
	switch {
	case s.writing:
	case s.uncertain:
		s.catchUp(c)
	case len(s.waiting) == 0:
	case s.waiting[0].change != nil:
		w := s.waiting[0]
		s.waiting = s.waiting[1:]
		s.resize(c, w)
	default:
		s.settle(c, s.take())
	}
}

// take returns the requests at the head of the line, up to a change of the course.
func (s *seats) take() []wish {
	n := 0
	for n < len(s.waiting) && n < s.most && s.waiting[n].change == nil {
		n++
	}
	batch := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	return batch
}

func (s *seats) settle(c *grain.Context, batch []wish) {
	var requests []Request
	for _, w := range batch {
		if w.request != nil {
			requests = append(requests, *w.request)
		}
	}
	var next Roll
	var answers []Settled
	var news []string
	before := s.roll
	s.work(c, batch, func(ctx context.Context) (err error) {
		next, answers, news, err = s.store.Settle(ctx, c.Fence(), before, requests)
		return err
	}, func() {
		s.moved(c, next, news)
		for _, w := range batch {
			if w.request == nil {
				w.asker.Reply(&grain.Done{})
				continue
			}
			answer := answers[0]
			answers = answers[1:]
			if answer.Err != nil {
				w.asker.Fail(answer.Err)
				continue
			}
			e := answer.Enrollment
			w.asker.Reply(&Standing{Status: string(e.Status), Position: int32(e.Position)}) //nolint:gosec // bounded by the schema
		}
	})
}

func (s *seats) resize(c *grain.Context, w wish) {
	var next Roll
	var course nexus.Course
	var news []string
	before := s.roll
	s.work(c, []wish{w}, func(ctx context.Context) (err error) {
		next, course, news, err = s.store.Resize(ctx, c.Fence(), before, w.change.by, w.change.version, w.change.change)
		return err
	}, func() {
		s.moved(c, next, news)
		text, err := json.Marshal(course)
		if err != nil {
			w.asker.Fail(nexus.Wrap(nexus.Internal, err, "encode a course"))
			return
		}
		w.asker.Reply(&Changed{Course: text})
	})
}

// work has a batch written, and calls done after the commit.
func (s *seats) work(c *grain.Context, batch []wish, job func(context.Context) error, done func()) {
	s.writing = true
	c.Work(job, func(err error) {
		s.writing = false
		if err != nil {
			s.failed(c, batch, err)
		} else {
			s.most = min(maxBatch, s.most+maxBatch/25)
			done()
		}
		s.write(c)
	})
}

// moved takes the roll as it was committed, and tells everybody who looks.
func (s *seats) moved(c *grain.Context, next Roll, news []string) {
	s.roll = next
	if len(news) > 0 {
		c.Publish(&grain.Broadcast{News: news})
	}
	s.told++
	c.Publish(seatUpdate(nexus.CourseID(c.ID), s.roll, c.Fence().Epoch<<seqBits+s.told))
}

func (s *seats) failed(c *grain.Context, batch []wish, err error) {
	switch code := nexus.CodeOf(err); {
	case code == nexus.Fenced:
		s.bounce(batch)
		s.end(c, err)
	case batch[0].change != nil && code != nexus.Unavailable && code != nexus.Internal:
		batch[0].asker.Fail(err) // it is refused, and was rolled back
	case code == nexus.Unavailable || code == nexus.Internal:
		c.Log.Warn("seats not kept", "err", err)
		s.uncertain = true
		if batch[0].change == nil && len(batch) > minBatch { // what is too much for it at once is not asked for at once again
			s.most = max(minBatch, len(batch)/2)
		}
		for _, w := range batch {
			w.asker.Fail(err)
		}
	default:
		// The database holds a seat or a place for another than we think: the second lock. What we remember is wrong; the next
		// activation reads what is there.
		c.Log.Error("the database refuses what the roll allows", "err", err)
		s.bounce(batch)
		s.end(c, err)
	}
}

// catchUp reads what is there, after what an uncertain write sent has landed or never will.
func (s *seats) catchUp(c *grain.Context) {
	var roll Roll
	s.writing = true
	c.Work(func(ctx context.Context) (err error) {
		if err = c.Renew(ctx); err == nil {
			roll, err = s.store.Roll(ctx, c.Fence())
		}
		return err
	}, func(err error) {
		s.writing = false
		switch {
		case nexus.CodeOf(err) == nexus.Fenced:
			s.end(c, err)
			return
		case err != nil:
			c.Log.Warn("store is away", "err", err)
			for _, w := range s.waiting { // the next one who comes tries again
				w.asker.Fail(err)
			}
			s.waiting = nil
			return
		}
		s.uncertain = false
		s.moved(c, roll, nil)
		s.write(c)
	})
}

func (s *seats) bounce(batch []wish) {
	for _, w := range batch {
		w.asker.Bounce()
	}
}

// end ends an activation that is not the present one, or that remembers wrongly.
func (s *seats) end(c *grain.Context, err error) {
	s.bounce(s.waiting)
	s.waiting = nil
	c.Abandon(err)
}

func callerFrom(p *By) nexus.Caller {
	c := nexus.Caller{User: nexus.UserID(p.GetUser()), RequestID: p.GetRequestId(), Once: nexus.Once{Key: p.GetKey(), Hash: p.GetHash()}}
	if ip, err := netip.ParseAddr(p.GetIp()); err == nil { // else it is not known
		c.IP = ip
	}
	return c
}

func callerTo(c nexus.Caller) *By {
	p := &By{User: string(c.User), RequestId: c.RequestID, Key: c.Once.Key, Hash: c.Once.Hash}
	if c.IP.IsValid() {
		p.Ip = c.IP.String()
	}
	return p
}
