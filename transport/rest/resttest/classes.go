package resttest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/transport/rest"
)

var (
	_ rest.LiveClasses = (*Academic)(nil)
	_ rest.Classes     = (*Academic)(nil)
)

// GoodCode is the code that every open class shows.
const GoodCode = "123456"

// classes is the part of Academic that keeps classes and marks.
type classes struct {
	list  map[nexus.ClassID]nexus.Class
	marks map[nexus.ClassID]map[nexus.UserID]nexus.AttendanceMark
}

func newClasses() classes {
	return classes{list: map[nexus.ClassID]nexus.Class{}, marks: map[nexus.ClassID]map[nexus.UserID]nexus.AttendanceMark{}}
}

// Do applies an act by the rules. It knows no rooms.
func (a *Academic) Do(_ context.Context, id nexus.CourseID, act course.Act) (nexus.Class, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.classes.list[act.Class.ID]
	if act.What == course.ActAdd {
		c, ok = act.Class, true
		c.ID, c.Course, c.Status, c.Version = nexus.ClassID(nexus.NewID()), id, nexus.ClassScheduled, 1
		act.What = ""
		if act.Open {
			act.What = course.ActOpen
		}
	}
	if !ok || c.Course != id {
		return c, nexus.Errorf(nexus.NotFound, "no such session")
	}
	if act.What != "" {
		var err error
		if c, _, err = act.Apply(c, time.Now()); err != nil {
			return c, err
		}
	}
	if c.Status == nexus.ClassClosed {
		for u := range a.rolls[id].Seats {
			if _, has := a.classes.marks[c.ID][u]; !has {
				a.put(c.ID, nexus.AttendanceMark{User: u, Status: nexus.Absent, Method: "AUTO", Flags: []string{}})
			}
		}
	}
	a.classes.list[c.ID] = c
	return c, nil
}

func (a *Academic) put(id nexus.ClassID, m nexus.AttendanceMark) {
	if a.classes.marks[id] == nil {
		a.classes.marks[id] = map[nexus.UserID]nexus.AttendanceMark{}
	}
	a.classes.marks[id][m.User] = m
}

// Mark marks who hands in GoodCode.
func (a *Academic) Mark(
	_ context.Context, id nexus.CourseID, class nexus.ClassID, user nexus.UserID, code, _ string, _ *nexus.Position,
) (nexus.AttendanceMark, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.classes.list[class]
	status, _ := a.rolls[id].Standing(user)
	switch {
	case c.Status != nexus.ClassOpen:
		return nexus.AttendanceMark{}, nexus.Errorf(nexus.StateConflict, "this class is not open")
	case status != nexus.Enrolled:
		return nexus.AttendanceMark{}, nexus.Errorf(nexus.Forbidden, "you are not enrolled")
	case code != GoodCode:
		return nexus.AttendanceMark{}, nexus.Errorf(nexus.Conflict, "code: is wrong or too old")
	}
	if _, has := a.classes.marks[class][user]; !has {
		a.put(class, nexus.AttendanceMark{User: user, Status: nexus.Present, Method: "CODE", Flags: []string{course.FlagNoDevice}, MarkedAt: time.Now()})
	}
	return a.classes.marks[class][user], nil
}

// Correct sets a mark by hand.
func (a *Academic) Correct(
	_ context.Context, by nexus.Caller, id nexus.CourseID, class nexus.ClassID, user nexus.UserID, status nexus.AttendanceStatus, reason string,
) (nexus.AttendanceMark, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if stands, _ := a.rolls[id].Standing(user); stands == "" {
		return nexus.AttendanceMark{}, nexus.Errorf(nexus.NotFound, "no such enrolment")
	}
	a.put(class, nexus.AttendanceMark{User: user, Status: status, Method: "MANUAL", Flags: []string{}, Remarks: reason, MarkedBy: &by.User, MarkedAt: time.Now()})
	return a.classes.marks[class][user], nil
}

// Code returns GoodCode for an open class.
func (a *Academic) Code(_ context.Context, id nexus.CourseID, class nexus.ClassID) (course.Shown, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.classes.list[class].Status != nexus.ClassOpen {
		return course.Shown{}, nexus.Errorf(nexus.StateConflict, "this class is not open")
	}
	return course.Shown{Code: GoodCode, ValidUntil: time.Now(), Total: len(a.rolls[id].Seats), Present: len(a.classes.marks[class])}, nil
}

// Classes lists the classes of a course.
func (a *Academic) Classes(_ context.Context, id nexus.CourseID, from, to time.Time) ([]nexus.Class, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []nexus.Class{}
	for _, c := range a.classes.list {
		if c.Course == id && !c.StartsAt.Before(from) && c.StartsAt.Before(to) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b nexus.Class) int { return a.StartsAt.Compare(b.StartsAt) })
	return list, nil
}

// Class returns one.
func (a *Academic) Class(_ context.Context, id nexus.ClassID) (nexus.Class, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.classes.list[id]
	if !ok {
		return c, nexus.Errorf(nexus.NotFound, "no such session")
	}
	return c, nil
}

// Attendees lists the students of a class.
func (a *Academic) Attendees(_ context.Context, class nexus.Class, p nexus.Page) (nexus.List[nexus.Attendee], error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := nexus.List[nexus.Attendee]{Items: []nexus.Attendee{}}
	if p.After != "" && !nexus.ValidID(p.After) {
		return list, nexus.InvalidField("after", "is no cursor of this list")
	}
	for _, u := range slices.Sorted(maps.Keys(a.rolls[class.Course].Seats)) {
		x := nexus.Attendee{User: u}
		if m, has := a.classes.marks[class.ID][u]; has {
			x.Mark = &m
		}
		list.Items = append(list.Items, x)
	}
	return list, nil
}

// TotalsOf returns how a student attended their courses.
func (a *Academic) TotalsOf(_ context.Context, user nexus.UserID) ([]nexus.AttendanceTotal, error) {
	return a.totals(func(t nexus.AttendanceTotal) bool { return t.User == user }), nil
}

// TotalsIn returns how the students of a course attended it.
func (a *Academic) TotalsIn(_ context.Context, id nexus.CourseID) ([]nexus.AttendanceTotal, error) {
	return a.totals(func(t nexus.AttendanceTotal) bool { return t.Course == id }), nil
}

func (a *Academic) totals(wanted func(nexus.AttendanceTotal) bool) []nexus.AttendanceTotal {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []nexus.AttendanceTotal{}
	for id, r := range a.rolls {
		for u := range r.Seats {
			t := nexus.AttendanceTotal{Course: id, User: u}
			for class, marks := range a.classes.marks {
				if m, has := marks[u]; has && a.classes.list[class].Course == id && a.classes.list[class].Status == nexus.ClassClosed && m.Status != nexus.Excused {
					t.Total++
					if m.Status != nexus.Absent {
						t.Attended++
					}
				}
			}
			if wanted(t) {
				list = append(list, t)
			}
		}
	}
	slices.SortFunc(list, func(a, b nexus.AttendanceTotal) int { return cmp.Compare(a.User, b.User) })
	return list
}

// History returns how a student attended the classes of a course, in UTC.
func (a *Academic) History(_ context.Context, id nexus.CourseID, user nexus.UserID) ([]nexus.AttendedClass, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []nexus.AttendedClass{}
	for class, marks := range a.classes.marks {
		if m, has := marks[user]; has && a.classes.list[class].Course == id {
			c := a.classes.list[class]
			list = append(list, nexus.AttendedClass{Class: class, StartsAt: c.StartsAt, EndsAt: c.EndsAt, TZ: "UTC", Topic: c.Topic, Status: m.Status, Remarks: m.Remarks})
		}
	}
	return list, nil
}

// Register returns everybody's marks.
func (a *Academic) Register(_ context.Context, id nexus.CourseID) (nexus.Register, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := nexus.Register{}
	for _, c := range a.classes.list {
		if c.Course == id {
			r.Classes = append(r.Classes, c)
		}
	}
	for u := range a.rolls[id].Seats {
		line := nexus.RegisterLine{User: u, Name: "=1+1", RegNo: "R-1", Marks: map[nexus.ClassID]nexus.AttendanceStatus{}}
		for _, c := range r.Classes {
			line.Marks[c.ID] = a.classes.marks[c.ID][u].Status
		}
		r.Students = append(r.Students, line)
	}
	return r, nil
}
