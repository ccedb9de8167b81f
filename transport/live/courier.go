package live

import (
	"container/heap"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"nexus"
	"nexus/transport/socketio"
)

// Streams are what is kept of the streams of class A: their lines, and how far each device has come.
type Streams interface {
	// Standings says how far each reader has come, whether that is known, and how far its stream goes; one for each, in any order.
	Standings(ctx context.Context, readers []nexus.Reader) ([]nexus.Standing, error)
	// Lines returns, of each stream, the lines after a seq in order, at most limit of each. It sees at least what was
	// committed before it was called.
	Lines(ctx context.Context, after map[string]int64, limit int) ([]nexus.Delivery, error)
	// Heads returns the seq of the newest line of each stream. One without a line may be left out.
	Heads(ctx context.Context, streams []string) (map[string]int64, error)
	// Note keeps what became of lines, and the cursors of devices. What was noted before stays: a first time is not moved, and
	// a cursor does not go back, so that a second copy changes nothing.
	Note(ctx context.Context, marks []nexus.Mark, cursors []nexus.Standing) error
}

const (
	// standingsAtOnce is how many readers one query places, at most: a campus that comes back at once costs some 80 queries.
	standingsAtOnce = 256
	// streamsAtOnce is how many streams one query reads, and linesAtOnce how much of each.
	streamsAtOnce = 128
	linesAtOnce   = window
	// headsAtOnce is how many streams one query asks for their newest line.
	headsAtOnce = 1000
	// headsEvery is how often streams are looked at without a word that there is news: those of the campus and of whoever must
	// act, since the word may be lost, and all of them every idleHeads.
	headsEvery = time.Second
	idleHeads  = 10 * time.Second
	// courierPatience bounds a query, and courierRest is how long the store is left alone after one that failed.
	courierPatience = 3 * time.Second
	courierRest     = 500 * time.Millisecond
	// maxWoken bounds the streams with news that wait for the loop; what is dropped is found by looking.
	maxWoken = 1 << 16
)

// courier hands the lines of streams to the sockets that read them, in order, until each is acknowledged. It is one loop, which
// alone touches what is below it; queries run beside it, one of each kind at a time, so that whatever comes meanwhile shares the
// next. It never waits for a socket. What it holds is bounded by the number of sockets and their windows.
type courier struct {
	streams Streams
	lane    socketio.Lane                 // that lines leave in
	closed  func(*peer, nexus.IncidentID) // hears that a socket is told of an incident's end; it must not block
	log     *slog.Logger
	metrics *deliveryMetrics
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan struct{}
	hurry   func() (done func()) // something urgent is under way
	kick    chan struct{}        // one place: something waits for the loop
	queries sync.WaitGroup       // under way

	mu    sync.Mutex
	inbox []func()            // bounded: a socket comes and goes once, and answers its calls
	woken map[string]struct{} // streams with news

	// What follows belongs to the loop.
	readers  map[*peer][]*reader
	waiting  []*reader // whose standing is not known yet
	crowd    int       // how many of them the next query places
	byStream map[string]*stream
	work     []*stream           // that have something to be read
	breadth  int                 // how many of them the next query reads
	due      schedule            // lines under way, by when they are sent again
	order    int64               // of the last one sent
	early    map[string]struct{} // news of streams that nobody read yet when it came
	notes    notes
	lookAt   time.Time
	calm     func() // ends a hurry; nil: there is none

	placing, reading, looking, writing errand
}

// errand is one kind of query.
type errand struct {
	under  bool // one is under way
	failed bool // the last one did
	rest   time.Time
}

func (e *errand) free(now time.Time) bool { return !e.under && !now.Before(e.rest) }

// newCourier hands out what is not urgent.
func newCourier(s Streams, log *slog.Logger, m *deliveryMetrics) *courier {
	c := idleCourier(s, log, m)
	go c.run()
	return c
}

// newUrgentCourier hands out what people's safety depends on, ahead of all else; whoever is told that an incident is over is named to closed.
func newUrgentCourier(s Streams, closed func(*peer, nexus.IncidentID), hurry func() (done func()), log *slog.Logger, m *deliveryMetrics) *courier {
	c := idleCourier(s, log, m)
	c.lane, c.closed, c.hurry = socketio.Urgent, closed, hurry
	go c.run()
	return c
}

func idleCourier(s Streams, log *slog.Logger, m *deliveryMetrics) *courier {
	c := &courier{
		streams: s, log: log, metrics: m, closed: func(*peer, nexus.IncidentID) {}, hurry: func() func() { return func() {} },
		ended: make(chan struct{}), kick: make(chan struct{}, 1),
		readers:  make(map[*peer][]*reader),
		byStream: make(map[string]*stream), early: make(map[string]struct{}), notes: newNotes(), crowd: standingsAtOnce, breadth: streamsAtOnce,
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// close ends the courier, and notes what was acknowledged.
func (c *courier) close() {
	c.cancel()
	<-c.ended
}

// join begins to hand a peer what its streams hold. It never blocks.
func (c *courier) join(p *peer, readers ...*reader) {
	c.post(func() {
		for _, r := range readers {
			r.peer = p
		}
		c.readers[p] = readers
		c.waiting = append(c.waiting, readers...)
		c.metrics.readers.Add(float64(len(readers)))
	})
}

// leave forgets a peer. A second call, or one for a peer that never joined, does nothing.
func (c *courier) leave(p *peer) {
	c.post(func() {
		for _, r := range c.readers[p] {
			r.gone = true
			c.metrics.readers.Dec()
			if r.stream == nil {
				continue
			}
			if r.stream.remove(r); len(r.stream.readers) == 0 {
				delete(c.byStream, r.id)
			}
		}
		delete(c.readers, p)
		c.notes.hurry() // it may come back at once, on another node
	})
}

// find says how far two devices have come, with the query of all who begin just now; false if one of them is not known, or cannot be said.
func (c *courier) find(ctx context.Context, a, b nexus.Reader) (x, y nexus.Standing, ok bool) {
	answers := make(chan nexus.Standing, 2)
	asked := []*reader{{id: a.Stream, tab: a.Device, found: answers}, {id: b.Stream, tab: b.Device, found: answers}}
	c.post(func() {
		if c.placing.failed || c.looking.failed {
			close(answers) // the store is away
			return
		}
		c.waiting = append(c.waiting, asked...)
	})
	for range asked {
		select {
		case st, some := <-answers:
			switch {
			case !some || !st.Known || st.Cursor > st.Last:
				return x, y, false
			case st.Stream == a.Stream:
				x = st
			default:
				y = st
			}
		case <-ctx.Done():
			c.post(func() { asked[0].gone, asked[1].gone = true, true })
			return x, y, false
		}
	}
	return x, y, true
}

// wake says that streams may have news. It never blocks.
func (c *courier) wake(streams []string) {
	c.mu.Lock()
	if c.woken == nil {
		c.woken = make(map[string]struct{})
	}
	for _, id := range streams {
		if len(c.woken) < maxWoken {
			c.woken[id] = struct{}{}
		}
	}
	c.mu.Unlock()
	c.stir()
}

// post has the loop do something.
func (c *courier) post(f func()) {
	c.mu.Lock()
	c.inbox = append(c.inbox, f)
	c.mu.Unlock()
	c.stir()
}

func (c *courier) stir() {
	select {
	case c.kick <- struct{}{}:
	default:
	}
}

func (c *courier) run() {
	defer close(c.ended)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			c.finish()
			return
		case <-c.kick:
		case <-timer.C:
		}
		c.intake()
		now := time.Now()
		c.resend(now)
		c.place(now)
		c.read(now)
		c.look(now)
		c.write(now)
		c.relax(now)
		if next, ok := c.next(now); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// intake does what others have asked for.
func (c *courier) intake() {
	c.mu.Lock()
	inbox, woken := c.inbox, c.woken
	c.inbox, c.woken = nil, nil
	c.mu.Unlock()
	for _, f := range inbox {
		f()
	}
	for id := range woken {
		if s := c.byStream[id]; s != nil {
			c.news(s)
			if c.calm == nil {
				c.calm = c.hurry()
			}
		} else if c.placing.under && len(c.early) < maxWoken { // a reader on its way may have been placed before this
			c.early[id] = struct{}{}
		}
	}
}

// relax lets others have the processors again, once the news is handed to the sockets, or cannot be had.
func (c *courier) relax(now time.Time) {
	if c.calm != nil && !c.reading.under && (len(c.work) == 0 || !c.reading.free(now)) {
		c.calm()
		c.calm = nil
	}
}

// next is when the loop has something to do by itself.
func (c *courier) next(now time.Time) (next time.Time, ok bool) {
	at := func(t time.Time) {
		if !ok || t.Before(next) {
			next, ok = t, true
		}
	}
	if len(c.due) > 0 {
		at(c.due[0].due)
	}
	for _, e := range []*errand{&c.placing, &c.reading, &c.looking, &c.writing} {
		if now.Before(e.rest) {
			at(e.rest)
		}
	}
	if len(c.byStream) > 0 && c.looking.free(now) {
		at(c.lookAt)
	}
	if !c.notes.empty() && c.writing.free(now) {
		at(c.notes.due)
	}
	return next, ok
}

// query runs a query beside the loop, and its end in the loop. An errand that failed rests for a while.
func (c *courier) query(e *errand, ask func(context.Context) error, end func(error)) {
	e.under = true
	c.queries.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, courierPatience)
		defer cancel()
		err := ask(ctx)
		c.post(func() {
			e.under = false
			if c.ctx.Err() == nil {
				c.heard(e, err)
			}
			end(err)
		})
	})
}

// heard notes whether the store answers. When it does so again, every stream is looked at anew: words of news may have been
// lost with what sends them.
func (c *courier) heard(e *errand, err error) {
	now := time.Now()
	switch {
	case err != nil:
		if !e.failed {
			c.log.Warn("the safety streams do not answer", "err", err)
		}
		e.failed, e.rest = true, now.Add(courierRest)
	case e.failed:
		e.failed = false
		if e == &c.writing {
			return
		}
		c.lookAt = now
		for _, s := range c.byStream {
			s.looked = time.Time{}
		}
	}
}

// place finds out where new readers begin.
func (c *courier) place(now time.Time) {
	if len(c.waiting) == 0 || !c.placing.free(now) {
		return
	}
	if c.waiting = slices.DeleteFunc(c.waiting, func(r *reader) bool { return r.gone }); len(c.waiting) == 0 {
		return
	}
	n := min(len(c.waiting), c.crowd)
	batch := slices.Clone(c.waiting[:n])
	c.waiting = c.waiting[n:]
	asked := make([]nexus.Reader, 0, n)
	for _, r := range batch {
		asked = append(asked, r.device())
	}
	slices.SortFunc(asked, compareReaders)
	asked = slices.Compact(asked) // two sockets of one device
	var found []nexus.Standing
	c.query(&c.placing, func(ctx context.Context) (err error) {
		found, err = c.streams.Standings(ctx, asked)
		return err
	}, func(err error) {
		if err != nil {
			// As for read; and behind the others, or one that cannot be placed would be asked about for ever.
			c.crowd = max(c.crowd/2, 1)
			c.waiting = append(c.waiting, batch...)
			return
		}
		c.crowd = min(c.crowd*2, standingsAtOnce)
		at := make(map[nexus.Reader]nexus.Standing, len(found))
		for _, s := range found {
			at[s.Reader] = s
		}
		for _, r := range batch {
			switch {
			case r.gone:
			case r.found != nil:
				r.found <- c.newest(at[r.device()])
			default:
				c.begin(r, at[r.device()])
			}
		}
		clear(c.early)
	})
}

// newest is a standing with what this node knows and the store has yet to hear.
func (c *courier) newest(st nexus.Standing) nexus.Standing {
	if here := c.notes.cursor(st.Reader); here > 0 {
		st.Known, st.Cursor = true, max(st.Cursor, here)
		if s := c.byStream[st.Stream]; s != nil {
			st.Last = max(st.Last, s.head)
		}
	}
	return st
}

// begin lets a reader begin: after the offset that its client names, or else after what its device has acknowledged. A client whose
// offset is beyond the end has seen another history, of a database that was set back, and is told.
func (c *courier) begin(r *reader, st nexus.Standing) {
	s := c.byStream[r.id]
	if s == nil {
		s = &stream{id: r.id, head: st.Last, looked: time.Now()}
		c.byStream[r.id] = s
	}
	s.add(r)
	last := max(st.Last, s.head)
	at := min(max(st.Cursor, c.notes.cursor(r.device())), last)
	switch {
	case r.claim == nil:
	case *r.claim > last:
		r.reset(at, c.lane)
	default:
		at = *r.claim
	}
	r.next, r.noted = at+1, -1
	if _, early := c.early[r.id]; early || st.Last > s.head {
		c.news(s)
	}
	// A new device is known from now on: what comes while it is away must not be before its beginning.
	c.advance(r)
	c.want(r)
}

// news has a stream read beyond its newest known line.
func (c *courier) news(s *stream) {
	s.news = true
	c.enlist(s)
}

// want has a stream read for a reader that lags behind and has room.
func (c *courier) want(r *reader) {
	if !r.hungry && r.lags() {
		r.hungry = true
		r.stream.hungry = append(r.stream.hungry, r)
		c.enlist(r.stream)
	}
}

func (c *courier) enlist(s *stream) {
	if !s.listed {
		s.listed = true
		c.work = append(c.work, s)
	}
}

// read reads the streams that have something for somebody, many with one query.
func (c *courier) read(now time.Time) {
	if !c.reading.free(now) {
		return
	}
	from := make(map[*stream]int64)
	after := make(map[string]int64)
	for len(c.work) > 0 && len(from) < c.breadth {
		s := c.work[0]
		c.work = c.work[1:]
		s.listed = false
		if at, ok := s.position(); ok && c.byStream[s.id] == s {
			from[s], after[s.id] = at, at
		}
	}
	if len(from) == 0 {
		return
	}
	var lines []nexus.Delivery
	c.query(&c.reading, func(ctx context.Context) (err error) {
		lines, err = c.streams.Lines(ctx, after, linesAtOnce)
		return err
	}, func(err error) {
		if err != nil {
			c.breadth = max(c.breadth/2, 1) // if one stream alone cannot be read, the others must not share its fate
			for s := range from {
				c.news(s)
				for _, r := range s.readers {
					c.want(r)
				}
			}
			return
		}
		c.breadth = min(c.breadth*2, streamsAtOnce)
		got := make(map[string][]*line, len(from))
		for _, d := range lines {
			got[d.Stream] = append(got[d.Stream], &line{Delivery: d})
		}
		for s, at := range from {
			c.arrived(s, at, got[s.id])
		}
	})
}

// arrived hands the lines after a seq to all readers who stand among them. Nothing that was known to be there when they were read is missing
// from them, unless there are more than were asked for.
func (c *courier) arrived(s *stream, after int64, lines []*line) {
	all := len(lines) < linesAtOnce
	if n := len(lines); n > 0 && lines[n-1].Seq > s.head {
		s.head = lines[n-1].Seq
		if !all {
			c.news(s)
		}
	}
	for _, r := range s.readers {
		if r.next > after {
			c.hand(r, lines, all)
		}
	}
	if s.news || len(s.hungry) > 0 {
		c.enlist(s)
	}
}

// hand sends a reader as many lines as its window takes. all tells that there is no other up to the head.
func (c *courier) hand(r *reader, lines []*line, all bool) {
	i, _ := slices.BinarySearchFunc(lines, r.next, func(l *line, seq int64) int { return int(l.Seq - seq) })
	for _, l := range lines[i:] {
		if !r.room() {
			all = false
			break
		}
		r.makeRoom()
		r.next = l.Seq + 1
		p := &parcel{to: r, line: l}
		r.flight = append(r.flight, p)
		c.metrics.lines.WithLabelValues(l.Kind).Inc()
		now := time.Now()
		c.notes.sent(l, now)
		c.send(p, now)
		if e := l.Event; l.Kind == nexus.DeliverEvent && e != nil && ends(*e) {
			c.closed(r.peer, e.Incident)
		}
	}
	if all {
		r.next = max(r.next, r.stream.head+1) // lines may be gone that were older than anything is kept
	}
	c.want(r)
}

// send hands a line to its socket, and sees to it that it is sent again if no answer comes.
func (c *courier) send(p *parcel, now time.Time) {
	payload, err := p.line.encode()
	if err != nil { // no second try would end otherwise; it stays unacknowledged, and the log tells
		c.log.Error("encode delivery", "stream", p.line.Stream, "seq", p.line.Seq, "err", err)
		return
	}
	p.tries++
	pause := pauseAfter(p.tries)
	c.order++
	p.due, p.order = now.Add(pause), c.order
	heap.Push(&c.due, p)
	p.to.peer.call(p.line.event(), payload, c.lane, pause+pause/2, func() {
		at := time.Now()
		c.post(func() { c.acknowledged(p, at) })
	})
}

// resend sends the lines again that have waited for too long.
func (c *courier) resend(now time.Time) {
	for len(c.due) > 0 && !c.due[0].due.After(now) {
		p := heap.Pop(&c.due).(*parcel)
		if p.done || p.to.gone {
			continue
		}
		c.metrics.retries.Inc()
		c.send(p, now)
		c.want(p.to) // it may have become one that gives way
	}
}

// acknowledged takes the client's word that it has a line.
func (c *courier) acknowledged(p *parcel, at time.Time) {
	r := p.to
	if p.done || r.gone {
		return
	}
	p.done = true
	r.flight = slices.DeleteFunc(r.flight, func(f *parcel) bool { return f == p })
	c.metrics.acks.Observe(max(0, at.Sub(p.line.At).Seconds()))
	c.notes.got(p.line, at)
	c.advance(r)
	c.want(r)
}

// advance notes how far a reader's device has come.
func (c *courier) advance(r *reader) {
	if at := r.cursor(); at > r.noted && !r.skipped {
		r.noted = at
		c.notes.advance(r.device(), at)
		if r.tab != "" {
			c.notes.advance(nexus.Reader{Stream: r.id, Device: r.tab}, at)
		}
	}
}

// look asks for the newest lines of streams, in case a word of news was lost.
func (c *courier) look(now time.Time) {
	if now.Before(c.lookAt) || len(c.byStream) == 0 || !c.looking.free(now) {
		return
	}
	c.lookAt = now.Add(headsEvery)
	var ids []string
	lag := int64(0)
	for id, s := range c.byStream {
		for _, r := range s.readers {
			lag += s.head + 1 - r.next
		}
		if s.keen > 0 || id == nexus.CampusStream || now.Sub(s.looked) >= idleHeads {
			ids = append(ids, id)
		}
	}
	c.metrics.lag.Set(float64(lag))
	heads := make(map[string]int64, len(ids))
	c.query(&c.looking, func(ctx context.Context) error {
		for some := range slices.Chunk(ids, headsAtOnce) {
			found, err := c.streams.Heads(ctx, some)
			if err != nil {
				return err
			}
			for id, head := range found {
				heads[id] = head
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			return
		}
		for _, id := range ids {
			if s := c.byStream[id]; s != nil {
				if s.looked = now; heads[id] > s.head {
					c.news(s)
				}
			}
		}
	})
}

// write notes what became of lines and how far devices have come.
func (c *courier) write(now time.Time) {
	if !c.notes.ready(now) || !c.writing.free(now) {
		return
	}
	marks, cursors := c.notes.take()
	c.query(&c.writing, func(ctx context.Context) error { return c.streams.Note(ctx, marks, cursors) }, func(err error) {
		c.notes.taken(err == nil, time.Now())
	})
}

// finish notes what was acknowledged until now, if the store takes it in time; what it does not take is sent once more one day.
func (c *courier) finish() {
	c.queries.Wait()
	c.intake()
	if c.calm != nil {
		c.calm()
	}
	ctx, cancel := context.WithTimeout(context.Background(), courierPatience)
	defer cancel()
	for !c.notes.empty() {
		marks, cursors := c.notes.take()
		if err := c.streams.Note(ctx, marks, cursors); err != nil {
			c.log.Warn("what clients acknowledged is not noted", "err", err)
			return
		}
		c.notes.taken(true, time.Now())
	}
}
