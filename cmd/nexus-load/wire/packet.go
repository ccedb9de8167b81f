package wire

import (
	"bytes"
	"strconv"
)

// Kind is what a message of a server is.
type Kind byte

// The kinds of messages.
const (
	Unknown   Kind = iota
	Open           // the engine's handshake
	Beat           // the engine's ping, to be answered with Pulse
	Ended          // the engine is closed
	Connected      // to a namespace
	Left           // a namespace: the server has disconnected us
	Event          // Data is its array
	Ack            // of ours; Data is its array
	Refused        // no connection to a namespace; Data says why
)

// Pulse answers Beat.
const Pulse = "3"

// Packet is one message of a server. Its parts are parts of the message.
type Packet struct {
	Kind      Kind
	Namespace []byte // nil for /
	ID        int64  // of the acknowledgement, -1 without one
	Data      []byte
}

var kinds = [...]Kind{'0': Connected, '1': Left, '2': Event, '3': Ack, '4': Refused}

// Read reads a text message. What it does not know, binary events among it, is Unknown.
func Read(m []byte) Packet {
	if len(m) == 0 {
		return Packet{ID: -1}
	}
	switch m[0] {
	case '0':
		return Packet{Kind: Open, ID: -1, Data: m[1:]}
	case '1':
		return Packet{Kind: Ended, ID: -1}
	case '2':
		return Packet{Kind: Beat, ID: -1}
	case '4':
		if len(m) > 1 && int(m[1]) < len(kinds) {
			return readPacket(kinds[m[1]], m[2:])
		}
	}
	return Packet{ID: -1}
}

func readPacket(k Kind, rest []byte) Packet {
	p := Packet{Kind: k, ID: -1}
	if len(rest) > 0 && rest[0] == '/' {
		p.Namespace, rest, _ = bytes.Cut(rest, []byte{','})
	}
	digits := 0
	for digits < len(rest) && digits < 18 && rest[digits] >= '0' && rest[digits] <= '9' {
		digits++
	}
	if digits > 0 {
		p.ID = 0
		for _, d := range rest[:digits] {
			p.ID = p.ID*10 + int64(d-'0')
		}
	}
	p.Data = rest[digits:]
	return p
}

// At is the prefix of a packet's namespace: nothing for the main one.
func At(namespace string) string {
	if namespace == "/" || namespace == "" {
		return ""
	}
	return namespace + ","
}

// Join is the packet that connects to a namespace, with a token unless it is empty.
func Join(namespace, token string) string {
	if token == "" {
		return "40" + At(namespace)
	}
	return "40" + At(namespace) + `{"token":` + strconv.Quote(token) + "}"
}

// Emit is the packet of an event; args is its array in JSON, and id asks for an answer unless it is below zero.
func Emit(namespace string, id int64, args string) string {
	return "42" + At(namespace) + number(id) + args
}

// Answer is the packet that acknowledges an event of the server.
func Answer(namespace string, id int64) string { return "43" + At(namespace) + number(id) + "[]" }

func number(id int64) string {
	if id < 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}
