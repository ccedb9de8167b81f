package nexus

import (
	"cmp"
	"slices"
	"time"
)

// Occurrence is one time at which a course meets: as planned, or as somebody has changed it.
type Occurrence struct {
	Course   CourseID
	Meeting  MeetingID // empty: of a class of its own
	Class    ClassID   // empty: nobody has touched it
	OccursOn string    // YYYY-MM-DD: the day it was planned for; empty for a class of its own
	StartsAt time.Time // when it is held
	EndsAt   time.Time
	Room     RoomID
	Status   ClassStatus
	Moved    bool // to another time or room than was planned
}

// Occurrences lists when courses of a term meet between two moments, in order of time: every meeting on its days but for holidays, as its class says
// where there is one, and the classes of their own. Cancelled ones are among them. A class of a day on which its meeting is no longer planned is
// one of its own, unless it falls on a holiday: somebody has moved it, or it was held before the plan changed.
func Occurrences(t Term, meetings []Meeting, classes []Class, from, to time.Time) ([]Occurrence, error) {
	zone, err := time.LoadLocation(t.TZ)
	if err != nil {
		return nil, InvalidField("tz", "is no IANA zone")
	}
	touched := map[occasion]Class{}
	for _, c := range classes {
		if c.Meeting != "" {
			touched[occasion{c.Meeting, c.OccursOn}] = c
		}
	}
	var list []Occurrence
	for _, m := range meetings {
		planned, err := m.occurrences(t, zone)
		if err != nil {
			return nil, err
		}
		for _, o := range planned {
			list = append(list, o.as(touched[occasion{m.ID, o.OccursOn}]))
			delete(touched, occasion{m.ID, o.OccursOn})
		}
	}
	for _, c := range classes {
		_, unplanned := touched[occasion{c.Meeting, c.OccursOn}]
		if unplanned && c.Status == ClassScheduled && t.holiday(c.StartsAt.In(zone)) {
			continue
		}
		if unplanned || c.Meeting == "" {
			list = append(list, Occurrence{Course: c.Course, Class: c.ID, StartsAt: c.StartsAt, EndsAt: c.EndsAt, Room: c.Room, Status: c.Status})
		}
	}
	list = slices.DeleteFunc(list, func(o Occurrence) bool { return !o.EndsAt.After(from) || !o.StartsAt.Before(to) })
	slices.SortFunc(list, func(a, b Occurrence) int {
		return cmp.Or(a.StartsAt.Compare(b.StartsAt), cmp.Compare(a.Course, b.Course), cmp.Compare(a.Class, b.Class))
	})
	return list, nil
}

// occasion names an occurrence as it was planned.
type occasion struct {
	meeting MeetingID
	day     string
}

// holiday reports whether nothing meets on the day of a moment, which is in the term's zone.
func (t Term) holiday(at time.Time) bool {
	day := at.Format(time.DateOnly)
	return slices.ContainsFunc(t.Holidays, func(h Holiday) bool { return h.Day == day })
}

// as is the occurrence as its class says; the zero Class says nothing.
func (o Occurrence) as(c Class) Occurrence {
	if c.ID == "" {
		return o
	}
	o.Moved = !o.StartsAt.Equal(c.StartsAt) || !o.EndsAt.Equal(c.EndsAt) || o.Room != c.Room
	o.Class, o.StartsAt, o.EndsAt, o.Room, o.Status = c.ID, c.StartsAt, c.EndsAt, c.Room, c.Status
	return o
}

// occurrences are the days of a meeting within its term.
func (m Meeting) occurrences(t Term, zone *time.Location) ([]Occurrence, error) {
	first, last := m.Days(t)
	day, err := time.Parse(time.DateOnly, max(first, t.StartsOn))
	if err != nil {
		return nil, InvalidField("fromDay", "is no day")
	}
	for int(day.Weekday()) != m.Weekday%7 {
		day = day.AddDate(0, 0, 1)
	}
	var list []Occurrence
	for ; day.Format(time.DateOnly) <= min(last, t.EndsOn); day = day.AddDate(0, 0, 7) {
		if t.holiday(day) {
			continue
		}
		on := day.Format(time.DateOnly)
		starts, ends, err := m.At(on, zone)
		if err != nil {
			return nil, err
		}
		list = append(list, Occurrence{
			Course: m.Course, Meeting: m.ID, OccursOn: on, StartsAt: starts.UTC(), EndsAt: ends.UTC(), Room: m.Room, Status: ClassScheduled,
		})
	}
	return list, nil
}
