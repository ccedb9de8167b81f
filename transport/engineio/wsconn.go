package engineio

import (
	"net"
	"time"
)

// wsConn is what a session writes to after the WebSocket handshake: a connection with a goroutine that reads it, or a Link. At most
// one goroutine writes to it at a time; see Session.writing.
type wsConn struct {
	net.Conn           // nil on a Link
	raw      rawWriter // nil where the connection has no descriptor of its own, as under TLS
	link     Link      // nil on a connection

	broken     bool   // reading or writing failed: nothing more can be sent; guarded by Session.mu
	peerClosed bool   // the client's close frame has come; guarded by Session.mu
	peerCode   uint16 // its code
}

func newWSConn(c net.Conn) *wsConn { return &wsConn{Conn: c, raw: newRawWriter(c)} }

// tryWrite writes what the kernel takes at once. It never waits; where it cannot but wait it writes nothing.
func (w *wsConn) tryWrite(p []byte) (int, error) {
	switch {
	case w.link != nil:
		return w.link.Write(p)
	case w.raw != nil:
		return w.raw.write(p, false)
	}
	return 0, nil
}

// waitWrite waits until the kernel takes some of p, for as long as timeout. Where there is no descriptor it writes all of p. It is not
// for a Link.
func (w *wsConn) waitWrite(p []byte, timeout time.Duration) (int, error) {
	if err := w.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return 0, err
	}
	if w.raw == nil {
		return w.Write(p)
	}
	return w.raw.write(p, true)
}

// writeAll sends m before the session owns the connection, or when it never will. It is not for a Link.
func (w *wsConn) writeAll(m Message, timeout time.Duration) error {
	if err := w.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := w.Write(m.frames); err != nil {
		return err
	}
	return w.SetWriteDeadline(time.Time{})
}

// halfClose tells the client that nothing more will come, where the connection can.
func (w *wsConn) halfClose() {
	var c interface{ CloseWrite() error } = w.link
	if w.link == nil {
		var ok bool
		if c, ok = w.Conn.(interface{ CloseWrite() error }); !ok {
			return
		}
	}
	_ = c.CloseWrite() // a connection that is gone already needs no telling
}

// close closes the connection, which wakes its reader.
func (w *wsConn) close() {
	if w.link != nil {
		_ = w.link.Close() // there is nobody left to tell
		return
	}
	_ = w.Conn.Close() // likewise
}

// rawWriter writes to a descriptor once, waiting for it to be writable or not.
type rawWriter interface {
	write(p []byte, wait bool) (int, error)
}
