package simnet

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// end is one end of a stream. What is written to it goes to the other end, where pump brings it.
type end struct {
	host          *Host
	local, remote addr
	other         *end
	pumping       chan struct{} // one place: something is to be brought to the other end

	mu      sync.Mutex
	out     []chunk // on its way to the other end
	held    int     // bytes in out and, unread, at the other end
	in      []byte  // unread
	eof     bool    // the other end has closed, and in is all there will be
	err     error   // this end is no more
	changed chan struct{}
	until   deadlines
}

type chunk struct {
	data []byte
	at   time.Time // when it is there
	last bool      // the end
}

type deadlines struct{ read, write time.Time }

// pair makes a stream between two hosts.
func (h *Host) pair(to *Host, mine, theirs addr) (a, b *end) {
	a = &end{host: h, local: mine, remote: theirs}
	b = &end{host: to, local: theirs, remote: mine}
	a.other, b.other = b, a
	for _, e := range []*end{a, b} {
		e.pumping, e.changed = make(chan struct{}, 1), make(chan struct{})
		e.host.net.mu.Lock()
		e.host.ends[e] = struct{}{}
		e.host.net.mu.Unlock()
		go e.pump()
	}
	return a, b
}

// notify wakes whoever waits at this end; the lock is held.
func (e *end) notify() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// wait waits for a change at this end, with the lock held before and after, and fails at the deadline.
func (e *end) wait(deadline time.Time) error {
	changed := e.changed
	e.mu.Unlock()
	defer e.mu.Lock()
	if deadline.IsZero() {
		<-changed
		return nil
	}
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-changed:
		return nil
	case <-t.C:
		return os.ErrDeadlineExceeded
	}
}

// Read implements net.Conn.
func (e *end) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		switch {
		case e.err != nil:
			return 0, e.err
		case len(e.in) > 0:
			n := copy(b, e.in)
			e.in = e.in[n:]
			e.mu.Unlock()
			e.other.read(n)
			e.mu.Lock()
			return n, nil
		case e.eof:
			return 0, io.EOF
		}
		if err := e.wait(e.until.read); err != nil {
			return 0, err
		}
	}
}

// read makes room for as many bytes as the other end has read.
func (e *end) read(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held -= n
	e.notify()
}

// Write implements net.Conn.
func (e *end) Write(b []byte) (n int, err error) {
	at := time.Now().Add(e.host.net.takes())
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(b) > 0 {
		switch room := window - e.held; {
		case e.err != nil:
			return n, e.err
		case room > 0:
			k := min(room, len(b))
			e.out = append(e.out, chunk{data: append([]byte(nil), b[:k]...), at: at})
			e.held += k
			n, b = n+k, b[k:]
			e.push()
		default:
			if err := e.wait(e.until.write); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (e *end) push() {
	select {
	case e.pumping <- struct{}{}:
	default:
	}
}

// pump brings what was written to the other end, in order, while both ends live.
func (e *end) pump() {
	for {
		x, more, alive := e.head()
		if !alive {
			if pass, _ := e.host.net.verdict(e.other.host, e.host); pass && more {
				e.fail(errReset) // what is sent to a closed end is answered so
			}
			return
		}
		if !more {
			<-e.pumping
			continue
		}
		if d := time.Until(x.at); d > 0 {
			time.Sleep(d)
		}
		again := e.host.net.again()
		if pass, _ := e.host.net.verdict(e.host, e.other.host); !pass {
			select { // TCP repeats it until it comes through
			case <-again:
			case <-e.pumping:
			}
			continue
		}
		e.other.arrive(x)
		if x.last {
			return
		}
		e.mu.Lock()
		e.out = e.out[1:]
		e.mu.Unlock()
	}
}

// head is the next thing to bring. It is not alive when nobody will read it, or nobody sends any more.
func (e *end) head() (x chunk, more, alive bool) {
	e.other.mu.Lock()
	deaf := e.other.err != nil
	e.other.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	more = len(e.out) > 0
	if more {
		x = e.out[0]
	}
	return x, more, !deaf && !e.broken()
}

// broken reports whether this end was reset, and not closed in order; the lock is held.
func (e *end) broken() bool { return e.err != nil && !errors.Is(e.err, net.ErrClosed) }

func (e *end) arrive(x chunk) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x.last {
		e.eof = true
	} else {
		e.in = append(e.in, x.data...)
	}
	e.notify()
}

// Close implements net.Conn: the other end reads what was written before, and then the end.
func (e *end) Close() error {
	at := time.Now().Add(e.host.net.takes())
	e.mu.Lock()
	if e.err != nil {
		e.mu.Unlock()
		return net.ErrClosed
	}
	e.err = net.ErrClosed
	e.out = append(e.out, chunk{at: at, last: true})
	e.notify()
	e.push()
	e.mu.Unlock()
	e.forget()
	return nil
}

// fail ends this end at once.
func (e *end) fail(err error) {
	e.mu.Lock()
	if !e.broken() {
		e.err = err
		e.notify()
	}
	e.push()
	e.mu.Unlock()
	e.forget()
}

func (e *end) forget() {
	e.other.push() // nobody reads here any more
	e.host.net.mu.Lock()
	delete(e.host.ends, e)
	e.host.net.mu.Unlock()
}

// LocalAddr implements net.Conn.
func (e *end) LocalAddr() net.Addr { return e.local }

// RemoteAddr implements net.Conn.
func (e *end) RemoteAddr() net.Addr { return e.remote }

// SetDeadline implements net.Conn.
func (e *end) SetDeadline(t time.Time) error {
	return e.limit(func() { e.until = deadlines{t, t} })
}

// SetReadDeadline implements net.Conn.
func (e *end) SetReadDeadline(t time.Time) error { return e.limit(func() { e.until.read = t }) }

// SetWriteDeadline implements net.Conn.
func (e *end) SetWriteDeadline(t time.Time) error { return e.limit(func() { e.until.write = t }) }

func (e *end) limit(set func()) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return e.err
	}
	set()
	return nil
}
