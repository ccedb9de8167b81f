// Package alike tells, in tests, whether two actions can be told apart by how long they take: whoever forced somebody to take an alarm back
// may hold a watch.
package alike

import (
	"math"
	"slices"
	"testing"
	"time"
)

const (
	// Alpha is how rarely samples of one distribution are taken for two.
	Alpha = 0.001
	// noticeable is a difference that must show.
	noticeable = time.Millisecond
	// rounds is how often samples are taken before they count as different: a machine has moods, while a real difference shows each time.
	rounds = 5
)

// Timing fails the test if two actions, n of each and taken in turns, differ in how long they take. take does one and returns how
// long it took. The same samples must separate once a millisecond is added to those of one action (or, where the machine is so noisy that
// one is lost, the span of their middle half), so that a test that could not tell anything fails as well.
func Timing(t testing.TB, n int, take func(other bool) time.Duration) {
	t.Helper()
	for round := range rounds {
		var times [2][]time.Duration
		for i := range 2 * n {
			which := (i + i/2) % 2 // neither always comes first
			times[which] = append(times[which], take(which == 1))
		}
		p := Separate(times[0], times[1])
		t.Logf("round %d: medians %v and %v, p = %.3g", round+1, quantile(times[0], 0.5), quantile(times[1], 0.5), p)
		if p < Alpha {
			continue
		}
		late := max(noticeable, quantile(times[1], 0.75)-quantile(times[1], 0.25))
		for i := range times[1] {
			times[1][i] += late
		}
		if p := Separate(times[0], times[1]); p >= Alpha {
			t.Errorf("a difference of %v would not be noticed: p = %.3g", late, p)
		} else {
			t.Logf("a difference of %v would be noticed: p = %.3g", late, p)
		}
		return
	}
	t.Errorf("the two can be told apart by their time, in each of %d rounds", rounds)
}

// Separate is the two-sided p-value of the Mann-Whitney U test, by its normal approximation with a correction for continuity: how likely
// samples of one distribution lie so far apart. It asks for eight samples of each or more.
func Separate(a, b []time.Duration) float64 {
	u := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				u++
			case x == y:
				u += 0.5
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	off := max(math.Abs(u-n*m/2)-0.5, 0)
	return math.Erfc(off / math.Sqrt(n*m*(n+m+1)/12) / math.Sqrt2)
}

func quantile(times []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[int(q*float64(len(sorted)-1))]
}
