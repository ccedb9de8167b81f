package forecast

import (
	"math"
	"slices"
	"testing"
	"time"
)

// festive is a campus on which every 17th day is a holiday, when a fifth of the people come, and every 23rd a fair, with twice as many.
func festive(seed uint64, weeks int) (Series, Calendar) {
	s, c := campus(seed, weeks), Calendar{}
	for day := range len(s.People) / perDay {
		share := 1.0
		switch {
		case day%17 == 16:
			share = 0.2
			c[s.At(day*perDay).Format(time.DateOnly)] = Holiday
		case day%23 == 22:
			share = 2
			c[s.At(day*perDay).Format(time.DateOnly)] = "fair"
		}
		for i := range perDay {
			s.People[day*perDay+i] = math.Round(s.People[day*perDay+i] * share)
		}
	}
	return s, c
}

// miss is a model's mean absolute error a day ahead on the days that a test picks, after so many weeks.
func miss(s Series, m Model, warmup int, pick func(day string) bool) float64 {
	sum, n := 0.0, 0.0
	made := make([]Band, len(s.People)+perDay)
	for i, people := range s.People {
		if i >= warmup*perWeek && pick(s.At(i).Format(time.DateOnly)) {
			sum += math.Abs(people - made[i].P50)
			n++
		}
		m.Learn(s.At(i), people)
		made[i+perDay], _ = m.Forecast(perDay)
	}
	return sum / n
}

// TestDaysUnlikeOthersAreForecastFromTheirLike, and others no worse for them.
func TestDaysUnlikeOthersAreForecastFromTheirLike(t *testing.T) {
	for seed := range uint64(5) {
		s, c := festive(seed, 40)
		for what, x := range map[string]struct {
			pick func(day string) bool
			most float64 // of the error without a calendar
		}{
			"holidays": {func(d string) bool { return c[d] == Holiday }, 0.5},
			"fairs":    {func(d string) bool { return c[d] == "fair" }, 0.6},
			"others":   {func(d string) bool { return c[d] == "" }, 1},
		} {
			with, without := miss(s, New(time.UTC, c, perDay), 10, x.pick), miss(s, New(time.UTC, nil, perDay), 10, x.pick)
			t.Logf("seed %d, %s: %.2f with, %.2f without", seed, what, with, without)
			if with > x.most*without {
				t.Errorf("seed %d, %s: %.2f with a calendar, %.2f without", seed, what, with, without)
			}
		}
	}
}

// TestTheFirstHolidayIsLikeASunday: nothing else is known of it.
func TestTheFirstHolidayIsLikeASunday(t *testing.T) {
	s := campus(1, 12)
	next := s.At(len(s.People)) // a Monday
	day := next.Format(time.DateOnly)
	at := 13*4 - 1
	holiday := Ahead(s, NameAdaptive, time.UTC, Calendar{day: Holiday}, perDay)[at].P50
	sunday, monday := s.People[len(s.People)-perDay+at], Ahead(s, NameAdaptive, time.UTC, nil, perDay)[at].P50
	if math.Abs(holiday-sunday) > 12 || monday < holiday+15 {
		t.Errorf("%.0f on a holiday, %.0f last Sunday, %.0f on a Monday", holiday, sunday, monday)
	}
	if fair := Ahead(s, NameAdaptive, time.UTC, Calendar{day: "fair"}, perDay)[at].P50; math.Abs(fair-monday) > 1e-9 {
		t.Errorf("%.0f on the first fair, as on any Monday %.0f", fair, monday)
	}
}

// TestACalendarOfOtherTimesChangesNothing.
func TestACalendarOfOtherTimesChangesNothing(t *testing.T) {
	s := campus(2, 6)
	with, without := Ahead(s, NameAdaptive, time.UTC, Calendar{"2031-01-01": Holiday}, perDay), Ahead(s, NameAdaptive, time.UTC, nil, perDay)
	if !slices.Equal(with, without) {
		t.Errorf("%+v, %+v", with, without)
	}
}
