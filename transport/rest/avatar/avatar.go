// Package avatar turns an uploaded picture into one that is safe to serve: a small square JPEG
// made of pixels alone, without the metadata (a phone writes its position there) and without
// whatever else a file may smuggle.
package avatar

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	_ "image/png" // formats that are taken
	"net/http"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // formats that are taken

	"nexus"
)

// Bounds of a picture.
const (
	MaxBytes  = 5 << 20    // of the upload
	Side      = 512        // pixels of the result, less for a smaller picture
	maxPixels = 24_000_000 // of the upload: some 300 MB while it is decoded, at the worst
	maxScans  = 400        // of a progressive JPEG, counted by their marker, which chance makes up now and then
)

// startOfScan begins each scan of a JPEG. A scan of nothing takes a few bytes, and as long to decode as the picture is large.
var startOfScan = []byte{0xff, 0xda}

// turn lets one picture at a time into memory.
var turn = make(chan struct{}, 1)

// Normalize returns the middle square of a JPEG, PNG or WebP picture as a JPEG, turned the way its
// camera was held. Unsupported for other formats, Invalid for broken ones, TooLarge for more than 5 MB or 24 megapixels.
func Normalize(ctx context.Context, data []byte) ([]byte, error) {
	if len(data) > MaxBytes {
		return nil, wrong(nexus.TooLarge, "5 MB at most")
	}
	switch http.DetectContentType(data) {
	case "image/jpeg", "image/png", "image/webp":
	default:
		return nil, wrong(nexus.Unsupported, "expected a JPEG, PNG or WebP picture")
	}
	// The header alone says how large it would be: a bomb of a few kilobytes is refused here.
	head, _, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || head.Width < 1 || head.Height < 1 {
		return nil, wrong(nexus.Invalid, "the picture is broken")
	}
	if head.Width > maxPixels/head.Height {
		return nil, wrong(nexus.TooLarge, "24 megapixels at most")
	}
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to decode a picture: %w", ctx.Err())
	}
	if bytes.Count(data, startOfScan) > maxScans {
		return nil, wrong(nexus.Invalid, "the picture has too many scans")
	}
	src, _, err := image.Decode(&patient{ctx, bytes.NewReader(data)})
	if ctx.Err() != nil {
		return nil, fmt.Errorf("decode a picture: %w", ctx.Err())
	}
	if err != nil {
		return nil, wrong(nexus.Invalid, "the picture is broken")
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, upright(square(src), orientation(data)), &jpeg.Options{Quality: 85}); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return out.Bytes(), nil
}

// patient reads a picture in small pieces while somebody waits for it: decoders know no context, and stop at an error.
type patient struct {
	ctx  context.Context
	data *bytes.Reader
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.data.Read(b[:min(len(b), 512)])
}

func wrong(code nexus.Code, detail string) error {
	e := nexus.InvalidField("avatar", "%s", detail)
	e.Code = code
	return e
}

// square scales the middle of src down to at most Side, on white where it is transparent.
func square(src image.Image) *image.RGBA {
	b := src.Bounds()
	edge := min(b.Dx(), b.Dy())
	from := image.Rect(0, 0, edge, edge).Add(b.Min).Add(image.Pt((b.Dx()-edge)/2, (b.Dy()-edge)/2))
	side := min(edge, Side)
	dst := image.NewRGBA(image.Rect(0, 0, side, side))
	draw.Draw(dst, dst.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.CatmullRom.Scale(dst, dst.Bounds(), src, from, draw.Over, nil)
	return dst
}

// upright undoes one of the eight EXIF orientations of a square.
func upright(src *image.RGBA, orientation int) *image.RGBA {
	n := src.Bounds().Dx()
	last := n - 1
	from := map[int]func(x, y int) (int, int){
		2: func(x, y int) (int, int) { return last - x, y },
		3: func(x, y int) (int, int) { return last - x, last - y },
		4: func(x, y int) (int, int) { return x, last - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, last - x },
		7: func(x, y int) (int, int) { return last - y, last - x },
		8: func(x, y int) (int, int) { return last - y, x },
	}[orientation]
	if from == nil {
		return src
	}
	dst := image.NewRGBA(src.Bounds())
	for y := range n {
		for x := range n {
			sx, sy := from(x, y)
			dst.SetRGBA(x, y, src.RGBAAt(sx, sy))
		}
	}
	return dst
}
