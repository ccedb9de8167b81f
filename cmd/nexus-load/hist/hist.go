// Package hist counts durations in buckets that are linear below 128 µs and log-linear above: recording costs a few
// instructions, and what is read back is off by less than one part in 64.
package hist

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
)

const (
	perOctave = 64                         // buckets between v and 2v
	most      = int64(1)<<32 - 1           // µs; what took longer than an hour counts as that
	buckets   = (32-7)*perOctave + 2*64    // those of values up to most
	unit      = int64(time.Microsecond)    // of what is recorded
	version   = "log-linear, 64 an octave" // written with the buckets, so that others are not merged with them
)

// Histogram counts durations. The zero Histogram is empty. It is not safe for concurrent use.
type Histogram struct {
	counts []uint64 // by index; nil until the first Record
	n      uint64
	sum    int64 // µs
	max    int64 // µs
}

// index is the bucket of v µs. The shift leaves seven significant bits, of which the first is always set.
func index(v int64) int {
	shift := max(bits.Len64(uint64(v))-7, 0)
	return shift*perOctave + int(v>>shift)
}

// upper is the largest value of a bucket, in µs.
func upper(i int) int64 {
	shift := max(i/perOctave-1, 0)
	return (int64(i-shift*perOctave)+1)<<shift - 1
}

// Record counts one duration. Below zero, as of a clock that was set back, counts as zero.
func (h *Histogram) Record(d time.Duration) {
	v := min(max(int64(d)/unit, 0), most)
	if h.counts == nil {
		h.counts = make([]uint64, buckets)
	}
	h.counts[index(v)]++
	h.n++
	h.sum += v
	h.max = max(h.max, v)
}

// Merge adds what another has counted.
func (h *Histogram) Merge(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.counts == nil {
		h.counts = make([]uint64, buckets)
	}
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.n, h.sum, h.max = h.n+o.n, h.sum+o.sum, max(h.max, o.max)
}

// Count is how many durations were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Max is the longest.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max * unit) }

// Mean is their mean; zero without any.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return time.Duration(h.sum/int64(h.n)) * time.Microsecond
}

// Quantile is a duration that the share q of all did not exceed; zero without any.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(h.n)))
	seen := uint64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(min(upper(i), h.max) * unit)
		}
	}
	return 0
}

// wire is the form in JSON: figures for people, in ms, and the buckets for Merge.
type wire struct {
	Count   uint64      `json:"count"`
	MeanMS  float64     `json:"meanMs"`
	P50MS   float64     `json:"p50Ms"`
	P90MS   float64     `json:"p90Ms"`
	P99MS   float64     `json:"p99Ms"`
	MaxMS   float64     `json:"maxMs"`
	SumUS   int64       `json:"sumUs"`
	MaxUS   int64       `json:"maxUs"`
	Scale   string      `json:"scale"`
	Buckets [][2]uint64 `json:"buckets"` // index and count, of those with any
}

// MarshalJSON implements json.Marshaler.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	w := wire{
		Count: h.n, MeanMS: ms(h.Mean()), P50MS: ms(h.Quantile(0.5)), P90MS: ms(h.Quantile(0.9)), P99MS: ms(h.Quantile(0.99)), MaxMS: ms(h.Max()),
		SumUS: h.sum, MaxUS: h.max, Scale: version, Buckets: [][2]uint64{},
	}
	for i, n := range h.counts {
		if n > 0 {
			w.Buckets = append(w.Buckets, [2]uint64{uint64(i), n})
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON implements json.Unmarshaler.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var w wire
	if err := json.Unmarshal(data, &w); err != nil {
		return err
	}
	if w.Scale != version {
		return fmt.Errorf("a histogram of the scale %q, not %q", w.Scale, version)
	}
	*h = Histogram{sum: w.SumUS, max: w.MaxUS}
	for _, b := range w.Buckets {
		if b[0] >= buckets {
			return errors.New("a histogram with a bucket that there is not")
		}
		if h.counts == nil {
			h.counts = make([]uint64, buckets)
		}
		h.counts[b[0]] += b[1]
		h.n += b[1]
	}
	return nil
}
