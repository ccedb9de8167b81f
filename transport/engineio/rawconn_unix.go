//go:build unix

package engineio

import (
	"net"
	"os"
	"syscall"
)

type descriptor struct{ syscall.RawConn }

func newRawWriter(c net.Conn) rawWriter {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return descriptor{raw}
}

// write makes one write that takes bytes, or reports 0 if that would mean to wait and wait is false.
func (d descriptor) write(p []byte, wait bool) (n int, err error) {
	var writeErr error
	err = d.RawConn.Write(func(fd uintptr) bool {
		for {
			n, writeErr = syscall.Write(int(fd), p)
			if writeErr != syscall.EINTR {
				break
			}
		}
		return writeErr != syscall.EAGAIN || !wait
	})
	n = max(n, 0)
	if err == nil && writeErr != nil && writeErr != syscall.EAGAIN {
		err = os.NewSyscallError("write", writeErr)
	}
	return n, err
}
