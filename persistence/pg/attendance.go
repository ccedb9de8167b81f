package pg

import (
	"context"
	"time"

	"github.com/google/uuid"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// maxClasses bounds a list of classes: a course has no more in a year.
const maxClasses = 1000

// Classes lists the classes of a course that begin within a time and that somebody has planned, moved, cancelled or opened, in order; a thousand
// at most.
func (s *Classes) Classes(ctx context.Context, id nexus.CourseID, from, to time.Time) ([]nexus.Class, error) {
	classes := []nexus.Class{}
	err := s.db.do(ctx, "list classes", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Classes(ctx, sqlcgen.ClassesParams{CourseID: string(id), FromAt: from, ToAt: to, MaxRows: maxClasses})
		for _, r := range rows {
			classes = append(classes, classOf(r))
		}
		return err
	})
	return classes, err
}

// Class returns one. NotFound if there is none.
func (s *Classes) Class(ctx context.Context, id nexus.ClassID) (nexus.Class, error) {
	var c nexus.Class
	err := s.db.do(ctx, "read class", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.Class(ctx, string(id))
		c = classOf(row)
		return orNotFound(err, "session")
	})
	return c, err
}

// OpenCourses returns the courses that have an open class.
func (s *Classes) OpenCourses(ctx context.Context) ([]string, error) {
	var ids []string
	err := s.db.do(ctx, "list open classes", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		ids, err = q.CoursesWithOpenClass(ctx)
		return err
	})
	return ids, err
}

// Attendees lists the students of a class with their marks, in order of id, which is the cursor.
func (s *Classes) Attendees(ctx context.Context, class nexus.Class, p nexus.Page) (nexus.List[nexus.Attendee], error) {
	var list nexus.List[nexus.Attendee]
	limit := limitOf(p)
	after := uuid.Nil.String()
	if p.After != "" {
		if !nexus.ValidID(p.After) {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
		after = p.After
	}
	err := s.db.do(ctx, "list attendees", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Attendees(ctx, sqlcgen.AttendeesParams{SessionID: string(class.ID), CourseID: string(class.Course), After: after, MaxRows: limit + 1})
		list = pageOf(rows, limit, attendeeOf, func(a nexus.Attendee) string { return string(a.User) })
		return err
	})
	return list, err
}

func attendeeOf(r sqlcgen.AttendeesRow) nexus.Attendee {
	a := nexus.Attendee{User: nexus.UserID(r.UserID), Name: r.Name, RegNo: r.RegNo, Tries: int(r.Tries)}
	if r.Status != nil && r.Method != nil && r.Remarks != nil && r.MarkedAt != nil {
		m := markOf(sqlcgen.Attendance{
			UserID: r.UserID, Status: *r.Status, Method: *r.Method, Flags: r.Flags, Remarks: *r.Remarks, MarkedBy: r.MarkedBy, MarkedAt: *r.MarkedAt,
		})
		a.Mark = &m
	}
	return a
}

// TotalsOf returns how a student attended the courses in which they have a seat.
func (s *Classes) TotalsOf(ctx context.Context, user nexus.UserID) ([]nexus.AttendanceTotal, error) {
	return s.totals(ctx, "", user)
}

// TotalsIn returns how the students of a course attended it.
func (s *Classes) TotalsIn(ctx context.Context, id nexus.CourseID) ([]nexus.AttendanceTotal, error) {
	return s.totals(ctx, id, "")
}

func (s *Classes) totals(ctx context.Context, id nexus.CourseID, user nexus.UserID) ([]nexus.AttendanceTotal, error) {
	totals := []nexus.AttendanceTotal{}
	err := s.db.do(ctx, "sum up attendance", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.AttendanceTotals(ctx, orNil(string(id)), orNil(string(user)))
		for _, r := range rows {
			totals = append(totals, totalOf(r))
		}
		return err
	})
	return totals, err
}

// History returns how a student attended the classes of a course that are over, the newest first.
func (s *Classes) History(ctx context.Context, id nexus.CourseID, user nexus.UserID) ([]nexus.AttendedClass, error) {
	history := []nexus.AttendedClass{}
	err := s.db.do(ctx, "read attendance", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.AttendanceHistory(ctx, string(user), string(id))
		for _, r := range rows {
			history = append(history, nexus.AttendedClass{
				Class: nexus.ClassID(r.ID), StartsAt: r.StartsAt, EndsAt: r.EndsAt, TZ: r.Tz, Topic: r.Topic, Status: nexus.AttendanceStatus(r.Status), Remarks: r.Remarks,
			})
		}
		return err
	})
	return history, err
}

// maxCells bounds a register: a thousand students in the classes of a year.
const maxCells = 250_000

// Register returns the classes of a course that were held, in order, and everybody's marks in them, by name. TooLarge for more than maxClasses or
// maxCells.
func (s *Classes) Register(ctx context.Context, id nexus.CourseID) (nexus.Register, error) {
	r := nexus.Register{}
	err := s.db.read(ctx, "read register", func(ctx context.Context, q *sqlcgen.Queries) error {
		r = nexus.Register{}
		classes, err := q.HeldClasses(ctx, string(id), maxClasses+1)
		if err != nil {
			return err
		}
		students, err := q.CountEnrolled(ctx, string(id))
		if err != nil {
			return err
		}
		if len(classes) > maxClasses || int(students)*len(classes) > maxCells {
			return nexus.Errorf(nexus.TooLarge, "a register has at most %d sessions, and %d marks", maxClasses, maxCells)
		}
		ids := make([]string, len(classes))
		for i, c := range classes {
			ids[i] = c.ID
			r.Classes = append(r.Classes, classOf(c))
		}
		rows, err := q.Register(ctx, ids, string(id))
		for _, row := range rows {
			if n := len(r.Students); n == 0 || r.Students[n-1].User != nexus.UserID(row.UserID) {
				r.Students = append(r.Students, nexus.RegisterLine{
					User: nexus.UserID(row.UserID), RegNo: row.RegNo, Name: row.Name, Marks: map[nexus.ClassID]nexus.AttendanceStatus{},
				})
			}
			r.Students[len(r.Students)-1].Marks[nexus.ClassID(row.SessionID)] = nexus.AttendanceStatus(row.Status)
		}
		return err
	})
	return r, err
}
