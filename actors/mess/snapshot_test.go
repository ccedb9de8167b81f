package mess

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestSnapshotRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stateOf(numbered(rapid.SliceOfN(crowdEvents(noon), 0, 40).Draw(t, "events")...)...)
		if rapid.Bool().Draw(t, "stated") {
			s.stateWait(rapid.IntRange(0, 600).Draw(t, "wait"), noon)
		}
		if rapid.Bool().Draw(t, "settle") {
			s.Settle(noon.Add(dwell))
		}
		sampled := rapid.Int64Range(0, math.MaxInt64).Draw(t, "sampled")
		b, err := s.encode(sampled)
		if err != nil {
			t.Fatal(err)
		}
		got := State{Hall: hall}
		if n, err := got.decode(b); err != nil || n != sampled {
			t.Fatalf("decoded %d, %v; want %d", n, err, sampled)
		}
		if !slices.Equal(got.changes, s.changes) {
			t.Fatalf("changes %v, want %v", got.changes, s.changes)
		}
		got.changes, s.changes = nil, nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", *s) {
			t.Fatalf("got %+v\nwant %+v", got, *s)
		}
	})
}

func TestSnapshotOfNothingAndOfGarbage(t *testing.T) {
	s := State{Hall: hall}
	if sampled, err := s.decode(nil); err != nil || sampled != 0 || s.Occupancy(noon) != 0 || !s.AsOf.IsZero() {
		t.Errorf("no bytes: %d, %v, %+v", sampled, err, s)
	}
	b, err := stateOf(numbered(delta(0, 3), absolute(1, 4))...).encode(7)
	if err != nil {
		t.Fatal(err)
	}
	for _, garbage := range [][]byte{{0xff}, []byte("not a snapshot"), b[:len(b)-1]} {
		if _, err := s.decode(garbage); err == nil {
			t.Errorf("%q was taken for a snapshot", garbage)
		}
	}
}
