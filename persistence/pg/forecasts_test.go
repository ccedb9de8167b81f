package pg_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// TestTheNewestForecastIsKept, and whoever reads it again is not told an old one by the node that made it.
func TestTheNewestForecastIsKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s, h := pg.NewForecasts(db), newHall(t, db, "North")
	if f, err := s.Forecast(t.Context(), h.ID); err != nil || f.Points == nil || len(f.Points) != 0 {
		t.Fatalf("%+v %v", f, err)
	}
	made := nexus.Forecast{Hall: h.ID, Model: "adaptive", MadeAt: noon, Points: []nexus.ForecastPoint{{T: noon, P10: 1, P50: 2.5, P90: 4}}}
	ok(t, s.KeepForecast(t.Context(), made))
	older := made
	older.MadeAt, older.Model = noon.Add(-time.Hour), "older"
	ok(t, s.KeepForecast(t.Context(), older))
	for _, store := range []*pg.Forecasts{s, pg.NewForecasts(db)} {
		f, err := store.Forecast(t.Context(), h.ID)
		ok(t, err)
		if diff := cmp.Diff(made, f); diff != "" {
			t.Error(diff)
		}
	}
	_, err := s.Forecast(t.Context(), nexus.HallID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

// TestTheCalendarKnowsTermsAndStaff: holidays of terms are in it, what staff says of a day counts more, and each change is on record.
func TestTheCalendarKnowsTermsAndStaff(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	s := pg.NewForecasts(db)
	exec(t, db.Pool(), `insert into term_holiday values ('T1', '2026-10-02', 'Gandhi Jayanti'), ('T1', '2026-10-20', 'Diwali')`)
	put := func(day string, kind nexus.SpecialDayKind, name string) {
		t.Helper()
		_, err := s.PutSpecialDay(t.Context(), system, nexus.SpecialDay{Day: day, Kind: kind, Name: name})
		ok(t, err)
	}
	put("2026-10-20", nexus.DayEvent, "Festival dinner")
	put("2026-10-11", nexus.DayEvent, "Fair")
	put("2026-10-11", nexus.DayHoliday, "Day off")
	put("2026-12-24", nexus.DayHoliday, "Later")
	want := []nexus.SpecialDay{
		{Day: "2026-10-02", Kind: nexus.DayHoliday, Name: "Gandhi Jayanti"},
		{Day: "2026-10-11", Kind: nexus.DayHoliday, Name: "Day off"},
		{Day: "2026-10-20", Kind: nexus.DayEvent, Name: "Festival dinner"},
	}
	list := func() []nexus.SpecialDay {
		t.Helper()
		days, err := s.Calendar(t.Context(), "2026-10-01", "2026-10-31")
		ok(t, err)
		return days
	}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		ok(t, s.DeleteSpecialDay(t.Context(), system, "2026-10-20"))
	}
	want[2] = nexus.SpecialDay{Day: "2026-10-20", Kind: nexus.DayHoliday, Name: "Diwali"}
	if diff := cmp.Diff(want, list()); diff != "" {
		t.Error(diff)
	}
	if n := count(t, db.Pool(), `select count(*) from audit_log where entity = 'special_day'`); n != 5 {
		t.Errorf("%d entries of the audit log", n)
	}
	_, err := s.Calendar(t.Context(), "soon", "2026-10-31")
	onField(t, err, nexus.Invalid, "from")
	_, err = s.PutSpecialDay(t.Context(), system, nexus.SpecialDay{Day: "2026-02-30", Kind: nexus.DayEvent, Name: "x"})
	onField(t, err, nexus.Invalid, "day")
}

// TestAdviceAndTrialsAreKept: the newest advice, and what was said first about each slot.
func TestAdviceAndTrialsAreKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s, h := pg.NewForecasts(db), newHall(t, db, "North")
	if a, err := s.Advice(t.Context(), h.ID); err != nil || a.Factors != nil {
		t.Fatalf("%+v %v", a, err)
	}
	advice := nexus.ForecastAdvice{Model: "flash", MadeAt: noon, Factors: map[time.Time]float64{noon: 0.5, noon.Add(time.Hour): 1}}
	ok(t, s.KeepAdvice(t.Context(), h.ID, advice))
	ok(t, s.KeepAdvice(t.Context(), h.ID, nexus.ForecastAdvice{Model: "older", MadeAt: noon.Add(-time.Second)}))
	a, err := s.Advice(t.Context(), h.ID)
	ok(t, err)
	if diff := cmp.Diff(advice, a); diff != "" {
		t.Error(diff)
	}
	trial := func(model string, hours int, p50 float64) nexus.ForecastTrial {
		return nexus.ForecastTrial{Model: model, HorizonMin: 60, Point: nexus.ForecastPoint{T: noon.Add(time.Duration(hours) * time.Hour), P10: p50 - 1, P50: p50, P90: p50 + 1}}
	}
	ok(t, s.KeepTrials(t.Context(), h.ID, []nexus.ForecastTrial{trial("a", 0, 5), trial("b", 0, 6), trial("a", 1, 7)}))
	ok(t, s.KeepTrials(t.Context(), h.ID, []nexus.ForecastTrial{trial("a", 1, 100), trial("a", 2, 8)}))
	trials, err := s.Trials(t.Context(), h.ID, noon, noon.Add(2*time.Hour))
	ok(t, err)
	if diff := cmp.Diff([]nexus.ForecastTrial{trial("a", 0, 5), trial("b", 0, 6), trial("a", 1, 7)}, trials); diff != "" {
		t.Error(diff)
	}
	exec(t, db.Pool(), `update forecast_trial set at = now() - case p50 when 8 then interval '61 days' else p50 * interval '1 day' end`)
	if n, err := s.PurgeScores(t.Context()); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
}

// TestScoresAreOfTheLatestDaysFirst, and a day's are replaced.
func TestScoresAreOfTheLatestDaysFirst(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s, h := pg.NewForecasts(db), newHall(t, db, "North")
	score := func(day, model string, mae float64) nexus.ForecastScore {
		return nexus.ForecastScore{Day: day, Model: model, HorizonMin: 60, N: 9, MAE: mae, MASE: 0.5, Pinball: 1, Cover80: 0.8, Chosen: model == "a"}
	}
	ok(t, s.KeepScores(t.Context(), h.ID, "2026-10-01", []nexus.ForecastScore{score("2026-10-01", "a", 1)}))
	ok(t, s.KeepScores(t.Context(), h.ID, "2026-10-02", []nexus.ForecastScore{score("2026-10-02", "a", 1), score("2026-10-02", "b", 2)}))
	ok(t, s.KeepScores(t.Context(), h.ID, "2026-10-02", []nexus.ForecastScore{score("2026-10-02", "b", 3)}))
	got, err := s.Scores(t.Context(), h.ID)
	ok(t, err)
	want := []nexus.ForecastScore{score("2026-10-02", "a", 1), score("2026-10-02", "b", 3), score("2026-10-01", "a", 1)}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
	_, err = s.Scores(t.Context(), nexus.HallID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}
