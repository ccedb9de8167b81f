package socketio

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var testLimits = Limits{MaxAttachments: 10, MaxDepth: 8}

func TestDecode(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       Packet
	}{
		{"connect", "0", Packet{Type: TypeConnect, Namespace: "/"}},
		{"connect with auth", `0{"token":"x"}`, Packet{Type: TypeConnect, Namespace: "/", Data: []byte(`{"token":"x"}`)}},
		{"connect elsewhere", "0/mess,", Packet{Type: TypeConnect, Namespace: "/mess"}},
		{"connect without a comma", "0/mess", Packet{Type: TypeConnect, Namespace: "/mess"}},
		{"connect elsewhere with auth", `0/mess,{"a":1}`, Packet{Type: TypeConnect, Namespace: "/mess", Data: []byte(`{"a":1}`)}},
		{"disconnect", "1/mess,", Packet{Type: TypeDisconnect, Namespace: "/mess"}},
		{"event", `2["hello",1]`, Packet{Type: TypeEvent, Namespace: "/", Data: []byte(`["hello",1]`)}},
		{"event named by a number", `2[1]`, Packet{Type: TypeEvent, Namespace: "/", Data: []byte(`[1]`)}},
		{"event with id", `2/mess,12["hello"]`, Packet{Type: TypeEvent, Namespace: "/mess", ID: 12, HasID: true, Data: []byte(`["hello"]`)}},
		{"id 0", `20["hello"]`, Packet{Type: TypeEvent, Namespace: "/", HasID: true, Data: []byte(`["hello"]`)}},
		{"largest id", `29007199254740991["x"]`, Packet{Type: TypeEvent, Namespace: "/", ID: maxID, HasID: true, Data: []byte(`["x"]`)}},
		{"ack", `3/mess,7[]`, Packet{Type: TypeAck, Namespace: "/mess", ID: 7, HasID: true, Data: []byte(`[]`)}},
		{"connect error", `4{"message":"no"}`, Packet{Type: TypeConnectError, Namespace: "/", Data: []byte(`{"message":"no"}`)}},
		{"binary event", `51-["x",{"_placeholder":true,"num":0}]`, Packet{Type: TypeBinaryEvent, Namespace: "/", Attachments: 1, Data: []byte(`["x",{"_placeholder":true,"num":0}]`)}},
		{"binary ack", `61-/mess,3[{"_placeholder":true,"num":0}]`, Packet{Type: TypeBinaryAck, Namespace: "/mess", ID: 3, HasID: true, Attachments: 1, Data: []byte(`[{"_placeholder":true,"num":0}]`)}},
		{"braces in strings do not nest", `2["[[[[[[[[[[[[\"[["]`, Packet{Type: TypeEvent, Namespace: "/", Data: []byte(`["[[[[[[[[[[[[\"[["]`)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Decode([]byte(test.text), testLimits)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", ErrPacket},
		{"unknown type", "7", ErrPacket},
		{"letters", "abc", ErrPacket},
		{"connect with a string", `0"x"`, ErrPacket},
		{"connect with an array", `0[]`, ErrPacket},
		{"disconnect with payload", `1{}`, ErrPacket},
		{"event without payload", "2", ErrPacket},
		{"event with an object", "2{}", ErrPacket},
		{"event without a name", "2[]", ErrPacket},
		{"event named by null", "2[null]", ErrPacket},
		{"event named by an object", `2[{}]`, ErrPacket},
		{"reserved name", `2["disconnect"]`, ErrPacket},
		{"reserved name, escaped", `2["disconn\u0065ct"]`, ErrPacket},
		{"broken JSON", `2["x"`, ErrPacket},
		{"something behind", `2["x"]x`, ErrPacket},
		{"letters for an id", `2abc["x"]`, ErrPacket},
		{"id past 2^53", `29007199254740992["x"]`, ErrPacket},
		{"endless id", `2` + strings.Repeat("9", 400) + `["x"]`, ErrPacket},
		{"ack without id", `3[]`, ErrPacket},
		{"ack without payload", `31`, ErrPacket},
		{"no attachments", `50-["x"]`, ErrPacket},
		{"attachments without a number", `5-["x"]`, ErrPacket},
		{"attachments without an end", `51["x"]`, ErrPacket},
		{"negative attachments", `5-1-["x"]`, ErrPacket},
		{"too many attachments", `511-["x"]`, ErrAttachments},
		{"nested too deep", `2["x",[[[[[[[[]]]]]]]]]`, ErrPacket},
	} {
		t.Run(test.name, func(t *testing.T) {
			if p, err := Decode([]byte(test.text), testLimits); !errors.Is(err, test.want) {
				t.Fatalf("%+v, error %v, want %v", p, err, test.want)
			}
		})
	}
}

func TestPacketRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Packet{
			Type:      Type(rapid.ByteRange(0, 6).Draw(t, "type")),
			Namespace: rapid.StringMatching(`/[^,]*`).Draw(t, "namespace"),
		}
		switch want.Type {
		case TypeConnect, TypeConnectError:
			want.Data = []byte(`{"message":"x"}`)
		case TypeDisconnect:
		default:
			want.Data = []byte(`["x",{"a":[1]}]`)
			want.ID, want.HasID = rapid.Uint64Range(0, maxID).Draw(t, "id"), true
		}
		if want.binary() {
			want.Attachments = rapid.IntRange(1, 10).Draw(t, "attachments")
		}
		got, err := Decode(want.AppendTo(nil), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{`0/mess,{"a":1}`, `2/mess,12["hello",[{}]]`, `51-["x",{"_placeholder":true,"num":0}]`, `3/,0[]`, "41", `2[1e3]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Decode(text, testLimits)
		if err != nil {
			return
		}
		again, err := Decode(p.AppendTo(nil), testLimits)
		if err != nil {
			t.Fatalf("%q decodes, its copy does not: %v", text, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatal(diff)
		}
		if p.Type == TypeEvent || p.Type == TypeBinaryEvent {
			args, err := parseArgs(p.Data, make([][]byte, p.Attachments))
			if err == nil {
				args.Values()
			}
		}
	})
}
