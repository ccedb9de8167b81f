package ical

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goical "github.com/emersion/go-ical"
	"pgregory.net/rapid"

	"nexus"
)

// read opens a calendar with another library than the one that wrote it.
func read(t rapid.TB, text []byte) *goical.Calendar {
	t.Helper()
	cal, err := goical.NewDecoder(bytes.NewReader(text)).Decode()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cal
}

// held expands a calendar's events, by their rules, into when they are held, as "UID from to".
func held(t rapid.TB, cal *goical.Calendar) []string {
	t.Helper()
	moved := map[string]bool{} // UID and the time that something else takes the place of
	for _, e := range cal.Events() {
		if p := e.Props.Get(goical.PropRecurrenceID); p != nil {
			at, err := p.DateTime(time.UTC)
			if err != nil {
				t.Fatal(err)
			}
			moved[uid(t, e)+at.UTC().String()] = true
		}
	}
	list := []string{}
	for _, e := range cal.Events() {
		starts, err := e.DateTimeStart(time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		ends, err := e.DateTimeEnd(time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		set, err := e.RecurrenceSet(time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		all := []time.Time{starts}
		if set != nil {
			all = set.All()
		}
		for _, at := range all {
			if set != nil && moved[uid(t, e)+at.UTC().String()] {
				continue
			}
			list = append(list, fmt.Sprint(uid(t, e), " ", at.UTC().Format(utc), " ", at.Add(ends.Sub(starts)).UTC().Format(utc)))
		}
	}
	slices.Sort(list)
	return list
}

func uid(t rapid.TB, e goical.Event) string {
	t.Helper()
	id, err := e.Props.Text(goical.PropUID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestAnHourThatComesTwiceIsNotMistaken: a class that was moved into it, before or after the clocks have gone back, is held when the timetable says.
func TestAnHourThatComesTwiceIsNotMistaken(t *testing.T) {
	for _, starts := range []time.Time{time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 16, 0, 0, 0, time.UTC)} { // both are 02:00 in Sydney
		table := nexus.Timetable{
			Terms:   map[nexus.TermID]nexus.Term{"t": {ID: "t", StartsOn: "2026-03-01", EndsOn: "2026-05-01", TZ: "Australia/Sydney"}},
			Courses: []nexus.Course{{ID: "c", Term: "t", Code: "CS1", Title: "Programs", Version: 1}},
			Classes: []nexus.Class{{ID: "x", Course: "c", StartsAt: starts, EndsAt: starts.Add(45 * time.Minute), Status: nexus.ClassScheduled, Version: 1}},
		}
		text, err := Calendar(table, nil, starts)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"x@nexus " + starts.Format(utc) + " " + starts.Add(45*time.Minute).Format(utc)}
		if got := held(t, read(t, text)); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestACalendarSaysWhatTheTimetableSays: expanded by another library, any term, meetings, holidays, and classes that were cancelled or moved or are
// their own give exactly the occurrences, also across changes of the clocks.
func TestACalendarSaysWhatTheTimetableSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Sydney"}).Draw(t, "zone")
		first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 300).Draw(t, "first"))
		days := rapid.IntRange(0, 250).Draw(t, "days")
		term := nexus.Term{ID: "t", StartsOn: first.Format(time.DateOnly), EndsOn: first.AddDate(0, 0, days).Format(time.DateOnly), TZ: zone}
		for range rapid.IntRange(0, 6).Draw(t, "holidays") {
			term.Holidays = append(term.Holidays, nexus.Holiday{Day: first.AddDate(0, 0, rapid.IntRange(0, days).Draw(t, "holiday")).Format(time.DateOnly)})
		}
		table := nexus.Timetable{Terms: map[nexus.TermID]nexus.Term{"t": term}, Courses: []nexus.Course{{ID: "c", Term: "t", Code: "CS1", Title: "Programs", Version: 1}}}
		for i := range rapid.IntRange(0, 3).Draw(t, "meetings") {
			hour := rapid.IntRange(5, 20).Draw(t, "hour")
			table.Meetings = append(table.Meetings, nexus.Meeting{
				ID: nexus.MeetingID(fmt.Sprint("m", i)), Course: "c", Weekday: rapid.IntRange(1, 7).Draw(t, "weekday"), Kind: "LECTURE",
				Starts: fmt.Sprintf("%02d:00", hour), Ends: fmt.Sprintf("%02d:45", hour),
			})
		}
		planned, err := nexus.Occurrences(term, table.Meetings, nil, time.Time{}, time.Unix(1<<40, 0))
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range planned {
			x := nexus.Class{ID: nexus.ClassID(fmt.Sprint("x", i)), Course: "c", Meeting: o.Meeting, OccursOn: o.OccursOn, StartsAt: o.StartsAt, EndsAt: o.EndsAt, Version: 2}
			switch rapid.IntRange(0, 12).Draw(t, "fate") {
			case 0:
				x.Status = nexus.ClassCancelled
			case 1:
				by := time.Duration(rapid.IntRange(-20, 20).Draw(t, "hours")) * time.Hour
				x.Status, x.StartsAt, x.EndsAt = nexus.ClassScheduled, x.StartsAt.Add(by), x.EndsAt.Add(by)
			case 2:
				x.Status = nexus.ClassClosed
			default:
				continue
			}
			table.Classes = append(table.Classes, x)
		}
		for i := range rapid.IntRange(0, 2).Draw(t, "extra") {
			at := first.AddDate(0, 0, rapid.IntRange(0, days).Draw(t, "day")).Add(13 * time.Hour)
			table.Classes = append(table.Classes, nexus.Class{ID: nexus.ClassID(fmt.Sprint("own", i)), Course: "c", StartsAt: at, EndsAt: at.Add(time.Hour), Status: nexus.ClassScheduled, Version: 1})
		}
		if len(table.Meetings) > 0 { // one of a day on which its meeting is no longer planned
			at := first.AddDate(0, 0, -7).Add(11 * time.Hour)
			table.Classes = append(table.Classes, nexus.Class{ID: "before", Course: "c", Meeting: "m0", OccursOn: at.Format(time.DateOnly), StartsAt: at, EndsAt: at.Add(time.Hour), Status: nexus.ClassClosed})
		}
		all, err := nexus.Occurrences(term, table.Meetings, table.Classes, time.Time{}, time.Unix(1<<40, 0))
		if err != nil {
			t.Fatal(err)
		}
		want := []string{}
		for _, o := range all {
			id := string(o.Meeting)
			if id == "" {
				id = string(o.Class)
			}
			if o.Status != nexus.ClassCancelled {
				want = append(want, fmt.Sprint(id, "@nexus ", o.StartsAt.Format(utc), " ", o.EndsAt.Format(utc)))
			}
		}
		slices.Sort(want)
		text, err := Calendar(table, nil, first)
		if err != nil {
			t.Fatal(err)
		}
		if got := held(t, read(t, text)); !slices.Equal(got, want) {
			t.Fatalf("%q\nwant %q\n%s", got, want, text)
		}
	})
}

func table() nexus.Timetable {
	return nexus.Timetable{
		Terms:    map[nexus.TermID]nexus.Term{"t": {ID: "t", StartsOn: "2026-10-01", EndsOn: "2026-11-30", TZ: "Europe/Berlin"}},
		Courses:  []nexus.Course{{ID: "c", Term: "t", Code: "CS1", Title: "Programs; and, more\nof it", Staff: []nexus.Staff{{Name: "Dr. Ä"}}, Version: 4}},
		Meetings: []nexus.Meeting{{ID: "m", Course: "c", Weekday: 1, Starts: "09:00", Ends: "10:00", Room: "r", Kind: "LECTURE", Notes: strings.Repeat("Bring a laptop. ", 12)}},
		Rooms:    map[nexus.RoomID]nexus.Room{"r": {ID: "r", BlockName: "Block A", Number: "101"}},
	}
}

// TestTheRulesOfTheZoneComeWithIt: what a reader that knows no zones needs, for both sides of the change.
func TestTheRulesOfTheZoneComeWithIt(t *testing.T) {
	text, err := Calendar(table(), nil, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"TZID:Europe/Berlin\r\nBEGIN:DAYLIGHT\r\nDTSTART:20260901T000000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0200\r\nTZNAME:CEST\r\nEND:DAYLIGHT\r\n" +
			"BEGIN:STANDARD\r\nDTSTART:20261025T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nTZNAME:CET\r\nEND:STANDARD\r\nEND:VTIMEZONE",
		"DTSTART;TZID=Europe/Berlin:20261005T090000\r\n", "RRULE:FREQ=WEEKLY;UNTIL=20261130T080000Z\r\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
}

func TestTextsSurvive(t *testing.T) {
	due := nexus.Assignment{ID: "a", Code: "CS1", Title: "Trees, balanced", DueAt: time.Date(2026, 10, 9, 12, 0, 0, 0, time.UTC), Version: 1}
	text, err := Calendar(table(), []nexus.Assignment{due}, time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\r\n") {
		if len(line) > 75 {
			t.Errorf("line %d has %d bytes: %s", i, len(line), line)
		}
	}
	cal := read(t, text)
	e := cal.Events()[0]
	for name, want := range map[string]string{
		goical.PropSummary: "CS1 Programs; and, more\nof it (lecture)", goical.PropLocation: "Block A 101",
		goical.PropDescription: "Dr. Ä\n" + strings.Repeat("Bring a laptop. ", 12), goical.PropSequence: "4",
	} {
		if got := e.Props.Get(name); got == nil {
			t.Errorf("no %s", name)
		} else if text, err := got.Text(); name != goical.PropSequence && (err != nil || text != want) || name == goical.PropSequence && got.Value != want {
			t.Errorf("%s: %q %v, want %q", name, text, err, want)
		}
	}
	i := slices.IndexFunc(cal.Children, func(c *goical.Component) bool { return c.Name == goical.CompToDo })
	if i < 0 || cal.Children[i].Props.Get(goical.PropDue).Value != "20261009T120000Z" {
		t.Errorf("no assignment:\n%s", text)
	}
}
