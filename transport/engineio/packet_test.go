package engineio

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDecodePacket(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       Packet
		err        error
	}{
		{"open", "0{}", Packet{Type: PacketOpen, Data: []byte("{}")}, nil},
		{"close", "1", Packet{Type: PacketClose}, nil},
		{"probe", "2probe", Packet{Type: PacketPing, Data: []byte("probe")}, nil},
		{"pong", "3", Packet{Type: PacketPong}, nil},
		{"message", "4hello", Packet{Type: PacketMessage, Data: []byte("hello")}, nil},
		{"empty message", "4", Packet{Type: PacketMessage}, nil},
		{"message of several bytes a letter", "4€", Packet{Type: PacketMessage, Data: []byte("€")}, nil},
		{"upgrade", "5", Packet{Type: PacketUpgrade}, nil},
		{"noop", "6", Packet{Type: PacketNoop}, nil},
		{"binary", "bAQIDBA==", Packet{Type: PacketMessage, Binary: true, Data: []byte{1, 2, 3, 4}}, nil},
		{"binary without padding", "bAQIDBA", Packet{Type: PacketMessage, Binary: true, Data: []byte{1, 2, 3, 4}}, nil},
		{"empty binary", "b", Packet{Type: PacketMessage, Binary: true}, nil},
		{"nothing", "", Packet{}, ErrPacket},
		{"unknown type", "7", Packet{}, ErrPacket},
		{"letter", "abc", Packet{}, ErrPacket},
		{"wrong base64", "b!!", Packet{}, ErrPacket},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := DecodePacket([]byte(test.text))
			if err != test.err {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got, equateEmpty); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

// equateEmpty holds nil and empty data alike: a packet does not tell them apart.
var equateEmpty = cmp.Comparer(bytes.Equal)

func decodeAll(body []byte) (packets []Packet, err error) {
	for p, packetErr := range DecodePayload(body) {
		if packetErr != nil {
			return packets, packetErr
		}
		packets = append(packets, p)
	}
	return packets, nil
}

func TestDecodePayload(t *testing.T) {
	hello := Packet{Type: PacketMessage, Data: []byte("hello")}
	for _, test := range []struct {
		name, body string
		want       []Packet
		err        error
	}{
		{"one", "4hello", []Packet{hello}, nil},
		{"text and binary", "4hello\x1ebAQ==", []Packet{hello, {Type: PacketMessage, Binary: true, Data: []byte{1}}}, nil},
		{"up to the malformed one", "4hello\x1eabc\x1e4hello", []Packet{hello}, ErrPacket},
		{"separator at the end", "4hello\x1e", []Packet{hello}, ErrPacket},
		{"nothing", "", nil, ErrPacket},
		{"invalid UTF-8", "4\xff", nil, ErrPacket},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := decodeAll([]byte(test.body))
			if err != test.err {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got, equateEmpty); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestPayloadRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		packet := rapid.Custom(func(t *rapid.T) Packet {
			if rapid.Bool().Draw(t, "binary") {
				return Packet{Type: PacketMessage, Binary: true, Data: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")}
			}
			kind := PacketType(rapid.ByteRange('0', '6').Draw(t, "type"))
			text := rapid.StringMatching(`[^\x1e]*`).Draw(t, "text")
			return Packet{Type: kind, Data: []byte(text)}
		})
		want := rapid.SliceOfN(packet, 1, 8).Draw(t, "packets")
		got, err := decodeAll(AppendPayload(nil, want...))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, equateEmpty); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzDecodePayload(f *testing.F) {
	for _, seed := range []string{"4hello", "4a\x1ebAQIDBA==\x1e2probe", "", "\x1e", "b=", "4\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		packets, err := decodeAll(body)
		if err != nil {
			return
		}
		again, err := decodeAll(AppendPayload(nil, packets...))
		if err != nil {
			t.Fatalf("what was decoded does not decode again: %v", err)
		}
		if diff := cmp.Diff(packets, again, equateEmpty); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestMessageServesBothTransports(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 70_000)
	for _, test := range []struct {
		name    string
		message Message
		payload string
	}{
		{"text", NewMessage([]byte("hello")), "4hello"},
		{"attachments", NewMessage([]byte("51-"), []byte{1, 2, 3, 4}, nil), "451-\x1ebAQIDBA==\x1eb"},
		{"lone binary", BinaryMessage([]byte{1}), "bAQ=="},
		{"126 bytes", NewMessage(long[:125]), "4" + string(long[:125])},
		{"64 KiB", NewMessage(long), "4" + string(long)},
		{"control frame", frameMessage(opPong, []byte("x")), ""},
		{"zero", Message{}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(test.message.AppendPayload(nil)); got != test.payload {
				t.Errorf("payload %.80q, want %.80q", got, test.payload)
			}
			if got := len(test.message.AppendFrames(nil)); got != test.message.Len() {
				t.Errorf("%d bytes of frames, Len says %d", got, test.message.Len())
			}
		})
	}
}
