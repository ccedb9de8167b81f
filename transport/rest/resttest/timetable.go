package resttest

import (
	"context"
	"slices"
	"time"

	"nexus"
	"nexus/transport/rest"
)

var (
	_ rest.Timetables  = (*Academic)(nil)
	_ rest.Assignments = (*Academic)(nil)
)

// desk is the part of Academic that keeps feeds and assignments.
type desk struct {
	feeds       map[nexus.UserID]string
	assignments []nexus.Assignment
}

// Timetable returns the courses in which a person has a seat or which they teach, of every term.
func (a *Academic) Timetable(_ context.Context, user nexus.UserID, _ string) (nexus.Timetable, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := nexus.Timetable{Terms: map[nexus.TermID]nexus.Term{}, Rooms: map[nexus.RoomID]nexus.Room{}, Teachers: map[nexus.UserID]nexus.Staff{}}
	for _, c := range a.courses {
		if status, _ := a.rolls[c.ID].Standing(user); status != nexus.Enrolled && !c.TaughtBy(user) {
			continue
		}
		t.Courses = append(t.Courses, c)
		t.Meetings = append(t.Meetings, a.meetings[c.ID]...)
		for _, x := range a.classes.list {
			if x.Course == c.ID {
				t.Classes = append(t.Classes, x)
			}
		}
		if i, err := a.termAt(c.Term); err == nil {
			t.Terms[c.Term] = a.terms[i]
		}
	}
	for _, r := range a.rooms {
		t.Rooms[r.ID] = r
	}
	return t, nil
}

// SetFeed keeps a token.
func (a *Academic) SetFeed(_ context.Context, by nexus.Caller, token string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.desk.feeds == nil {
		a.desk.feeds = map[nexus.UserID]string{}
	}
	a.desk.feeds[by.User] = token
	return nil
}

// Feed says whether there is one.
func (a *Academic) Feed(_ context.Context, user nexus.UserID) (nexus.Feed, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.desk.feeds[user] == "" {
		return nexus.Feed{}, nexus.Errorf(nexus.NotFound, "no such calendar feed")
	}
	return nexus.Feed{CreatedAt: time.Now()}, nil
}

// DeleteFeed forgets it.
func (a *Academic) DeleteFeed(_ context.Context, by nexus.Caller) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.desk.feeds, by.User)
	return nil
}

// FeedOwner returns whose calendar a token opens.
func (a *Academic) FeedOwner(_ context.Context, token string) (nexus.UserID, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for u, t := range a.desk.feeds {
		if t == token {
			return u, nil
		}
	}
	return "", nexus.Errorf(nexus.NotFound, "no such calendar")
}

// AssignmentsIn lists what a course sets.
func (a *Academic) AssignmentsIn(_ context.Context, id nexus.CourseID, p nexus.Page) (nexus.List[nexus.Assignment], error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := nexus.List[nexus.Assignment]{Items: []nexus.Assignment{}}
	if p.After != "" && !nexus.ValidID(p.After) {
		return list, nexus.InvalidField("after", "is no cursor of this list")
	}
	for _, x := range a.desk.assignments {
		if x.Course == id {
			list.Items = append(list.Items, x)
		}
	}
	return list, nil
}

// AssignmentsOf lists what is due of somebody.
func (a *Academic) AssignmentsOf(_ context.Context, user nexus.UserID, past bool) ([]nexus.Assignment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := []nexus.Assignment{}
	for _, x := range a.desk.assignments {
		if status, _ := a.rolls[x.Course].Standing(user); status == nexus.Enrolled && x.DueAt.Before(time.Now()) == past {
			list = append(list, x)
		}
	}
	return list, nil
}

func (a *Academic) assignmentAt(id nexus.AssignmentID) (int, error) {
	return find(a.desk.assignments, "assignment", func(x nexus.Assignment) bool { return x.ID == id })
}

// Assignment returns one.
func (a *Academic) Assignment(_ context.Context, id nexus.AssignmentID) (nexus.Assignment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.assignmentAt(id)
	if err != nil {
		return nexus.Assignment{}, err
	}
	return a.desk.assignments[i], nil
}

// CreateAssignment sets work, of which one stream has news.
func (a *Academic) CreateAssignment(_ context.Context, _ nexus.Caller, x nexus.Assignment) (nexus.Assignment, []string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	x.ID, x.Version, x.CreatedAt = nexus.AssignmentID(nexus.NewID()), 1, time.Now()
	a.desk.assignments = append(a.desk.assignments, x)
	return x, []string{"notifications/x"}, nil
}

// ChangeAssignment changes it.
func (a *Academic) ChangeAssignment(_ context.Context, _ nexus.Caller, id nexus.AssignmentID, version int64, c nexus.AssignmentChange) (nexus.Assignment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.assignmentAt(id)
	if err != nil {
		return nexus.Assignment{}, err
	}
	x := &a.desk.assignments[i]
	if err := newest(version, x.Version); err != nil {
		return *x, err
	}
	*x = c.Of(*x)
	x.Version++
	return *x, nil
}

// DeleteAssignment takes it back.
func (a *Academic) DeleteAssignment(_ context.Context, _ nexus.Caller, id nexus.AssignmentID, version int64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, err := a.assignmentAt(id)
	if err != nil {
		return err
	}
	if err := newest(version, a.desk.assignments[i].Version); err != nil {
		return err
	}
	a.desk.assignments = slices.Delete(a.desk.assignments, i, i+1)
	return nil
}
