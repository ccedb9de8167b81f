package hist

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsHaveNeitherGapNorOverlap(t *testing.T) {
	next := int64(0) // the smallest value of the bucket
	for i := range buckets {
		if got := index(next); got != i {
			t.Fatalf("%d µs are in bucket %d, want %d", next, got, i)
		}
		if got := index(upper(i)); got != i {
			t.Fatalf("%d µs are in bucket %d, want %d", upper(i), got, i)
		}
		next = upper(i) + 1
	}
	if next <= most {
		t.Errorf("the last bucket ends at %d µs, before %d", next, most)
	}
}

// TestQuantiles holds what is read back against the sorted values themselves, also through JSON and a merge.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(-1000, 5_000_000_000), 1, 200).Draw(t, "µs")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		var a, b, h Histogram
		for i, v := range values {
			d := time.Duration(v) * time.Microsecond
			if i < cut {
				a.Record(d)
			} else {
				b.Record(d)
			}
			values[i] = min(max(v, 0), most)
		}
		a.Merge(&b)
		text, err := json.Marshal(&a)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &h); err != nil {
			t.Fatal(err)
		}
		slices.Sort(values)
		if h.Count() != uint64(len(values)) || h.Max().Microseconds() != values[len(values)-1] {
			t.Fatalf("count %d, max %v of %v", h.Count(), h.Max(), values)
		}
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
			rank := max(int(q*float64(len(values))+0.999999), 1)
			want, got := values[rank-1], h.Quantile(q).Microseconds()
			if got < want || float64(got) > float64(want)*(1+1.0/perOctave)+1 {
				t.Fatalf("quantile %v is %d µs, want %d", q, got, want)
			}
		}
	})
}

func TestNothing(t *testing.T) {
	var h Histogram
	h.Merge(new(Histogram))
	if h.Quantile(0.99) != 0 || h.Mean() != 0 || h.Max() != 0 || h.Count() != 0 {
		t.Error("an empty histogram says something")
	}
}

func TestForeignHistogramsAreRefused(t *testing.T) {
	for _, text := range []string{`{"scale":"hdr","buckets":[]}`, `{"scale":"` + version + `","buckets":[[99999,1]]}`, `[]`} {
		if err := json.Unmarshal([]byte(text), new(Histogram)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}
