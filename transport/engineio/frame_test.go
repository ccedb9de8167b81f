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

// TestFrameDecoder is section 5 of RFC 6455, and sections 5 and 8 in what concerns text.
func TestFrameDecoder(t *testing.T) {
	const fin = 0x80
	long := strings.Repeat("y", 70_000)
	protocol, tooLarge, notText := errFrame(TransportError), errFrame(PayloadTooLarge), errFrame(InvalidText)
	tests := []frameCase{
		{"text", masked(fin|opText, "4hello"), []string{"1:4hello"}, nil},
		{"empty text", masked(fin|opText, ""), []string{"1:"}, nil},
		{"binary", masked(fin|opBinary, "\xff\x00"), []string{"2:\xff\x00"}, nil},
		{"empty binary", masked(fin|opBinary, ""), []string{"2:"}, nil},
		{"two in one", join(masked(fin|opText, "a"), masked(fin|opText, "b")), []string{"1:a", "1:b"}, nil},

		{"7-bit length, longest", masked(fin|opText, long[:125]), []string{"1:" + long[:125]}, nil},
		{"16-bit length, shortest", masked(fin|opText, long[:126]), []string{"1:" + long[:126]}, nil},
		{"16-bit length, longest", masked(fin|opText, long[:65_535]), []string{"1:" + long[:65_535]}, nil},
		{"64-bit length, shortest", masked(fin|opText, long[:65_536]), []string{"1:" + long[:65_536]}, nil},
		{"16-bit length that fits in 7", []byte{fin | opText, 0xfe, 0, 1, 0, 0, 0, 0, 'x'}, nil, protocol},
		{"64-bit length that fits in 16", []byte{fin | opText, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 'x'}, nil, protocol},
		{"16-bit length of 0", []byte{fin | opText, 0xfe, 0, 0, 0, 0, 0, 0}, nil, protocol},
		{"64-bit length with its highest bit", []byte{fin | opText, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, nil, protocol},
		{"length beyond all bounds", []byte{fin | opText, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, nil, tooLarge},
		{"as large as may be", masked(fin|opText, long[:limitOfCases]), []string{"1:" + long[:limitOfCases]}, nil},
		{"a byte too large", masked(fin|opText, long[:limitOfCases+1]), nil, tooLarge},
		{"a byte too large in fragments", join(masked(opText, long[:limitOfCases]), masked(fin|opContinuation, "x")), nil, tooLarge},
		{"as large as may be in fragments, and a ping", join(masked(opText, long[:limitOfCases]), masked(fin|opPing, "p"), masked(fin|opContinuation, "")), []string{"9:p", "1:" + long[:limitOfCases]}, nil},

		{"fragments", join(masked(opText, "ab"), masked(opContinuation, ""), masked(fin|opContinuation, "c")), []string{"1:abc"}, nil},
		{"binary fragments", join(masked(opBinary, "\xff"), masked(fin|opContinuation, "\xfe")), []string{"2:\xff\xfe"}, nil},
		{"nothing in fragments", join(masked(opText, ""), masked(opContinuation, ""), masked(fin|opContinuation, "")), []string{"1:"}, nil},
		{"one message behind another in fragments", join(masked(opText, "a"), masked(fin|opContinuation, "b"), masked(fin|opText, "c")), []string{"1:ab", "1:c"}, nil},
		{"control inside fragments", join(masked(opBinary, "a"), masked(fin|opPing, "p"), masked(fin|opPong, "q"), masked(fin|opContinuation, "b")), []string{"9:p", "10:q", "2:ab"}, nil},
		{"close inside fragments", join(masked(opText, "a"), masked(fin|opClose, "\x03\xe8")), []string{"8:\x03\xe8"}, nil},
		{"continuation of nothing", masked(fin|opContinuation, "x"), nil, protocol},
		{"first of continuations of nothing", masked(opContinuation, "x"), nil, protocol},
		{"continuation behind the last", join(masked(opText, "a"), masked(fin|opContinuation, "b"), masked(fin|opContinuation, "c")), []string{"1:ab"}, protocol},
		{"text inside fragments", join(masked(opText, "a"), masked(fin|opText, "b")), nil, protocol},
		{"binary inside fragments", join(masked(opText, "a"), masked(opBinary, "b")), nil, protocol},

		{"close", masked(fin|opClose, "\x03\xe8"), []string{"8:\x03\xe8"}, nil},
		{"empty close", masked(fin|opClose, ""), []string{"8:"}, nil},
		{"longest ping", masked(fin|opPing, long[:125]), []string{"9:" + long[:125]}, nil},
		{"long ping", masked(fin|opPing, long[:126]), nil, protocol},
		{"long pong", masked(fin|opPong, long[:126]), nil, protocol},
		{"long close", masked(fin|opClose, "\x03\xe8"+long[:124]), nil, protocol},
		{"fragmented ping", masked(opPing, "x"), nil, protocol},
		{"fragmented pong", masked(opPong, "x"), nil, protocol},
		{"fragmented close", masked(opClose, "\x03\xe8"), nil, protocol},

		{"a letter cut by fragments", join(masked(opText, "\xe2\x82"), masked(fin|opContinuation, "\xac")), []string{"1:€"}, nil},
		{"a letter cut by a ping", join(masked(opText, "\xe2"), masked(fin|opPing, ""), masked(fin|opContinuation, "\x82\xac")), []string{"9:", "1:€"}, nil},
		{"the last letter", masked(fin|opText, "\U0010ffff"), []string{"1:\U0010ffff"}, nil},
		{"no text", masked(fin|opText, "\xff"), nil, notText},
		{"half a letter", masked(fin|opText, "\xe2\x82"), nil, notText},
		{"half a letter at the end of fragments", join(masked(opText, "a\xe2"), masked(fin|opContinuation, "\x82")), nil, notText},
		{"two halves of two letters", join(masked(opText, "\xe2\x82"), masked(fin|opContinuation, "\xe2\x82\xac")), nil, notText},
		{"a letter written too long", masked(fin|opText, "\xc0\xaf"), nil, notText},
		{"half of a pair", masked(fin|opText, "\xed\xa0\x80"), nil, notText},
		{"behind the last letter", masked(fin|opText, "\xf4\x90\x80\x80"), nil, notText},
		{"a ping need be no text", masked(fin|opPing, "\xff"), []string{"9:\xff"}, nil},

		{"unmasked text", []byte{fin | opText, 1, 'x'}, nil, protocol},
		{"unmasked ping", []byte{fin | opPing, 0}, nil, protocol},
		{"unmasked close", []byte{fin | opClose, 2, 3, 0xe8}, nil, protocol},
		{"unmasked continuation", join(masked(opText, "a"), []byte{fin, 1, 'x'}), nil, protocol},
	}
	for _, bit := range []byte{0x40, 0x20, 0x10} {
		for _, op := range []byte{opText, opBinary, opClose, opPing, opPong} {
			tests = append(tests, frameCase{fmt.Sprintf("reserved bit %#x of %d", bit, op), masked(fin|bit|op, ""), nil, protocol})
		}
		tests = append(tests, frameCase{fmt.Sprintf("reserved bit %#x of a continuation", bit), join(masked(opText, "a"), masked(fin|bit, "")), nil, protocol})
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		tests = append(tests, frameCase{fmt.Sprintf("reserved opcode %d", op), masked(fin|op, ""), nil, protocol})
		tests = append(tests, frameCase{fmt.Sprintf("reserved opcode %d inside fragments", op), join(masked(opText, "a"), masked(fin|op, "")), nil, protocol})
	}
	for _, test := range tests {
		for _, size := range []int{1, 3, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d", test.name, size), func(t *testing.T) { test.check(t, size) })
		}
	}
}

// limitOfCases is that of one message.
const limitOfCases = 68_000

// frameCase is what some bytes are decoded to, and the error in the end.
type frameCase struct {
	name string
	in   []byte
	want []string
	err  error
}

func (c frameCase) check(t *testing.T, size int) {
	t.Helper()
	got, err := decodeFrames(c.in, limitOfCases, size)
	if err != c.err {
		t.Fatalf("error %v, want %v", err, c.err)
	}
	if strings.Join(got, "|") != strings.Join(c.want, "|") {
		t.Fatalf("got %.100q, want %.100q", got, c.want)
	}
}

// TestWhatIsAnnouncedCostsNothing: memory is taken for what has come, and at most twice as much, whatever a header says.
func TestWhatIsAnnouncedCostsNothing(t *testing.T) {
	const limit = 100_000
	none := func(byte, []byte) error { t.Error("a message"); return nil }
	d := frameDecoder{limit: limit}
	if err := d.feed(masked(0x80|opText, strings.Repeat("x", limit))[:20], none); err != nil || cap(d.msg) > 64 {
		t.Errorf("%d bytes are kept of 6: %v", cap(d.msg), err)
	}
	d = frameDecoder{limit: limit}
	empty, one := bytes.Repeat(masked(opContinuation, ""), 1000), bytes.Repeat(masked(opContinuation, "x"), 1000)
	if err := d.feed(masked(opText, ""), none); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := d.feed(bytes.Clone(empty), none); err != nil || cap(d.msg) != 0 {
			t.Fatalf("%d bytes are kept of nothing: %v", cap(d.msg), err)
		}
	}
	for range limit / 1000 {
		if err := d.feed(bytes.Clone(one), none); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.feed(masked(opContinuation, "x"), none); err != errFrame(PayloadTooLarge) || cap(d.msg) > 2*limit {
		t.Errorf("%v, %d bytes are kept of %d", err, cap(d.msg), limit)
	}
}

// However messages are cut into fragments, control frames put between those, and the bytes cut, what was said comes out, in order.
func TestFrameDecoderIsBlindToCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in []byte
		var want []string
		for _, text := range rapid.SliceOfN(rapid.String(), 1, 5).Draw(t, "texts") {
			op, rest := byte(opText), text
			for rapid.Bool().Draw(t, "cut") {
				n := rapid.IntRange(0, len(rest)).Draw(t, "fragment")
				in, rest, op = append(in, masked(op, rest[:n])...), rest[n:], opContinuation
				if rapid.Bool().Draw(t, "control") {
					in, want = append(in, masked(0x80|opPing, "p")...), append(want, "9:p")
				}
			}
			in, want = append(in, masked(0x80|op, rest)...), append(want, "1:"+text)
		}
		got, err := decodeFrames(in, 1<<20, rapid.IntRange(1, len(in)).Draw(t, "size"))
		if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatalf("got %q %v, want %q", got, err, want)
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
