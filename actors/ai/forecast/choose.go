package forecast

import (
	"math"
	"slices"
	"time"
)

// The models' names.
const (
	NameAdaptive = "adaptive"
	NameNaive    = "seasonal-naive"
)

// Horizons are those at which models are compared: an hour and a day, in slots.
var Horizons = []int{int(time.Hour / Slot), perDay}

// Compare lets both models live through a series, and scores them at the horizons over all but what they learn first.
func Compare(s Series, zone *time.Location, calendar Calendar, warmup time.Duration) []Score {
	var scores []Score
	always := func(int, int) bool { return true }
	for _, ahead := range Horizons {
		scores = append(scores, Backtest(NameAdaptive, New(zone, calendar, ahead), s, warmup, ahead, always), Backtest(NameNaive, NewNaive(), s, warmup, ahead, always))
	}
	return scores
}

// Choose returns the model that was less far off, by the mean of what the horizons make of it: the adaptive one, unless it has lost.
func Choose(scores []Score) string {
	sum, n := 0.0, 0
	for _, s := range scores {
		if s.Model == NameAdaptive && s.N > 0 && s.MASE > 0 {
			sum += s.MASE
			n++
		}
	}
	if n > 0 && sum/float64(n) > 1 {
		return NameNaive
	}
	return NameAdaptive
}

// Ahead forecasts the slots after the end of a series, with a model by name. It ends where the model knows too little.
func Ahead(s Series, name string, zone *time.Location, calendar Calendar, slots int) []Band {
	var m Model = New(zone, calendar, learnt(slots)...)
	low, high := 0.0, 0.0
	if name == NameNaive {
		m = NewNaive()
		low, high = weekly(s)
	}
	for i, people := range s.People {
		m.Learn(s.At(i), people)
	}
	var bands []Band
	for ahead := 1; ahead <= slots; ahead++ {
		b, ok := m.Forecast(ahead)
		if !ok {
			break
		}
		bands = append(bands, Band{P10: max(0, b.P10+low), P50: max(0, b.P50), P90: max(0, b.P90+high)})
	}
	return bands
}

// learnt are the horizons that so many slots are forecast from: each is work for every slot that is learnt, and near ones differ more.
func learnt(slots int) (horizons []int) {
	for ahead := 1; ahead < slots; ahead += min(ahead, 16) {
		horizons = append(horizons, ahead)
	}
	return append(horizons, slots)
}

// weekly is how last week's value is off in four of five cases: its error's tenth and ninetieth percentile, or nothing where these would not hold the value
// itself.
func weekly(s Series) (low, high float64) {
	var errors []float64
	for i := perWeek; i < len(s.People); i++ {
		if d := s.People[i] - s.People[i-perWeek]; !math.IsNaN(d) {
			errors = append(errors, d)
		}
	}
	if len(errors) == 0 {
		return 0, 0
	}
	slices.Sort(errors)
	at := func(q float64) float64 { return errors[int(q*float64(len(errors)-1))] }
	return min(0, at(0.1)), max(0, at(0.9))
}
