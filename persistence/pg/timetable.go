package pg

import (
	"context"
	"crypto/sha256"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Timetable returns what somebody has to do with courses of terms that are not over on a day (YYYY-MM-DD).
func (s *Courses) Timetable(ctx context.Context, user nexus.UserID, day string) (nexus.Timetable, error) {
	var t nexus.Timetable
	if err := date("day", day); err != nil {
		return t, err
	}
	err := s.db.read(ctx, "read timetable", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		t, err = timetableOf(ctx, q, user, day)
		return err
	})
	return t, err
}

func timetableOf(ctx context.Context, q *sqlcgen.Queries, user nexus.UserID, day string) (t nexus.Timetable, err error) {
	t = nexus.Timetable{Terms: map[nexus.TermID]nexus.Term{}, Rooms: map[nexus.RoomID]nexus.Room{}, Teachers: map[nexus.UserID]nexus.Staff{}}
	rows, err := q.CoursesOfPerson(ctx, day, string(user))
	if err != nil {
		return t, err
	}
	if t.Courses, err = coursesOf(rows); err != nil || len(t.Courses) == 0 {
		return t, err
	}
	ids, courses := make([]string, len(rows)), make([]nexus.CourseID, len(rows))
	for i, c := range t.Courses {
		ids[i], courses[i] = string(c.ID), c.ID
		if _, known := t.Terms[c.Term]; !known {
			if t.Terms[c.Term], err = oneTerm(ctx, q, c.Term); err != nil {
				return t, err
			}
		}
	}
	if t.Meetings, err = meetingsOf(ctx, q, courses...); err != nil {
		return t, err
	}
	classes, err := q.ClassesOfCourses(ctx, ids)
	if err != nil {
		return t, err
	}
	rooms, teachers := map[string]bool{}, map[string]bool{}
	for _, m := range t.Meetings {
		rooms[string(m.Room)], teachers[string(m.Teacher)] = true, true
	}
	for _, r := range classes {
		c := classOf(r)
		t.Classes = append(t.Classes, c)
		rooms[string(c.Room)] = true
	}
	return t, surroundings(ctx, q, &t, keysOf(rooms), keysOf(teachers))
}

// surroundings fills in the rooms and the teachers.
func surroundings(ctx context.Context, q *sqlcgen.Queries, t *nexus.Timetable, rooms, teachers []string) error {
	found, err := q.RoomsByID(ctx, rooms)
	if err != nil {
		return err
	}
	for _, r := range found {
		t.Rooms[nexus.RoomID(r.ID)] = roomOf(r)
	}
	staff, err := q.StaffByID(ctx, teachers)
	for _, p := range staff {
		t.Teachers[nexus.UserID(p.ID)] = nexus.Staff{User: nexus.UserID(p.ID), Kind: nexus.Instructor, Name: p.Name, Email: p.Email, AvatarURL: p.AvatarUrl}
	}
	return err
}

// keysOf are the keys but for the empty one.
func keysOf(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		if k != "" {
			keys = append(keys, k)
		}
	}
	return keys
}

// SetFeed makes a calendar readable to who knows a token, in place of any other. Only the token's hash is kept.
func (s *Courses) SetFeed(ctx context.Context, by nexus.Caller, token string) error {
	hash := sha256.Sum256([]byte(token))
	return s.db.tx(ctx, "set calendar feed", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.PutFeed(ctx, string(by.User), hash[:]); err != nil {
			return err
		}
		return audit(ctx, q, by, "calendar.share", "calendar", string(by.User), nil, nil)
	})
}

// Feed says whether a person's calendar is readable. NotFound if it is not.
func (s *Courses) Feed(ctx context.Context, user nexus.UserID) (nexus.Feed, error) {
	var f nexus.Feed
	err := s.db.do(ctx, "read calendar feed", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.Feed(ctx, string(user))
		f = nexus.Feed{CreatedAt: r.CreatedAt, UsedAt: r.UsedAt}
		return orNotFound(err, "calendar feed")
	})
	return f, err
}

// DeleteFeed ends it. A second call does nothing.
func (s *Courses) DeleteFeed(ctx context.Context, by nexus.Caller) error {
	return s.db.tx(ctx, "end calendar feed", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.DeleteFeed(ctx, string(by.User))
		if err != nil || n == 0 {
			return err
		}
		return audit(ctx, q, by, "calendar.unshare", "calendar", string(by.User), nil, nil)
	})
}

// FeedOwner returns whose calendar a token opens. NotFound for none, and for one of an account that is not active.
func (s *Courses) FeedOwner(ctx context.Context, token string) (nexus.UserID, error) {
	hash := sha256.Sum256([]byte(token))
	var user string
	err := s.db.do(ctx, "open calendar feed", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		user, err = q.UseFeed(ctx, hash[:])
		return orNotFound(err, "calendar")
	})
	return nexus.UserID(user), err
}
