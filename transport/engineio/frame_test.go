package engineio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// masked is a client's frame.
func masked(first byte, payload string) []byte {
	frame := []byte{first}
	switch n := len(payload); {
	case n < 126:
		frame = append(frame, 0x80|byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 0x80|127), uint64(n))
	}
	key := []byte{0xa1, 0xb2, 0xc3, 0xd4}
	frame = append(frame, key...)
	for i := range len(payload) {
		frame = append(frame, payload[i]^key[i&3])
	}
	return frame
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// decodeFrames feeds in in pieces of at most size bytes and lists what comes out, as "op:payload".
func decodeFrames(in []byte, limit, size int) (out []string, err error) {
	d := frameDecoder{limit: limit}
	for piece := range chunks(in, size) {
		err = d.feed(bytes.Clone(piece), func(op byte, payload []byte) error {
			out = append(out, fmt.Sprintf("%d:%s", op, payload))
			return nil
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func chunks(p []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			n := min(size, len(p))
			if !yield(p[:n]) {
				return
			}
			p = p[n:]
		}
	}
}

func TestFrameDecoder(t *testing.T) {
	const fin = 0x80
	long := strings.Repeat("y", 70_000)
	unmasked := []byte{fin | opText, 1, 'x'}
	for _, test := range []struct {
		name string
		in   []byte
		want []string
		err  error
	}{
		{"text", masked(fin|opText, "4hello"), []string{"1:4hello"}, nil},
		{"empty text", masked(fin|opText, ""), []string{"1:"}, nil},
		{"binary", masked(fin|opBinary, "\xff\x00"), []string{"2:\xff\x00"}, nil},
		{"two in one", join(masked(fin|opText, "a"), masked(fin|opText, "b")), []string{"1:a", "1:b"}, nil},
		{"16-bit length", masked(fin|opText, long[:300]), []string{"1:" + long[:300]}, nil},
		{"64-bit length", masked(fin|opText, long), []string{"1:" + long}, nil},
		{"fragments", join(masked(opText, "ab"), masked(opContinuation, ""), masked(fin|opContinuation, "c")), []string{"1:abc"}, nil},
		{"a letter cut by fragments", join(masked(opText, "\xe2\x82"), masked(fin|opContinuation, "\xac")), []string{"1:€"}, nil},
		{"control inside fragments", join(masked(opBinary, "a"), masked(fin|opPing, "p"), masked(fin|opContinuation, "b")), []string{"9:p", "2:ab"}, nil},
		{"close", masked(fin|opClose, "\x03\xe8"), []string{"8:\x03\xe8"}, nil},
		{"invalid UTF-8", masked(fin|opText, "\xff"), nil, errFrame(InvalidText)},
		{"unmasked", unmasked, nil, errFrame(TransportError)},
		{"reserved bit", masked(fin|0x40|opText, "x"), nil, errFrame(TransportError)},
		{"reserved opcode", masked(fin|0x3, "x"), nil, errFrame(TransportError)},
		{"continuation of nothing", masked(fin|opContinuation, "x"), nil, errFrame(TransportError)},
		{"text inside fragments", join(masked(opText, "a"), masked(fin|opText, "b")), nil, errFrame(TransportError)},
		{"fragmented control", masked(opPing, "x"), nil, errFrame(TransportError)},
		{"long control", masked(fin|opPing, long[:126]), nil, errFrame(TransportError)},
		{"too large", masked(fin|opText, long+long), nil, errFrame(PayloadTooLarge)},
		{"too large in fragments", join(masked(opText, long), masked(fin|opContinuation, long)), nil, errFrame(PayloadTooLarge)},
		{"length beyond all bounds", []byte{fin | opText, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, nil, errFrame(PayloadTooLarge)},
	} {
		for _, size := range []int{1, 3, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", test.name, size), func(t *testing.T) {
				got, err := decodeFrames(test.in, 100_000, size)
				if err != test.err {
					t.Fatalf("error %v, want %v", err, test.err)
				}
				if strings.Join(got, "|") != strings.Join(test.want, "|") {
					t.Fatalf("got %.100q, want %.100q", got, test.want)
				}
			})
		}
	}
}

// However the bytes are cut, the same frames come out.
func TestFrameDecoderIsBlindToCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []byte
		for _, text := range rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "texts") {
			in = append(in, masked(0x80|opText, text)...)
		}
		whole, err := decodeFrames(in, 1<<20, len(in))
		if err != nil {
			t.Fatal(err)
		}
		cut, err := decodeFrames(in, 1<<20, rapid.IntRange(1, 20).Draw(t, "size"))
		if err != nil || strings.Join(cut, "|") != strings.Join(whole, "|") {
			t.Fatalf("cut: %q %v, whole: %q", cut, err, whole)
		}
	})
}

func FuzzFrameDecoder(f *testing.F) {
	f.Add(masked(0x81, "4hello"), 3)
	f.Add(join(masked(opText, "a"), masked(0x89, ""), masked(0x80, "b")), 1)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if len(in) > 16<<10 {
			return // more of the same, and slow byte by byte
		}
		size = max(1, size&0xff)
		whole, wholeErr := decodeFrames(in, 4096, max(1, len(in)))
		cut, cutErr := decodeFrames(in, 4096, size)
		if strings.Join(whole, "|") != strings.Join(cut, "|") || wholeErr != cutErr {
			t.Fatalf("whole %q %v, cut %q %v", whole, wholeErr, cut, cutErr)
		}
	})
}
