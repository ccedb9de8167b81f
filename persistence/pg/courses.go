package pg

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Courses lists courses in order of id, which is the cursor.
func (s *Courses) Courses(ctx context.Context, f nexus.CourseFilter, p nexus.Page) (nexus.List[nexus.Course], error) {
	var list nexus.List[nexus.Course]
	limit := limitOf(p)
	after := uuid.Nil.String()
	if p.After != "" {
		if !nexus.ValidID(p.After) {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
		after = p.After
	}
	err := s.db.do(ctx, "list courses", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Courses(ctx, sqlcgen.CoursesParams{
			After: after, Term: string(f.Term), Query: f.Query, Teacher: orNil(string(f.Teacher)), Student: orNil(string(f.Student)), MaxRows: limit + 1,
		})
		if err != nil {
			return err
		}
		courses, err := coursesOf(rows)
		list = pageOf(courses, limit, func(c nexus.Course) nexus.Course { return c }, func(c nexus.Course) string { return string(c.ID) })
		return err
	})
	return list, err
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Course returns one. NotFound if there is none.
func (s *Courses) Course(ctx context.Context, id nexus.CourseID) (nexus.Course, error) {
	var c nexus.Course
	err := s.db.do(ctx, "read course", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		c, err = oneCourse(ctx, q, id)
		return err
	})
	return c, err
}

func oneCourse(ctx context.Context, q *sqlcgen.Queries, id nexus.CourseID) (nexus.Course, error) {
	rows, err := q.CoursesByID(ctx, []string{string(id)})
	if err == nil && len(rows) == 0 {
		err = noSuch("course")
	}
	if err != nil {
		return nexus.Course{}, err
	}
	return courseOf(rows[0])
}

func coursesOf(rows []sqlcgen.CourseView) ([]nexus.Course, error) {
	courses := make([]nexus.Course, len(rows))
	for i, r := range rows {
		var err error
		if courses[i], err = courseOf(r); err != nil {
			return nil, err
		}
	}
	return courses, nil
}

func courseOf(r sqlcgen.CourseView) (nexus.Course, error) {
	c := nexus.Course{
		ID: nexus.CourseID(r.ID), Term: nexus.TermID(r.TermID), Code: r.Code, Title: r.Title, Credits: r.Credits, Capacity: int(r.Capacity),
		WaitlistCapacity: int(r.WaitlistCapacity), MinAttendancePct: int(r.MinAttendancePct), Prerequisites: r.Prerequisites,
		Enrolled: int(r.Enrolled), Waitlisted: int(r.Waitlisted), Version: r.Version,
	}
	if err := json.Unmarshal(r.Staff, &c.Staff); err != nil {
		return c, fmt.Errorf("decode staff: %w", err)
	}
	return c, nil
}

// CreateCourse makes a course with its seats, and its staff if any is given; its id is filled in. Conflict for a code that the term has
// already, NotFound for an unknown term. Audited.
func (s *Courses) CreateCourse(ctx context.Context, by nexus.Caller, c nexus.Course) (nexus.Course, error) {
	return mutate(ctx, s.db, "create course", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Course, error) {
		if err := checkCourse(c); err != nil {
			return nexus.Course{}, err
		}
		id := nexus.NewID()
		err := q.InsertCourse(ctx, sqlcgen.InsertCourseParams{
			ID: id, TermID: string(c.Term), Code: c.Code, Title: c.Title, Credits: c.Credits, Capacity: int32(c.Capacity), //nolint:gosec // checked
			WaitlistCapacity: int32(c.WaitlistCapacity), MinAttendancePct: int16(c.MinAttendancePct), //nolint:gosec // checked
		})
		if err != nil {
			return nexus.Course{}, err
		}
		if err := q.AddSeats(ctx, id, int32(c.Capacity)); err != nil { //nolint:gosec // checked
			return nexus.Course{}, err
		}
		if err := q.FillPrerequisites(ctx, id, c.Prerequisites); err != nil {
			return nexus.Course{}, err
		}
		if err := setStaff(ctx, q, id, c.Staff); err != nil {
			return nexus.Course{}, err
		}
		made, err := oneCourse(ctx, q, nexus.CourseID(id))
		if err != nil {
			return nexus.Course{}, err
		}
		return made, audit(ctx, q, by, "course.create", "course", id, nil, made)
	})
}

// ChangeCourse changes what is no number of seats: those are the course's grain's to change. Stale if version is neither 0 nor the
// present one. Audited.
func (s *Courses) ChangeCourse(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, c nexus.CourseChange) (nexus.Course, error) {
	return mutate(ctx, s.db, "change course", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Course, error) {
		before, err := changeCourse(ctx, q, id, version, c)
		if err != nil {
			return nexus.Course{}, err
		}
		after, err := oneCourse(ctx, q, id)
		if err != nil {
			return nexus.Course{}, err
		}
		return after, audit(ctx, q, by, "course.change", "course", string(id), before, after)
	})
}

// changeCourse changes, within a transaction, everything of a course but its numbers of seats, and returns what it was. The course's row stays
// locked until the transaction ends.
func changeCourse(ctx context.Context, q *sqlcgen.Queries, id nexus.CourseID, version int64, change nexus.CourseChange) (before nexus.Course, err error) {
	have, err := q.LockCourse(ctx, string(id))
	if err != nil {
		return before, orNotFound(err, "course")
	}
	if err := stale(version, have); err != nil {
		return before, err
	}
	if before, err = oneCourse(ctx, q, id); err != nil {
		return before, err
	}
	after := change.Of(before)
	if err := checkCourse(after); err != nil {
		return before, err
	}
	err = q.UpdateCourse(ctx, sqlcgen.UpdateCourseParams{
		ID: string(id), Code: after.Code, Title: after.Title, Credits: after.Credits, MinAttendancePct: int16(after.MinAttendancePct), //nolint:gosec // checked
	})
	if err != nil || change.Prerequisites == nil {
		return before, err
	}
	if err := q.ClearPrerequisites(ctx, string(id)); err != nil {
		return before, err
	}
	return before, q.FillPrerequisites(ctx, string(id), after.Prerequisites)
}

// Bounds of a course.
const (
	maxSeats         = 10_000
	maxPrerequisites = 50
	maxStaff         = 100
)

// checkCourse checks what the database cannot, or could not even be told.
func checkCourse(c nexus.Course) error {
	switch {
	case c.Capacity < 0 || c.Capacity > maxSeats:
		return nexus.InvalidField("capacity", "is 0 to %d", maxSeats)
	case c.WaitlistCapacity < 0 || c.WaitlistCapacity > maxSeats:
		return nexus.InvalidField("waitlistCapacity", "is 0 to %d", maxSeats)
	case c.MinAttendancePct < 0 || c.MinAttendancePct > 100:
		return nexus.InvalidField("minAttendancePct", "is 0 to 100")
	case !(c.Credits >= 0 && c.Credits <= 100) || math.Abs(c.Credits*10-math.Round(c.Credits*10)) > 1e-6: // also NaN
		return nexus.InvalidField("credits", "are 0 to 100, with one decimal")
	case len(c.Prerequisites) > maxPrerequisites:
		return nexus.InvalidField("prerequisites", "are at most %d", maxPrerequisites)
	}
	for i, p := range c.Prerequisites {
		name := fmt.Sprintf("prerequisites[%d]", i)
		switch {
		case strings.EqualFold(p, c.Code):
			return nexus.InvalidField(name, "is the course itself")
		case slices.ContainsFunc(c.Prerequisites[:i], func(o string) bool { return strings.EqualFold(o, p) }):
			return nexus.InvalidField(name, "is there twice")
		}
	}
	return nil
}

// SetStaff replaces who teaches a course, in order. Stale if version is neither 0 nor the present one. Audited.
func (s *Courses) SetStaff(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, staff []nexus.Staff) (nexus.Course, error) {
	return mutate(ctx, s.db, "set staff", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Course, error) {
		before, err := lockCourse(ctx, q, id, version)
		if err != nil {
			return nexus.Course{}, err
		}
		if err := q.LockRoomsAndTeachers(ctx); err != nil {
			return nexus.Course{}, err
		}
		if err := setStaff(ctx, q, string(id), staff); err != nil {
			return nexus.Course{}, err
		}
		if err := clash(ctx, q, []string{string(id)}, "staff"); err != nil {
			return nexus.Course{}, err
		}
		after, err := touched(ctx, q, id)
		if err != nil {
			return nexus.Course{}, err
		}
		return after, audit(ctx, q, by, "course.staff", "course", string(id), before.Staff, after.Staff)
	})
}

// lockCourse locks a course, makes sure of its version, and returns it.
func lockCourse(ctx context.Context, q *sqlcgen.Queries, id nexus.CourseID, version int64) (nexus.Course, error) {
	have, err := q.LockCourse(ctx, string(id))
	if err != nil {
		return nexus.Course{}, orNotFound(err, "course")
	}
	if err := stale(version, have); err != nil {
		return nexus.Course{}, err
	}
	return oneCourse(ctx, q, id)
}

// touched moves the version of a course, and returns it as it is now.
func touched(ctx context.Context, q *sqlcgen.Queries, id nexus.CourseID) (nexus.Course, error) {
	if err := q.TouchCourse(ctx, string(id)); err != nil {
		return nexus.Course{}, err
	}
	return oneCourse(ctx, q, id)
}

func setStaff(ctx context.Context, q *sqlcgen.Queries, course string, staff []nexus.Staff) error {
	if len(staff) > maxStaff {
		return nexus.InvalidField("staff", "are at most %d", maxStaff)
	}
	p := sqlcgen.FillStaffParams{CourseID: course}
	for i, x := range staff {
		if slices.Contains(p.Users, string(x.User)) {
			return nexus.InvalidField(fmt.Sprintf("staff[%d].userId", i), "is there twice")
		}
		p.Users, p.Kinds, p.Positions = append(p.Users, string(x.User)), append(p.Kinds, string(x.Kind)), append(p.Positions, int16(i)) //nolint:gosec // bounded
	}
	may, err := q.TeachersAmong(ctx, p.Users)
	if err != nil {
		return err
	}
	for i, u := range p.Users {
		if !slices.Contains(may, u) {
			return nexus.InvalidField(fmt.Sprintf("staff[%d].userId", i), "is no active account that may teach")
		}
	}
	if err := q.ClearStaff(ctx, course); err != nil {
		return err
	}
	return q.FillStaff(ctx, p)
}
