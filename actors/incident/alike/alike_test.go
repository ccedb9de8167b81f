package alike_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"nexus/actors/incident/alike"
)

// TestSeparate against a value that others compute: Conover's ages at diagnosis, as in SciPy's manual.
func TestSeparate(t *testing.T) {
	males, females := []time.Duration{19, 22, 16, 29, 24}, []time.Duration{20, 11, 17, 12}
	for _, p := range []float64{alike.Separate(males, females), alike.Separate(females, males)} {
		if math.Abs(p-0.11134688653314041) > 1e-12 {
			t.Errorf("p = %v", p)
		}
	}
	if p := alike.Separate(males, males); p != 1 {
		t.Errorf("p = %v for the same samples", p)
	}
}

// TestWhatIsNoticed: of two hundred samples each that spread as answers of a database do, some late by much, a millisecond shows nearly
// always, and nothing shows where there is nothing.
func TestWhatIsNoticed(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sample := func(late time.Duration) []time.Duration {
		times := make([]time.Duration, 200)
		for i := range times {
			times[i] = time.Duration(float64(4*time.Millisecond)*math.Exp(0.3*rng.NormFloat64())) + late
			if rng.IntN(20) == 0 {
				times[i] += time.Duration(rng.IntN(50)) * time.Millisecond
			}
		}
		return times
	}
	alarms, missed := 0, 0
	for range 200 {
		if alike.Separate(sample(0), sample(0)) < alike.Alpha {
			alarms++
		}
		if alike.Separate(sample(0), sample(time.Millisecond)) >= alike.Alpha {
			missed++
		}
	}
	if alarms > 3 || missed > 5 {
		t.Errorf("%d false alarms and %d misses of 200", alarms, missed)
	}
}

// silent keeps what a failed Timing says.
type silent struct {
	testing.TB
	failed bool
}

func (s *silent) Helper()               {}
func (s *silent) Logf(string, ...any)   {}
func (s *silent) Errorf(string, ...any) { s.failed = true }

func TestTimingTellsThemApart(t *testing.T) {
	for name, c := range map[string]struct {
		late time.Duration
		bad  int // rounds in which the other is late
		want bool
	}{
		"alike": {0, 0, false}, "different": {time.Millisecond, 5, true}, "a machine in a mood": {time.Millisecond, 4, false},
	} {
		rng, calls, s := rand.New(rand.NewPCG(1, 2)), 0, &silent{TB: t}
		alike.Timing(s, 200, func(other bool) time.Duration {
			took := 4*time.Millisecond + time.Duration(rng.IntN(2_000_000))
			if calls++; other && calls <= c.bad*400 {
				took += c.late
			}
			return took
		})
		if s.failed != c.want {
			t.Errorf("%s: told apart: %v", name, s.failed)
		}
	}
}
