package rest

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

// This file serves timetables in the shapes of the web client that the campus used first, with a little more.

func (a *API) timetableRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/academic/timetable/today", Tags: tagAcademic,
		Summary:     "Your classes today, by the clock of the term",
		Description: "As they are held: what was moved here is here, what is cancelled says so. Students see the courses in which they have a seat, staff those that they teach.",
	}, anyUser(), a.timetableToday)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/academic/timetable/day/{day}", Tags: tagAcademic,
		Summary: "Your meetings on a day of the week",
	}, anyUser(), a.timetableDay)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/academic/timetable/full", Tags: tagAcademic,
		Summary: "Your meetings of the week",
	}, anyUser(), a.timetableFull)
}

var weekdays = []string{"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"}

// originalEntry is a line of a timetable.
type originalEntry struct {
	ID        string `json:"id"`
	DayOfWeek string `json:"dayOfWeek"`
	StartTime string `json:"startTime"` // HH:mm
	EndTime   string `json:"endTime"`
	Type      string `json:"type"`
	Notes     string `json:"notes"`
	Subject   struct {
		Name string `json:"name"`
		Code string `json:"code"`
	} `json:"subject"`
	Classroom struct {
		Number string `json:"number"`
		Block  struct {
			Name string `json:"name"`
			Code string `json:"code"`
		} `json:"block"`
	} `json:"classroom"`
	Teacher struct {
		Name      string `json:"name"`
		Email     string `json:"email"`
		AvatarURL string `json:"avatarUrl"`
	} `json:"teacher"`

	CourseID  nexus.CourseID    `json:"courseId"`
	SessionID *nexus.ClassID    `json:"sessionId"` // null: nobody has touched it
	Status    nexus.ClassStatus `json:"status"`
	Moved     bool              `json:"moved"`
}

// entry is a meeting of a course, or a class of its own for a zero meeting, in a room.
func entry(t nexus.Timetable, c nexus.Course, m nexus.Meeting, room nexus.RoomID) originalEntry {
	e := originalEntry{ID: string(m.ID), StartTime: m.Starts, EndTime: m.Ends, Type: m.Kind, Notes: m.Notes, CourseID: c.ID, Status: nexus.ClassScheduled}
	if m.Weekday > 0 {
		e.DayOfWeek = weekdays[m.Weekday-1]
	}
	e.Subject.Name, e.Subject.Code = c.Title, c.Code
	r := t.Rooms[room]
	e.Classroom.Number, e.Classroom.Block.Name, e.Classroom.Block.Code = r.Number, r.BlockName, r.BlockCode
	p := t.Teacher(c, m)
	e.Teacher.Name, e.Teacher.Email, e.Teacher.AvatarURL = p.Name, p.Email, p.AvatarURL
	return e
}

// courseOf returns a course of a timetable.
func courseOf(t nexus.Timetable, id nexus.CourseID) nexus.Course {
	i := slices.IndexFunc(t.Courses, func(c nexus.Course) bool { return c.ID == id })
	if i < 0 {
		return nexus.Course{}
	}
	return t.Courses[i]
}

type timetableInput struct {
	Day string `path:"day" minLength:"1" maxLength:"9" doc:"MONDAY to SUNDAY"`
}

type originalDay struct {
	Success bool            `json:"success"`
	Day     string          `json:"day"`
	Data    []originalEntry `json:"data"`
}

// timetable reads the caller's.
func (a *API) timetable(ctx context.Context) (nexus.Timetable, error) {
	// Yesterday by the clock of UTC is no later than today by any clock.
	return a.Timetables.Timetable(ctx, caller(ctx).User, time.Now().UTC().AddDate(0, 0, -1).Format(time.DateOnly))
}

// week is the caller's meetings by day of the week, of the terms that run today; before a term begins, those of the next.
func (a *API) week(ctx context.Context) (map[string][]originalEntry, error) {
	t, err := a.timetable(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	running := runs(t, now)
	days := make(map[string][]originalEntry, len(weekdays))
	for _, d := range weekdays {
		days[d] = []originalEntry{}
	}
	for _, m := range t.Meetings {
		if c := courseOf(t, m.Course); running[c.Term] && meets(m, t.Terms[c.Term], now) {
			e := entry(t, c, m, m.Room)
			days[e.DayOfWeek] = append(days[e.DayOfWeek], e)
		}
	}
	for _, d := range weekdays {
		slices.SortStableFunc(days[d], func(a, b originalEntry) int { return cmp.Compare(a.StartTime, b.StartTime) })
	}
	return days, nil
}

// runs are the terms that run at a time, or else those that begin next.
func runs(t nexus.Timetable, now time.Time) map[nexus.TermID]bool {
	running, next := map[nexus.TermID]bool{}, ""
	for id, term := range t.Terms {
		switch today := dayIn(term, now); {
		case term.StartsOn <= today && today <= term.EndsOn:
			running[id] = true
		case term.StartsOn > today && (next == "" || term.StartsOn < next):
			next = term.StartsOn
		}
	}
	if len(running) > 0 {
		return running
	}
	for id, term := range t.Terms {
		running[id] = term.StartsOn == next
	}
	return running
}

// meets reports whether a meeting is one of the present week, or of the first one of a term to come: others of the same course may take its
// place for a part of the term.
func meets(m nexus.Meeting, term nexus.Term, now time.Time) bool {
	day, err := time.Parse(time.DateOnly, max(dayIn(term, now), term.StartsOn))
	if err != nil { // the store gives no other days
		return false
	}
	on := day.AddDate(0, 0, m.Weekday-1-(int(day.Weekday())+6)%7).Format(time.DateOnly)
	return (m.FromDay == "" || m.FromDay <= on) && (m.UntilDay == "" || on <= m.UntilDay)
}

// dayIn is the day of a moment by the clock of a term.
func dayIn(term nexus.Term, at time.Time) string { return at.In(zoneOf(term)).Format(time.DateOnly) }

// zoneOf is a term's zone. It was checked when the term was made; a system that has lost it shows UTC.
func zoneOf(term nexus.Term) *time.Location {
	zone, err := time.LoadLocation(term.TZ)
	if err != nil {
		return time.UTC
	}
	return zone
}

func (a *API) timetableDay(ctx context.Context, in *timetableInput) (*Answer[originalDay], error) {
	day := strings.ToUpper(in.Day)
	if !slices.Contains(weekdays, day) {
		return nil, nexus.InvalidField("day", "must be MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY or SUNDAY")
	}
	days, err := a.week(ctx)
	return answer(originalDay{Success: true, Day: day, Data: days[day]}, err)
}

func (a *API) timetableFull(ctx context.Context, _ *struct{}) (*Answer[success[map[string][]originalEntry]], error) {
	days, err := a.week(ctx)
	return answer(success[map[string][]originalEntry]{Success: true, Data: days}, err)
}

func (a *API) timetableToday(ctx context.Context, _ *struct{}) (*Answer[originalDay], error) {
	t, err := a.timetable(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	running := runs(t, now)
	o := originalDay{Success: true, Day: weekdays[(int(now.UTC().Weekday())+6)%7], Data: []originalEntry{}}
	for _, id := range slices.Sorted(maps.Keys(t.Terms)) {
		term := t.Terms[id]
		zone := zoneOf(term)
		local := now.In(zone)
		from := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, zone)
		if running[id] {
			o.Day = weekdays[(int(local.Weekday())+6)%7]
		}
		entries, err := heldOn(t, term, from, from.AddDate(0, 0, 1), zone)
		if err != nil {
			return nil, err
		}
		o.Data = append(o.Data, entries...)
	}
	slices.SortStableFunc(o.Data, func(a, b originalEntry) int { return cmp.Compare(a.StartTime, b.StartTime) })
	return answer(o, nil)
}

// heldOn are the classes of a term that begin within a day.
func heldOn(t nexus.Timetable, term nexus.Term, from, to time.Time, zone *time.Location) ([]originalEntry, error) {
	of := func(id nexus.CourseID) bool { return courseOf(t, id).Term == term.ID }
	meetings := slices.DeleteFunc(slices.Clone(t.Meetings), func(m nexus.Meeting) bool { return !of(m.Course) })
	classes := slices.DeleteFunc(slices.Clone(t.Classes), func(c nexus.Class) bool { return !of(c.Course) })
	all, err := nexus.Occurrences(term, meetings, classes, from, to)
	if err != nil {
		return nil, err
	}
	entries := []originalEntry{}
	for _, o := range all {
		if o.StartsAt.Before(from) {
			continue // it began yesterday
		}
		m := nexus.Meeting{Kind: "CLASS"}
		if i := slices.IndexFunc(meetings, func(m nexus.Meeting) bool { return m.ID == o.Meeting }); i >= 0 {
			m = meetings[i]
		}
		e := entry(t, courseOf(t, o.Course), m, o.Room)
		e.ID = cmp.Or(string(o.Meeting), string(o.Class))
		e.StartTime, e.EndTime = o.StartsAt.In(zone).Format("15:04"), o.EndsAt.In(zone).Format("15:04")
		e.DayOfWeek = weekdays[(int(o.StartsAt.In(zone).Weekday())+6)%7]
		e.Status, e.Moved = o.Status, o.Moved
		if o.Class != "" {
			e.SessionID = &o.Class
		}
		entries = append(entries, e)
	}
	return entries, nil
}
