package engineio

import (
	"encoding/base64"
	"encoding/binary"
)

// Message is one outgoing unit, encoded once and immutable: a text packet and the binary packets that belong to it, which stay
// together on the wire. It may be pushed to any number of sessions at once; they all share its bytes. The zero Message is
// empty and is never sent. Two Messages are equal only if one is a copy of the other.
type Message struct{ *encoded }

// encoded holds the ready server frames (unmasked, so header and payload never change): what a WebSocket gets as it is and what
// a polling payload is read back from.
type encoded struct{ frames []byte }

// NewMessage encodes a message packet with text, followed by one binary packet for each attachment. Text must be valid UTF-8.
func NewMessage(text []byte, attachments ...[]byte) Message {
	size := frameSize(len(text) + 1)
	for _, a := range attachments {
		size += frameSize(len(a))
	}
	frames := make([]byte, 0, size)
	frames = appendFrameHeader(frames, opText, len(text)+1)
	frames = append(append(frames, byte(PacketMessage)), text...)
	for _, a := range attachments {
		frames = append(appendFrameHeader(frames, opBinary, len(a)), a...)
	}
	return Message{&encoded{frames}}
}

// BinaryMessage encodes a lone binary packet.
func BinaryMessage(data []byte) Message { return frameMessage(opBinary, data) }

// frameMessage wraps one frame of any kind: engine packets, pongs, close frames.
func frameMessage(op byte, payload []byte) Message {
	frames := appendFrameHeader(make([]byte, 0, frameSize(len(payload))), op, len(payload))
	return Message{&encoded{append(frames, payload...)}}
}

// The packets that carry nothing are shared by all sessions.
var (
	pingPacket  = frameMessage(opText, []byte{byte(PacketPing)})
	noopPacket  = frameMessage(opText, []byte{byte(PacketNoop)})
	closePacket = frameMessage(opText, []byte{byte(PacketClose)})
)

// Len is the size of the message on a WebSocket, in bytes, headers included.
func (m Message) Len() int {
	if m.encoded == nil {
		return 0
	}
	return len(m.frames)
}

// IsZero reports whether m is the empty Message.
func (m Message) IsZero() bool { return m.encoded == nil }

// AppendFrames appends the WebSocket frames of m.
func (m Message) AppendFrames(dst []byte) []byte {
	if m.encoded == nil {
		return dst
	}
	return append(dst, m.frames...)
}

// AppendPayload appends the packets of m in their polling form, without a leading separator. WebSocket control frames have
// none and are left out.
func (m Message) AppendPayload(dst []byte) []byte {
	if m.encoded == nil {
		return dst
	}
	start := len(dst)
	for frames := m.frames; len(frames) > 0; {
		var op byte
		var payload []byte
		op, payload, frames = cutFrame(frames)
		if op != opText && op != opBinary {
			continue
		}
		if len(dst) > start {
			dst = append(dst, separator)
		}
		if op == opBinary {
			dst = base64.StdEncoding.AppendEncode(append(dst, 'b'), payload)
		} else {
			dst = append(dst, payload...)
		}
	}
	return dst
}

// cutFrame splits the first of our own frames off; they are whole and unmasked by construction.
func cutFrame(frames []byte) (op byte, payload, rest []byte) {
	op, n, head := frames[0]&0x0f, int(frames[1]), 2
	switch n {
	case 126:
		n, head = int(binary.BigEndian.Uint16(frames[2:])), 4
	case 127:
		n, head = int(binary.BigEndian.Uint64(frames[2:])), 10
	}
	return op, frames[head : head+n], frames[head+n:]
}
