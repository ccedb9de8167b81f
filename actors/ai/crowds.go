package ai

import (
	"context"
	"log/slog"
	"math"
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
	KeepForecast(ctx context.Context, f nexus.Forecast) error
	Scores(ctx context.Context, id nexus.HallID) ([]nexus.ForecastScore, error)
	KeepScores(ctx context.Context, id nexus.HallID, day string, scores []nexus.ForecastScore) error
}

// Forecaster makes forecasts of halls by the models of package forecast, and lets the one make them that was less far off lately.
type Forecaster struct {
	Crowds Crowds
	// Publish tells whoever looks at a hall.
	Publish func(nexus.Forecast)
	Log     *slog.Logger
}

// MakeAll makes the next day's forecast of every hall. What goes wrong with one does not keep it from the others; the first error is returned.
func (f *Forecaster) MakeAll(ctx context.Context, now time.Time) error {
	halls, err := f.Crowds.Halls(ctx)
	if err != nil {
		return err
	}
	var first error
	for _, h := range halls {
		if err := f.make(ctx, h, now); err != nil {
			f.Log.Warn("forecast", "hall", h.ID, "err", err)
			if first == nil {
				first = err
			}
		}
	}
	return first
}

func (f *Forecaster) make(ctx context.Context, h nexus.Hall, now time.Time) error {
	zone, err := time.LoadLocation(h.TZ)
	if err != nil {
		return nexus.Wrap(nexus.Internal, err, "load the hall's zone")
	}
	end := now.Truncate(forecast.Slot) // the slot that is under way is not over
	samples, err := f.Crowds.Slots(ctx, h.ID, end.Add(-learnFrom), end)
	if err != nil || len(samples) == 0 {
		return err
	}
	series := seriesOf(samples, end)
	model, err := f.choose(ctx, h.ID, series, zone, now)
	if err != nil {
		return err
	}
	made := nexus.Forecast{Hall: h.ID, Model: model, MadeAt: now.UTC().Truncate(time.Millisecond), Points: []nexus.ForecastPoint{}}
	for i, b := range forecast.Ahead(series, model, zone, int(forecastFor/forecast.Slot)) {
		made.Points = append(made.Points, nexus.ForecastPoint{
			T: end.Add(time.Duration(i) * forecast.Slot).UTC(), P10: tenth(b.P10), P50: tenth(b.P50), P90: tenth(b.P90),
		})
	}
	if len(made.Points) == 0 {
		return nil // too little is known yet
	}
	if err := f.Crowds.KeepForecast(ctx, made); err != nil {
		return err
	}
	f.Publish(made)
	return nil
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

// choose returns the model that is to make the forecasts. Once a day it is found out anew, and everybody may see by what.
func (f *Forecaster) choose(ctx context.Context, id nexus.HallID, s forecast.Series, zone *time.Location, now time.Time) (string, error) {
	day := now.In(zone).Format(time.DateOnly)
	known, err := f.Crowds.Scores(ctx, id)
	if err != nil {
		return "", err
	}
	for _, k := range known {
		if k.Day == day && k.Chosen {
			return k.Model, nil
		}
	}
	warmup := time.Duration(len(s.People))*forecast.Slot - scoreFrom
	scores := forecast.Compare(s, zone, max(warmup, 0))
	chosen := forecast.Choose(scores)
	kept := make([]nexus.ForecastScore, len(scores))
	for i, x := range scores {
		kept[i] = nexus.ForecastScore{
			Day: day, Model: x.Model, HorizonMin: x.HorizonMin, N: x.N, MAE: x.MAE, MASE: x.MASE, Pinball: x.Pinball, Cover80: x.Cover80, Chosen: x.Model == chosen,
		}
	}
	return chosen, f.Crowds.KeepScores(ctx, id, day, kept)
}

// tenth is a number of people with one digit more than there can be.
func tenth(people float64) float64 { return math.Round(people*10) / 10 }
