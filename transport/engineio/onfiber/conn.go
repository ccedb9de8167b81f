package onfiber

import (
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/epoll"
)

// conn is a hijacked connection. Reads come through the server's buffer, which may hold bytes that followed the handshake; all
// else goes to the connection itself, whose Close the server's wrapper swallows.
type conn struct {
	net.Conn
	buffered io.Reader
}

// tcpConn adds what the engine looks for on a plain TCP connection.
type tcpConn struct {
	conn
	tcp *net.TCPConn
}

// detachable is a TCP connection that can leave the goroutine that serves it.
type detachable struct {
	tcpConn
	poller   *epoll.Poller
	detached bool
}

// Hijacked makes of what the server hands over after an upgrade a connection that can be closed, whose client is found to be slow early, and
// that knows the bytes sent right behind the request.
func Hijacked(hijacked net.Conn) net.Conn {
	inner := hijacked
	if h, wrapped := hijacked.(interface{ UnsafeConn() net.Conn }); wrapped {
		inner = h.UnsafeConn()
	}
	c := conn{inner, hijacked}
	tcp, ok := inner.(*net.TCPConn)
	if !ok {
		return c
	}
	limitUnsent(tcp)
	return tcpConn{c, tcp}
}

func (c conn) Read(p []byte) (int, error) { return c.buffered.Read(p) }

// CloseWrite says behind the last bytes that no more will come: FIN, or under TLS its own word for it.
func (c conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn gives the engine the descriptor to write to without waiting.
func (c tcpConn) SyscallConn() (syscall.RawConn, error) { return c.tcp.SyscallConn() }

// Detach implements engineio.Detacher. Bytes that the server has read ahead are found by reading when there is no time left to wait for any.
func (d *detachable) Detach() (l engineio.Link, ahead []byte, err error) {
	if l, err = d.poller.Link(d.tcp); err != nil {
		return nil, nil, err
	}
	if err := d.tcp.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	for buf := make([]byte, 64); ; { // there is nothing, as a rule
		n, err := d.buffered.Read(buf)
		ahead = append(ahead, buf[:n]...)
		if err != nil {
			break
		}
	}
	if err := d.tcp.SetReadDeadline(time.Time{}); err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	d.detached = true
	return l, ahead, nil
}

// Close leaves the connection itself to its Link, if it has become one.
func (d *detachable) Close() error {
	if d.detached {
		return d.tcp.Close()
	}
	return d.tcpConn.Close()
}

// Close resets a connection on which the client left bytes unread, so that the kernel gives their memory back at once.
func (c tcpConn) Close() error {
	if unsent(c.tcp) {
		return errors.Join(c.tcp.SetLinger(0), c.tcp.Close())
	}
	return c.tcp.Close()
}
