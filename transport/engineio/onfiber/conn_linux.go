package onfiber

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unsentBytes is how much the kernel may hold that it has not sent yet. Its buffers hide a slow client otherwise: they took 4 MB
// for one that never read.
const unsentBytes = 16 << 10

// limitUnsent is best effort: without it slow clients are only found later.
func limitUnsent(tcp *net.TCPConn) {
	control(tcp, func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytes)
	})
}

// unsent reports whether the kernel holds bytes that it could not send.
func unsent(tcp *net.TCPConn) (waiting bool) {
	control(tcp, func(fd int) {
		n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
		waiting = err == nil && n > 0
	})
	return waiting
}

func control(tcp *net.TCPConn, f func(fd int)) {
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) }) // fails only on a closed connection
	}
}

// Watch gives a context that ends when the client of a request in progress hangs up. It looks without taking bytes, so that
// requests sent ahead stay where they are. stop must be called before the handler returns.
func Watch(c net.Conn) (ctx context.Context, stop func()) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return context.Background(), func() {}
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return context.Background(), func() {}
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil { // the one that the server set to read the request
		return context.Background(), func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if hungUp(raw) {
			cancel()
		}
	}()
	return ctx, func() {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // wakes the watcher; fails only on a closed connection
		<-done
		_ = c.SetReadDeadline(time.Time{})
		cancel()
	}
}

// hungUp waits until there is something to read, or the end. It reports whether it was the end.
func hungUp(raw syscall.RawConn) (ended bool) {
	var one [1]byte
	err := raw.Read(func(fd uintptr) bool {
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		ended = n == 0 || err != nil
		return true
	})
	return err == nil && ended
}
