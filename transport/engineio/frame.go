package engineio

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The opcodes of RFC 6455.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
)

const maxControl = 125

// frameSize is the size of an unmasked frame with n bytes of payload.
func frameSize(n int) int {
	switch {
	case n < 126:
		return n + 2
	case n < 1<<16:
		return n + 4
	}
	return n + 10
}

// appendFrameHeader appends the header of a whole, unmasked frame.
func appendFrameHeader(dst []byte, op byte, n int) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case n < 126:
		return append(dst, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
}

// closeFrame is the close frame for a code and a text of at most 123 bytes; code 1005 stands for an empty one.
func closeFrame(code uint16, text string) Message {
	if code == 1005 || code == 0 {
		return frameMessage(opClose, nil)
	}
	return frameMessage(opClose, append(binary.BigEndian.AppendUint16(nil, code), text[:min(len(text), maxControl-2)]...))
}

// frameDecoder turns the bytes of a client into messages and control frames, however they are cut. It keeps nothing
// between messages but a half-read header.
type frameDecoder struct {
	limit int // of one message, in bytes

	head    [14]byte
	headLen int

	inFrame   bool
	fin       bool
	op        byte
	key       [4]byte
	keyPos    int
	remaining int

	msgOp   byte // of the fragmented message under way; 0 when there is none
	msg     []byte
	control []byte
}

// feed decodes p and calls emit for each whole data message and control frame. The payload is only valid during the call, and p is
// overwritten. The error is a Reason fit for the close frame, or what emit returned.
func (d *frameDecoder) feed(p []byte, emit func(op byte, payload []byte) error) error {
	for {
		if !d.inFrame {
			var whole bool
			if p, whole = d.readHead(p); !whole {
				return nil
			}
			if err := d.beginFrame(); err != nil {
				return err
			}
		}
		n := min(len(p), d.remaining)
		d.unmask(p[:n])
		d.remaining -= n
		if err := d.take(p[:n], emit); err != nil {
			return err
		}
		p = p[n:]
		if d.remaining > 0 {
			return nil
		}
		d.inFrame = false
	}
}

// unfinished reports whether a message or a frame has begun to come in and is not whole.
func (d *frameDecoder) unfinished() bool { return d.msgOp != 0 || d.inFrame || d.headLen > 0 }

// readHead collects a header and reports whether it is whole.
func (d *frameDecoder) readHead(p []byte) ([]byte, bool) {
	for {
		need := 2
		if d.headLen >= 2 {
			need = d.headSize()
			if d.headLen == need {
				d.headLen = 0
				return p, true
			}
		}
		n := copy(d.head[d.headLen:need], p)
		if n == 0 {
			return p, false
		}
		d.headLen += n
		p = p[n:]
	}
}

// headSize is known once the first two bytes are.
func (d *frameDecoder) headSize() int {
	size := 2
	switch d.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if d.head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// beginFrame checks a whole header against the rules of RFC 6455, section 5.
func (d *frameDecoder) beginFrame() error {
	b0, b1 := d.head[0], d.head[1]
	if b0&0x70 != 0 || b1&0x80 == 0 { // reserved bits without an extension; a client must mask
		return errFrame(TransportError)
	}
	n, keyAt, least := uint64(b1&0x7f), 2, uint64(0)
	switch n {
	case 126:
		n, keyAt, least = uint64(binary.BigEndian.Uint16(d.head[2:])), 4, 126
	case 127:
		n, keyAt, least = binary.BigEndian.Uint64(d.head[2:]), 10, 1<<16
	}
	if n < least || n > math.MaxInt64 { // the shortest form is the only one
		return errFrame(TransportError)
	}
	copy(d.key[:], d.head[keyAt:])
	d.fin, d.op, d.keyPos, d.inFrame = b0&0x80 != 0, b0&0x0f, 0, true
	switch d.op {
	case opClose, opPing, opPong:
		if !d.fin || n > maxControl {
			return errFrame(TransportError)
		}
	case opText, opBinary:
		if d.msgOp != 0 {
			return errFrame(TransportError)
		}
		d.msgOp = d.op
	case opContinuation:
		if d.msgOp == 0 {
			return errFrame(TransportError)
		}
	default:
		return errFrame(TransportError)
	}
	if d.op < opClose && n > uint64(d.limit-len(d.msg)) {
		return errFrame(PayloadTooLarge)
	}
	d.remaining = int(n)
	return nil
}

// take adds a piece of the current frame and emits what it completes. A message that came in one piece is never copied.
func (d *frameDecoder) take(piece []byte, emit func(byte, []byte) error) error {
	whole := d.remaining == 0
	if d.op >= opClose {
		if len(d.control) > 0 || !whole {
			d.control = append(d.control, piece...)
			piece = d.control
		}
		if !whole {
			return nil
		}
		d.control = nil
		return emit(d.op, piece)
	}
	if len(d.msg) > 0 || !whole || !d.fin {
		d.msg = append(d.msg, piece...)
		piece = d.msg
	}
	if !whole || !d.fin {
		return nil
	}
	op := d.msgOp
	d.msgOp, d.msg = 0, nil
	if op == opText && !utf8.Valid(piece) {
		return errFrame(InvalidText)
	}
	return emit(op, piece)
}

func (d *frameDecoder) unmask(p []byte) {
	for i := range p {
		p[i] ^= d.key[d.keyPos&3]
		d.keyPos++
	}
}

// errFrame is a broken rule of the framing, as the reason to close with.
type errFrame Reason

func (e errFrame) Error() string { return "engineio: websocket: " + e.Name }
