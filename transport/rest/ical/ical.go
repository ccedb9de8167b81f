// Package ical writes a person's timetable as iCalendar (RFC 5545): a weekly event for each meeting, without its holidays and cancelled
// classes, those that were moved where they are held, classes of their own, and assignments as things to do. Times are those of the term's
// zone, whose rules come with them, so that a class stays at nine when the clocks change.
package ical

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"nexus"
)

// product says who wrote a calendar.
const product = "-//NEXUS//Timetable//EN"

// local is a date and time without a zone.
const local = "20060102T150405"

// utc is a moment.
const utc = "20060102T150405Z"

// Calendar writes a timetable. stamp is when it was made. The same things always have the same UID.
func Calendar(t nexus.Timetable, assignments []nexus.Assignment, stamp time.Time) ([]byte, error) {
	w := writer{cal: ics.NewCalendar(), t: t, stamp: stamp.UTC().Format(utc), zones: map[string]*time.Location{}}
	w.cal.SetProductId(product)
	w.cal.SetXWRCalName("Timetable")
	w.cal.SetXPublishedTTL("PT1H")
	w.cal.SetRefreshInterval("PT1H")
	if err := w.timezones(); err != nil {
		return nil, err
	}
	for _, c := range t.Courses {
		if err := w.course(c); err != nil {
			return nil, err
		}
	}
	for _, a := range assignments {
		w.todo(a)
	}
	return []byte(w.cal.Serialize(ics.WithNewLineWindows)), nil
}

type writer struct {
	cal   *ics.Calendar
	t     nexus.Timetable
	stamp string
	zones map[string]*time.Location
}

// timezones writes the rules of every zone of the terms, as far as the terms need them.
func (w *writer) timezones() error {
	from, to := map[string]string{}, map[string]string{}
	for _, term := range w.t.Terms {
		if was, ok := from[term.TZ]; !ok || term.StartsOn < was {
			from[term.TZ] = term.StartsOn
		}
		to[term.TZ] = max(to[term.TZ], term.EndsOn)
	}
	for _, name := range slices.Sorted(maps.Keys(from)) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			return fmt.Errorf("load zone %s: %w", name, err)
		}
		w.zones[name] = zone
		first, err := time.ParseInLocation(time.DateOnly, from[name], zone)
		if err != nil {
			return fmt.Errorf("a term's first day: %w", err)
		}
		last, err := time.ParseInLocation(time.DateOnly, to[name], zone)
		if err != nil {
			return fmt.Errorf("a term's last day: %w", err)
		}
		// Classes may be moved a little out of their term.
		observances(w.cal.AddTimezone(name), first.AddDate(0, -1, 0), last.AddDate(0, 2, 0))
	}
	return nil
}

// observances are what the clocks show from a moment on, and from each of their changes until another.
func observances(tz *ics.VTimezone, from, to time.Time) {
	observe(tz, from, from)
	for day := from; day.Before(to); day = day.AddDate(0, 0, 1) {
		next := day.AddDate(0, 0, 1)
		if offset(day) != offset(next) {
			observe(tz, day, change(day, next))
		}
	}
}

// change is the second between two moments at which the clocks change.
func change(before, after time.Time) time.Time {
	for after.Sub(before) > time.Second {
		middle := before.Add(after.Sub(before) / 2).Truncate(time.Second)
		if offset(middle) == offset(before) {
			before = middle
		} else {
			after = middle
		}
	}
	return after
}

func offset(at time.Time) int {
	_, seconds := at.Zone()
	return seconds
}

// observe writes what the clocks show from a moment on; before is a moment at which they show what they did until then.
func observe(tz *ics.VTimezone, before, at time.Time) {
	add := func(c *ics.ComponentBase) {
		name, _ := at.Zone()
		c.AddProperty(ics.ComponentPropertyDtStart, at.UTC().Add(time.Duration(offset(before))*time.Second).Format(local))
		c.AddProperty(ics.ComponentProperty(ics.PropertyTzoffsetfrom), clockOffset(offset(before)))
		c.AddProperty(ics.ComponentProperty(ics.PropertyTzoffsetto), clockOffset(offset(at)))
		c.AddProperty(ics.ComponentProperty(ics.PropertyTzname), name)
	}
	if at.IsDST() {
		d := &ics.Daylight{}
		add(&d.ComponentBase)
		tz.Components = append(tz.Components, d)
		return
	}
	add(&tz.AddStandard().ComponentBase)
}

func clockOffset(seconds int) string {
	sign := '+'
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	s := fmt.Sprintf("%c%02d%02d", sign, seconds/3600, seconds/60%60)
	if seconds%60 != 0 { // before clocks were set by zones
		s += fmt.Sprintf("%02d", seconds%60)
	}
	return s
}

// always is a time before and one after all that is ever planned.
var always = [2]time.Time{{}, time.Unix(1<<40, 0)}

// course writes all that one course has.
func (w *writer) course(c nexus.Course) error {
	term := w.t.Terms[c.Term]
	zone := w.zones[term.TZ]
	meetings := slices.DeleteFunc(slices.Clone(w.t.Meetings), func(m nexus.Meeting) bool { return m.Course != c.ID })
	classes := slices.DeleteFunc(slices.Clone(w.t.Classes), func(x nexus.Class) bool { return x.Course != c.ID })
	all, err := nexus.Occurrences(term, meetings, classes, always[0], always[1])
	if err != nil {
		return err
	}
	about := map[nexus.ClassID]nexus.Class{}
	for _, x := range classes {
		about[x.ID] = x
	}
	for _, m := range meetings {
		held := slices.DeleteFunc(slices.Clone(all), func(o nexus.Occurrence) bool { return o.Meeting != m.ID })
		if err := w.meeting(c, m, term, zone, held, about); err != nil {
			return err
		}
	}
	for _, o := range all {
		if o.Meeting == "" && o.Status != nexus.ClassCancelled {
			x := about[o.Class]
			e := w.event(string(x.ID), c, nexus.Meeting{Kind: "CLASS"}, x.Room, x.Version)
			once(e, x.StartsAt, x.EndsAt, zone)
			if x.Topic != "" {
				e.SetDescription(x.Topic)
			}
		}
	}
	return nil
}

// meeting writes a weekly event, and one for each of its occurrences that was moved.
func (w *writer) meeting(c nexus.Course, m nexus.Meeting, term nexus.Term, zone *time.Location, held []nexus.Occurrence, about map[nexus.ClassID]nexus.Class) error {
	planned, err := nexus.Occurrences(term, []nexus.Meeting{m}, nil, always[0], always[1])
	if err != nil || len(planned) == 0 {
		return err
	}
	first, last := planned[0], planned[len(planned)-1]
	e := w.event(string(m.ID), c, m, m.Room, c.Version)
	times(e, first.StartsAt, first.EndsAt, zone)
	e.AddRrule("FREQ=WEEKLY;UNTIL=" + last.StartsAt.UTC().Format(utc))
	as := map[string]nexus.Occurrence{} // by the day that it was planned for
	for _, o := range held {
		as[o.OccursOn] = o
	}
	day, err := time.Parse(time.DateOnly, first.OccursOn)
	if err != nil {
		return fmt.Errorf("a meeting's first day: %w", err)
	}
	for ; day.Format(time.DateOnly) <= last.OccursOn; day = day.AddDate(0, 0, 7) {
		starts, _, err := m.At(day.Format(time.DateOnly), zone)
		if err != nil {
			return err
		}
		o, held := as[day.Format(time.DateOnly)]
		switch at := starts.Format(local); {
		case !held, o.Status == nexus.ClassCancelled: // on a holiday, or not at all
			e.AddExdate(at, ics.WithTZID(zone.String()))
		case o.Moved:
			moved := w.event(string(m.ID), c, m, o.Room, about[o.Class].Version)
			moved.AddProperty(ics.ComponentPropertyRecurrenceId, at, ics.WithTZID(zone.String()))
			once(moved, o.StartsAt, o.EndsAt, zone)
		}
	}
	return nil
}

// event begins an event of a course.
func (w *writer) event(id string, c nexus.Course, m nexus.Meeting, room nexus.RoomID, version int64) *ics.VEvent {
	e := w.cal.AddEvent(id + "@nexus")
	e.SetProperty(ics.ComponentPropertyDtstamp, w.stamp)
	e.SetSequence(int(version))
	e.SetSummary(c.Code + " " + c.Title + " (" + strings.ToLower(m.Kind) + ")")
	if r, ok := w.t.Rooms[room]; ok {
		e.SetLocation(r.BlockName + " " + r.Number)
		if r.Place != nil {
			e.SetGeo(r.Place.Lat, r.Place.Lng)
		}
	}
	about := []string{}
	if teacher := w.t.Teacher(c, m); teacher.Name != "" {
		about = append(about, teacher.Name)
	}
	if m.Notes != "" {
		about = append(about, m.Notes)
	}
	if len(about) > 0 {
		e.SetDescription(strings.Join(about, "\n"))
	}
	return e
}

// times says when an event is, by the clock of a zone.
func times(e *ics.VEvent, starts, ends time.Time, zone *time.Location) {
	e.SetProperty(ics.ComponentPropertyDtStart, starts.In(zone).Format(local), ics.WithTZID(zone.String()))
	e.SetProperty(ics.ComponentPropertyDtEnd, ends.In(zone).Format(local), ics.WithTZID(zone.String()))
}

// once is times for an event that does not recur. In the hour that clocks go through twice readers do not agree on which one a local time means, so that it is
// in UTC.
func once(e *ics.VEvent, starts, ends time.Time, zone *time.Location) {
	if !twice(starts, zone) && !twice(ends, zone) {
		times(e, starts, ends, zone)
		return
	}
	e.SetProperty(ics.ComponentPropertyDtStart, starts.UTC().Format(utc))
	e.SetProperty(ics.ComponentPropertyDtEnd, ends.UTC().Format(utc))
}

// twice reports whether the clock of a zone shows a time twice: clocks go back by an hour, and somewhere by half of one.
func twice(at time.Time, zone *time.Location) bool {
	shown := at.In(zone).Format(local)
	for _, by := range []time.Duration{-time.Hour, -time.Hour / 2, time.Hour / 2, time.Hour} {
		if at.Add(by).In(zone).Format(local) == shown {
			return true
		}
	}
	return false
}

func (w *writer) todo(a nexus.Assignment) {
	t := w.cal.AddTodo(string(a.ID) + "@nexus")
	t.SetProperty(ics.ComponentPropertyDtstamp, w.stamp)
	t.SetSequence(int(a.Version))
	t.SetSummary(a.Code + ": " + a.Title)
	if a.Description != "" {
		t.SetDescription(a.Description)
	}
	t.SetProperty(ics.ComponentProperty("DUE"), a.DueAt.UTC().Format(utc))
}
