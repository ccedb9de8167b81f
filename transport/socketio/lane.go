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

// The lanes of a connection.
const (
	ahead = iota // the events in Config.Ahead
	rest         // all other packets
)

// lane is packets of one connection that are handled in order, on a goroutine that lives as long as the lane: as long as there are any.
// The connection's lock guards it.
type lane struct {
	jobs  []job
	bytes int           // in jobs
	moved chan struct{} // closed when a job was taken, or none is left; nil unless somebody waits
}

// job is one packet to be handled.
type job struct {
	do    func()
	bytes int
	last  bool // it is done also after the connection's end, however late
}

func (l *lane) full(bytes int) bool {
	return l != nil && (len(l.jobs) >= maxWaiting || l.bytes > 0 && l.bytes+bytes > maxWaitingBytes)
}

// wait gives the connection's lock back until the lane has moved.
func (c *conn) wait(l *lane) {
	if l.moved == nil {
		l.moved = make(chan struct{})
	}
	moved := l.moved
	c.mu.Unlock()
	<-moved
	c.mu.Lock()
}

// handle has a packet handled in a lane. It waits for room.
func (c *conn) handle(lane int, j job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.lanes[lane].full(j.bytes) {
		c.wait(c.lanes[lane])
	}
	c.enlist(lane, j)
}

// enlist adds to a lane; c.mu is held.
func (c *conn) enlist(which int, j job) {
	l := c.lanes[which]
	if l == nil {
		l = new(lane)
		c.lanes[which] = l
		go c.work(which)
	}
	l.jobs, l.bytes = append(l.jobs, j), l.bytes+j.bytes
}

// work is a lane's goroutine. What is ahead of all has the processors, too.
func (c *conn) work(lane int) {
	if lane == ahead {
		defer c.srv.engine.Hurry()()
	}
	for j, ok := c.next(lane); ok; j, ok = c.next(lane) {
		c.do(j.do)
	}
}

// next takes the next job out of a lane; false is the lane's end.
func (c *conn) next(lane int) (j job, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[lane]
	if l.moved != nil {
		close(l.moved)
		l.moved = nil
	}
	for len(l.jobs) > 0 {
		j = l.jobs[0]
		l.jobs[0] = job{}
		l.jobs, l.bytes = l.jobs[1:], l.bytes-j.bytes
		if j.last || c.until == 0 || c.srv.instant(time.Now()) < c.until {
			return j, true
		}
	}
	c.lanes[lane] = nil
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
	c.enlist(rest, job{do: f, last: true})
}

// finish waits until all that has come is handled; c.mu is held.
func (c *conn) finish() {
	for i := range c.lanes {
		for c.lanes[i] != nil {
			c.wait(c.lanes[i])
		}
	}
}
