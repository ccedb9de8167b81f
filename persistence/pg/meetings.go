package pg

import (
	"context"
	"fmt"
	"slices"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// maxMeetings bounds the meetings of a course.
const maxMeetings = 50

// Meetings returns when a course meets, in order of weekday and time. NotFound for an unknown course.
func (s *Courses) Meetings(ctx context.Context, id nexus.CourseID) ([]nexus.Meeting, error) {
	var meetings []nexus.Meeting
	err := s.db.read(ctx, "list meetings", func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := oneCourse(ctx, q, id); err != nil {
			return err
		}
		var err error
		meetings, err = meetingsOf(ctx, q, id)
		return err
	})
	return meetings, err
}

func meetingsOf(ctx context.Context, q *sqlcgen.Queries, courses ...nexus.CourseID) ([]nexus.Meeting, error) {
	ids := make([]string, len(courses))
	for i, c := range courses {
		ids[i] = string(c)
	}
	rows, err := q.Meetings(ctx, ids)
	meetings := make([]nexus.Meeting, len(rows))
	for i, r := range rows {
		m := nexus.Meeting{
			ID: nexus.MeetingID(r.ID), Course: nexus.CourseID(r.CourseID), Weekday: int(r.Weekday), Starts: r.Starts, Ends: r.Ends,
			FromDay: r.FromDay, UntilDay: r.UntilDay, Kind: r.Kind, Notes: r.Notes,
		}
		if r.RoomID != nil {
			m.Room = nexus.RoomID(*r.RoomID)
		}
		if r.Teacher != nil {
			m.Teacher = nexus.UserID(*r.Teacher)
		}
		meetings[i] = m
	}
	return meetings, err
}

// SetMeetings replaces when a course meets; a meeting with the id of one that it has changes that one, to which classes refer. Conflict,
// naming the other course, if a room or a teacher is taken at that time. Stale if version is neither 0 nor the course's present one. Audited.
func (s *Courses) SetMeetings(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, meetings []nexus.Meeting) ([]nexus.Meeting, error) {
	return mutate(ctx, s.db, "set meetings", by, func(ctx context.Context, q *sqlcgen.Queries) ([]nexus.Meeting, error) {
		course, err := lockCourse(ctx, q, id, version)
		if err != nil {
			return nil, err
		}
		term, err := oneTerm(ctx, q, course.Term)
		if err != nil {
			return nil, err
		}
		before, err := meetingsOf(ctx, q, id)
		if err != nil {
			return nil, err
		}
		if err := q.LockRoomsAndTeachers(ctx); err != nil { // before the meetings go, and take their classes' rows with them
			return nil, err
		}
		if err := putMeetings(ctx, q, id, term, slices.Clone(meetings)); err != nil {
			return nil, err
		}
		if err := clash(ctx, q, []string{string(id)}, "meetings"); err != nil {
			return nil, err
		}
		if err := roomsFree(ctx, q, []string{string(id)}, term, "meetings"); err != nil {
			return nil, err
		}
		if err := q.TouchCourse(ctx, string(id)); err != nil {
			return nil, err
		}
		after, err := meetingsOf(ctx, q, id)
		if err != nil {
			return nil, err
		}
		return after, audit(ctx, q, by, "course.meetings", "course", string(id), before, after)
	})
}

// putMeetings writes them; those without an id get one.
func putMeetings(ctx context.Context, q *sqlcgen.Queries, course nexus.CourseID, term nexus.Term, meetings []nexus.Meeting) error {
	if err := checkMeetings(term, meetings); err != nil {
		return err
	}
	if err := mayTeach(ctx, q, meetings); err != nil {
		return err
	}
	keep := make([]string, len(meetings))
	for i, m := range meetings {
		if m.ID == "" {
			meetings[i].ID = nexus.MeetingID(nexus.NewID())
		}
		keep[i] = string(meetings[i].ID)
	}
	if err := q.ClearMeetings(ctx, string(course), keep); err != nil {
		return err
	}
	for i, m := range meetings {
		n, err := q.PutMeeting(ctx, sqlcgen.PutMeetingParams{
			ID: string(m.ID), CourseID: string(course), Weekday: int16(m.Weekday), Starts: m.Starts, Ends: m.Ends, //nolint:gosec // checked
			FromDay: m.FromDay, UntilDay: m.UntilDay, RoomID: orNil(string(m.Room)), Teacher: orNil(string(m.Teacher)), Kind: m.Kind, Notes: m.Notes,
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return nexus.InvalidField(fmt.Sprintf("meetings[%d].id", i), "is another course's")
		}
	}
	return nil
}

// mayTeach makes sure that whoever is to teach a meeting may.
func mayTeach(ctx context.Context, q *sqlcgen.Queries, meetings []nexus.Meeting) error {
	var teachers []string
	for _, m := range meetings {
		if m.Teacher != "" {
			teachers = append(teachers, string(m.Teacher))
		}
	}
	may, err := q.TeachersAmong(ctx, teachers)
	if err != nil {
		return err
	}
	for i, m := range meetings {
		if m.Teacher != "" && !slices.Contains(may, string(m.Teacher)) {
			return nexus.InvalidField(fmt.Sprintf("meetings[%d].teacher", i), "is no active account that may teach")
		}
	}
	return nil
}

// checkMeetings checks what the database cannot name, and that no two of the meetings overlap.
func checkMeetings(term nexus.Term, meetings []nexus.Meeting) error {
	if len(meetings) > maxMeetings {
		return nexus.InvalidField("meetings", "are at most %d", maxMeetings)
	}
	for i, m := range meetings {
		field := func(name string) string { return fmt.Sprintf("meetings[%d].%s", i, name) }
		if m.Weekday < 1 || m.Weekday > 7 {
			return nexus.InvalidField(field("weekday"), "is 1, for Monday, to 7")
		}
		for _, t := range []struct{ name, text string }{{"starts", m.Starts}, {"ends", m.Ends}} {
			if _, err := time.Parse("15:04", t.text); err != nil || len(t.text) != 5 {
				return nexus.InvalidField(field(t.name), "is no time of the form HH:mm")
			}
		}
		if m.Ends <= m.Starts {
			return nexus.InvalidField(field("ends"), "is not after starts")
		}
		for _, d := range []struct{ name, day string }{{"fromDay", m.FromDay}, {"untilDay", m.UntilDay}} {
			if d.day == "" {
				continue
			}
			if err := date(field(d.name), d.day); err != nil {
				return err
			}
			if d.day < term.StartsOn || d.day > term.EndsOn {
				return nexus.InvalidField(field(d.name), "is not within the term")
			}
		}
		if m.FromDay != "" && m.UntilDay != "" && m.UntilDay < m.FromDay {
			return nexus.InvalidField(field("untilDay"), "is before fromDay")
		}
		for j, o := range meetings[:i] {
			if m.ID != "" && m.ID == o.ID {
				return nexus.InvalidField(field("id"), "is that of meetings[%d] as well", j)
			}
			if m.Overlaps(o, term) {
				return nexus.InvalidField(field("starts"), "overlaps meetings[%d]", j)
			}
		}
	}
	return nil
}

// clash fails with Conflict if one of some courses needs a room or a teacher while another one does. Whoever plans holds LockRoomsAndTeachers from before
// it writes until the end of the transaction, so that of two that ask at once one sees the other.
func clash(ctx context.Context, q *sqlcgen.Queries, courses []string, field string) error {
	meetings, err := q.MeetingClashes(ctx, courses)
	if err != nil {
		return err
	}
	if len(meetings) == 0 {
		return nil
	}
	what, f := "the teacher", meetings[0]
	if f.Room {
		what = "the room"
	}
	return onField(nexus.Conflict, field, "%s of %s is taken by %s on %s from %s to %s", what, f.Course, f.Code, time.Weekday(f.Weekday%7), f.Starts, f.Ends)
}

// roomsFree fails with Conflict if one of some courses meets in a room where another one has planned a class of its own, or moved one. It is called
// under the same lock.
func roomsFree(ctx context.Context, q *sqlcgen.Queries, courses []string, term nexus.Term, field string) error {
	zone, err := zoneOf(term)
	if err != nil {
		return err
	}
	classes, err := q.RoomsTakenByClasses(ctx, courses)
	if err != nil {
		return err
	}
	for _, f := range classes { // one at most
		from, to := f.StartsAt.In(zone), f.EndsAt.In(zone)
		return onField(nexus.Conflict, field, "the room of %s is taken by %s on %s from %s to %s", f.Course, f.Code, from.Format(time.DateOnly), from.Format("15:04"), to.Format("15:04"))
	}
	return nil
}
