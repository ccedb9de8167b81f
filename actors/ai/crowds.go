package ai

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"nexus"
	"nexus/actors/ai/forecast"
)

const (
	// learnFrom is how far back forecasts learn: a term, and what its days off were like. scoreFrom is how much of its end they are scored over.
	learnFrom = 16 * 7 * 24 * time.Hour
	scoreFrom = 4 * 7 * 24 * time.Hour
	// forecastFor is how far ahead they go.
	forecastFor = 24 * time.Hour
)

// Crowds keeps how full halls were, and what is expected of them.
type Crowds interface {
	Halls(ctx context.Context) ([]nexus.Hall, error)
	// Slots returns means over quarters of an hour, in order; those of which nothing is known are left out.
	Slots(ctx context.Context, id nexus.HallID, from, to time.Time) ([]nexus.CrowdSample, error)
	// Calendar returns the days unlike others from one day to another, both included.
	Calendar(ctx context.Context, from, to string) ([]nexus.SpecialDay, error)
	// Forecast returns the one made last; without points if there is none.
	Forecast(ctx context.Context, id nexus.HallID) (nexus.Forecast, error)
	KeepForecast(ctx context.Context, f nexus.Forecast) error
	Scores(ctx context.Context, id nexus.HallID) ([]nexus.ForecastScore, error)
	KeepScores(ctx context.Context, id nexus.HallID, day string, scores []nexus.ForecastScore) error
	// Advice returns the last advice on a hall; without factors if there is none.
	Advice(ctx context.Context, id nexus.HallID) (nexus.ForecastAdvice, error)
	KeepAdvice(ctx context.Context, id nexus.HallID, a nexus.ForecastAdvice) error
	// Trials returns what models said before about slots from one time to another.
	Trials(ctx context.Context, id nexus.HallID, from, to time.Time) ([]nexus.ForecastTrial, error)
	KeepTrials(ctx context.Context, id nexus.HallID, trials []nexus.ForecastTrial) error
}

// Forecaster makes forecasts of halls by the models of package forecast, and lets the one make them that was less far off lately. If there is a model
// that can be asked for advice, it is asked, and its advice is followed once forecasts with it were less far off than those without.
type Forecaster struct {
	Crowds Crowds
	// Publish tells whoever looks at a hall.
	Publish func(nexus.Forecast)
	Pool    Asker  // nil: nobody is asked
	Model   string // whom
	Log     *slog.Logger
}

// MakeAll makes the next day's forecast of every hall. What goes wrong with one does not keep it from the others; the first error is returned.
func (f *Forecaster) MakeAll(ctx context.Context, now time.Time) error {
	return f.each(ctx, func(h nexus.Hall) error { return f.make(ctx, h, now, now.Truncate(forecast.Slot)) }) // the slot that is under way is not over
}

// LookAll makes the forecasts anew of halls where it has come otherwise than they say.
func (f *Forecaster) LookAll(ctx context.Context, now time.Time) error {
	return f.each(ctx, func(h nexus.Hall) error {
		surprised, err := f.surprised(ctx, h, now)
		if err != nil || !surprised {
			return err
		}
		f.Log.Info("a hall is not as it was forecast", "hall", h.ID)
		return f.make(ctx, h, now, now.Truncate(forecast.Slot).Add(forecast.Slot)) // what is known of the slot under way counts
	})
}

func (f *Forecaster) each(ctx context.Context, do func(nexus.Hall) error) error {
	halls, err := f.Crowds.Halls(ctx)
	if err != nil {
		return err
	}
	var first error
	for _, h := range halls {
		if err := do(h); err != nil {
			f.Log.Warn("forecast", "hall", h.ID, "err", err)
			if first == nil {
				first = err
			}
		}
	}
	return first
}

const (
	// surpriseAfter is how much of a slot is known before it can be a surprise, and surpriseBy is by how many people at least it is one.
	surpriseAfter = 5 * time.Minute
	surpriseBy    = 10
)

// surprised reports whether the slot under way is further outside of what was forecast for it than half as wide as that.
func (f *Forecaster) surprised(ctx context.Context, h nexus.Hall, now time.Time) (bool, error) {
	slot := now.Truncate(forecast.Slot)
	if now.Sub(slot) < surpriseAfter {
		return false, nil
	}
	said, err := f.Crowds.Forecast(ctx, h.ID)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(said.Points, func(p nexus.ForecastPoint) bool { return p.T.Equal(slot) })
	if i < 0 {
		return false, nil // there is none, or the surprise was seen
	}
	samples, err := f.Crowds.Slots(ctx, h.ID, slot, now)
	if err != nil || len(samples) == 0 {
		return false, err
	}
	p, people := said.Points[i], samples[0].Occupancy
	margin := max(surpriseBy, (p.P90-p.P10)/2)
	return people > p.P90+margin || people < p.P10-margin, nil
}

// make makes the forecast of a hall from an end on, up to which it is known how full it was.
func (f *Forecaster) make(ctx context.Context, h nexus.Hall, now, end time.Time) error {
	p, ok, err := f.place(ctx, h, end)
	if err != nil || !ok {
		return err
	}
	c, err := f.choose(ctx, p, now)
	if err != nil {
		return err
	}
	made := p.ahead(c.local, now)
	if len(made.Points) == 0 {
		return nil // too little is known yet
	}
	if c.advised {
		if made, err = f.advised(ctx, made); err != nil {
			return err
		}
	}
	if err := f.Crowds.KeepForecast(ctx, made); err != nil {
		return err
	}
	f.Publish(made)
	return nil
}

// place is a hall, and what is known of it up to an end.
type place struct {
	hall   nexus.Hall
	zone   *time.Location
	series forecast.Series
	end    time.Time
	days   []nexus.SpecialDay
}

// place returns a hall; false if nothing is known of it.
func (f *Forecaster) place(ctx context.Context, h nexus.Hall, end time.Time) (place, bool, error) {
	zone, err := time.LoadLocation(h.TZ)
	if err != nil {
		return place{}, false, nexus.Wrap(nexus.Internal, err, "load the hall's zone")
	}
	samples, err := f.Crowds.Slots(ctx, h.ID, end.Add(-learnFrom), end)
	if err != nil || len(samples) == 0 {
		return place{}, false, err
	}
	days, err := f.Crowds.Calendar(ctx, end.Add(-learnFrom).In(zone).Format(time.DateOnly), end.Add(forecastFor).In(zone).Format(time.DateOnly))
	return place{hall: h, zone: zone, series: seriesOf(samples, end), end: end, days: days}, err == nil, err
}

// ahead is what a model of package forecast expects of the next day.
func (p place) ahead(local string, now time.Time) nexus.Forecast {
	made := nexus.Forecast{Hall: p.hall.ID, Model: local, MadeAt: now.UTC().Truncate(time.Millisecond), Points: []nexus.ForecastPoint{}}
	for i, b := range forecast.Ahead(p.series, local, p.zone, calendarOf(p.days), int(forecastFor/forecast.Slot)) {
		made.Points = append(made.Points, nexus.ForecastPoint{
			T: p.end.Add(time.Duration(i) * forecast.Slot).UTC(), P10: tenth(b.P10), P50: tenth(b.P50), P90: tenth(b.P90),
		})
	}
	return made
}

// calendarOf are days by kind: holidays are alike, and so are events of one name.
func calendarOf(days []nexus.SpecialDay) forecast.Calendar {
	c := make(forecast.Calendar, len(days))
	for _, d := range days {
		if c[d.Day] = forecast.Holiday; d.Kind == nexus.DayEvent {
			c[d.Day] = "event: " + strings.ToLower(d.Name)
		}
	}
	return c
}

// seriesOf is what is known up to an end; slots without a sample are unknown, also those before the end.
func seriesOf(samples []nexus.CrowdSample, end time.Time) forecast.Series {
	points := make([]forecast.Point, 0, len(samples)+1)
	for _, s := range samples {
		points = append(points, forecast.Point{At: s.At, People: s.Occupancy})
	}
	if last := end.Add(-forecast.Slot); samples[len(samples)-1].At.Before(last) {
		points = append(points, forecast.Point{At: last, People: math.NaN()})
	}
	series, _ := forecast.Slots(points) // they are in order, and of a few weeks
	return series
}

// chosen is who makes forecasts.
type chosen struct {
	local   string // a model of package forecast
	advised bool   // advice is followed
}

// choose returns who is to make the forecasts. Once a day it is found out anew, and everybody may see by what.
func (f *Forecaster) choose(ctx context.Context, p place, now time.Time) (chosen, error) {
	day := now.In(p.zone).Format(time.DateOnly)
	known, err := f.Crowds.Scores(ctx, p.hall.ID)
	if err != nil {
		return chosen{}, err
	}
	var today []nexus.ForecastScore
	for _, k := range known {
		if k.Day == day {
			today = append(today, k)
		}
	}
	if len(today) == 0 {
		if today, err = f.compare(ctx, p, day); err != nil {
			return chosen{}, err
		}
		if err := f.Crowds.KeepScores(ctx, p.hall.ID, day, today); err != nil {
			return chosen{}, err
		}
	}
	c := chosen{local: localOf(today)}
	c.advised = slices.ContainsFunc(today, func(k nexus.ForecastScore) bool { return k.Chosen && k.Model == f.advisedName(c.local) })
	return c, nil
}

// compare scores the models over the last weeks: those of package forecast by a back-test, and the one with advice by what it said then.
func (f *Forecaster) compare(ctx context.Context, p place, day string) ([]nexus.ForecastScore, error) {
	warmup := time.Duration(len(p.series.People))*forecast.Slot - scoreFrom
	scores := forecast.Compare(p.series, p.zone, calendarOf(p.days), max(warmup, 0))
	local := forecast.Choose(scores)
	advice, better, err := f.scoreAdvice(ctx, p, local)
	if err != nil {
		return nil, err
	}
	who := local
	if better {
		who = f.advisedName(local)
	}
	scores = append(scores, advice...)
	kept := make([]nexus.ForecastScore, len(scores))
	for i, x := range scores {
		kept[i] = nexus.ForecastScore{
			Day: day, Model: x.Model, HorizonMin: x.HorizonMin, N: x.N, MAE: x.MAE, MASE: x.MASE, Pinball: x.Pinball, Cover80: x.Cover80, Chosen: x.Model == who,
		}
	}
	return kept, nil
}

// localOf is the model of package forecast that a day's scores have chosen.
func localOf(scores []nexus.ForecastScore) string {
	list := make([]forecast.Score, len(scores))
	for i, s := range scores {
		list[i] = forecast.Score{Model: s.Model, N: s.N, MASE: s.MASE}
	}
	return forecast.Choose(list)
}

// tenth is a number of people with one digit more than there can be.
func tenth(people float64) float64 { return math.Round(people*10) / 10 }
