package socketio

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEncodeEvent(t *testing.T) {
	type crowd struct {
		Level int    `json:"level"`
		Name  string `json:"name"`
	}
	for _, test := range []struct {
		name, ns, event string
		args            []any
		want            string // as a polling payload
	}{
		{"no arguments", "/", "hello", nil, `42["hello"]`},
		{"namespace", "/mess", "CROWD", []any{crowd{7, "<North> & Süd"}}, `42/mess,["CROWD",{"level":7,"name":"<North> & Süd"}]`},
		{"raw", "/", "x", []any{json.RawMessage(`{"b": 1, "a":2}`), nil}, `42["x",{"b": 1, "a":2},null]`},
		{"binary", "/", "x", []any{1, []byte{1, 2, 3, 4}, Binary{5}}, "452-[\"x\",1,{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]\x1ebAQIDBA==\x1ebBQ=="},
		{"nested binary", "/mess", "x", []any{map[string]any{"a": []any{[]byte{1}}}}, "451-/mess,[\"x\",{\"a\":[{\"_placeholder\":true,\"num\":0}]}]\x1ebAQ=="},
		{"nil bytes", "/", "x", []any{[]byte(nil)}, `42["x",null]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := EncodeEvent(test.ns, test.event, test.args...)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(m.AppendPayload(nil)); got != test.want {
				t.Fatalf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestEncodeEventRefuses(t *testing.T) {
	for _, test := range []struct {
		name, event string
		arg         any
	}{
		{"reserved name", "connect", 1},
		{"a function", "x", func() {}},
		{"raw that is not JSON", "x", json.RawMessage(`{`)},
		{"raw that is not UTF-8", "x", json.RawMessage("\"\xff\"")},
	} {
		if m, err := EncodeEvent("/", test.event, test.arg); err == nil {
			t.Errorf("%s: %q", test.name, m.AppendPayload(nil))
		}
	}
}

func TestArgs(t *testing.T) {
	data := json.RawMessage(`["é",{"_placeholder":true,"num":1},{"deep":[{"_placeholder":true,"num":0}]},12345678901234567890]`)
	a, err := parseArgs(data, [][]byte{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if err := a.Decode(0, &s); err != nil || s != "é" || a.Len() != 4 {
		t.Error(s, err)
	}
	if err := a.Decode(0, new(int)); err == nil {
		t.Error("a string decodes as a number")
	}
	if err := a.Decode(9, &s); err != nil {
		t.Error("a missing argument is an error:", err)
	}
	if b, ok := a.Binary(1); !ok || b[0] != 2 {
		t.Error(b, ok)
	}
	for _, i := range []int{0, 2, 9} {
		if b, ok := a.Binary(i); ok {
			t.Error(i, b)
		}
	}
	want := []any{"é", []byte{2}, map[string]any{"deep": []any{[]byte{1}}}, json.Number("12345678901234567890")}
	if diff := cmp.Diff(want, a.Values()); diff != "" {
		t.Error(diff)
	}
}

func TestIllegalPlaceholders(t *testing.T) {
	for _, arg := range []string{
		`{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":-1}`, `{"_placeholder":true,"num":"0"}`, `{"_placeholder":true}`,
		`{"_placeholder":true,"num":0.5}`, `{"a":[{"_placeholder":true,"num":1}]}`,
	} {
		if a, err := parseArgs(json.RawMessage("["+arg+"]"), [][]byte{{1}}); err == nil {
			t.Errorf("%s: %v", arg, fmt.Sprint(a.Values()))
		}
	}
}
