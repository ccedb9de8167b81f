package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Forecasts keeps what is expected of halls, and how good that was.
type Forecasts struct{ db *DB }

// NewForecasts returns the forecasts in db.
func NewForecasts(db *DB) *Forecasts { return &Forecasts{db: db} }

// Halls lists the halls.
func (s *Forecasts) Halls(ctx context.Context) ([]nexus.Hall, error) { return NewMess(s.db).Halls(ctx) }

// Slots returns how many people were in a hall, as means over the quarters of an hour from one time to another; those of which nothing is known are
// left out.
func (s *Forecasts) Slots(ctx context.Context, id nexus.HallID, from, to time.Time) ([]nexus.CrowdSample, error) {
	var samples []nexus.CrowdSample
	err := s.db.do(ctx, "read slots", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.SlotMeans(ctx, string(id), from, to)
		for _, r := range rows {
			samples = append(samples, nexus.CrowdSample{At: r.At, Occupancy: r.People})
		}
		return err
	})
	return samples, err
}

// KeepForecast keeps a forecast in place of an older one.
func (s *Forecasts) KeepForecast(ctx context.Context, f nexus.Forecast) error {
	points, err := json.Marshal(f.Points)
	if err != nil {
		return fmt.Errorf("encode a forecast: %w", err)
	}
	return s.db.do(ctx, "keep forecast", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.PutForecast(ctx, sqlcgen.PutForecastParams{HallID: string(f.Hall), Model: f.Model, Points: points, MadeAt: f.MadeAt})
	})
}

// Forecast returns what is expected of a hall; without points if nothing is known yet. NotFound for no hall.
func (s *Forecasts) Forecast(ctx context.Context, id nexus.HallID) (nexus.Forecast, error) {
	f := nexus.Forecast{Hall: id, Points: []nexus.ForecastPoint{}}
	err := s.db.do(ctx, "read forecast", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.Forecast(ctx, string(id))
		if errors.Is(err, pgx.ErrNoRows) {
			_, err := q.Hall(ctx, string(id))
			return orNotFound(err, "hall")
		}
		if err != nil {
			return err
		}
		f.Model, f.MadeAt = r.Model, r.MadeAt
		return json.Unmarshal(r.Points, &f.Points)
	})
	return f, err
}

// KeepScores keeps how good the models were, of a day.
func (s *Forecasts) KeepScores(ctx context.Context, id nexus.HallID, day string, scores []nexus.ForecastScore) error {
	p := sqlcgen.PutForecastScoresParams{HallID: string(id), Day: day}
	for _, x := range scores {
		p.Models, p.Horizons, p.Ns = append(p.Models, x.Model), append(p.Horizons, int32(x.HorizonMin)), append(p.Ns, int32(x.N)) //nolint:gosec // bounded by the weeks looked at
		p.Maes, p.Mases, p.Pinballs = append(p.Maes, x.MAE), append(p.Mases, x.MASE), append(p.Pinballs, x.Pinball)
		p.Cover80s, p.Chosens = append(p.Cover80s, x.Cover80), append(p.Chosens, x.Chosen)
	}
	return s.db.do(ctx, "keep forecast scores", func(ctx context.Context, q *sqlcgen.Queries) error { return q.PutForecastScores(ctx, p) })
}

// maxScores is what a list of scores has at most: two models at two horizons over 50 days.
const maxScores = 200

// Scores lists how good the models were, the latest day first. NotFound for no hall.
func (s *Forecasts) Scores(ctx context.Context, id nexus.HallID) ([]nexus.ForecastScore, error) {
	scores := []nexus.ForecastScore{}
	err := s.db.read(ctx, "list forecast scores", func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := q.Hall(ctx, string(id)); err != nil {
			return orNotFound(err, "hall")
		}
		rows, err := q.ForecastScores(ctx, string(id), maxScores)
		for _, r := range rows {
			scores = append(scores, nexus.ForecastScore{
				Day: r.Day, Model: r.Model, HorizonMin: int(r.HorizonMin), N: int(r.N), MAE: r.Mae, MASE: r.Mase, Pinball: r.Pinball, Cover80: r.Cover80, Chosen: r.Chosen,
			})
		}
		return err
	})
	return scores, err
}

// PurgeScores drops scores that are older than a year.
func (s *Forecasts) PurgeScores(ctx context.Context) (n int64, err error) {
	err = s.db.do(ctx, "purge forecast scores", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		n, err = q.PurgeForecastScores(ctx)
		return err
	})
	return n, err
}
