package forecast

import (
	"math"
	"testing"
	"time"
)

func TestTheModelThatWasLessFarOffIsChosen(t *testing.T) {
	score := func(model string, n int, mase float64) Score { return Score{Model: model, N: n, MASE: mase} }
	for what, c := range map[string]struct {
		scores []Score
		want   string
	}{
		"nothing is known":     {nil, NameAdaptive},
		"it wins":              {[]Score{score(NameAdaptive, 9, 0.5), score(NameNaive, 9, 1), score(NameAdaptive, 9, 0.8)}, NameAdaptive},
		"it loses":             {[]Score{score(NameAdaptive, 9, 1.1), score(NameNaive, 9, 1), score(NameAdaptive, 9, 1.2)}, NameNaive},
		"one makes up for one": {[]Score{score(NameAdaptive, 9, 1.1), score(NameAdaptive, 9, 0.8)}, NameAdaptive},
		"nothing was compared": {[]Score{score(NameAdaptive, 0, 0), score(NameAdaptive, 0, 0)}, NameAdaptive},
	} {
		if got := Choose(c.scores); got != c.want {
			t.Errorf("%s: %s", what, got)
		}
	}
}

// TestAPeakIsForecastAsItIs: where a bell rings, everybody comes at once, and no neighbouring slot knows of it.
func TestAPeakIsForecastAsItIs(t *testing.T) {
	s := campus(3, 20)
	for i := range s.People {
		if i%perDay == 52 {
			s.People[i] += 150
		}
	}
	for _, x := range Compare(s, time.UTC, nil, 8*7*24*time.Hour) {
		if x.Model == NameAdaptive && x.MASE > 0.85 {
			t.Errorf("%+v", x)
		}
	}
	ahead := Ahead(s, NameAdaptive, time.UTC, nil, perDay)
	if len(ahead) != perDay || math.Abs(ahead[52].P50-ahead[51].P50-150) > 40 {
		t.Errorf("%d slots, %+v and then %+v", len(ahead), ahead[51], ahead[52])
	}
}

// TestBetweenHorizons forecasts are hardly worse than those of a model that was made for theirs.
func TestBetweenHorizons(t *testing.T) {
	for seed := range uint64(3) {
		s := campus(seed, 20)
		for _, ahead := range []int{3, 6, 12, 24, 40, 72} {
			exact := Backtest("", New(time.UTC, nil, ahead), s, 8*7*24*time.Hour, ahead, always)
			between := Backtest("", New(time.UTC, nil, learnt(perDay)...), s, 8*7*24*time.Hour, ahead, always)
			if between.N != exact.N || between.MAE > 1.02*exact.MAE || between.Cover80 < 0.75 {
				t.Errorf("seed %d, %d ahead: %+v, exactly %+v", seed, ahead, between, exact)
			}
		}
	}
	m := New(time.UTC, nil, 4, 8)
	for range perWeek + 1 {
		m.Learn(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), 1)
	}
	for ahead, want := range map[int]bool{3: false, 4: true, 6: true, 8: true, 9: false} {
		if _, ok := m.Forecast(ahead); ok != want && ok {
			t.Errorf("%d ahead: %v", ahead, ok)
		}
	}
}
