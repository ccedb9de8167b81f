package pg_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/actors/course"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// TestATimetableIsOfWhoHasASeatAndWhoTeaches, with the rooms and people that it speaks of.
func TestATimetableIsOfWhoHasASeatAndWhoTeaches(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 2)
	s := pg.NewCourses(c.db)
	guest := pgfix.Users(t, c.db, "g", nexus.Faculty, 1)[0]
	var rooms []nexus.Room
	for _, number := range []string{"101", "102", "103"} {
		r, err := s.CreateRoom(t.Context(), system, nexus.Room{BlockCode: "A", BlockName: "Block A", Number: number})
		ok(t, err)
		rooms = append(rooms, r)
	}
	lent := monday("11:00", "12:00", rooms[0].ID)
	lent.Teacher = guest
	meetings, err := s.SetMeetings(t.Context(), system, c.id, 0, []nexus.Meeting{monday("09:00", "10:00", ""), lent})
	ok(t, err)
	class, _, err := c.do(course.Act{What: course.ActAdd, Class: nexus.Class{Course: c.id, StartsAt: at("15:00"), EndsAt: at("16:00"), Room: rooms[1].ID, LateMin: 10}}, at("08:00"))
	ok(t, err)
	waiting := newLecture(t, c.db, "CS2", 1, 5)
	waiting.settle(enrol(c.students[1]), enrol(c.students[0]))

	read, err := s.Course(t.Context(), c.id)
	ok(t, err)
	term, err := s.Term(t.Context(), "T1")
	ok(t, err)
	want := nexus.Timetable{
		Terms: map[nexus.TermID]nexus.Term{"T1": term}, Courses: []nexus.Course{read}, Meetings: meetings, Classes: []nexus.Class{class},
		Rooms:    map[nexus.RoomID]nexus.Room{rooms[0].ID: rooms[0], rooms[1].ID: rooms[1]},
		Teachers: map[nexus.UserID]nexus.Staff{guest: {User: guest, Kind: nexus.Instructor, Name: "g1", Email: "g1@campus.example"}},
	}
	for who, u := range map[string]nexus.UserID{"the student": c.students[0], "the teacher": c.teacher.User} {
		got, err := s.Timetable(t.Context(), u, "2099-12-18")
		ok(t, err)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", who, d)
		}
	}
	has := func(what string, u nexus.UserID, day string, want int) {
		t.Helper()
		got, err := s.Timetable(t.Context(), u, day)
		ok(t, err)
		if len(got.Courses) != want {
			t.Errorf("%s: %+v", what, got.Courses)
		}
	}
	has("a seat in both", c.students[1], "2026-10-01", 2)
	has("who teaches a single meeting", guest, "2026-10-01", 0)
	has("a term that is over", c.students[0], "2099-12-19", 0)
	c.settle(drop(c.students[0]))
	has("who has dropped it", c.students[0], "2026-10-01", 0)
	_, err = s.Timetable(t.Context(), guest, "today")
	onField(t, err, nexus.Invalid, "day")
}

// TestACalendarIsOpenedByItsTokenAlone, of which only a hash is kept.
func TestACalendarIsOpenedByItsTokenAlone(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewCourses(db)
	u := pgfix.Users(t, db, "s", nexus.Student, 2)
	by := nexus.Caller{User: u[0]}
	_, err := s.Feed(t.Context(), u[0])
	code(t, err, nexus.NotFound)
	ok(t, s.SetFeed(t.Context(), by, "first"))
	ok(t, s.SetFeed(t.Context(), by, "second"))
	if f, err := s.Feed(t.Context(), u[0]); err != nil || f.UsedAt != nil || time.Since(f.CreatedAt) > time.Minute {
		t.Errorf("%+v %v", f, err)
	}
	_, err = s.FeedOwner(t.Context(), "first")
	code(t, err, nexus.NotFound)
	if owner, err := s.FeedOwner(t.Context(), "second"); err != nil || owner != u[0] {
		t.Errorf("%s %v", owner, err)
	}
	if f, err := s.Feed(t.Context(), u[0]); err != nil || f.UsedAt == nil {
		t.Errorf("used: %+v %v", f, err)
	}
	var kept string
	ok(t, db.Pool().QueryRow(t.Context(), `select string_agg(f::text, '') || (select string_agg(a::text, '') from audit_log a) from calendar_feed f`).Scan(&kept))
	if strings.Contains(kept, "second") || strings.Contains(kept, "7365636f6e64") {
		t.Errorf("the token is kept: %s", kept)
	}
	status := func(to string) { exec(t, db.Pool(), `update app_user set status = $1 where id = $2`, to, string(u[0])) }
	status("suspended")
	_, err = s.FeedOwner(t.Context(), "second")
	code(t, err, nexus.NotFound)
	status("active")
	ok(t, s.DeleteFeed(t.Context(), nexus.Caller{User: u[1]})) // which ends nobody else's
	if _, err = s.FeedOwner(t.Context(), "second"); err != nil {
		t.Error(err)
	}
	ok(t, s.DeleteFeed(t.Context(), by))
	ok(t, s.DeleteFeed(t.Context(), by))
	_, err = s.FeedOwner(t.Context(), "second")
	code(t, err, nexus.NotFound)
	if a, b := audited(t, db, "calendar.share"), audited(t, db, "calendar.unshare"); a != 2 || b != 1 {
		t.Errorf("%d and %d entries in the audit", a, b)
	}
}
