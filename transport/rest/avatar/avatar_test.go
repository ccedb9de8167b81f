package avatar

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"nexus"
)

func encoded(t *testing.T, w, h int, corner color.Color) *bytes.Buffer {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.Set(x, y, color.White)
			if x < w/2 && y < h/2 {
				img.Set(x, y, corner)
			}
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, nil); err != nil {
		t.Fatal(err)
	}
	return &out
}

// exif puts an EXIF segment with one tag behind the start of a JPEG.
func exif(picture []byte, orientation uint16) []byte {
	tiff := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	tiff = binary.BigEndian.AppendUint16(tiff, orientation)
	body := append([]byte("Exif\x00\x00"), append(tiff, 0, 0, 0, 0, 0, 0)...)
	segment := binary.BigEndian.AppendUint16([]byte{0xFF, 0xE1}, uint16(len(body)+2))
	return append(append(append([]byte{}, picture[:2]...), append(segment, body...)...), picture[2:]...)
}

// bomb is a PNG whose header promises more than anybody may decode.
func bomb(w, h uint32) []byte {
	head := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
	head = append(head, 8, 6, 0, 0, 0)
	out := binary.BigEndian.AppendUint32([]byte("\x89PNG\r\n\x1a\n"), 13)
	return binary.BigEndian.AppendUint32(append(out, head...), crc32.ChecksumIEEE(head))
}

func TestPictures(t *testing.T) {
	var wide bytes.Buffer
	if err := png.Encode(&wide, image.NewGray(image.Rect(0, 0, 1000, 40))); err != nil {
		t.Fatal(err)
	}
	whole := encoded(t, 600, 800, color.Black).Bytes()
	for _, c := range []struct {
		name string
		data []byte
		code nexus.Code
		side int
	}{
		{"photo", whole, "", 512},
		{"small", encoded(t, 20, 10, color.Black).Bytes(), "", 10},
		{"wide", wide.Bytes(), "", 40},
		{"text", []byte("hello"), nexus.Unsupported, 0},
		{"gif", []byte("GIF89a..."), nexus.Unsupported, 0},
		{"cut off", whole[:len(whole)/2], nexus.Invalid, 0},
		{"bomb", bomb(60_000, 60_000), nexus.TooLarge, 0},
		{"overflowing bomb", bomb(0x7fffffff, 0x7fffffff), nexus.Invalid, 0},
		{"no pixels", bomb(0, 0), nexus.Invalid, 0},
		{"too many bytes", make([]byte, MaxBytes+1), nexus.TooLarge, 0},
	} {
		out, err := Normalize(t.Context(), c.data)
		if nexus.CodeOf(err) != c.code {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if err != nil {
			continue
		}
		head, err := jpeg.DecodeConfig(bytes.NewReader(out))
		if err != nil || head.Width != c.side || head.Height != c.side {
			t.Errorf("%s: %+v %v", c.name, head, err)
		}
	}
}

func TestMetadataIsDroppedAndOrientationKept(t *testing.T) {
	plain := encoded(t, 64, 64, color.Black).Bytes()
	// Where the dark corner of the stored picture belongs, by orientation.
	for orientation, corner := range map[uint16]image.Point{
		1: {8, 8}, 2: {56, 8}, 3: {56, 56}, 4: {8, 56}, 5: {8, 8}, 6: {56, 8}, 7: {56, 56}, 8: {8, 56}, 9: {8, 8},
	} {
		out, err := Normalize(t.Context(), exif(plain, orientation))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(out, []byte("Exif")) {
			t.Errorf("orientation %d: metadata is kept", orientation)
		}
		img, err := jpeg.Decode(bytes.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []image.Point{{8, 8}, {56, 8}, {8, 56}, {56, 56}} {
			r, _, _, _ := img.At(p.X, p.Y).RGBA()
			if dark := r < 0x8000; dark != (p == corner) {
				t.Errorf("orientation %d: dark at %v: %v", orientation, p, dark)
			}
		}
	}
}

func TestOrientationOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		start := rapid.SampledFrom([]string{"", "\xff\xd8", "\xff\xd8\xff\xe1\x00\x20Exif\x00\x00MM\x00*\x00\x00\x00\x08", "\xff\xd8\xff\xe1\x00\x20Exif\x00\x00II*\x00\xff\xff\xff\xff"}).Draw(t, "start")
		if o := orientation(append([]byte(start), data...)); o < 1 || o > 8 {
			t.Fatalf("orientation %d", o)
		}
	})
}

func TestEndlessScansAreRefused(t *testing.T) {
	data := encoded(t, 64, 64, color.Black).Bytes()
	scans := bytes.Repeat([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0}, maxScans+1)
	_, err := Normalize(t.Context(), slices.Concat(data[:len(data)-2], scans, data[len(data)-2:]))
	if nexus.CodeOf(err) != nexus.Invalid {
		t.Fatalf("got %v", err)
	}
}

func TestDecodingEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&patient{ctx, bytes.NewReader([]byte("x"))}).Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
