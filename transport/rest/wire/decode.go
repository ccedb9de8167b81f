package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxDepth bounds the nesting of a body. No body of ours is deeper than five.
const maxDepth = 32

// errSyntax is what a client is told of a body that is not JSON. The
// decoder's own words name Go types and are kept out of answers.
var errSyntax = errors.New("the body is not valid JSON")

// Decode reads exactly one JSON value from data into v. Beyond encoding/json it
// refuses a name that occurs twice in one object, in whatever case: the validator would see one
// of the two alone while the struct takes the other, unchecked. Invalid UTF-8 and lone surrogates
// arrive as U+FFFD, which every text field refuses by name.
func Decode(data []byte, v any) error {
	tree, err := parse(data)
	if err != nil {
		return err
	}
	if p, ok := v.(*any); ok {
		*p = tree
		return nil
	}
	// The schema takes 5.0 and 5e0 as the integer 5, and so must the struct:
	// the parsed tree writes them alike.
	plain, err := json.Marshal(tree)
	if err != nil {
		return errSyntax
	}
	if err := json.Unmarshal(plain, v); err != nil {
		return errors.New("the body does not fit its schema")
	}
	return nil
}

func parse(data []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	tree, err := value(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("the body goes on after its JSON value")
	}
	return tree, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("the body is nested deeper than %d levels", maxDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, errSyntax
	}
	switch t {
	case json.Delim('{'):
		return object(d, depth)
	case json.Delim('['):
		return array(d, depth)
	default:
		return t, nil
	}
}

func object(d *json.Decoder, depth int) (any, error) {
	m := map[string]any{}
	names := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, errSyntax
		}
		fold := strings.ToLower(strings.ToUpper(name)) // as encoding/json matches names
		if names[fold] {
			return nil, errors.New("the body holds a name twice in one object")
		}
		names[fold] = true
		if m[name], err = value(d, depth+1); err != nil {
			return nil, err
		}
	}
	return m, end(d)
}

func array(d *json.Decoder, depth int) (any, error) {
	s := []any{}
	for d.More() {
		v, err := value(d, depth+1)
		if err != nil {
			return nil, err
		}
		s = append(s, v)
	}
	return s, end(d)
}

func end(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return errSyntax
	}
	return nil
}
