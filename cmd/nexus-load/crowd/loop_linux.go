package crowd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"nexus/cmd/nexus-load/wire"
)

const (
	lookEvery  = 10 * time.Millisecond // at what the loop does by the clock
	eventsOnce = 256                   // of epoll
	dialsOnce  = 32                    // between two looks at what has come in
	openLimit  = 20 * time.Second      // for a connection to be served; the official client gives up then
)

// loop is one thread and its clients: those whose number leaves its own when divided by how many loops there are.
type loop struct {
	crowd   *Crowd
	options *Options
	number  int
	ep      int
	orders  chan func()
	ended   chan struct{} // closed when run has returned

	// The rest belongs to run.
	clients   []*client
	waiting   []*client // to connect as soon as there is room, in order
	away      []*client // that come back at their time, in order of nothing
	pending   int       // on their way
	began     time.Time // of the ramp
	begun     int       // of the ramp's sockets, dialled so far
	rush      bool      // no ramp: all who wait go at once
	looked    time.Time // by the clock, and for connections that take too long
	expired   time.Time
	measuring bool
	heard     Heard
	topics    map[string]int // index in heard.Topics
	stamps    []stamp        // the last timestamp of each topic
	links     Links
	buffer    []byte

	handshake, join, subscribe, pulse []byte
}

func newLoop(c *Crowd, number int) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open an epoll: %w", err)
	}
	o := &c.options
	l := &loop{
		crowd: c, options: o, number: number, ep: ep, orders: make(chan func()), ended: make(chan struct{}),
		topics: make(map[string]int), links: newLinks(), buffer: make([]byte, 256<<10),
		handshake: wire.Handshake(o.Host, o.Path), pulse: wire.AppendClient(nil, wire.Text, wire.Pulse),
		join: wire.AppendClient(nil, wire.Text, wire.Join(o.Namespace, "")),
	}
	if o.Subscribe != nil {
		l.subscribe = wire.AppendClient(nil, wire.Text, wire.Emit(o.Namespace, 0, subscription(o.Subscribe)))
	}
	return l, nil
}

// run serves the loop's clients until ctx ends, and closes their connections then.
func (l *loop) run(ctx context.Context) error {
	runtime.LockOSThread() // so that what waits in the kernel is always the same thread
	defer runtime.UnlockOSThread()
	defer l.close()
	events := make([]unix.EpollEvent, eventsOnce)
	for ctx.Err() == nil {
		l.orderly()
		l.dial()
		timeout := lookEvery
		if l.rush && len(l.waiting) > 0 {
			timeout = 0
		}
		n, err := unix.EpollWait(l.ep, events, int(timeout.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			// An event may be of a connection that an earlier one of this round has ended.
			if c := l.clients[e.Fd]; c.fd >= 0 && c.turn == e.Pad {
				c.ready(e.Events)
			}
		}
	}
	return nil
}

// orderly does what it was told, and what the clock says.
func (l *loop) orderly() {
	for {
		select {
		case order := <-l.orders:
			order()
			continue
		default:
		}
		break
	}
	now := time.Now()
	if now.Sub(l.looked) < lookEvery {
		return
	}
	l.looked = now
	kept := l.away[:0]
	for _, c := range l.away {
		if now.Before(c.due) {
			kept = append(kept, c)
			continue
		}
		l.waiting = append(l.waiting, c)
	}
	l.away = kept
	if now.Sub(l.expired) > openLimit/20 {
		l.expired = now
		l.expire(now)
	}
}

// expire gives up connections that are not served in time.
func (l *loop) expire(now time.Time) {
	if l.pending == 0 {
		return
	}
	for _, c := range l.clients {
		if c.fd >= 0 && c.step != served && now.Sub(c.began) > openLimit {
			c.fail("not served within " + openLimit.String())
		}
	}
}

// dial begins connections, as many as the ramp and the room allow.
func (l *loop) dial() {
	for range dialsOnce {
		if len(l.waiting) == 0 {
			l.rush = false
			return
		}
		if !l.rush && (l.pending >= max(1, l.options.Pending/l.options.Loops) || !l.ramped()) {
			return
		}
		c := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.begun++
		c.dial()
	}
}

// ramped reports whether the ramp has room for one more.
func (l *loop) ramped() bool {
	if l.options.Ramp == 0 {
		return true
	}
	return float64(l.begun) <= time.Since(l.began).Seconds()*float64(l.options.Ramp)/float64(l.options.Loops)
}

// grow adds this loop's part of the first n clients.
func (l *loop) grow(n int) {
	l.began, l.begun = time.Now(), 0
	for number := l.number + len(l.clients)*l.options.Loops; number < n; number += l.options.Loops {
		c := &client{loop: l, index: int32(len(l.clients)), number: number, fd: -1}
		l.clients = append(l.clients, c)
		l.waiting = append(l.waiting, c)
	}
}

// drop cuts all and has all come back at once.
func (l *loop) drop() {
	l.waiting, l.away, l.rush = l.waiting[:0], nil, true
	for _, c := range l.clients {
		c.hangUp()
		c.step = dropped
		l.waiting = append(l.waiting, c)
	}
}

// comeBack has a client connect again later.
func (l *loop) comeBack(c *client) {
	if l.options.NoReturn {
		return
	}
	c.due = time.Now().Add(comeBackAfter + rand.N(comeBackAfter/2))
	l.away = append(l.away, c)
}

// close ends everything.
func (l *loop) close() {
	for _, c := range l.clients {
		c.hangUp()
	}
	_ = unix.Close(l.ep) // nothing is written to it
	close(l.ended)
}
