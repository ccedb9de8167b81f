package forecast

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// campus is a place with a weekly rhythm, days of more and of fewer people, and noise, over so many weeks.
func campus(seed uint64, weeks int) Series {
	r := rand.New(rand.NewPCG(seed, 7))
	s := Series{Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), People: make([]float64, weeks*perWeek)}
	level := 1.0
	for i := range s.People {
		if i%perDay == 0 {
			level = 1 + 0.5*(level-1) + 0.15*r.NormFloat64()
		}
		weekday, hour := i/perDay%7, float64(i%perDay)/4
		usual := 60*bell(hour-13) + 80*bell(hour-19)
		if weekday > 4 {
			usual /= 2
		}
		s.People[i] = math.Max(0, math.Round(usual*level+3*r.NormFloat64()))
	}
	return s
}

// bell is a crowd that comes and goes within some hours.
func bell(hours float64) float64 { return math.Exp(-hours * hours / 2.25) }

func always(int, int) bool { return true }

// TestTheModelBeatsLastWeek, by far an hour ahead and by much a day ahead, and four in five values fall into its band.
func TestTheModelBeatsLastWeek(t *testing.T) {
	for seed := range uint64(5) {
		s := campus(seed, 30)
		for ahead, most := range map[int]float64{4: 0.65, perDay: 0.8} {
			got := Backtest("adaptive", New(time.UTC, nil, ahead), s, 8*7*24*time.Hour, ahead, always)
			t.Logf("%+v", got)
			if got.N != 22*perWeek || got.MASE > most {
				t.Errorf("seed %d: %+v, want a MASE of at most %v", seed, got, most)
			}
			if got.Cover80 < 0.75 || got.Cover80 > 0.9 { // at night, when nobody is there, the band cannot be too narrow
				t.Errorf("seed %d: the band covers %v", seed, got.Cover80)
			}
		}
	}
}

// TestNaiveScoresItself: what is measured against last week's value is 1 for that.
func TestNaiveScoresItself(t *testing.T) {
	s := campus(1, 12)
	got := Backtest("seasonal-naive", NewNaive(), s, 8*7*24*time.Hour, 4, always)
	sum := 0.0
	for i := 8 * perWeek; i < len(s.People); i++ {
		sum += math.Abs(s.People[i] - s.People[i-perWeek])
	}
	if want := sum / float64(4*perWeek); got.N != 4*perWeek || math.Abs(got.MAE-want) > 1e-9 || math.Abs(got.MASE-1) > 1e-9 || got.HorizonMin != 60 {
		t.Errorf("%+v, want an MAE of %v", got, want)
	}
}

// TestNothingIsKnownBeforeItsTime: whatever comes later, what was forecast stays.
func TestNothingIsKnownBeforeItsTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ahead := rapid.SampledFrom([]int{1, 4, perDay}).Draw(t, "ahead")
		cut := rapid.IntRange(2*perWeek, 3*perWeek).Draw(t, "cut")
		s := campus(rapid.Uint64().Draw(t, "seed"), 4)
		run := func(people []float64) (bands []Band) {
			m := New(time.UTC, nil, ahead)
			for i, x := range people {
				m.Learn(s.Start.Add(time.Duration(i)*Slot), x)
				b, _ := m.Forecast(ahead)
				bands = append(bands, b)
			}
			return bands
		}
		whole, half := run(s.People), run(s.People[:cut])
		for i, b := range half {
			if whole[i] != b {
				t.Fatalf("slot %d: %+v and %+v", i, whole[i], b)
			}
		}
	})
}

// TestBandsAreInOrder, and of people: whatever comes, gaps and wild values among it.
func TestBandsAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New(time.UTC, nil, 1, 4)
		at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		base := rapid.SliceOfN(rapid.OneOf(rapid.Just(math.NaN()), rapid.Float64Range(0, 1e6)), 50, 300).Draw(t, "people")
		for i := range 2 * perWeek {
			m.Learn(at.Add(time.Duration(i)*Slot), base[i%len(base)])
			for _, ahead := range []int{1, 4} {
				b, ok := m.Forecast(ahead)
				if ok && (!(b.P10 >= 0) || !(b.P10 <= b.P50) || !(b.P50 <= b.P90) || math.IsInf(b.P90, 0)) {
					t.Fatalf("slot %d: %+v", i, b)
				}
			}
		}
	})
}

// TestTheWallClockCounts: the rhythm follows the zone's clock through its changes.
func TestTheWallClockCounts(t *testing.T) {
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	m := New(zone, nil, 4)
	from := time.Date(2026, 2, 2, 0, 0, 0, 0, zone)
	for at := from; at.Before(time.Date(2026, 4, 8, 11, 15, 0, 0, zone)); at = at.Add(Slot) {
		people := 0.0
		if h := at.In(zone).Hour(); h == 12 {
			people = 100
		}
		m.Learn(at, people)
	}
	if b, ok := m.Forecast(4); !ok || b.P50 < 70 { // for 12:00 by summer's clock, which the last five weeks were not by
		t.Errorf("%+v %v", b, ok)
	}
}

func TestSlots(t *testing.T) {
	at := time.Date(2026, 1, 5, 10, 7, 0, 0, time.UTC)
	s, ok := Slots([]Point{{at, 2}, {at.Add(time.Minute), 4}, {at.Add(31 * time.Minute).In(time.FixedZone("", 3600)), 9}})
	if !ok || !s.Start.Equal(at.Truncate(Slot)) || len(s.People) != 3 || s.People[0] != 3 || !math.IsNaN(s.People[1]) || s.People[2] != 9 {
		t.Errorf("%+v %v", s, ok)
	}
	if s.At(1).Hour() != 10 || s.At(2).Hour() != 11 { // each by the clock that was known then
		t.Errorf("%v %v", s.At(1), s.At(2))
	}
	if _, ok := Slots([]Point{{at, 1}, {at.Add(-time.Hour), 1}}); ok {
		t.Error("back in time")
	}
	if _, ok := Slots(nil); ok {
		t.Error("of nothing")
	}
	if _, ok := Slots([]Point{{at, 1}, {at.AddDate(900, 0, 0), 1}}); ok {
		t.Error("over 900 years")
	}
}

// BenchmarkLearn is a slot's work for a hall with all horizons of a day.
func BenchmarkLearn(b *testing.B) {
	s := campus(1, 10)
	ahead := make([]int, 0, perDay)
	for h := 1; h <= perDay; h *= 2 {
		ahead = append(ahead, h)
	}
	m := New(time.UTC, nil, ahead...)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.Learn(s.Start.Add(time.Duration(i)*Slot), s.People[i%len(s.People)])
	}
}
