package crowd

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"nexus/cmd/nexus-load/wire"
)

// step is how far a connection has come.
type step byte

const (
	idle      step = iota // never connected
	dialling              // the kernel's handshake
	upgrading             // HTTP's
	opening               // the engine's
	joining               // the namespace's
	asking                // for halls
	served
	dropped // cut by ourselves, to come back
	lost    // ended by the server
)

// client is one socket. It belongs to its loop.
type client struct {
	loop   *loop
	index  int32 // in the loop
	number int   // in the crowd
	fd     int   // -1: none
	turn   int32 // of its connections: tells this one's events from those of one before
	step   step
	again  bool // it was served before
	began  time.Time
	due    time.Time
	rest   []byte  // read, but no whole frame yet
	seqs   []int64 // the last number by topic, 0 for none
}

// subscription is the array of a subscribe.
func subscription(halls []string) string {
	list, err := json.Marshal(halls)
	if err != nil {
		panic(err) // strings always marshal
	}
	return `["subscribe",{"halls":` + string(list) + `}]`
}

// stalled reports whether the client reads nothing once it is served. Those are spread over the crowd evenly.
func (c *client) stalled() bool {
	o := c.loop.options
	return c.number*o.Stalled/o.Sockets != (c.number+1)*o.Stalled/o.Sockets
}

// dial begins a connection.
func (c *client) dial() {
	l := c.loop
	c.began = time.Now()
	c.turn++
	c.rest, c.seqs = nil, nil
	c.again = c.again || c.step == lost || c.step == dropped
	c.step = dialling
	l.pending++
	if err := c.connect(); err != nil {
		c.fail("connect: " + err.Error())
	}
}

func (c *client) connect() (err error) {
	o := c.loop.options
	to := o.Addrs[c.number%len(o.Addrs)]
	family := unix.AF_INET6
	if to.Addr().Is4() {
		family = unix.AF_INET
	}
	if c.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		c.fd = -1
		return err
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if c.stalled() { // the kernel would read for it
		if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
			return err
		}
	}
	if o.Sources > 0 && family == unix.AF_INET {
		// The port is chosen when it is known whom it must be free towards.
		if err := unix.SetsockoptInt(c.fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
			return err
		}
		// By turns that no other turn of the crowd's, of nodes or of tokens, goes along with.
		if err := unix.Bind(c.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(2 + c.number/len(o.Addrs)%o.Sources)}}); err != nil {
			return err
		}
	}
	if err := unix.Connect(c.fd, sockaddr(to)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return unix.EpollCtl(c.loop.ep, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.index, Pad: c.turn,
	})
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// ready handles what epoll tells of the connection.
func (c *client) ready(events uint32) {
	if c.step == dialling {
		switch failed, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); {
		case err != nil:
			c.fail("connect: " + err.Error())
			return
		case failed != 0:
			c.fail("connect: " + unix.Errno(failed).Error())
			return
		case events&unix.EPOLLOUT == 0:
			return
		}
		c.step = upgrading
		if !c.write(c.loop.handshake) {
			return
		}
	}
	gone := events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	if c.step == served && c.stalled() {
		if gone {
			c.end("a stalled reader is cut")
		}
		return
	}
	if events&unix.EPOLLIN != 0 || gone {
		c.read(gone)
	}
}

// read takes what is there. A read that does not fill the buffer has taken all, unless the end is behind it.
func (c *client) read(gone bool) {
	l := c.loop
	for c.fd >= 0 {
		n, err := unix.Read(c.fd, l.buffer)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			c.end(err.Error())
			return
		case n == 0:
			c.end("closed without a word")
			return
		}
		at := time.Now().UnixNano()
		if l.measuring {
			l.heard.Bytes += uint64(n)
		}
		c.take(l.buffer[:n], at)
		if n < len(l.buffer) && !gone || c.fd >= 0 && c.step == served && c.stalled() {
			return
		}
	}
}

// take handles what was read at a time.
func (c *client) take(p []byte, at int64) {
	kept := len(c.rest) > 0
	if kept {
		c.rest = append(c.rest, p...)
		p = c.rest
	}
	turn := c.turn
	for len(p) > 0 {
		n, err := c.frame(p, at)
		if c.turn != turn || c.fd < 0 {
			return // ended by what it said
		}
		if err != nil {
			c.loop.links.Unlikely[err.Error()]++
			c.end(err.Error())
			return
		}
		if n == 0 {
			break
		}
		p = p[n:]
	}
	if len(p) == 0 {
		c.rest = nil
		return
	}
	if kept {
		c.rest = c.rest[:copy(c.rest, p)]
		return
	}
	c.rest = append(c.rest[:0], p...)
}

// frame handles the first frame, or the handshake's answer, and says how many bytes it took.
func (c *client) frame(p []byte, at int64) (int, error) {
	if c.step == upgrading {
		n, err := wire.Upgraded(p)
		if err != nil {
			c.fail(err.Error())
			return 0, nil
		}
		if n > 0 {
			c.step = opening
		}
		return n, nil
	}
	f, n, err := wire.Next(p)
	if n == 0 || err != nil {
		return n, err
	}
	switch f.Op {
	case wire.Text:
		c.message(f.Payload, at)
	case wire.Ping:
		c.write(wire.AppendClient(nil, wire.Pong, string(f.Payload)))
	case wire.Close:
		c.end(wire.CloseReason(f.Payload))
	}
	return n, nil
}

// message handles one message of the engine.
func (c *client) message(m []byte, at int64) {
	l := c.loop
	switch p := wire.Read(m); p.Kind {
	case wire.Event:
		if c.step == served && wire.IsTick(p.Data) {
			c.tick(p.Data, at)
		}
	case wire.Beat:
		c.write(l.pulse)
	case wire.Open:
		if c.step != opening {
			return
		}
		c.step = joining
		if len(l.options.Tokens) == 0 {
			c.write(l.join)
			return
		}
		token := l.options.Tokens[c.number%len(l.options.Tokens)]
		c.write(wire.AppendClient(nil, wire.Text, wire.Join(l.options.Namespace, token)))
	case wire.Connected:
		if c.step != joining {
			return
		}
		if l.subscribe == nil {
			c.serve()
			return
		}
		c.step = asking
		c.write(l.subscribe)
	case wire.Ack:
		if c.step == asking {
			c.serve()
		}
	case wire.Refused:
		c.end(fmt.Sprintf("refused: %.200s", p.Data))
	case wire.Left:
		c.end("disconnected from the namespace")
	case wire.Ended:
		c.end("the engine is closed")
	}
}

// serve notes that the client hears from now on.
func (c *client) serve() {
	l := c.loop
	c.step = served
	l.pending--
	l.links.Connect.Record(time.Since(c.began))
	if c.again {
		l.links.Resumes++
	}
	l.crowd.served.Add(1)
}

// write writes a little. A socket that does not take it at once has not read for long: it is given up.
func (c *client) write(p []byte) bool {
	for {
		n, err := unix.Write(c.fd, p)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == len(p) {
			return true
		}
		if err == nil {
			err = errors.New("the server takes nothing")
		}
		c.end("write: " + err.Error())
		return false
	}
}

// end handles a connection that is over, and has the client come back.
func (c *client) end(why string) {
	if c.step != served {
		c.fail(why)
		return
	}
	c.loop.links.Ends[why]++
	c.hangUp()
	c.step = lost
	c.loop.comeBack(c)
}

// fail handles a connection that never was one.
func (c *client) fail(why string) {
	c.loop.links.Failures[why]++
	c.hangUp()
	c.loop.comeBack(c)
}

// hangUp closes the connection, if there is one.
func (c *client) hangUp() {
	switch c.step {
	case served:
		c.loop.crowd.served.Add(-1)
	case dialling, upgrading, opening, joining, asking:
		c.loop.pending--
	}
	c.step = idle
	if c.fd < 0 {
		return
	}
	_ = unix.Close(c.fd) // which takes it out of the epoll; nothing is left to write
	c.fd = -1
}
