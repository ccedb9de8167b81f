package resttest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"nexus"
	"nexus/actors/course"
	"nexus/transport/rest"
)

// Academic keeps terms, rooms and courses. It is safe for concurrent use.
type Academic struct {
	mu       sync.Mutex
	terms    []nexus.Term
	rooms    []nexus.Room
	courses  []nexus.Course
	meetings map[nexus.CourseID][]nexus.Meeting
	rolls    map[nexus.CourseID]*course.Roll
	dropped  map[nexus.Enrollment]bool
	classes  classes
	desk     desk
}

var (
	_ rest.Catalogue = (*Academic)(nil)
	_ rest.Seats     = (*Academic)(nil)

	_ rest.Enrollments = (*Academic)(nil)
)

// NewAcademic returns a campus without courses.
func NewAcademic() *Academic {
	return &Academic{meetings: map[nexus.CourseID][]nexus.Meeting{}, rolls: map[nexus.CourseID]*course.Roll{}, dropped: map[nexus.Enrollment]bool{}, classes: newClasses()}
}

// find returns the place of the item that is meant. It needs the lock.
func find[T any](items []T, what string, is func(T) bool) (int, error) {
	i := slices.IndexFunc(items, is)
	if i < 0 {
		return 0, nexus.Errorf(nexus.NotFound, "no such %s", what)
	}
	return i, nil
}

// newest fails for a version that is neither 0 nor the present one.
func newest(want, have int64) error {
	if want != 0 && want != have {
		return nexus.Errorf(nexus.Stale, "version %d is not the present one", want)
	}
	return nil
}

// Terms lists all terms.
func (a *Academic) Terms(context.Context) ([]nexus.Term, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]nexus.Term{}, a.terms...), nil
}

func (a *Academic) termAt(id nexus.TermID) (int, error) {
	return find(a.terms, "term", func(t nexus.Term) bool { return t.ID == id })
}

// Term returns one.
func (a *Academic) Term(_ context.Context, id nexus.TermID) (nexus.Term, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.termAt(id)
	if err != nil {
		return nexus.Term{}, err
	}
	return a.terms[i], nil
}

// CreateTerm makes a term.
func (a *Academic) CreateTerm(_ context.Context, _ nexus.Caller, t nexus.Term) (nexus.Term, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.termAt(t.ID); err == nil {
		return t, nexus.Errorf(nexus.Conflict, "is there already")
	}
	if t.EndsOn < t.StartsOn {
		return t, nexus.InvalidField("endsOn", "is before startsOn")
	}
	t.Version = 1
	a.terms = append(a.terms, t)
	return t, nil
}

// PutTerm changes a term.
func (a *Academic) PutTerm(_ context.Context, _ nexus.Caller, version int64, t nexus.Term) (nexus.Term, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.termAt(t.ID)
	if err != nil {
		return t, err
	}
	if err := newest(version, a.terms[i].Version); err != nil {
		return t, err
	}
	t.Version = a.terms[i].Version + 1
	a.terms[i] = t
	return t, nil
}

// Rooms lists all rooms.
func (a *Academic) Rooms(context.Context, nexus.Page) (nexus.List[nexus.Room], error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return nexus.List[nexus.Room]{Items: append([]nexus.Room{}, a.rooms...)}, nil
}

// CreateRoom makes a room.
func (a *Academic) CreateRoom(_ context.Context, _ nexus.Caller, r nexus.Room) (nexus.Room, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r.ID, r.Version = nexus.RoomID(nexus.NewID()), 1
	a.rooms = append(a.rooms, r)
	return r, nil
}

// PutRoom changes a room.
func (a *Academic) PutRoom(_ context.Context, _ nexus.Caller, version int64, r nexus.Room) (nexus.Room, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := find(a.rooms, "room", func(o nexus.Room) bool { return o.ID == r.ID })
	if err != nil {
		return r, err
	}
	if err := newest(version, a.rooms[i].Version); err != nil {
		return r, err
	}
	r.Version = a.rooms[i].Version + 1
	a.rooms[i] = r
	return r, nil
}

// sits reports whether somebody has a seat. It needs the lock.
func (a *Academic) sits(id nexus.CourseID, user nexus.UserID) bool {
	status, _ := a.rolls[id].Standing(user)
	return status == nexus.Enrolled
}

// Courses lists the courses of a term whose code or title holds the query, and those that a person teaches or sits in.
func (a *Academic) Courses(_ context.Context, f nexus.CourseFilter, p nexus.Page) (nexus.List[nexus.Course], error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := nexus.List[nexus.Course]{Items: []nexus.Course{}}
	if p.After != "" && !nexus.ValidID(p.After) {
		return list, nexus.InvalidField("after", "is no cursor of this list")
	}
	for _, c := range a.courses {
		switch {
		case string(c.ID) <= p.After, f.Term != "" && f.Term != c.Term, f.Teacher != "" && !c.TaughtBy(f.Teacher), f.Student != "" && !a.sits(c.ID, f.Student),
			!strings.Contains(strings.ToLower(c.Code+" "+c.Title), strings.ToLower(f.Query)):
			continue
		}
		if len(list.Items) == p.Limit {
			list.Next = string(list.Items[p.Limit-1].ID)
			break
		}
		list.Items = append(list.Items, c)
	}
	return list, nil
}

func (a *Academic) courseAt(id nexus.CourseID) (int, error) {
	return find(a.courses, "course", func(c nexus.Course) bool { return c.ID == id })
}

// Course returns one.
func (a *Academic) Course(_ context.Context, id nexus.CourseID) (nexus.Course, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.courseAt(id)
	if err != nil {
		return nexus.Course{}, err
	}
	return a.courses[i], nil
}

// CreateCourse makes a course in a term.
func (a *Academic) CreateCourse(_ context.Context, _ nexus.Caller, c nexus.Course) (nexus.Course, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, err := a.termAt(c.Term); err != nil {
		return c, err
	}
	c.ID, c.Version = nexus.CourseID(nexus.NewID()), 1
	a.courses = append(a.courses, c)
	a.rolls[c.ID] = &course.Roll{}
	if _, _, err := a.rolls[c.ID].Resize(c.Capacity, c.WaitlistCapacity); err != nil {
		return c, err
	}
	slices.SortFunc(a.courses, func(a, b nexus.Course) int { return cmp.Compare(a.ID, b.ID) })
	return c, nil
}

// change applies a change of a course's own.
func (a *Academic) change(id nexus.CourseID, version int64, f func(*nexus.Course)) (nexus.Course, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.courseAt(id)
	if err != nil {
		return nexus.Course{}, err
	}
	if err := newest(version, a.courses[i].Version); err != nil {
		return nexus.Course{}, err
	}
	f(&a.courses[i])
	a.courses[i].Version++
	return a.courses[i], nil
}

// ChangeCourse changes what is no number of seats.
func (a *Academic) ChangeCourse(_ context.Context, _ nexus.Caller, id nexus.CourseID, version int64, x nexus.CourseChange) (nexus.Course, error) {
	x.Capacity, x.WaitlistCapacity = nil, nil
	return a.change(id, version, func(c *nexus.Course) { *c = x.Of(*c) })
}

// Change changes anything.
func (a *Academic) Change(_ context.Context, _ nexus.Caller, id nexus.CourseID, version int64, x nexus.CourseChange) (nexus.Course, error) {
	return a.change(id, version, func(c *nexus.Course) { *c = x.Of(*c) })
}

// SetStaff replaces the staff.
func (a *Academic) SetStaff(_ context.Context, _ nexus.Caller, id nexus.CourseID, version int64, staff []nexus.Staff) (nexus.Course, error) {
	return a.change(id, version, func(c *nexus.Course) { c.Staff = staff })
}

// Meetings returns when a course meets.
func (a *Academic) Meetings(_ context.Context, id nexus.CourseID) ([]nexus.Meeting, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := a.courseAt(id)
	return append([]nexus.Meeting{}, a.meetings[id]...), err
}

// SetMeetings replaces them. It knows no clashes.
func (a *Academic) SetMeetings(_ context.Context, _ nexus.Caller, id nexus.CourseID, version int64, meetings []nexus.Meeting) ([]nexus.Meeting, error) {
	meetings = slices.Clone(meetings)
	for i := range meetings {
		meetings[i].Course, meetings[i].ID = id, nexus.MeetingID(cmp.Or(string(meetings[i].ID), nexus.NewID()))
	}
	_, err := a.change(id, version, func(*nexus.Course) { a.meetings[id] = meetings })
	return meetings, err
}

// Enrol gives a seat or a place by the rules, which know no clashes.
func (a *Academic) Enrol(_ context.Context, _ nexus.Caller, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rolls[id]
	_, err := r.Enrol(user)
	status, position := r.Standing(user)
	return nexus.Enrollment{Course: id, User: user, Status: status, Position: position}, err
}

// Drop gives it back.
func (a *Academic) Drop(_ context.Context, _ nexus.Caller, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := nexus.Enrollment{Course: id, User: user, Status: nexus.Dropped}
	_, err := a.rolls[id].Drop(user)
	if err == nil {
		a.dropped[e] = true
	}
	a.rolls[id].Promote(func(nexus.UserID) bool { return true })
	return e, err
}

// Roster lists who has a seat, and then who waits.
func (a *Academic) Roster(_ context.Context, id nexus.CourseID, status nexus.EnrollmentStatus, p nexus.Page) (nexus.List[nexus.RosterEntry], error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := nexus.List[nexus.RosterEntry]{Items: []nexus.RosterEntry{}}
	if p.After != "" && !nexus.ValidID(p.After) {
		return list, nexus.InvalidField("after", "is no cursor of this list")
	}
	r := a.rolls[id]
	users := slices.Sorted(maps.Keys(r.Seats))
	for _, w := range r.Waiting {
		users = append(users, w.User)
	}
	for _, u := range users {
		if s, position := r.Standing(u); status == "" || s == status {
			list.Items = append(list.Items, nexus.RosterEntry{User: u, Status: s, Position: position})
		}
	}
	return list, nil
}

// Enrollments lists how somebody stands to courses.
func (a *Academic) Enrollments(_ context.Context, user nexus.UserID) ([]nexus.Enrollment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []nexus.Enrollment{}
	for id, r := range a.rolls {
		if status, position := r.Standing(user); status != "" {
			list = append(list, nexus.Enrollment{Course: id, User: user, Status: status, Position: position})
		}
	}
	return list, nil
}

// Enrollment returns how somebody stands to a course.
func (a *Academic) Enrollment(_ context.Context, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rolls[id]
	if r == nil {
		return nexus.Enrollment{}, nexus.Errorf(nexus.NotFound, "no such course")
	}
	status, position := r.Standing(user)
	if e := (nexus.Enrollment{Course: id, User: user, Status: nexus.Dropped}); status == "" && a.dropped[e] {
		return e, nil
	}
	if status == "" {
		return nexus.Enrollment{}, nexus.Errorf(nexus.NotFound, "no such enrolment")
	}
	return nexus.Enrollment{Course: id, User: user, Status: status, Position: position}, nil
}
