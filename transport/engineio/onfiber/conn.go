package onfiber

import (
	"errors"
	"io"
	"net"
	"syscall"
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

// SyscallConn gives the engine the descriptor to write to without waiting.
func (c tcpConn) SyscallConn() (syscall.RawConn, error) { return c.tcp.SyscallConn() }

// CloseWrite sends FIN behind the last bytes.
func (c tcpConn) CloseWrite() error { return c.tcp.CloseWrite() }

// Close resets a connection on which the client left bytes unread, so that the kernel gives their memory back at once.
func (c tcpConn) Close() error {
	if unsent(c.tcp) {
		return errors.Join(c.tcp.SetLinger(0), c.tcp.Close())
	}
	return c.tcp.Close()
}
