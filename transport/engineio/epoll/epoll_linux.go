package epoll

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"nexus/transport/engineio"
)

// eventsAtOnce is how many events a loop takes from the kernel with one call.
const eventsAtOnce = 256

// Poller waits for any number of connections, spread over one loop for each processor. A loop runs while it has connections, so that
// there is nothing to close. It is safe for concurrent use.
type Poller struct {
	loops []*loop
	next  atomic.Uint32
}

// New returns a Poller without connections.
func New() *Poller {
	p := &Poller{loops: make([]*loop, runtime.GOMAXPROCS(0))}
	for i := range p.loops {
		p.loops[i] = &loop{conns: make(map[int32]*conn)}
	}
	return p
}

// Link returns a Link over the same connection, which lives on when tcp is closed.
func (p *Poller) Link(tcp *net.TCPConn) (engineio.Link, error) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(original uintptr) {
		fd, dupErr = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if dupErr != nil {
		return nil, os.NewSyscallError("dup", dupErr)
	}
	l := p.loops[p.next.Add(1)%uint32(len(p.loops))]
	return &conn{fd: int32(fd), loop: l}, nil
}

// loop is one goroutine that waits for its connections. It does so as the runtime waits for any descriptor, for the one of epoll is like
// others: no thread is held up.
type loop struct {
	mu    sync.Mutex
	conns map[int32]*conn // by descriptor
	epoll *os.File        // nil while there are none
	fd    int             // of epoll
	gen   int32
}

// add begins to wait for a connection.
func (l *loop) add(c *conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoll == nil {
		fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("epoll_create", err)
		}
		if err := unix.SetNonblock(fd, true); err != nil { // which os.File takes for the sign that it may wait for it
			_ = unix.Close(fd)
			return os.NewSyscallError("fcntl", err)
		}
		epoll := os.NewFile(uintptr(fd), "epoll")
		if err := epoll.SetReadDeadline(time.Time{}); err != nil { // the runtime does not wait for it
			return errors.Join(fmt.Errorf("wait for epoll: %w", err), epoll.Close())
		}
		l.epoll, l.fd = epoll, fd
		go l.run(epoll)
	}
	l.gen++
	c.gen = l.gen
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: c.fd, Pad: c.gen}
	if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, int(c.fd), &event); err != nil {
		l.settle()
		return os.NewSyscallError("epoll_ctl", err)
	}
	l.conns[c.fd] = c
	return nil
}

// remove forgets a connection whose descriptor is about to be closed.
func (l *loop) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[c.fd] != c {
		return // it was never added
	}
	delete(l.conns, c.fd)
	// It fails for none that was added; and closing the last descriptor of a connection does the same.
	_ = unix.EpollCtl(l.fd, unix.EPOLL_CTL_DEL, int(c.fd), nil)
	l.settle()
}

// settle ends the goroutine when there is nothing to wait for. It needs the lock.
func (l *loop) settle() {
	if len(l.conns) == 0 {
		_ = l.epoll.Close() // what is closed is only a descriptor
		l.epoll = nil
	}
}

func (l *loop) run(epoll *os.File) {
	raw, err := epoll.SyscallConn()
	if err != nil {
		panic(fmt.Sprintf("epoll: %v", err)) // it is a file
	}
	events := make([]unix.EpollEvent, eventsAtOnce)
	ready := make([]readied, 0, eventsAtOnce)
	for {
		n := 0
		if err := raw.Read(func(fd uintptr) bool {
			n, err = retry(func() (int, error) { return unix.EpollWait(int(fd), events, 0) })
			return n != 0
		}); err != nil { // closed
			return
		}
		if err != nil {
			panic(fmt.Sprintf("epoll: wait: %v", err)) // of a descriptor of ours
		}
		l.mu.Lock()
		for _, e := range events[:n] {
			if c := l.conns[e.Fd]; c != nil && c.gen == e.Pad { // else it was closed meanwhile
				if e.Events&ended != 0 {
					c.ended.Store(true)
				}
				ready = append(ready, readied{c.readier, e.Events})
			}
		}
		l.mu.Unlock()
		for _, r := range ready {
			r.Ready(r.events&(unix.EPOLLIN|ended) != 0, r.events&(unix.EPOLLOUT|broken) != 0)
		}
		clear(ready)
		ready = ready[:0]
	}
}

// The events after which no more will come.
const (
	broken = unix.EPOLLERR | unix.EPOLLHUP
	ended  = unix.EPOLLRDHUP | broken
)

// readied is who hears of what.
type readied struct {
	engineio.Readier
	events uint32
}

// conn is a connection by its descriptor.
type conn struct {
	loop    *loop
	readier engineio.Readier
	fd      int32
	gen     int32        // tells it from others of the same descriptor, before and after
	users   atomic.Int32 // calls under way, twice; an odd number once it is closed
	ended   atomic.Bool  // the end has come, behind what is there to read
}

// enter keeps the descriptor open until leave.
func (c *conn) enter() error {
	if c.users.Add(2)&1 != 0 {
		c.leave()
		return net.ErrClosed
	}
	return nil
}

func (c *conn) leave() {
	if c.users.Add(-2) == 1 {
		c.drop()
	}
}

// drop closes the descriptor. More than one may come to do so: calls that were too late come and go.
func (c *conn) drop() {
	if !c.users.CompareAndSwap(1, gone) {
		return
	}
	c.loop.remove(c)
	if c.readier != nil && unsent(int(c.fd)) { // else the connection that it was goes on
		// The client left bytes unread: a reset gives their memory back at once.
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	_ = unix.Close(int(c.fd)) // there is nobody left to tell
}

// gone is an odd number of users that calls which come too late never bring down to 1.
const gone = 1<<30 + 1

// Start implements engineio.Link.
func (c *conn) Start(r engineio.Readier) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	c.readier = r
	return c.loop.add(c)
}

// Read implements engineio.Link.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.enter(); err != nil {
		return 0, err
	}
	defer c.leave()
	n, err := retry(func() (int, error) { return unix.Read(int(c.fd), p) })
	if n == 0 && err == nil {
		err = net.ErrClosed // by the client
	}
	if 0 < n && n < len(p) && c.ended.Load() {
		c.readier.Ready(true, false) // the kernel will not say again that the end is there
	}
	return result(n, "read", err)
}

// Write implements engineio.Link.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.enter(); err != nil {
		return 0, err
	}
	defer c.leave()
	n, err := retry(func() (int, error) { return unix.Write(int(c.fd), p) })
	return result(n, "write", err)
}

func retry(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

func result(n int, call string, err error) (int, error) {
	switch {
	case err == nil, errors.Is(err, net.ErrClosed):
		return n, err
	case errors.Is(err, unix.EAGAIN):
		return 0, nil
	}
	return 0, os.NewSyscallError(call, err)
}

// CloseWrite implements engineio.Link.
func (c *conn) CloseWrite() error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	return os.NewSyscallError("shutdown", unix.Shutdown(int(c.fd), unix.SHUT_WR))
}

// Close implements engineio.Link. A second call fails.
func (c *conn) Close() error {
	for {
		n := c.users.Load()
		if n&1 != 0 {
			return net.ErrClosed
		}
		if c.users.CompareAndSwap(n, n+1) {
			if n == 0 {
				c.drop()
			}
			return nil
		}
	}
}

// unsent reports whether the kernel holds bytes that it could not send.
func unsent(fd int) bool {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
	return err == nil && n > 0
}
