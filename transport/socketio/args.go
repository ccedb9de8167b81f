package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Args are the arguments of an event, or of the answer to a Call, as they came. They may be kept.
type Args struct {
	Raw         []json.RawMessage // binary values are placeholders
	Attachments [][]byte          // what the placeholders stand for
}

// Len is the number of arguments.
func (a Args) Len() int { return len(a.Raw) }

// Decode unmarshals argument i into v, as encoding/json does. A missing argument leaves v alone, as undefined does in JavaScript.
func (a Args) Decode(i int, v any) error {
	if i >= len(a.Raw) {
		return nil
	}
	if err := json.Unmarshal(a.Raw[i], v); err != nil {
		return fmt.Errorf("argument %d: %w", i, err)
	}
	return nil
}

// Binary is the attachment that argument i is, if it is one as a whole.
func (a Args) Binary(i int) ([]byte, bool) {
	if i >= len(a.Raw) {
		return nil, false
	}
	var p placeholder
	if json.Unmarshal(a.Raw[i], &p) != nil || !p.Placeholder || p.Num < 0 || p.Num >= len(a.Attachments) {
		return nil, false
	}
	return a.Attachments[p.Num], true
}

// Value is argument i with its attachments in their places, fit to be sent again: the raw JSON if it has none, else built of
// []any, map[string]any, []byte and json.Number.
func (a Args) Value(i int) any {
	if len(a.Attachments) == 0 {
		return a.Raw[i]
	}
	d := json.NewDecoder(bytes.NewReader(a.Raw[i]))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return a.Raw[i]
	}
	return a.attach(v)
}

// Values are all arguments, as Value gives them.
func (a Args) Values() []any {
	values := make([]any, len(a.Raw))
	for i := range a.Raw {
		values[i] = a.Value(i)
	}
	return values
}

// attach puts attachments in place of placeholders.
func (a Args) attach(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = a.attach(v[i])
		}
	case map[string]any:
		if n, ok := placeholderNum(v); ok && n >= 0 && n < len(a.Attachments) {
			return a.Attachments[n]
		}
		for key := range v {
			v[key] = a.attach(v[key])
		}
	}
	return v
}

// placeholderNum is the number of the attachment that a decoded object stands for; -1 for an illegal one.
func placeholderNum(v map[string]any) (int, bool) {
	if v["_placeholder"] != true {
		return 0, false
	}
	num, ok := v["num"].(json.Number)
	if !ok {
		return -1, true
	}
	n, err := num.Int64()
	if err != nil || n < 0 {
		return -1, true
	}
	return int(n), true
}

// parseArgs splits the array of a packet and checks that every placeholder has its attachment.
func parseArgs(data json.RawMessage, attachments [][]byte) (Args, error) {
	var a Args
	if err := json.Unmarshal(data, &a.Raw); err != nil {
		return a, malformed("array")
	}
	a.Attachments = attachments
	if len(attachments) == 0 {
		return a, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return a, malformed("array")
	}
	if !legal(v, len(attachments)) {
		return a, malformed("placeholder")
	}
	return a, nil
}

// legal reports whether all placeholders in v name one of n attachments.
func legal(v any, n int) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !legal(item, n) {
				return false
			}
		}
	case map[string]any:
		if num, ok := placeholderNum(v); ok {
			return num >= 0 && num < n
		}
		for _, item := range v {
			if !legal(item, n) {
				return false
			}
		}
	}
	return true
}
