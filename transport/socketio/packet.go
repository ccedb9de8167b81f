package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// Type is the kind of a packet.
type Type byte

// The packet types of protocol 5.
const (
	TypeConnect Type = iota
	TypeDisconnect
	TypeEvent
	TypeAck
	TypeConnectError
	TypeBinaryEvent
	TypeBinaryAck
)

// Packet is one decoded Socket.IO packet; the attachments that it announces follow it as binary messages.
type Packet struct {
	Type        Type
	Namespace   string          // begins with '/'
	ID          uint64          // of the acknowledgement, if HasID
	HasID       bool            // whether the sender asks for an acknowledgement, or answers one
	Attachments int             // for the binary types, at least 1
	Data        json.RawMessage // nil when there is none
}

// Limits bound what Decode accepts.
type Limits struct {
	MaxAttachments int // binary attachments of one packet
	MaxDepth       int // nested arrays and objects
}

// maxID is the largest acknowledgement id that survives a JavaScript number.
const maxID = 1<<53 - 1

// ErrPacket is wrapped by every error of Decode but ErrAttachments.
var ErrPacket = errors.New("socketio: malformed packet")

// ErrAttachments tells that a packet announces more attachments than allowed.
var ErrAttachments = errors.New("socketio: too many attachments")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrPacket, what) }

// Decode reads the text of a packet. Data is a copy and always valid JSON of the shape that the type demands: an array that begins with
// an event's name, an array of an ack's arguments, an object for CONNECT.
func Decode(text []byte, limits Limits) (Packet, error) {
	if len(text) == 0 || text[0] < '0' || text[0] > '6' {
		return Packet{}, malformed("type")
	}
	p := Packet{Type: Type(text[0] - '0'), Namespace: "/"}
	rest := text[1:]
	var err error
	if p.binary() {
		if p.Attachments, rest, err = cutAttachments(rest, limits.MaxAttachments); err != nil {
			return Packet{}, err
		}
	}
	if len(rest) > 0 && rest[0] == '/' {
		var ns []byte
		ns, rest, _ = bytes.Cut(rest, []byte{','})
		p.Namespace = string(ns)
	}
	if p.ID, p.HasID, rest, err = cutID(rest); err != nil {
		return Packet{}, err
	}
	if len(rest) > 0 {
		if depth(rest) > limits.MaxDepth {
			return Packet{}, malformed("nested too deep")
		}
		if !json.Valid(rest) {
			return Packet{}, malformed("JSON")
		}
		p.Data = bytes.Clone(rest)
	}
	return p, p.check()
}

// cutAttachments reads "n-".
func cutAttachments(text []byte, most int) (int, []byte, error) {
	digits, rest, found := bytes.Cut(text, []byte{'-'})
	n, ok := number(digits)
	switch {
	case !found || !ok || n < 1:
		return 0, nil, malformed("attachments")
	case n > uint64(most):
		return 0, nil, ErrAttachments
	}
	return int(n), rest, nil
}

func cutID(text []byte) (id uint64, has bool, rest []byte, err error) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	if n == 0 {
		return 0, false, text, nil
	}
	id, ok := number(text[:n])
	if !ok {
		return 0, false, nil, malformed("id")
	}
	return id, true, text[n:], nil
}

// number reads decimal digits up to maxID.
func number(digits []byte) (n uint64, ok bool) {
	for _, d := range digits {
		if d < '0' || d > '9' || n > maxID/10 {
			return 0, false
		}
		n = n*10 + uint64(d-'0')
	}
	return n, len(digits) > 0 && n <= maxID
}

// depth is the nesting of arrays and objects in what may not be JSON.
func depth(text []byte) (deepest int) {
	open, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			open++
			deepest = max(deepest, open)
		case c == ']' || c == '}':
			open--
		}
	}
	return deepest
}

func (p Packet) binary() bool { return p.Type == TypeBinaryEvent || p.Type == TypeBinaryAck }

// check holds the payload against the packet's type.
func (p Packet) check() error {
	first := byte(0)
	if trimmed := bytes.TrimLeft(p.Data, " \t\r\n"); len(trimmed) > 0 {
		first = trimmed[0]
	}
	ok := true
	switch p.Type {
	case TypeConnect:
		ok = p.Data == nil || first == '{'
	case TypeDisconnect:
		ok = p.Data == nil
	case TypeConnectError:
		ok = first == '{' || first == '"'
	case TypeAck, TypeBinaryAck:
		ok = first == '[' && p.HasID
	case TypeEvent, TypeBinaryEvent:
		name, err := eventName(p.Data)
		ok = err == nil && !reserved[name]
	}
	if !ok {
		return malformed("payload")
	}
	return nil
}

// reserved names are used by the libraries' own notices.
var reserved = map[string]bool{
	"connect": true, "connect_error": true, "disconnect": true, "disconnecting": true, "newListener": true, "removeListener": true,
}

// eventName is the first element of an event's array, which is valid JSON: a string, or a number, which the protocol allows.
func eventName(data json.RawMessage) (string, error) {
	list := bytes.TrimLeft(data, " \t\r\n")
	if len(list) == 0 || list[0] != '[' {
		return "", malformed("event")
	}
	first := bytes.TrimLeft(list[1:], " \t\r\n")
	switch c := first[0]; {
	case c == '"':
		return cutString(first)
	case c == '-' || c >= '0' && c <= '9':
		return string(first[:bytes.IndexAny(first, ",] \t\r\n")]), nil
	}
	return "", malformed("event name")
}

// cutString is the value of the string that text begins with.
func cutString(text []byte) (name string, err error) {
	end := 1
	for text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	if bytes.IndexByte(text[:end], '\\') < 0 {
		return string(text[1:end]), nil
	}
	if err := json.Unmarshal(text[:end+1], &name); err != nil {
		return "", malformed("event name")
	}
	return name, nil
}

// AppendTo appends the text of the packet.
func (p Packet) AppendTo(dst []byte) []byte {
	dst = append(dst, '0'+byte(p.Type))
	if p.binary() {
		dst = append(strconv.AppendInt(dst, int64(p.Attachments), 10), '-')
	}
	if p.Namespace != "/" && p.Namespace != "" {
		dst = append(append(dst, p.Namespace...), ',')
	}
	if p.HasID {
		dst = strconv.AppendUint(dst, p.ID, 10)
	}
	return append(dst, p.Data...)
}
