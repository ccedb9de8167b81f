package ai

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"testing"
	"time"

	"nexus"
	"nexus/actors/ai/forecast"
)

// crowds is a campus of halls in memory.
type crowds struct {
	halls    []nexus.Hall
	of       map[nexus.HallID]func(at time.Time) float64 // NaN: nothing is known
	since    time.Time
	kept     map[nexus.HallID]nexus.Forecast
	scores   map[nexus.HallID][]nexus.ForecastScore
	compared int
	err      error
	days     []nexus.SpecialDay
	advice   map[nexus.HallID]nexus.ForecastAdvice
	trials   map[nexus.HallID][]nexus.ForecastTrial
}

func (c *crowds) Calendar(context.Context, string, string) ([]nexus.SpecialDay, error) {
	return c.days, nil
}

func (c *crowds) Forecast(_ context.Context, id nexus.HallID) (nexus.Forecast, error) {
	return c.kept[id], nil
}

func (c *crowds) Advice(_ context.Context, id nexus.HallID) (nexus.ForecastAdvice, error) {
	return c.advice[id], nil
}

func (c *crowds) KeepAdvice(_ context.Context, id nexus.HallID, a nexus.ForecastAdvice) error {
	c.advice[id] = a
	return nil
}

func (c *crowds) Trials(_ context.Context, id nexus.HallID, from, to time.Time) (trials []nexus.ForecastTrial, err error) {
	for _, t := range c.trials[id] {
		if !t.Point.T.Before(from) && t.Point.T.Before(to) {
			trials = append(trials, t)
		}
	}
	return trials, nil
}

func (c *crowds) KeepTrials(_ context.Context, id nexus.HallID, trials []nexus.ForecastTrial) error {
	c.trials[id] = append(c.trials[id], trials...)
	return nil
}

func (c *crowds) Halls(context.Context) ([]nexus.Hall, error) { return c.halls, nil }

func (c *crowds) Slots(_ context.Context, id nexus.HallID, from, to time.Time) (samples []nexus.CrowdSample, err error) {
	of := c.of[id]
	if of == nil {
		return nil, c.err
	}
	for at := from; at.Before(to); at = at.Add(forecast.Slot) {
		if x := of(at); !at.Before(c.since) && !math.IsNaN(x) {
			samples = append(samples, nexus.CrowdSample{At: at, Occupancy: x})
		}
	}
	return samples, nil
}

func (c *crowds) KeepForecast(_ context.Context, f nexus.Forecast) error {
	c.kept[f.Hall] = f
	return nil
}

func (c *crowds) Scores(_ context.Context, id nexus.HallID) ([]nexus.ForecastScore, error) {
	return c.scores[id], nil
}

func (c *crowds) KeepScores(_ context.Context, id nexus.HallID, _ string, s []nexus.ForecastScore) error {
	c.compared++
	c.scores[id] = append(slices.Clone(s), c.scores[id]...)
	return nil
}

// lunch is full at one o'clock in India, on working days.
func lunch(at time.Time) float64 {
	local := at.In(india)
	if local.Weekday() == time.Saturday || local.Weekday() == time.Sunday {
		return 5
	}
	hour := float64(local.Hour()) + float64(local.Minute())/60
	return 5 + 200*math.Exp(-(hour-13)*(hour-13))
}

var india = func() *time.Location {
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		panic(err)
	}
	return zone
}()

func newCrowds() *crowds {
	return &crowds{
		halls: []nexus.Hall{{ID: "north", TZ: "Asia/Kolkata"}, {ID: "new", TZ: "UTC"}},
		of:    map[nexus.HallID]func(time.Time) float64{"north": lunch}, kept: map[nexus.HallID]nexus.Forecast{}, scores: map[nexus.HallID][]nexus.ForecastScore{},
		advice: map[nexus.HallID]nexus.ForecastAdvice{}, trials: map[nexus.HallID][]nexus.ForecastTrial{},
		since: time.Date(2026, 7, 13, 0, 0, 0, 0, time.UTC),
	}
}

// TestTheNextDayIsForecast: as usual at that time of the week by the hall's clock, in whole slots from the one that is under way, and told.
func TestTheNextDayIsForecast(t *testing.T) {
	c := newCrowds()
	var told []nexus.Forecast
	f := &Forecaster{Crowds: c, Publish: func(x nexus.Forecast) { told = append(told, x) }, Log: slog.New(slog.DiscardHandler)}
	now := time.Date(2026, 9, 8, 6, 7, 0, 0, time.UTC) // a Tuesday, 11:37 in India
	if err := f.MakeAll(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	made := c.kept["north"]
	if len(made.Points) != 96 || len(told) != 1 || made.Points[0].T != time.Date(2026, 9, 8, 6, 0, 0, 0, time.UTC) || made.MadeAt != now || made.Model != forecast.NameAdaptive {
		t.Fatalf("%d points, %d told, %+v", len(made.Points), len(told), made.Points[:1])
	}
	for _, p := range made.Points {
		if d := math.Abs(p.P50 - lunch(p.T)); d > 12 || p.P10 > p.P50 || p.P50 > p.P90 || p.P10 < 0 {
			t.Errorf("%v: %+v, was to be %.0f", p.T.In(india), p, lunch(p.T))
		}
	}
	if len(c.kept) != 1 {
		t.Error("a hall of which nothing is known has a forecast")
	}
	// Scored once a day.
	for i, want := range []int{1, 1, 2} {
		if c.compared != want {
			t.Errorf("%d: compared %d times", i, c.compared)
		}
		now = now.Add([]time.Duration{6 * time.Hour, 12 * time.Hour, 0}[i])
		if err := f.MakeAll(t.Context(), now); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.scores["north"]; len(s) != 8 || s[0].N < 2000 || s[0].MAE > 5 || !s[0].Chosen || s[1].Chosen {
		t.Errorf("%+v", s)
	}
}

// TestAModelThatHasLostMakesNoForecasts: today's scores have chosen last week's value, whose errors make the band.
func TestAModelThatHasLostMakesNoForecasts(t *testing.T) {
	c := newCrowds()
	c.of["north"] = func(at time.Time) float64 { slot := at.Unix() / 900; return lunch(at) + float64(slot*slot%97*slot%23) }
	c.scores["north"] = []nexus.ForecastScore{
		{Day: "2026-09-08", Model: forecast.NameAdaptive, HorizonMin: 60, N: 100, MASE: 1.1}, {Day: "2026-09-08", Model: forecast.NameNaive, N: 100, MASE: 1, Chosen: true}, {Day: "2026-09-07", Model: forecast.NameAdaptive, Chosen: true},
	}
	f := &Forecaster{Crowds: c, Publish: func(nexus.Forecast) {}, Log: slog.New(slog.DiscardHandler)}
	if err := f.MakeAll(t.Context(), time.Date(2026, 9, 8, 6, 7, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	made := c.kept["north"]
	if made.Model != forecast.NameNaive || len(made.Points) != 96 || c.compared != 0 {
		t.Fatalf("%s %d", made.Model, len(made.Points))
	}
	within := 0
	for _, p := range made.Points {
		if x := c.of["north"](p.T); x >= p.P10 && x <= p.P90 {
			within++
		}
	}
	if within < 70 {
		t.Errorf("%d of 96 within the band", within)
	}
}

// TestAHallThatFailsHoldsUpNoOther.
func TestAHallThatFailsHoldsUpNoOther(t *testing.T) {
	c := newCrowds()
	c.err = errors.New("no such rows")
	slices.Reverse(c.halls)
	f := &Forecaster{Crowds: c, Publish: func(nexus.Forecast) {}, Log: slog.New(slog.DiscardHandler)}
	if err := f.MakeAll(t.Context(), time.Date(2026, 9, 8, 6, 7, 0, 0, time.UTC)); !errors.Is(err, c.err) || len(c.kept) != 1 {
		t.Errorf("%v, %d made", err, len(c.kept))
	}
}

// TestSilenceIsNotKnown: a hall that nobody counts any more has no forecast that pretends to know its last hours.
func TestSilenceIsNotKnown(t *testing.T) {
	c := newCrowds()
	now := time.Date(2026, 9, 8, 6, 7, 0, 0, time.UTC)
	c.of["north"] = func(at time.Time) float64 {
		if now.Sub(at) < 3*24*time.Hour {
			return math.NaN()
		}
		return lunch(at)
	}
	f := &Forecaster{Crowds: c, Publish: func(nexus.Forecast) {}, Log: slog.New(slog.DiscardHandler)}
	if err := f.MakeAll(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	made := c.kept["north"]
	if len(made.Points) != 96 || made.Points[0].T != now.Truncate(forecast.Slot) {
		t.Fatalf("%d %+v", len(made.Points), made.Points[:1])
	}
	for _, p := range made.Points {
		if math.Abs(p.P50-lunch(p.T)) > 25 {
			t.Errorf("%+v, was to be %.0f", p, lunch(p.T))
		}
	}
}

// TestASurpriseIsForecastAnew, once: when it is by far outside of what was said, and enough of the slot is known.
func TestASurpriseIsForecastAnew(t *testing.T) {
	c := newCrowds()
	f := &Forecaster{Crowds: c, Publish: func(nexus.Forecast) {}, Log: slog.New(slog.DiscardHandler)}
	slot := time.Date(2026, 9, 8, 7, 30, 0, 0, time.UTC) // one o'clock in India
	if err := f.MakeAll(t.Context(), slot.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	look := func(after time.Duration) (again bool) {
		t.Helper()
		now := slot.Add(after)
		if err := f.LookAll(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		return c.kept["north"].MadeAt.Equal(now)
	}
	if look(10 * time.Minute) {
		t.Error("as expected, and made anew")
	}
	c.of["north"] = func(at time.Time) float64 {
		if !at.Before(slot) {
			return 20
		}
		return lunch(at)
	}
	if look(4 * time.Minute) {
		t.Error("too little of it is known")
	}
	was := c.kept["north"].Points[1]
	if !look(10 * time.Minute) {
		t.Fatal("nobody came, and it is not forecast anew")
	}
	if p := c.kept["north"].Points[0]; !p.T.Equal(was.T) || p.P50 > was.P50-50 {
		t.Errorf("%+v, was %+v", p, was)
	}
	if look(12 * time.Minute) {
		t.Error("the surprise is one again")
	}
}

// TestAHolidayIsForecastFromTheCalendar.
func TestAHolidayIsForecastFromTheCalendar(t *testing.T) {
	c := newCrowds()
	c.days = []nexus.SpecialDay{{Day: "2026-09-08", Kind: nexus.DayHoliday, Name: "Day off"}}
	f := &Forecaster{Crowds: c, Publish: func(nexus.Forecast) {}, Log: slog.New(slog.DiscardHandler)}
	if err := f.MakeAll(t.Context(), time.Date(2026, 9, 8, 1, 2, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.kept["north"].Points {
		if p.T.In(india).Day() == 8 && p.P50 > 40 {
			t.Errorf("%+v", p)
		}
	}
}
