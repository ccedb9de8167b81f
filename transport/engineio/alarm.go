package engineio

import (
	"sync"
	"time"
)

// never is the alarm of a session that waits for nothing.
const never = time.Duration(1<<63 - 1)

// alarms is one timer for all sessions of a server: a heap of the next instant at which each wants to be woken. A timer per socket
// would cost more memory than the session.
type alarms struct {
	start time.Time // instants are counted from here, on the monotonic clock

	mu    sync.Mutex
	heap  []*Session // a binary heap by alarmAt; Session.alarmAt and alarmIndex belong to mu
	timer *time.Timer
	armed time.Duration // what timer waits for
}

func newAlarms() *alarms {
	return &alarms{start: time.Now(), armed: never}
}

// now is the instant.
func (a *alarms) now() time.Duration { return time.Since(a.start) }

// set moves the alarm of s; never removes it.
func (a *alarms) set(s *Session, at time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case at == never:
		a.remove(s)
	case s.alarmIndex == 0: // indexes are kept from 1, so that the zero Session is in no heap
		a.heap = append(a.heap, s)
		s.alarmAt = at
		s.alarmIndex = len(a.heap)
		a.up(len(a.heap) - 1)
	case at < s.alarmAt:
		s.alarmAt = at
		a.up(s.alarmIndex - 1)
	default:
		s.alarmAt = at
		a.down(s.alarmIndex - 1)
	}
	a.arm()
}

// arm makes the timer wait for the head. A timer that rings too early finds nothing due and arms itself again.
func (a *alarms) arm() {
	if len(a.heap) == 0 || a.heap[0].alarmAt >= a.armed {
		return
	}
	a.armed = a.heap[0].alarmAt
	if a.timer == nil {
		a.timer = time.AfterFunc(a.armed-a.now(), a.ring)
		return
	}
	a.timer.Reset(a.armed - a.now())
}

// ring wakes all that are due. wake must set the next alarm itself.
func (a *alarms) ring() {
	a.mu.Lock()
	a.armed = never
	now := a.now()
	var due []*Session
	for len(a.heap) > 0 && a.heap[0].alarmAt <= now {
		s := a.heap[0]
		a.remove(s)
		due = append(due, s)
	}
	a.arm()
	a.mu.Unlock()
	for _, s := range due {
		s.wake(now)
	}
}

func (a *alarms) remove(s *Session) {
	if s.alarmIndex == 0 {
		return
	}
	i, last := s.alarmIndex-1, len(a.heap)-1
	a.swap(i, last)
	a.heap[last] = nil
	a.heap = a.heap[:last]
	s.alarmIndex = 0
	if i < last {
		a.up(i)
		a.down(i)
	}
	if last == 0 && a.timer != nil {
		a.timer.Stop()
		a.armed = never
	}
}

func (a *alarms) swap(i, j int) {
	h := a.heap
	h[i], h[j] = h[j], h[i]
	h[i].alarmIndex, h[j].alarmIndex = i+1, j+1
}

func (a *alarms) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if a.heap[parent].alarmAt <= a.heap[i].alarmAt {
			return
		}
		a.swap(i, parent)
		i = parent
	}
}

func (a *alarms) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(a.heap) {
			return
		}
		if right := child + 1; right < len(a.heap) && a.heap[right].alarmAt < a.heap[child].alarmAt {
			child = right
		}
		if a.heap[i].alarmAt <= a.heap[child].alarmAt {
			return
		}
		a.swap(i, child)
		i = child
	}
}
