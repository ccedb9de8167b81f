package socketio

import (
	"log/slog"
	"runtime/debug"
	"time"

	"nexus/transport/engineio"
)

const (
	// maxWaiting is how many packets of a connection wait in a lane for those before them, and maxWaitingBytes how large they are
	// together, with one that is larger allowed. Past it no more is read from the client, as when a slow reader fills a pipe.
	maxWaiting      = 256
	maxWaitingBytes = 256 << 10
	// lastWork is how long what a client sent before it went is still begun. What is ahead of all is begun in any case.
	lastWork = 5 * time.Second
)

// lane is packets of one connection that are handled in order, on a goroutine that lives as long as there are any. The connection's lock
// guards it.
type lane struct {
	jobs  []job
	bytes int           // in jobs
	busy  bool          // its goroutine runs
	moved chan struct{} // closed when something has changed; nil unless somebody waits
}

// job is one packet to be handled.
type job struct {
	do    func()
	bytes int
	last  bool // it is done also after the connection's end, however late
}

func (l *lane) full(bytes int) bool {
	return len(l.jobs) >= maxWaiting || l.bytes > 0 && l.bytes+bytes > maxWaitingBytes
}

// change tells whoever waits.
func (l *lane) change() {
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
}

// wait gives the connection's lock back until something has changed.
func (c *conn) wait(l *lane) {
	if l.moved == nil {
		l.moved = make(chan struct{})
	}
	moved := l.moved
	c.mu.Unlock()
	<-moved
	c.mu.Lock()
}

// handle has a packet handled in its lane. It waits for room.
func (c *conn) handle(l *lane, j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l.full(j.bytes) {
		c.wait(l)
	}
	c.enlist(l, j)
}

// enlist adds to a lane; c.mu is held.
func (c *conn) enlist(l *lane, j job) {
	l.jobs, l.bytes = append(l.jobs, j), l.bytes+j.bytes
	if !l.busy {
		l.busy = true
		go c.work(l)
	}
}

// work is a lane's goroutine.
func (c *conn) work(l *lane) {
	for j, ok := c.next(l); ok; j, ok = c.next(l) {
		c.do(j.do)
	}
}

// next takes the next job out of a lane; false ends the lane's goroutine.
func (c *conn) next(l *lane) (j job, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer l.change()
	for len(l.jobs) > 0 {
		j = l.jobs[0]
		l.jobs[0] = job{}
		l.jobs, l.bytes = l.jobs[1:], l.bytes-j.bytes
		if j.last || c.until.IsZero() || time.Now().Before(c.until) {
			return j, true
		}
	}
	l.jobs, l.busy = nil, false
	return job{}, false
}

// do keeps a panic of the upper layer, which ends the connection, from ending the process.
func (c *conn) do(f func()) {
	defer func() {
		if cause := recover(); cause != nil {
			slog.Error("socket handler panicked", "cause", cause, "stack", string(debug.Stack()))
			c.session.Close(engineio.InternalError)
		}
	}()
	f()
}

// later does something in its turn, without waiting for room.
func (c *conn) later(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enlist(&c.rest, job{do: f, last: true})
}

// finish waits until all that has come is handled; c.mu is held.
func (c *conn) finish() {
	for _, l := range []*lane{&c.rest, &c.ahead} {
		for l.busy {
			c.wait(l)
		}
	}
}
