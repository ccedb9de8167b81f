// Package wire is the little of WebSocket, Engine.IO and Socket.IO that a client needs which mostly listens. It works on bytes that were
// read, and allocates nothing: ten thousand clients share two cores with the server that they measure.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The opcodes of frames.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	Close        = 0x8
	Ping         = 0x9
	Pong         = 0xa
)

// maxFrame is more than any frame that a server has reason to send us.
const maxFrame = 1 << 20

// Errors of Next; the connection is of no more use.
var (
	ErrTooLong   = errors.New("a frame of more than 1 MiB")
	ErrMalformed = errors.New("a frame that no server may send")
)

// Frame is one frame of a server. Its payload is a part of what was read.
type Frame struct {
	Op      byte
	Payload []byte
}

// Next cuts the first frame off what was read, and says how many bytes it took: none while it is not all there. Fragments are refused: no
// server of this protocol sends them.
func Next(b []byte) (f Frame, n int, err error) {
	if len(b) < 2 {
		return Frame{}, 0, nil
	}
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 || b[0]&0x0f == Continuation {
		return Frame{}, 0, ErrMalformed
	}
	size, head := uint64(b[1]), 2
	switch size {
	case 126:
		if len(b) < 4 {
			return Frame{}, 0, nil
		}
		size, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		if len(b) < 10 {
			return Frame{}, 0, nil
		}
		size, head = binary.BigEndian.Uint64(b[2:]), 10
	}
	if size > maxFrame {
		return Frame{}, 0, ErrTooLong
	}
	if n = head + int(size); len(b) < n {
		return Frame{}, 0, nil
	}
	return Frame{b[0] & 0x0f, b[head:n]}, n, nil
}

// CloseReason is what a close frame says.
func CloseReason(payload []byte) string {
	if len(payload) < 2 {
		return "closed without a reason"
	}
	return fmt.Sprintf("%d %s", binary.BigEndian.Uint16(payload), payload[2:])
}

// AppendClient appends a client's frame. Its mask is zero, which leaves the payload as it is: masks are there to protect proxies from
// what pages write, and nobody else writes here.
func AppendClient(dst []byte, op byte, payload string) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	dst = append(dst, 0, 0, 0, 0)
	return append(dst, payload...)
}

// AppendServer appends a server's frame.
func AppendServer(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}
