package nexus

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAMeetingIsHeldByTheClockOnTheWall, on both sides of a change of the clocks.
func TestAMeetingIsHeldByTheClockOnTheWall(t *testing.T) {
	for _, c := range []struct{ zone, day, starts, ends, want string }{
		{"Europe/Berlin", "2026-03-28", "09:00", "10:00", "08:00 09:00"},
		{"Europe/Berlin", "2026-03-29", "09:00", "10:00", "07:00 08:00"},
		{"Europe/Berlin", "2026-03-29", "02:30", "04:00", "01:30 02:00"}, // 02:30 is skipped: it is 03:30
		{"Europe/Berlin", "2026-10-25", "02:30", "04:00", "00:30 03:00"}, // 02:30 is there twice: the first
		{"Europe/Berlin", "2026-10-26", "09:00", "10:00", "08:00 09:00"},
		{"America/New_York", "2026-11-01", "09:00", "10:00", "14:00 15:00"},
		{"America/New_York", "2026-10-31", "09:00", "10:00", "13:00 14:00"},
		{"Asia/Kolkata", "2026-03-29", "09:00", "10:00", "03:30 04:30"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		starts, ends, err := Meeting{Starts: c.starts, Ends: c.ends}.At(c.day, zone)
		if got := starts.UTC().Format("15:04") + " " + ends.UTC().Format("15:04"); err != nil || got != c.want {
			t.Errorf("%s %s %s: %s %v, want %s", c.zone, c.day, c.starts, got, err, c.want)
		}
	}
	if _, _, err := (Meeting{Starts: "09:00", Ends: "10:00"}).At("2026-02-30", time.UTC); CodeOf(err) != Invalid {
		t.Errorf("of no day: %v", err)
	}
}

func TestOccurrences(t *testing.T) {
	term := Term{StartsOn: "2026-10-05", EndsOn: "2026-11-06", TZ: "Europe/Berlin", Holidays: []Holiday{{"2026-10-12", "x"}}}
	meetings := []Meeting{
		{ID: "m1", Course: "a", Weekday: 1, Starts: "09:00", Ends: "10:00", Room: "r1"},
		{ID: "m2", Course: "b", Weekday: 7, Starts: "14:00", Ends: "15:00", FromDay: "2026-10-20", UntilDay: "2026-10-31"},
	}
	at := func(s string) time.Time {
		when, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	classes := []Class{
		{ID: "c1", Course: "a", Meeting: "m1", OccursOn: "2026-10-19", StartsAt: at("2026-10-20 10:00"), EndsAt: at("2026-10-20 11:00"), Room: "r1", Status: ClassScheduled},
		{ID: "c2", Course: "a", Meeting: "m1", OccursOn: "2026-10-26", StartsAt: at("2026-10-26 08:00"), EndsAt: at("2026-10-26 09:00"), Room: "r1", Status: ClassCancelled},
		{ID: "c3", Course: "b", StartsAt: at("2026-10-07 10:00"), EndsAt: at("2026-10-07 11:00"), Status: ClassScheduled},
		// Of days on which the meetings are no longer planned: held before the plan changed, moved from what became a holiday, and on that holiday.
		{ID: "c4", Course: "a", Meeting: "m1", OccursOn: "2026-10-08", StartsAt: at("2026-10-08 07:00"), EndsAt: at("2026-10-08 08:00"), Status: ClassClosed},
		{ID: "c5", Course: "a", Meeting: "m1", OccursOn: "2026-10-12", StartsAt: at("2026-10-13 07:00"), EndsAt: at("2026-10-13 08:00"), Status: ClassScheduled},
		{ID: "c6", Course: "a", Meeting: "m3", OccursOn: "2026-10-12", StartsAt: at("2026-10-12 07:00"), EndsAt: at("2026-10-12 08:00"), Status: ClassScheduled},
	}
	list, err := Occurrences(term, meetings, classes, at("2026-10-01 00:00"), at("2026-11-30 00:00"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range list {
		got = append(got, fmt.Sprintf("%s %s %s %v", o.Course, o.StartsAt.Format("01-02 15:04"), o.Status, o.Moved))
	}
	want := []string{
		"a 10-05 07:00 SCHEDULED false", "b 10-07 10:00 SCHEDULED false", "a 10-08 07:00 CLOSED false", "a 10-13 07:00 SCHEDULED false",
		"a 10-20 10:00 SCHEDULED true", "b 10-25 13:00 SCHEDULED false",
		"a 10-26 08:00 CANCELLED false", "a 11-02 08:00 SCHEDULED false",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if list, err := Occurrences(term, meetings, classes, at("2026-10-20 11:00"), at("2026-10-25 13:00")); err != nil || len(list) != 0 {
		t.Errorf("between two: %v %v", list, err)
	}
	if _, err := Occurrences(Term{TZ: "Mars"}, nil, nil, at("2026-10-01 00:00"), at("2026-10-01 00:00")); CodeOf(err) != Invalid {
		t.Errorf("of no zone: %v", err)
	}
}

// TestOccurrencesAreWhatTheMeetingsSay: as many as there are such weekdays within the days, less the holidays, each by the wall clock of its day, in order;
// and any window gives those of the whole that lie in it.
func TestOccurrencesAreWhatTheMeetingsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}).Draw(t, "zone")
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 300).Draw(t, "first"))
		days := rapid.IntRange(0, 200).Draw(t, "days")
		last := first.AddDate(0, 0, days)
		off := first.AddDate(0, 0, rapid.IntRange(0, days).Draw(t, "off"))
		term := Term{StartsOn: first.Format(time.DateOnly), EndsOn: last.Format(time.DateOnly), TZ: name, Holidays: []Holiday{{Day: off.Format(time.DateOnly)}}}
		m := Meeting{ID: "m", Course: "c", Weekday: rapid.IntRange(1, 7).Draw(t, "weekday"), Starts: "09:15", Ends: "10:45"}
		all, err := Occurrences(term, []Meeting{m}, nil, first.AddDate(0, 0, -2), last.AddDate(0, 0, 2))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for d := first; !d.After(last); d = d.AddDate(0, 0, 1) {
			if int(d.Weekday()) == m.Weekday%7 && !d.Equal(off) {
				want++
			}
		}
		if len(all) != want {
			t.Fatalf("%d, want %d", len(all), want)
		}
		for i, o := range all {
			if at := o.StartsAt.In(zone); at.Format("15:04") != "09:15" || at.Format(time.DateOnly) != o.OccursOn || o.EndsAt.Sub(o.StartsAt) != 90*time.Minute ||
				i > 0 && !all[i-1].StartsAt.Before(o.StartsAt) {
				t.Fatalf("%+v", o)
			}
		}
		from := first.AddDate(0, 0, rapid.IntRange(0, days).Draw(t, "from"))
		to := from.AddDate(0, 0, rapid.IntRange(0, 30).Draw(t, "length"))
		some, err := Occurrences(term, []Meeting{m}, nil, from, to)
		in := slices.DeleteFunc(slices.Clone(all), func(o Occurrence) bool { return !o.EndsAt.After(from) || !o.StartsAt.Before(to) })
		if err != nil || !slices.Equal(some, in) {
			t.Fatalf("%v, want %v (%v)", some, in, err)
		}
	})
}
