package simulate

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus"
)

func anyHall(t *rapid.T) nexus.Hall {
	return nexus.Hall{
		Name:     rapid.SampledFrom([]string{"North", "South", "Central"}).Draw(t, "name"),
		Capacity: rapid.IntRange(50, 600).Draw(t, "capacity"), DwellMin: rapid.IntRange(10, 45).Draw(t, "dwell"), TZ: "Asia/Kolkata",
	}
}

func minutes(t *rapid.T, label string) time.Duration {
	return time.Duration(rapid.IntRange(0, 24*60-1).Draw(t, label)) * time.Minute
}

func TestADayIsInOrderAndNobodyLeavesTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, from, seed := anyHall(t), minutes(t, "from"), rapid.Uint64().Draw(t, "seed")
		moves := Moves(0, h, from, seed)
		inside, staying := 0, 0
		for i, m := range moves {
			if i > 0 && m.At < moves[i-1].At {
				t.Fatalf("move %d is out of order", i)
			}
			if m.At < 0 || m.At > Day {
				t.Fatalf("move %d happens at %s", i, m.At)
			}
			if inside += m.Delta; inside < 0 {
				t.Fatalf("move %d leaves %d people inside", i, inside)
			}
			if m.Stays {
				staying++
			}
		}
		if inside != staying {
			t.Fatalf("%d people are inside at the end, %d of them on purpose", inside, staying)
		}
		if !slices.Equal(moves, Moves(0, h, from, seed)) {
			t.Fatal("the same seed makes another day")
		}
		if slices.Equal(moves, Moves(0, h, from, seed+1)) {
			t.Fatal("another seed makes the same day")
		}
	})
}

func TestPeopleComeAtMealsInTheNumbersExpected(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, from := anyHall(t), minutes(t, "from")
		came := make([]int, len(sittings))
		for _, m := range Moves(0, h, from, rapid.Uint64().Draw(t, "seed")) {
			clock := (m.At + from) % Day
			i := slices.IndexFunc(sittings, func(s sitting) bool { return clock >= s.opens && clock <= s.closes })
			switch {
			case m.Delta < 0:
			case i < 0:
				t.Fatalf("somebody comes at %s, between the meals", clock)
			default:
				came[i]++
			}
		}
		for i, s := range sittings {
			// A Poisson count has its mean as its variance: beyond six deviations there is a mistake.
			if mean := s.visits(h); math.Abs(float64(came[i])-mean) > 6*math.Sqrt(mean)+6 {
				t.Errorf("sitting %d: %d people came, %.0f were expected", i, came[i], mean)
			}
		}
	})
}

func TestPeaksAreAsHighAsTheSittingsSay(t *testing.T) {
	h := nexus.Hall{Name: "North", Capacity: 300, DwellMin: 25}
	for seed := range uint64(20) {
		inside, peaks := 0, make([]int, len(sittings))
		for _, m := range Moves(0, h, 0, seed) {
			inside += m.Delta
			for i, s := range sittings {
				if m.At >= s.opens && m.At <= s.closes {
					peaks[i] = max(peaks[i], inside)
				}
			}
		}
		for i, s := range sittings {
			// Those who came in the minutes before the peak make up its crowd, when fewer came than at it: the
			// shorter the sitting, the flatter its peak. On top come the few who never checked out.
			if share := float64(peaks[i]) / float64(h.Capacity); share < 0.6*s.fill || share > 1.35*s.fill {
				t.Errorf("seed %d, sitting %d: the hall gets %.0f%% full, want about %.0f%%", seed, i, 100*share, 100*s.fill)
			}
		}
	}
}

func TestStaysAreLogNormalAroundTheDwellTime(t *testing.T) {
	h := nexus.Hall{Name: "North", Capacity: 5000, DwellMin: 25}
	inside, area, people, last := 0, 0.0, 0, time.Duration(0)
	for _, m := range Moves(0, h, 0, 1) {
		area += float64(inside) * (m.At - last).Minutes()
		last = m.At
		if m.Stays {
			continue
		}
		inside += m.Delta
		people += max(m.Delta, 0)
	}
	if mean := area / float64(people); math.Abs(mean-25) > 1 {
		t.Errorf("people stay %.1f minutes on average, want 25", mean)
	}
}

func TestHallsDoNotDependOnEachOther(t *testing.T) {
	north := nexus.Hall{Name: "North", Capacity: 300, DwellMin: 25}
	south := north
	south.Name = "South"
	if slices.Equal(Moves(0, north, 0, 1), Moves(0, south, 0, 1)) {
		t.Error("two halls have the same day")
	}
	if empty := Moves(0, nexus.Hall{Name: "Shut", DwellMin: 25}, 0, 1); len(empty) != 0 {
		t.Errorf("%d people come to a hall without seats", len(empty))
	}
}

func TestTimeOfDay(t *testing.T) {
	now := time.Date(2026, 3, 18, 13, 5, 9, 0, time.UTC)
	for _, c := range []struct {
		in   string
		want time.Duration
		ok   bool
	}{
		{"07:00", 7 * time.Hour, true},
		{"23:59", Day - time.Minute, true},
		{"now", 13*time.Hour + 5*time.Minute + 9*time.Second, true},
		{"24:00", 0, false},
		{"noon", 0, false},
		{"", 0, false},
	} {
		if got, err := timeOfDay(c.in, now); got != c.want || (err == nil) != c.ok {
			t.Errorf("timeOfDay(%q) = %s, %v", c.in, got, err)
		}
	}
}
