//go:build !unix

package engineio

import "net"

// newRawWriter finds no descriptor: all writes go through a goroutine of the session.
func newRawWriter(net.Conn) rawWriter { return nil }
