package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"iter"
	"unicode/utf8"
)

// PacketType is the first character of a text packet.
type PacketType byte

// The packet types of protocol 4.
const (
	PacketOpen    PacketType = '0'
	PacketClose   PacketType = '1'
	PacketPing    PacketType = '2'
	PacketPong    PacketType = '3'
	PacketMessage PacketType = '4'
	PacketUpgrade PacketType = '5'
	PacketNoop    PacketType = '6'
)

// separator stands between the packets of a polling payload.
const separator = 0x1e

// Packet is one decoded Engine.IO packet. Binary packets are always messages.
type Packet struct {
	Type   PacketType
	Binary bool
	Data   []byte
}

// ErrPacket is what every malformed packet or payload decodes to.
var ErrPacket = errors.New("engineio: malformed packet")

// DecodePacket reads the text form of one packet, as a WebSocket text frame or one piece of a payload holds it, base64 included.
// Data points into text, except for base64.
func DecodePacket(text []byte) (Packet, error) {
	if len(text) == 0 {
		return Packet{}, ErrPacket
	}
	if text[0] == 'b' {
		return decodeBase64(text[1:])
	}
	if t := PacketType(text[0]); t >= PacketOpen && t <= PacketNoop {
		return Packet{Type: t, Data: text[1:]}, nil
	}
	return Packet{}, ErrPacket
}

// decodeBase64 takes both padded and unpadded text: clients in other languages send either.
func decodeBase64(text []byte) (Packet, error) {
	text = bytes.TrimRight(text, "=")
	data := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(data, text)
	if err != nil {
		return Packet{}, ErrPacket
	}
	return Packet{Type: PacketMessage, Binary: true, Data: data[:n]}, nil
}

// DecodePayload walks the packets of a polling body in order. It stops at the first malformed one, with ErrPacket; the packets
// before it have been handed out by then, as the reference server does.
func DecodePayload(body []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		if !utf8.Valid(body) {
			yield(Packet{}, ErrPacket)
			return
		}
		for more := true; more; {
			var text []byte
			text, body, more = bytes.Cut(body, []byte{separator})
			p, err := DecodePacket(text)
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

// AppendPacket appends the text form of p, as a payload holds it: binary becomes 'b' and padded base64.
func AppendPacket(dst []byte, p Packet) []byte {
	if p.Binary {
		return base64.StdEncoding.AppendEncode(append(dst, 'b'), p.Data)
	}
	return append(append(dst, byte(p.Type)), p.Data...)
}

// AppendPayload appends the polling form of packets.
func AppendPayload(dst []byte, packets ...Packet) []byte {
	for i, p := range packets {
		if i > 0 {
			dst = append(dst, separator)
		}
		dst = AppendPacket(dst, p)
	}
	return dst
}
