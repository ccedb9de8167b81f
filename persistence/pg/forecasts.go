package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jellydator/ttlcache/v3"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Forecasts keeps what is expected of halls, and how good that was.
type Forecasts struct {
	db   *DB
	last *ttlcache.Cache[nexus.HallID, nexus.Forecast]
}

// Forecasts are read by everybody who opens the app, and made every quarter of an hour: what was read is remembered for a few seconds.
const (
	rememberForecasts = 10 * time.Second
	mostForecasts     = 1000
)

// NewForecasts returns the forecasts in db.
func NewForecasts(db *DB) *Forecasts {
	return &Forecasts{db: db, last: ttlcache.New(
		ttlcache.WithTTL[nexus.HallID, nexus.Forecast](rememberForecasts), ttlcache.WithCapacity[nexus.HallID, nexus.Forecast](mostForecasts),
		ttlcache.WithDisableTouchOnHit[nexus.HallID, nexus.Forecast](),
	)}
}

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
	err = s.db.do(ctx, "keep forecast", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.PutForecast(ctx, sqlcgen.PutForecastParams{HallID: string(f.Hall), Model: f.Model, Points: points, MadeAt: f.MadeAt})
	})
	s.last.Delete(f.Hall)
	return err
}

// Calendar returns the days unlike others from one day to another, both included, and at most maxSpecialDays of them.
func (s *Forecasts) Calendar(ctx context.Context, from, to string) ([]nexus.SpecialDay, error) {
	for name, day := range map[string]string{"from": from, "to": to} {
		if err := date(name, day); err != nil {
			return nil, err
		}
	}
	days := []nexus.SpecialDay{}
	err := s.db.do(ctx, "read calendar", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.CampusCalendar(ctx, from, to, maxSpecialDays)
		for _, r := range rows {
			days = append(days, nexus.SpecialDay{Day: r.Day, Kind: nexus.SpecialDayKind(r.Kind), Name: r.Name})
		}
		return err
	})
	return days, err
}

// maxSpecialDays bounds a part of the calendar: a year's days.
const maxSpecialDays = 366

// PutSpecialDay says what a day is like, in place of what was said of it before. Audited.
func (s *Forecasts) PutSpecialDay(ctx context.Context, by nexus.Caller, d nexus.SpecialDay) (nexus.SpecialDay, error) {
	return mutate(ctx, s.db, "set special day", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.SpecialDay, error) {
		if err := date("day", d.Day); err != nil {
			return d, err
		}
		before, err := specialDay(ctx, q, d.Day)
		if err != nil {
			return d, err
		}
		if err := q.PutSpecialDay(ctx, d.Day, string(d.Kind), d.Name); err != nil {
			return d, err
		}
		return d, audit(ctx, q, by, "calendar.set", "special_day", d.Day, before, d)
	})
}

// DeleteSpecialDay forgets what was said of a day. A second call does nothing. Audited.
func (s *Forecasts) DeleteSpecialDay(ctx context.Context, by nexus.Caller, day string) error {
	if err := date("day", day); err != nil {
		return err
	}
	return s.db.tx(ctx, "delete special day", func(ctx context.Context, q *sqlcgen.Queries) error {
		before, err := specialDay(ctx, q, day)
		if err != nil || before == nil {
			return err
		}
		if err := q.DeleteSpecialDay(ctx, day); err != nil {
			return err
		}
		return audit(ctx, q, by, "calendar.delete", "special_day", day, before, nil)
	})
}

// specialDay locks what was said of a day; nil for nothing.
func specialDay(ctx context.Context, q *sqlcgen.Queries, day string) (*nexus.SpecialDay, error) {
	r, err := q.SpecialDay(ctx, day)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &nexus.SpecialDay{Day: r.Day, Kind: nexus.SpecialDayKind(r.Kind), Name: r.Name}, err
}

// Advice returns the last advice on a hall; without factors if there is none.
func (s *Forecasts) Advice(ctx context.Context, id nexus.HallID) (a nexus.ForecastAdvice, err error) {
	err = s.db.do(ctx, "read advice", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.ForecastAdvice(ctx, string(id))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		a.Model, a.MadeAt = r.Model, r.MadeAt
		return json.Unmarshal(r.Factors, &a.Factors)
	})
	return a, err
}

// KeepAdvice keeps advice on a hall in place of an older one.
func (s *Forecasts) KeepAdvice(ctx context.Context, id nexus.HallID, a nexus.ForecastAdvice) error {
	factors, err := json.Marshal(a.Factors)
	if err != nil {
		return fmt.Errorf("encode advice: %w", err)
	}
	return s.db.do(ctx, "keep advice", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.PutForecastAdvice(ctx, sqlcgen.PutForecastAdviceParams{HallID: string(id), Model: a.Model, Factors: factors, MadeAt: a.MadeAt})
	})
}

// Trials returns what models said before about slots from one time to another, in order of time.
func (s *Forecasts) Trials(ctx context.Context, id nexus.HallID, from, to time.Time) ([]nexus.ForecastTrial, error) {
	var trials []nexus.ForecastTrial
	err := s.db.do(ctx, "read trials", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.ForecastTrials(ctx, string(id), from, to)
		for _, r := range rows {
			trials = append(trials, nexus.ForecastTrial{
				Model: r.Model, HorizonMin: int(r.HorizonMin), Point: nexus.ForecastPoint{T: r.At.UTC(), P10: r.P10, P50: r.P50, P90: r.P90},
			})
		}
		return err
	})
	return trials, err
}

// KeepTrials keeps what models said about slots. What was said first about one stands.
func (s *Forecasts) KeepTrials(ctx context.Context, id nexus.HallID, trials []nexus.ForecastTrial) error {
	p := sqlcgen.PutForecastTrialsParams{HallID: string(id)}
	for _, t := range trials {
		p.Models, p.Horizons, p.Ats = append(p.Models, t.Model), append(p.Horizons, int32(t.HorizonMin)), append(p.Ats, t.Point.T) //nolint:gosec // an hour or a day
		p.P10s, p.P50s, p.P90s = append(p.P10s, t.Point.P10), append(p.P50s, t.Point.P50), append(p.P90s, t.Point.P90)
	}
	return s.db.do(ctx, "keep trials", func(ctx context.Context, q *sqlcgen.Queries) error { return q.PutForecastTrials(ctx, p) })
}

// Forecast returns what is expected of a hall, as it was known some seconds ago at the earliest; without points if nothing is known yet. NotFound for no hall.
// Its points are shared: they are not to be changed.
func (s *Forecasts) Forecast(ctx context.Context, id nexus.HallID) (nexus.Forecast, error) {
	if kept := s.last.Get(id); kept != nil {
		return kept.Value(), nil
	}
	f, err := s.read(ctx, id)
	if err == nil {
		s.last.Set(id, f, ttlcache.DefaultTTL)
	}
	return f, err
}

func (s *Forecasts) read(ctx context.Context, id nexus.HallID) (nexus.Forecast, error) {
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

// maxScores is what a list of scores has at most: three models at two horizons over a month.
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

// PurgeScores drops scores that are older than a year, and trials of which none is made any more.
func (s *Forecasts) PurgeScores(ctx context.Context) (n int64, err error) {
	err = s.db.do(ctx, "purge forecast scores", func(ctx context.Context, q *sqlcgen.Queries) error {
		trials, err := q.PurgeForecastTrials(ctx)
		if err != nil {
			return err
		}
		n, err = q.PurgeForecastScores(ctx)
		n += trials
		return err
	})
	return n, err
}
