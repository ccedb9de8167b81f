package forecast

import (
	"math"
	"slices"
	"time"
)

// Point is how many people were there at a time.
type Point struct {
	At     time.Time
	People float64
}

// Series is one value for each slot from Start on; NaN where nothing is known.
type Series struct {
	Start  time.Time
	People []float64
	zones  []*time.Location // of each slot; nil: UTC
}

// At returns the start of a slot, by the clock of the point that was known last.
func (s Series) At(slot int) time.Time {
	at := s.Start.Add(time.Duration(slot) * Slot)
	if s.zones == nil {
		return at.UTC()
	}
	return at.In(s.zones[slot])
}

// maxYears bounds a series: a wrong date is no reason to use all memory.
const maxYears = 50

// Slots returns the mean of the points of each slot; false if they are none, not in order of time, or too far apart.
func Slots(points []Point) (Series, bool) {
	if len(points) == 0 {
		return Series{}, false
	}
	first, last := points[0].At, points[len(points)-1].At
	if last.Year()-first.Year() > maxYears || !slices.IsSortedFunc(points, func(a, b Point) int { return a.At.Compare(b.At) }) {
		return Series{}, false
	}
	s := Series{Start: first.Truncate(Slot)}
	sums := make([]mean, last.Sub(s.Start)/Slot+1)
	s.People, s.zones = make([]float64, len(sums)), make([]*time.Location, len(sums))
	for _, p := range points {
		i := p.At.Sub(s.Start) / Slot
		sums[i].add(p.People, 1)
		s.zones[i] = p.At.Location()
	}
	for i, m := range sums {
		if s.People[i] = m.value(); m.weight == 0 { // NaN
			s.zones[i] = s.zones[i-1]
		}
	}
	return s, true
}

// Score is how good a model's forecasts were.
type Score struct {
	Model      string  `json:"model"`
	HorizonMin int     `json:"horizonMin"`
	N          int     `json:"n"`       // forecasts that could be compared, and for which Naive had one as well
	MAE        float64 `json:"mae"`     // mean absolute error of the median, in people
	MASE       float64 `json:"mase"`    // that divided by Naive's: below 1 is better than last week's value
	Pinball    float64 `json:"pinball"` // mean pinball loss of the three quantiles, in people
	Cover80    float64 `json:"cover80"` // share of the values from P10 to P90
}

// Backtest lets the model go through a series as if it lived then, and scores what it forecast so many slots ahead for slots after the
// warm-up. At every slot it knows that slot and those before. progress hears of every day, and may end it by returning false.
func Backtest(name string, m Model, s Series, warmup time.Duration, ahead int, progress func(done, of int) bool) Score {
	score := Score{Model: name, HorizonMin: int(time.Duration(ahead) * Slot / time.Minute)}
	naive, naiveMAE, covered := NewNaive(), 0.0, 0
	type made struct {
		band, naive Band
		ok          bool
	}
	open := make([]made, ahead)
	for i, people := range s.People {
		at := s.At(i)
		if f := open[i%ahead]; f.ok && !math.IsNaN(people) && at.Sub(s.Start) >= warmup {
			score.N++
			score.MAE += math.Abs(people - f.band.P50)
			naiveMAE += math.Abs(people - f.naive.P50)
			score.Pinball += (pinball(0.1, f.band.P10, people) + pinball(0.5, f.band.P50, people) + pinball(0.9, f.band.P90, people)) / 3
			if people >= f.band.P10 && people <= f.band.P90 {
				covered++
			}
		}
		m.Learn(at, people)
		naive.Learn(at, people)
		f := &open[i%ahead]
		var known bool
		f.band, f.ok = m.Forecast(ahead)
		f.naive, known = naive.Forecast(ahead)
		f.ok = f.ok && known
		if i%perDay == 0 && !progress(i, len(s.People)) {
			break
		}
	}
	return score.mean(naiveMAE, covered)
}

// Judge scores what was said about slots of a series, by their starts in UTC, of which last week's value is known too.
func (s Series) Judge(name string, horizonMin int, said map[time.Time]Band) Score {
	score := Score{Model: name, HorizonMin: horizonMin}
	naiveMAE, covered := 0.0, 0
	for i := perWeek; i < len(s.People); i++ {
		b, ok := said[s.Start.Add(time.Duration(i)*Slot).UTC()]
		people, naive := s.People[i], s.People[i-perWeek]
		if !ok || math.IsNaN(people+naive) {
			continue
		}
		score.N++
		score.MAE += math.Abs(people - b.P50)
		naiveMAE += math.Abs(people - naive)
		score.Pinball += (pinball(0.1, b.P10, people) + pinball(0.5, b.P50, people) + pinball(0.9, b.P90, people)) / 3
		if people >= b.P10 && people <= b.P90 {
			covered++
		}
	}
	return score.mean(naiveMAE, covered)
}

// mean turns sums into means.
func (score Score) mean(naiveMAE float64, covered int) Score {
	if score.N == 0 {
		return score
	}
	n := float64(score.N)
	if naiveMAE > 0 {
		score.MASE = score.MAE / naiveMAE
	}
	score.MAE, score.Pinball, score.Cover80 = score.MAE/n, score.Pinball/n, float64(covered)/n
	return score
}

// pinball is the loss whose expected value the q-quantile makes least.
func pinball(q, forecast, value float64) float64 {
	if d := value - forecast; d > 0 {
		return q * d
	}
	return (1 - q) * (forecast - value)
}
