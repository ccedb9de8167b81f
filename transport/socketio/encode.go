package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"nexus/transport/engineio"
)

// Binary is an argument that travels as a binary attachment. So does a bare []byte. Both are found among an event's arguments and
// inside any []any and map[string]any of them, but not inside structs, which encode as encoding/json does.
type Binary []byte

// EncodeEvent encodes an event once, for any number of sockets of the namespace. Arguments are encoded by encoding/json, without
// escaping HTML; a json.RawMessage goes out as it is.
func EncodeEvent(namespace, event string, args ...any) (engineio.Message, error) {
	return encode(Packet{Type: TypeEvent, Namespace: namespace}, event, args)
}

// encode makes the message of an EVENT or ACK packet: a name (of events) and arguments, with their attachments.
func encode(p Packet, name string, args []any) (engineio.Message, error) {
	var data bytes.Buffer
	var attachments [][]byte
	sep := byte('[')
	appendArg := func(arg any) error {
		data.WriteByte(sep)
		sep = ','
		return appendJSON(&data, detach(arg, &attachments))
	}
	if p.Type == TypeEvent {
		if reserved[name] {
			return engineio.Message{}, fmt.Errorf("socketio: event name %q is reserved", name)
		}
		if err := appendArg(name); err != nil {
			return engineio.Message{}, err
		}
	}
	for i, arg := range args {
		if err := appendArg(arg); err != nil {
			return engineio.Message{}, fmt.Errorf("encode argument %d of %q: %w", i, name, err)
		}
	}
	if sep == '[' {
		data.WriteByte('[')
	}
	data.WriteByte(']')
	p.Data = data.Bytes()
	if len(attachments) > 0 {
		p.Attachments = len(attachments)
		p.Type += TypeBinaryEvent - TypeEvent
	}
	return engineio.NewMessage(p.AppendTo(make([]byte, 0, len(p.Data)+len(p.Namespace)+24)), attachments...), nil
}

// appendJSON writes one value.
func appendJSON(dst *bytes.Buffer, v any) error {
	if raw, ok := v.(json.RawMessage); ok {
		if !json.Valid(raw) || !utf8.Valid(raw) { // one bad frame would cost the client its connection
			return errors.New("not JSON")
		}
		dst.Write(raw)
		return nil
	}
	e := json.NewEncoder(dst)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err
	}
	dst.Truncate(dst.Len() - 1) // the newline that Encode adds
	return nil
}

// placeholder stands in the JSON for an attachment.
type placeholder struct {
	Placeholder bool `json:"_placeholder"`
	Num         int  `json:"num"`
}

// detach replaces the binary values in v by placeholders, in copies of the containers.
func detach(v any, attachments *[][]byte) any {
	switch v := v.(type) {
	case Binary:
		return detach([]byte(v), attachments)
	case []byte:
		if v == nil {
			return nil
		}
		*attachments = append(*attachments, v)
		return placeholder{true, len(*attachments) - 1}
	case []any:
		copied := make([]any, len(v))
		for i, item := range v {
			copied[i] = detach(item, attachments)
		}
		return copied
	case map[string]any:
		copied := make(map[string]any, len(v))
		for key, item := range v {
			copied[key] = detach(item, attachments)
		}
		return copied
	}
	return v
}
