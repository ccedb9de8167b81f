package enginetest

import (
	"net"
	"sync"
	"time"

	"nexus/transport/engineio"
)

// Via is how the server serves a client's WebSocket.
type Via string

// The ways to serve a WebSocket.
const (
	Goroutine Via = "goroutine"
	Linked    Via = "link"
)

// detacher is a pipe that can become a Link.
type detacher struct {
	net.Conn
	link *link
}

func (d *detacher) Detach() (engineio.Link, []byte, error) {
	d.link = &link{conn: d.Conn}
	d.link.changed.L = &d.link.mu
	return d.link, nil, nil
}

// Close leaves the pipe to the Link, if that has been started.
func (d *detacher) Close() error {
	if d.link != nil && d.link.started() {
		return nil
	}
	return d.Conn.Close()
}

// link is a Link over a pipe. It takes half of what is written at once, and the next bytes when the client has read those.
type link struct {
	conn    net.Conn
	readier engineio.Readier

	mu      sync.Mutex
	changed sync.Cond
	in, out []byte
	err     error // of reading
	short   bool  // a write came up short
	closed  bool
}

func (l *link) Start(r engineio.Readier) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.readier = r
	go l.pumpIn()
	go l.pumpOut()
	return nil
}

func (l *link) started() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.readier != nil
}

func (l *link) pumpIn() {
	buf := make([]byte, 1024)
	for {
		n, err := l.conn.Read(buf)
		l.mu.Lock()
		l.in, l.err = append(l.in, buf[:n]...), err
		l.mu.Unlock()
		l.readier.Ready(true, false)
		if err != nil {
			return
		}
		l.mu.Lock()
		for len(l.in) > 0 && !l.closed {
			l.changed.Wait()
		}
		l.mu.Unlock()
	}
}

func (l *link) pumpOut() {
	l.readier.Ready(false, true)
	for {
		l.mu.Lock()
		for len(l.out) == 0 && !l.closed {
			l.changed.Wait()
		}
		out := l.out
		l.mu.Unlock()
		if len(out) == 0 {
			_ = l.conn.Close() // a pipe's Close never fails
			return
		}
		_, err := l.conn.Write(out)
		l.mu.Lock()
		l.out = nil
		short := l.short
		l.short = false
		l.mu.Unlock()
		if err != nil {
			return
		}
		if short {
			l.readier.Ready(false, true)
		}
	}
}

func (l *link) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, net.ErrClosed
	}
	n := copy(p, l.in)
	if l.in = l.in[n:]; len(l.in) == 0 {
		l.in = nil
		l.changed.Broadcast()
	}
	if n == 0 {
		return 0, l.err
	}
	return n, nil
}

func (l *link) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return 0, net.ErrClosed
	case len(l.out) > 0 || l.readier == nil:
		l.short = true
		return 0, nil
	}
	l.out = append(l.out, p[:(len(p)+1)/2]...)
	l.short = len(l.out) < len(p)
	l.changed.Broadcast()
	return len(l.out), nil
}

// CloseWrite does nothing, as a pipe cannot.
func (l *link) CloseWrite() error { return nil }

func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return net.ErrClosed
	}
	l.closed = true
	l.changed.Broadcast()
	if l.readier == nil {
		return nil
	}
	return l.conn.SetReadDeadline(time.Unix(1, 0)) // what was taken is still written
}

// wait waits until the Link has been closed.
func (l *link) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		l.changed.Wait()
	}
}
