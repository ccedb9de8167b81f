package live

import (
	"container/heap"
	"slices"
	"sync"
	"time"
)

// clock wakes members when something is due: to be warned that their token runs out, to be closed when it has, to be looked after. One
// timer does for all: timers of its own would cost a socket more than all else that is known of it.
type clock struct {
	look  func(*peer) // has a peer looked after; it must not block
	start time.Time

	mu    sync.Mutex
	heap  alarms
	timer *time.Timer
}

func newClock(look func(*peer)) *clock { return &clock{look: look, start: time.Now()} }

// set moves the alarm of a peer to what is due next; the member's lock is held.
func (c *clock) set(p *peer) {
	due, any := p.member.due()
	c.mu.Lock()
	defer c.mu.Unlock()
	m := p.member
	if !any {
		if m.index > 0 {
			heap.Remove(&c.heap, m.index-1)
		}
		return
	}
	m.at = time.Since(c.start) + time.Until(due) // tokens go by the wall clock, which may have been set since the start
	if m.index > 0 {
		heap.Fix(&c.heap, m.index-1)
	} else {
		heap.Push(&c.heap, p)
	}
	if c.heap[0] == p {
		c.arm()
	}
}

// arm makes the timer wait for the first alarm. One that rings too early finds nothing due and is armed again. It needs the lock.
func (c *clock) arm() {
	wait := c.heap[0].member.at - time.Since(c.start)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.ring)
		return
	}
	c.timer.Reset(wait)
}

// ring wakes all that are due.
func (c *clock) ring() {
	var due []*peer
	c.mu.Lock()
	for now := time.Since(c.start); len(c.heap) > 0 && c.heap[0].member.at <= now; {
		due = append(due, heap.Pop(&c.heap).(*peer))
	}
	if len(c.heap) > 0 {
		c.arm()
	}
	c.mu.Unlock()
	for _, p := range due {
		c.wake(p)
	}
}

// wake does what is due of a peer.
func (c *clock) wake(p *peer) {
	m := p.member
	m.mu.Lock()
	now := time.Now()
	look := !m.lookAt.IsZero() && !now.Before(m.lookAt)
	if look {
		m.lookAt = time.Time{}
	}
	was := m.token
	switch {
	case was == tokenOver || now.Before(m.expires.Add(-warnBefore)):
	case !now.Before(m.expires):
		m.token = tokenOver
	default:
		m.token = tokenWarned
	}
	is, expires, ended := m.token, m.expires, m.ended
	c.set(p)
	m.mu.Unlock()
	switch {
	case ended:
		return
	case is != was && is == tokenWarned:
		p.warn(expires)
	case is != was:
		p.close(reasonExpired)
	}
	if look {
		c.look(p)
	}
}

// close ends the clock: nobody is woken any more.
func (c *clock) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
}

// alarms is a heap of peers by when they are to be woken; their members know where in it they are, counted from 1.
type alarms []*peer

// Len implements heap.Interface, as do the others.
func (a alarms) Len() int { return len(a) }

// Less puts the earliest first.
func (a alarms) Less(i, j int) bool { return a[i].member.at < a[j].member.at }

// Swap swaps two.
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].member.index, a[j].member.index = i+1, j+1
}

// Push adds one.
func (a *alarms) Push(x any) {
	p := x.(*peer)
	*a = append(*a, p)
	p.member.index = len(*a)
}

// Pop takes the last one.
func (a *alarms) Pop() any {
	last := len(*a) - 1
	p := (*a)[last]
	p.member.index = 0
	*a = slices.Delete(*a, last, last+1)
	return p
}
