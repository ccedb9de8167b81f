package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	for _, c := range []struct {
		name, in string
		payload  string
		n        int
		err      error
	}{
		{"nothing", "", "", 0, nil},
		{"half a head", "\x81", "", 0, nil},
		{"empty", "\x81\x00", "", 2, nil},
		{"text and what follows", "\x81\x022x\x81", "2x", 4, nil},
		{"payload on its way", "\x81\x052x", "", 0, nil},
		{"length on its way", "\x81\x7e\x01", "", 0, nil},
		{"long length on its way", "\x81\x7f\x00\x00\x00\x00\x00\x00", "", 0, nil},
		{"a close", "\x88\x02\x03\xe8", "\x03\xe8", 4, nil},
		{"masked", "\x81\x81\x00\x00\x00\x00x", "", 0, ErrMalformed},
		{"a fragment", "\x01\x01x", "", 0, ErrMalformed},
		{"the end of a fragment", "\x80\x01x", "", 0, ErrMalformed},
		{"compressed", "\xc1\x01x", "", 0, ErrMalformed},
		{"more than anybody sends", "\x81\x7f\x00\x00\x00\x00\x00\x10\x00\x01", "", 0, ErrTooLong},
		{"a length below zero", "\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", "", 0, ErrTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, n, err := Next([]byte(c.in))
			if !errors.Is(err, c.err) || n != c.n || string(f.Payload) != c.payload {
				t.Errorf("%q, %d, %v", f.Payload, n, err)
			}
		})
	}
}

// TestWhatIsCutAnywhereIsReadWhole: however the network cuts frames, they come out as they went in, and none before all of it is there.
func TestWhatIsCutAnywhereIsReadWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 130), rapid.IntRange(65530, 65540)), 1, 5).Draw(t, "sizes")
		var all []byte
		for i, n := range sizes {
			all = AppendServer(all, Text, bytes.Repeat([]byte{byte('a' + i)}, n))
		}
		var have []byte
		var got []string
		for len(all) > 0 {
			n := rapid.IntRange(1, len(all)).Draw(t, "read")
			have, all = append(have, all[:n]...), all[n:]
			for {
				f, n, err := Next(have)
				if err != nil {
					t.Fatal(err)
				}
				if n == 0 {
					break
				}
				got, have = append(got, string(f.Payload)), have[n:]
			}
		}
		if len(have) > 0 || len(got) != len(sizes) {
			t.Fatalf("%d frames of %d, %d bytes left", len(got), len(sizes), len(have))
		}
		for i, n := range sizes {
			if got[i] != strings.Repeat(string(rune('a'+i)), n) {
				t.Fatalf("frame %d has %d bytes, want %d", i, len(got[i]), n)
			}
		}
	})
}

func TestAppendClient(t *testing.T) {
	for _, c := range []struct{ text, head string }{
		{"3", "\x81\x81"},
		{strings.Repeat("x", 126), "\x81\xfe\x00\x7e"},
		{strings.Repeat("x", 1<<16), "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00"},
	} {
		if got, want := string(AppendClient(nil, Text, c.text)), c.head+"\x00\x00\x00\x00"+c.text; got != want {
			t.Errorf("%d bytes become %.20q, want %.20q", len(c.text), got, want)
		}
	}
}

func TestCloseReason(t *testing.T) {
	for in, want := range map[string]string{"": "closed without a reason", "\x0f": "closed without a reason", "\x0f\xa0ping timeout": "4000 ping timeout"} {
		if got := CloseReason([]byte(in)); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// FuzzServer feeds what a server may not send: nothing of it is read past its end.
func FuzzServer(f *testing.F) {
	f.Add([]byte("\x81\x0542/mes\x88\x00"))
	f.Add([]byte("HTTP/1.1 101 Switching\r\n\r\n"))
	f.Add([]byte("\x81\x7e\x00\x1042/mess,[\"CROWD_UPDATE\",{\"hallId\":\"a\",\"timestamp\":\"2026-11-25T21:50:28.000Z\",\"seq\":1}]"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if n, err := Upgraded(in); n > len(in) || n > 0 && err != nil {
			t.Fatalf("took %d of %d, %v", n, len(in), err)
		}
		for {
			f, n, err := Next(in)
			if err != nil || n == 0 {
				return
			}
			p := Read(f.Payload)
			if tick, ok := ReadTick(p.Data); ok {
				Stamp(tick.Stamp)
			}
			in = in[n:]
		}
	})
}
