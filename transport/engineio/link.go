package engineio

import "net"

// Link is a connection that never makes anybody wait: it does what can be done at once, and calls when it is worth trying again. A
// session on one costs no goroutine while nothing happens.
type Link interface {
	// Read reads what is there; 0 without an error means that nothing is. When it fills p only in part that was all, and the Link calls when
	// there is more, be it the end.
	Read(p []byte) (int, error)
	// Write writes what the connection takes at once, which may be nothing.
	Write(p []byte) (int, error)
	// Start begins to call r: once soon, and then whenever a read or a write that came up short may go on. It is called once.
	Start(r Readier) error
	// CloseWrite tells the client that nothing more will come.
	CloseWrite() error
	// Close closes the connection. Calls after it fail; a call under way ends first.
	Close() error
}

// Readier hears that a Link is ready. Ready must not block.
type Readier interface {
	Ready(read, write bool)
}

// Detacher is a connection that can go on as a Link. Detach returns it with the bytes that were read ahead; the connection itself is then
// to be closed, which the Link survives. Until Start, the connection goes on as before.
type Detacher interface {
	net.Conn
	Detach() (l Link, ahead []byte, err error)
}
