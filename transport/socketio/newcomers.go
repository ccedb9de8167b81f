package socketio

import (
	"container/list"
	"sync"
	"time"
)

// newcomers are the connections without any namespace yet, the oldest first. All may take equally long, so that one timer does for them: one
// for each would cost as much as the rest of a connection.
type newcomers struct {
	patience time.Duration

	mu    sync.Mutex
	list  list.List // of newcomer
	timer *time.Timer
}

type newcomer struct {
	conn *conn
	due  time.Time
}

func (n *newcomers) add(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c.waits = n.list.PushBack(newcomer{c, time.Now().Add(n.patience)})
	if n.list.Len() == 1 {
		n.arm()
	}
}

// remove takes a connection out. A second call does nothing.
func (n *newcomers) remove(c *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c.waits == nil {
		return
	}
	first := n.list.Front() == c.waits
	n.list.Remove(c.waits)
	c.waits = nil
	if first && n.list.Len() == 0 {
		n.timer.Stop()
	}
}

// arm makes the timer wait for the oldest. One that rings for a connection that is no newcomer any more finds nothing due, and is armed again.
// It needs the lock.
func (n *newcomers) arm() {
	wait := time.Until(n.list.Front().Value.(newcomer).due)
	if n.timer == nil {
		n.timer = time.AfterFunc(wait, n.ring)
		return
	}
	n.timer.Reset(wait)
}

func (n *newcomers) ring() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for now := time.Now(); n.list.Len() > 0; {
		oldest := n.list.Front().Value.(newcomer)
		if oldest.due.After(now) {
			n.arm()
			return
		}
		n.list.Remove(oldest.conn.waits)
		oldest.conn.waits = nil
		oldest.conn.session.Close(ConnectTimeout)
	}
}
