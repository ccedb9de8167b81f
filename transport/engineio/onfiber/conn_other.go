//go:build !linux

package onfiber

import (
	"context"
	"net"
)

// Elsewhere slow clients and lost polls are found by the heartbeat alone.

func limitUnsent(*net.TCPConn) {}

func unsent(*net.TCPConn) bool { return false }

// Watch gives a context that never ends here.
func Watch(net.Conn) (context.Context, func()) { return context.Background(), func() {} }
