package pg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// week is a campus whose courses are to meet: two courses with a teacher each, and two rooms.
type week struct {
	*testing.T
	db       *pg.DB
	courses  *pg.Courses
	a, b     nexus.CourseID // CS1 and MA1
	teachers []nexus.UserID // of a, of b, and one more
	rooms    []nexus.RoomID
}

func newWeek(t *testing.T) *week {
	t.Helper()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	p := &week{T: t, db: db, courses: pg.NewCourses(db), teachers: pgfix.Users(t, db, "f", nexus.Faculty, 3)}
	p.a, p.b = pgfix.Course(t, db, "T1", "CS1", 10, 5, p.teachers[0]), pgfix.Course(t, db, "T1", "MA1", 10, 5, p.teachers[1])
	for i := range 2 {
		r, err := p.courses.CreateRoom(t.Context(), system, nexus.Room{BlockCode: "A", BlockName: "Block A", Number: fmt.Sprint(101 + i)})
		ok(t, err)
		p.rooms = append(p.rooms, r.ID)
	}
	return p
}

// monday is a lecture on Mondays.
func monday(starts, ends string, room nexus.RoomID) nexus.Meeting {
	return nexus.Meeting{Weekday: 1, Starts: starts, Ends: ends, Room: room, Kind: "LECTURE"}
}

func (p *week) set(id nexus.CourseID, meetings ...nexus.Meeting) ([]nexus.Meeting, error) {
	return p.courses.SetMeetings(p.Context(), system, id, 0, meetings)
}

func TestMeetingsAreReplacedAndKeepTheirIds(t *testing.T) {
	t.Parallel()
	p := newWeek(t)
	friday := nexus.Meeting{Weekday: 5, Starts: "14:00", Ends: "16:00", FromDay: "2026-10-01", UntilDay: "2026-10-31", Teacher: p.teachers[2], Kind: "LAB", Notes: "Bring\na coat"}
	first, err := p.courses.SetMeetings(t.Context(), system, p.a, 1, []nexus.Meeting{friday, monday("09:00", "10:00", p.rooms[0])})
	ok(t, err)
	want := []nexus.Meeting{monday("09:00", "10:00", p.rooms[0]), friday} // in order of the week
	for i := range want {
		want[i].ID, want[i].Course = first[i].ID, p.a
	}
	read, err := p.courses.Meetings(t.Context(), p.a)
	ok(t, err)
	if d := cmp.Diff([][]nexus.Meeting{want, want}, [][]nexus.Meeting{first, read}); d != "" {
		t.Error(d)
	}
	// A class refers to the meeting that stays, and to one that goes.
	for _, m := range first {
		exec(t, p.db.Pool(), `insert into class_session (id, course_id, meeting_id, occurs_on, starts_at, ends_at) values ($1, $2, $3, '2026-10-05', '2026-10-05T09:00Z', '2026-10-05T10:00Z')`,
			nexus.NewID(), string(p.a), string(m.ID))
	}
	moved := first[0]
	moved.Starts, moved.Ends = "10:00", "11:00"
	second, err := p.courses.SetMeetings(t.Context(), system, p.a, 2, []nexus.Meeting{moved, {Weekday: 2, Starts: "09:00", Ends: "10:00", Kind: "LECTURE"}})
	ok(t, err)
	if len(second) != 2 || second[0] != moved || second[1].ID == first[1].ID {
		t.Errorf("%+v", second)
	}
	if n := count(t, p.db.Pool(), `select count(*) from class_session where meeting_id = $1`, string(moved.ID)); n != 1 {
		t.Errorf("%d classes of the meeting that stayed", n)
	}
	if n := count(t, p.db.Pool(), `select count(*) from class_session where meeting_id is null`); n != 1 {
		t.Errorf("%d classes without a meeting", n)
	}
	_, err = p.courses.SetMeetings(t.Context(), system, p.a, 2, nil)
	code(t, err, nexus.Stale)
	_, err = p.set(p.b, moved)
	onField(t, err, nexus.Invalid, "meetings[0].id")
	for _, unknown := range []func() error{
		func() error { _, err := p.courses.Meetings(t.Context(), nexus.CourseID(nexus.NewID())); return err },
		func() error { _, err := p.set(nexus.CourseID(nexus.NewID())); return err },
		func() error { _, err := p.set(p.a, monday("09:00", "10:00", nexus.RoomID(nexus.NewID()))); return err },
	} {
		code(t, unknown(), nexus.NotFound)
	}
	if none, err := p.set(p.a); err != nil || len(none) != 0 {
		t.Errorf("%v %v", none, err)
	}
	if n := audited(t, p.db, "course.meetings"); n != 3 {
		t.Errorf("%d entries in the audit", n)
	}
}

func TestWhatAMeetingMayNotBe(t *testing.T) {
	t.Parallel()
	p := newWeek(t)
	student := pgfix.Users(t, p.db, "s", nexus.Student, 1)[0]
	change := func(f func(*nexus.Meeting)) nexus.Meeting {
		m := monday("11:00", "12:00", p.rooms[0])
		f(&m)
		return m
	}
	for _, c := range []struct {
		field string
		m     nexus.Meeting
	}{
		{"weekday", change(func(m *nexus.Meeting) { m.Weekday = 0 })},
		{"starts", change(func(m *nexus.Meeting) { m.Starts = "9:00" })},
		{"ends", change(func(m *nexus.Meeting) { m.Ends = "24:00" })},
		{"ends", change(func(m *nexus.Meeting) { m.Ends = "09:00" })},
		{"fromDay", change(func(m *nexus.Meeting) { m.FromDay = "2026-08-31" })},
		{"untilDay", change(func(m *nexus.Meeting) { m.UntilDay = "soon" })},
		{"untilDay", change(func(m *nexus.Meeting) { m.FromDay, m.UntilDay = "2026-10-02", "2026-10-01" })},
		{"teacher", change(func(m *nexus.Meeting) { m.Teacher = student })},
		{"starts", change(func(m *nexus.Meeting) { m.Starts, m.Ends = "08:30", "09:01" })}, // overlaps the one below
	} {
		_, err := p.set(p.a, monday("09:00", "10:00", ""), c.m)
		onField(t, err, nexus.Invalid, "meetings[1]."+c.field)
	}
	_, err := p.set(p.a, make([]nexus.Meeting, 51)...)
	onField(t, err, nexus.Invalid, "meetings")
	// One after the other, or in other weeks, do not overlap.
	early, late := monday("10:00", "11:00", ""), monday("10:00", "11:00", "")
	early.UntilDay, late.FromDay = "2026-10-04", "2026-10-05"
	_, err = p.set(p.a, monday("09:00", "10:00", ""), early, late)
	ok(t, err)
}

// TestARoomAndATeacherAreInOnePlaceAtATime: who asks is told by whom it is taken, and when.
func TestARoomAndATeacherAreInOnePlaceAtATime(t *testing.T) {
	t.Parallel()
	p := newWeek(t)
	_, err := p.set(p.a, monday("09:00", "10:30", p.rooms[0]))
	ok(t, err)
	refused := func(err error, field, words string) {
		t.Helper()
		onField(t, err, nexus.Conflict, field)
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%v does not say %q", err, words)
		}
	}
	_, err = p.set(p.b, monday("10:00", "11:00", p.rooms[0]))
	refused(err, "meetings", "the room of MA1 is taken by CS1 on Monday from 09:00 to 10:30")
	lent := monday("10:00", "11:00", p.rooms[1])
	lent.Teacher = p.teachers[0]
	_, err = p.set(p.b, lent)
	refused(err, "meetings", "the teacher of MA1 is taken by CS1 on Monday from 09:00 to 10:30")
	if left, err := p.courses.Meetings(t.Context(), p.b); err != nil || len(left) != 0 {
		t.Errorf("what was refused left %v (%v)", left, err)
	}
	for _, free := range []nexus.Meeting{
		monday("10:30", "11:30", p.rooms[0]), monday("09:00", "10:00", p.rooms[1]), monday("09:00", "10:00", ""),
		{Weekday: 2, Starts: "09:00", Ends: "10:00", Room: p.rooms[0], Teacher: p.teachers[0], Kind: "LECTURE"},
	} {
		_, err := p.set(p.b, free)
		ok(t, err)
	}
	// Staff that changes has other teachers' hours to keep.
	_, err = p.set(p.b, monday("09:00", "10:00", p.rooms[1]))
	ok(t, err)
	_, err = p.courses.SetStaff(t.Context(), system, p.b, 0, staff(p.teachers[0]))
	refused(err, "staff", "the teacher of MA1 is taken by CS1 on Monday")
	// In another part of the term, or in another term, the room is free.
	autumn, later := monday("09:00", "10:30", p.rooms[0]), monday("09:00", "10:30", p.rooms[0])
	autumn.UntilDay, later.FromDay = "2026-10-31", "2026-11-01"
	_, err = p.set(p.a, autumn)
	ok(t, err)
	_, err = p.set(p.b, later)
	ok(t, err)
	_, err = p.courses.CreateTerm(t.Context(), system, nexus.Term{ID: "T2", Name: "x", StartsOn: "2100-01-01", EndsOn: "2100-03-01", TZ: "UTC"})
	ok(t, err)
	_, err = p.set(pgfix.Course(t, p.db, "T2", "CS1", 1, 1, p.teachers[0]), monday("09:00", "10:30", p.rooms[0]))
	ok(t, err)
}

// TestAMeetingGivesWayToAClass that another course has planned in its room, or moved there.
func TestAMeetingGivesWayToAClass(t *testing.T) {
	t.Parallel()
	p := newWeek(t)
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 14)
	weekly := nexus.Meeting{Weekday: (int(day.Weekday())+6)%7 + 1, Starts: "09:00", Ends: "10:00", Room: p.rooms[0], Kind: "LECTURE"}
	id := nexus.NewID()
	exec(t, p.db.Pool(), `insert into class_session (id, course_id, room_id, starts_at, ends_at) values ($1, $2, $3, $4, $5)`,
		id, string(p.b), string(p.rooms[0]), day.Add(9*time.Hour+30*time.Minute), day.Add(11*time.Hour))
	_, err := p.set(p.a, weekly)
	onField(t, err, nexus.Conflict, "meetings")
	if want := "the room of CS1 is taken by MA1 on " + day.Format(time.DateOnly) + " from 09:30 to 11:00"; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	exec(t, p.db.Pool(), `update class_session set status = 'CANCELLED' where id = $1`, id)
	_, err = p.set(p.a, weekly)
	ok(t, err)
}

// TestATermIsNotChangedIntoAClash: a holiday that is none any more, another zone, and days that are added bring no two into one room.
func TestATermIsNotChangedIntoAClash(t *testing.T) {
	t.Parallel()
	p := newWeek(t)
	day := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 14)
	next := day.AddDate(0, 0, 7).Format(time.DateOnly)
	term := nexus.Term{ID: "T5", Name: "x", StartsOn: time.Now().UTC().Format(time.DateOnly), EndsOn: next, TZ: "UTC", Holidays: []nexus.Holiday{{Day: day.Format(time.DateOnly), Name: "Day off"}}}
	_, err := p.courses.CreateTerm(t.Context(), system, term)
	ok(t, err)
	id := pgfix.Course(t, p.db, "T5", "CS5", 1, 1, p.teachers[2])
	_, err = p.set(id, nexus.Meeting{Weekday: (int(day.Weekday())+6)%7 + 1, Starts: "09:00", Ends: "10:00", Room: p.rooms[0], Kind: "LECTURE"})
	ok(t, err)
	class := func(from time.Time) string {
		id := nexus.NewID()
		exec(t, p.db.Pool(), `insert into class_session (id, course_id, room_id, starts_at, ends_at) values ($1, $2, $3, $4, $5)`,
			id, string(p.b), string(p.rooms[0]), from, from.Add(time.Hour))
		return id
	}
	put := func(change func(*nexus.Term)) error {
		changed := term
		change(&changed)
		_, err := p.courses.PutTerm(t.Context(), system, 0, changed)
		return err
	}
	onHoliday := class(day.Add(9 * time.Hour))
	onField(t, put(func(t *nexus.Term) { t.Holidays = nil }), nexus.Conflict, "term")
	ok(t, put(func(t *nexus.Term) { t.Name = "y" }))
	exec(t, p.db.Pool(), `delete from class_session where id = $1`, onHoliday)

	abroad := class(day.AddDate(0, 0, 7).Add(3*time.Hour + 30*time.Minute)) // nine in India
	onField(t, put(func(t *nexus.Term) { t.TZ = "Asia/Kolkata" }), nexus.Conflict, "term")
	exec(t, p.db.Pool(), `delete from class_session where id = $1`, abroad)

	class(day.AddDate(0, 0, 14).Add(9 * time.Hour))
	onField(t, put(func(t *nexus.Term) { t.EndsOn = day.AddDate(0, 0, 14).Format(time.DateOnly) }), nexus.Conflict, "term")
	ok(t, put(func(t *nexus.Term) { t.Holidays, t.TZ = nil, "Asia/Kolkata" }))
	if got, err := p.courses.Term(t.Context(), "T5"); err != nil || got.EndsOn != next || len(got.Holidays) != 0 {
		t.Errorf("%+v %v", got, err)
	}
}

// TestOfTwoCoursesThatRaceForARoomOneHasIt.
func TestOfTwoCoursesThatRaceForARoomOneHasIt(t *testing.T) {
	t.Parallel()
	p := newWeek(t)
	for hour := 8; hour < 18; hour++ {
		m := monday(fmt.Sprintf("%02d:00", hour), fmt.Sprintf("%02d:45", hour), p.rooms[0])
		errs := race(2, func(i int) error {
			_, err := p.set([]nexus.CourseID{p.a, p.b}[i], m)
			return err
		})
		if n := tally(errs); n[""] != 1 || n[nexus.Conflict] != 1 {
			t.Fatalf("at %d: %v", hour, errs)
		}
		if n := count(t, p.db.Pool(), `select count(*) from course_meeting where starts = $1::time`, m.Starts); n != 1 {
			t.Errorf("at %d: %d meetings", hour, n)
		}
	}
}
