package engineio

import (
	"errors"
	"os"
	"sync"
	"time"
)

// drainChunk bounds a write to a socket that was full, so that urgent messages get their turn soon.
const drainChunk = 16 << 10

// keptSessions is how many places the workers' queues keep between two broadcasts.
const keptSessions = 1 << 16

const (
	// stride is how many sessions a worker writes to between two looks at whether something urgent is under way, and patience how long
	// it then gives way at most. Both together see to it that 10,000 sockets hear a tick in under a second whatever happens.
	stride   = 64
	patience = 5 * time.Millisecond
	// urgentFor is how long they give way at a stretch: what takes longer, as while a database is away, is not helped by that.
	urgentFor = 200 * time.Millisecond
)

// flusher is the set of goroutines that write. They are few, they never wait for a socket, and they end when there is
// nothing to do. Sessions with urgent output go first, and all others give way while something urgent is under way.
type flusher struct {
	limit int
	wake  chan struct{} // one place: a session with urgent output has come

	mu             sync.Mutex
	urgent, normal fifo[*Session] // a session is in each at most once; Session.hurried and queued tell
	running        int
	left           int // of the stride
	hurries        int
	calm           chan struct{} // closed when hurries falls to 0; nil while it is
	since          time.Time     // when hurries rose from 0
}

func newFlusher(limit int) *flusher {
	return &flusher{limit: limit, left: stride, wake: make(chan struct{}, 1)}
}

// hurry has the workers give way until the function that it returns is called, or urgentFor is over.
func (f *flusher) hurry() (done func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hurries++; f.hurries == 1 {
		f.calm, f.since = make(chan struct{}), time.Now()
	}
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.hurries--; f.hurries == 0 {
			close(f.calm)
			f.calm = nil
		}
	})
}

// giveWay waits for a while if something urgent is under way, once for each stride. It gives f.mu back meanwhile.
func (f *flusher) giveWay() {
	calm := f.calm
	if f.left > 0 || calm == nil || f.urgent.len() > 0 || time.Since(f.since) > urgentFor {
		return
	}
	f.left = stride
	select {
	case <-f.wake: // of one that has been written to
	default:
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-calm:
	case <-f.wake:
	case <-late.C:
	}
}

func (f *flusher) add(s *Session, urgent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if urgent {
		f.urgent.push(s)
		select {
		case f.wake <- struct{}{}:
		default:
		}
	} else {
		f.normal.push(s)
	}
	if f.running < f.limit {
		f.running++
		go f.run()
	}
}

func (f *flusher) run() {
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	for {
		s, urgent := f.next()
		if s == nil {
			return
		}
		s.flush(urgent, sc)
	}
}

// next takes the next session when it is time to, or retires the worker.
func (f *flusher) next() (_ *Session, urgent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.giveWay()
	lane := &f.urgent
	if urgent = lane.len() > 0; !urgent {
		lane = &f.normal
	}
	if lane.len() == 0 {
		f.running--
		return nil, false
	}
	s := lane.waiting()[0]
	lane.pop(1, keptSessions)
	if f.calm != nil && !urgent {
		f.left--
	}
	return s, urgent
}

// scratch is what a writer needs while it writes.
type scratch struct {
	list []Message
	buf  []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// join lays the listed messages out for one write. A lone message is written from its own bytes.
func (sc *scratch) join(offset int) []byte {
	if len(sc.list) == 1 {
		return sc.list[0].frames[offset:]
	}
	sc.buf = sc.buf[:0]
	for _, m := range sc.list {
		sc.buf = append(sc.buf, m.frames...)
	}
	return sc.buf[offset:]
}

// release drops the references to messages, and a buffer that one huge message left behind.
func (sc *scratch) release() {
	clear(sc.list)
	sc.list = sc.list[:0]
	if cap(sc.buf) > 256<<10 {
		sc.buf = nil
	}
}

// flush writes one chunk without waiting. What the socket does not take waits for a call of its Link, or is left to a goroutine of
// the session.
func (s *Session) flush(urgent bool, sc *scratch) {
	s.mu.Lock()
	if urgent {
		s.hurried = false
	} else {
		s.queued = false
	}
	if s.ws == nil || s.writing || s.state == stateClosed || s.out.empty() {
		s.mu.Unlock()
		return
	}
	s.writing, s.ready = true, false
	ws := s.ws
	limit := s.srv.cfg.ChunkBytes
	if s.slow {
		limit = drainChunk
	}
	var offset int
	sc.list, offset = s.out.take(sc.list[:0], limit)
	s.mu.Unlock()

	p := sc.join(offset)
	n, err := ws.tryWrite(p)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.advance(sc.list, n)
	sc.release()
	switch {
	case err != nil:
		s.writing = false
		s.lost(err)
	case n < len(p) && s.state != stateClosed && ws.link == nil:
		go s.drain()
	case n < len(p) && s.state != stateClosed:
		s.block()
	default:
		s.writing = false
		s.wrote()
	}
}

// wrote goes on after a whole chunk; s.mu is held.
func (s *Session) wrote() {
	switch {
	case s.state == stateClosed:
	case !s.out.empty():
		s.kick(s.out.urgent.len() > 0)
		return
	case s.state == stateClosing:
		s.farewellSent()
	}
	s.slow = false
}

// block keeps the writing flag until the Link calls that it takes more, or the client is given up; s.mu is held.
func (s *Session) block() {
	if s.slow = true; s.ready { // it has called already
		s.writing = false
		s.kick(s.out.urgent.len() > 0)
		return
	}
	s.blocked = true
	s.stallDue = s.srv.alarms.now() + s.srv.cfg.WriteTimeout
	s.setAlarm()
}

// writable goes on with a socket that was full.
func (s *Session) writable() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ready = true; !s.blocked {
		return
	}
	s.blocked, s.writing, s.stallDue = false, false, 0
	s.setAlarm()
	if s.state != stateClosed {
		s.kick(s.out.urgent.len() > 0)
	}
}

// stalled gives a client up that takes nothing, if it has something coming that it may not miss; s.mu is held. To one that only misses
// what is lossy, the heartbeat does justice.
func (s *Session) stalled(now time.Duration) {
	if s.out.owed() {
		s.lost(os.ErrDeadlineExceeded)
		return
	}
	s.stallDue = now + s.srv.cfg.WriteTimeout
}

// drain writes to a socket that is full until nothing waits or the client is given up. It has the session's writing flag.
func (s *Session) drain() {
	sc := scratches.Get().(*scratch)
	defer scratches.Put(sc)
	for {
		s.mu.Lock()
		if s.state == stateClosed || s.out.empty() {
			s.writing = false
			if s.state != stateClosed {
				_ = s.ws.SetWriteDeadline(time.Time{}) // fails only on a closed connection
			}
			s.wrote()
			s.mu.Unlock()
			return
		}
		ws := s.ws
		var offset int
		sc.list, offset = s.out.take(sc.list[:0], drainChunk)
		s.mu.Unlock()

		n, err := ws.waitWrite(sc.join(offset), s.srv.cfg.WriteTimeout)

		s.mu.Lock()
		s.out.advance(sc.list, n)
		sc.release()
		if err != nil && (!errors.Is(err, os.ErrDeadlineExceeded) || s.out.owed()) {
			s.writing = false
			s.lost(err)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// lost ends a session whose connection failed a write; s.mu is held. A deadline that passed means a client that does not read.
func (s *Session) lost(err error) {
	s.ws.broken = true
	reason := TransportError
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reason = SlowClient
	}
	if !s.closeLocked(reason) && s.state == stateClosing {
		s.cut()
	}
}
