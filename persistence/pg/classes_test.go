package pg_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
	"nexus/persistence/pg/sqlcgen"
)

// room of a course with students, whose classes are held by its grain.
type classroom struct {
	*lecture
	classes  *pg.Classes
	teacher  nexus.Caller
	students []nexus.UserID
}

func newClassroom(t *testing.T, students int) *classroom {
	t.Helper()
	return classroomIn(t, pgfix.DB(t), students)
}

func classroomIn(t *testing.T, db *pg.DB, students int) *classroom {
	t.Helper()
	pgfix.Term(t, db)
	c := &classroom{lecture: newLecture(t, db, "CS1", students, 5), classes: pg.NewClasses(db)}
	c.teacher = nexus.Caller{User: pgfix.Users(t, db, "f", nexus.Faculty, 1)[0], Roles: []nexus.Role{nexus.Faculty}}
	c.run(`insert into course_staff (course_id, user_id, kind) values ($1, $2, 'INSTRUCTOR')`, string(c.id), string(c.teacher.User))
	c.students = pgfix.Users(t, db, "s", nexus.Student, students)
	var all []course.Request
	for _, u := range c.students {
		all = append(all, enrol(u))
	}
	c.settle(all...)
	return c
}

func (c *classroom) run(sql string, args ...any) {
	c.Helper()
	_, err := c.db.Pool().Exec(c.Context(), sql, args...)
	ok(c.T, err)
}

// at is a time in the term.
func at(clock string) time.Time {
	when, err := time.Parse("2006-01-02 15:04", "2026-10-05 "+clock) // a Monday
	if err != nil {
		panic(err)
	}
	return when
}

func (c *classroom) do(a course.Act, now time.Time) (nexus.Class, []string, error) {
	c.Helper()
	a.By = c.teacher
	done, err := c.classes.Do(c.Context(), c.fence, a, now)
	return done.Class, done.News, err
}

// plan adds a class from nine to ten.
func (c *classroom) plan() nexus.Class {
	c.Helper()
	class, news, err := c.do(course.Act{What: course.ActAdd, Class: nexus.Class{Course: c.id, StartsAt: at("09:00"), EndsAt: at("10:00"), LateMin: 10}}, at("08:00"))
	ok(c.T, err)
	if len(news) != len(c.students)+1 || class.Status != nexus.ClassScheduled || class.Version != 1 {
		c.Fatalf("%+v, news of %d", class, len(news))
	}
	return class
}

func marked(u nexus.UserID, device string, flags ...string) course.Mark {
	m := course.Mark{User: u, Status: nexus.Present, Outcome: course.OutcomeMarked, Flags: flags, At: at("09:01")}
	if device != "" {
		m.Device = []byte(strings.Repeat(device, 32)[:32])
	}
	return m
}

// TestALessonFromItsPlanToItsRegister.
func TestALessonFromItsPlanToItsRegister(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 4)
	class := c.plan()
	open := func() *course.OpenClass {
		t.Helper()
		o, err := c.classes.OpenClass(t.Context(), c.fence)
		ok(t, err)
		return o
	}
	if o := open(); o != nil {
		t.Fatalf("%+v", o)
	}
	class, _, err := c.do(course.Act{What: course.ActOpen, Class: nexus.Class{ID: class.ID, LateMin: 5, Topic: "Loops"}}, at("08:55"))
	if err != nil || class.Status != nexus.ClassOpen || class.Topic != "Loops" || class.Version != 2 {
		t.Fatalf("%+v %v", class, err)
	}
	if o := open(); o == nil || len(o.Secret) != 32 || o.Class.ID != class.ID {
		t.Fatalf("%+v", o)
	}
	kept, err := c.classes.Mark(t.Context(), c.fence, class.ID, []course.Mark{
		marked(c.students[0], "a"), marked(c.students[1], "a", course.FlagDeviceShared), marked(c.students[0], "b"),
		{User: c.students[2], Outcome: course.OutcomeWrongCode, At: at("09:02")},
	})
	if err != nil || len(kept) != 4 || kept[0].Status != nexus.Present || !slices.Equal(kept[1].Flags, []string{course.FlagDeviceShared}) || len(kept[2].Flags) != 0 {
		t.Fatalf("%+v %v", kept, err)
	}
	if o := open(); len(o.Marks) != 2 || o.Devices[string([]byte(strings.Repeat("a", 32)))] != c.students[0] {
		t.Errorf("%+v", o)
	}
	mark, _, err := c.classes.Correct(t.Context(), c.fence, c.teacher, class.ID, c.students[3], nexus.Excused, "ill")
	if err != nil || mark.Method != "MANUAL" || mark.Remarks != "ill" || *mark.MarkedBy != c.teacher.User {
		t.Fatalf("%+v %v", mark, err)
	}
	class, _, err = c.do(course.Act{What: course.ActClose, Class: nexus.Class{ID: class.ID}}, at("10:00"))
	ok(t, err)
	if open() != nil {
		t.Error("still open")
	}
	list, err := c.classes.Attendees(t.Context(), class, nexus.Page{})
	ok(t, err)
	var got []string
	for _, u := range c.students {
		i := slices.IndexFunc(list.Items, func(a nexus.Attendee) bool { return a.User == u })
		got = append(got, fmt.Sprintf("%s %s %d", list.Items[i].Mark.Status, list.Items[i].Mark.Method, list.Items[i].Tries))
	}
	if want := []string{"PRESENT CODE 2", "PRESENT CODE 1", "ABSENT AUTO 1", "EXCUSED MANUAL 1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	totals, err := c.classes.TotalsIn(t.Context(), c.id)
	ok(t, err)
	for _, x := range totals {
		want := map[nexus.UserID]float64{c.students[2]: 0}
		if p, low := want[x.User]; low != (x.Level() == nexus.CriticallyLow) || low && p != x.Percentage() {
			t.Errorf("%+v", x)
		}
	}
	if n := told(t, c.db, c.students[2]); len(n) != 1 || n[0].Kind != "attendance.low" {
		t.Errorf("who was absent was told %+v", n)
	}
	if n := told(t, c.db, c.students[0]); len(n) != 0 {
		t.Errorf("who was there was told %+v", n)
	}
	history, err := c.classes.History(t.Context(), c.id, c.students[0])
	if err != nil || len(history) != 1 || history[0].Topic != "Loops" || history[0].TZ != "UTC" {
		t.Errorf("%+v %v", history, err)
	}
	r, err := c.classes.Register(t.Context(), c.id)
	if err != nil || len(r.Classes) != 1 || len(r.Students) != 4 || r.Students[0].Marks[class.ID] != nexus.Present {
		t.Errorf("%+v %v", r, err)
	}
	// Closed by mistake: it goes on, and nobody is absent yet.
	class, _, err = c.do(course.Act{What: course.ActOpen, Class: nexus.Class{ID: class.ID}}, at("09:30"))
	if err != nil || class.Status != nexus.ClassOpen {
		t.Fatalf("%+v %v", class, err)
	}
	if o := open(); len(o.Marks) != 3 {
		t.Errorf("%+v", o.Marks)
	}
}

func TestAnotherDeviceThanLastTimeIsFlagged(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 2)
	for i, device := range []string{"a", "b", "b"} {
		class, _, err := c.do(course.Act{What: course.ActAdd, Open: true, Class: nexus.Class{Course: c.id, StartsAt: at("09:00").AddDate(0, 0, i), EndsAt: at("10:00").AddDate(0, 0, i)}}, at("09:00").AddDate(0, 0, i))
		ok(t, err)
		m := marked(c.students[0], device)
		m.At = m.At.AddDate(0, 0, i)
		kept, err := c.classes.Mark(t.Context(), c.fence, class.ID, []course.Mark{m})
		if err != nil || (len(kept[0].Flags) == 1) != (i == 1) {
			t.Errorf("%d: %+v %v", i, kept, err)
		}
		_, _, err = c.do(course.Act{What: course.ActClose, Class: nexus.Class{ID: class.ID}}, at("10:00"))
		ok(t, err)
	}
}

// TestAMeetingsClassIsOpenedWithOneRequest, and with a second one that is not lost on it.
func TestAMeetingsClassIsOpenedWithOneRequest(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	meeting := nexus.MeetingID(nexus.NewID())
	c.run(`insert into course_meeting (id, course_id, weekday, starts, ends) values ($1, $2, 1, '09:00', '10:00')`, string(meeting), string(c.id))
	c.run(`insert into term_holiday values ('T1', '2026-10-12', 'Day off')`)
	add := course.Act{What: course.ActAdd, Open: true, Class: nexus.Class{Course: c.id, Meeting: meeting, OccursOn: "2026-10-05"}}
	first, _, err := c.do(add, at("09:00"))
	if err != nil || first.Status != nexus.ClassOpen || !first.StartsAt.Equal(at("09:00")) {
		t.Fatalf("%+v %v", first, err)
	}
	again, _, err := c.do(add, at("09:05"))
	if err != nil || again.ID != first.ID || again.Version != first.Version {
		t.Errorf("%+v %v", again, err)
	}
	add.Open = false
	_, _, err = c.do(add, at("09:05"))
	onField(t, err, nexus.Conflict, "date")
	for day, words := range map[string]string{"2026-10-06": "no day of this meeting", "2026-10-12": "holiday", "2100-01-04": "no day of this meeting"} {
		add.Class.OccursOn = day
		_, _, err = c.do(add, at("09:00"))
		onField(t, err, nexus.Invalid, "date")
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", day, err)
		}
	}
	// One class of a course is open at a time.
	_, _, err = c.do(course.Act{What: course.ActAdd, Open: true, Class: nexus.Class{Course: c.id, StartsAt: at("09:30"), EndsAt: at("11:00")}}, at("09:30"))
	code(t, err, nexus.Conflict)
	add.Class.Meeting = nexus.MeetingID(nexus.NewID())
	_, _, err = c.do(add, at("09:00"))
	code(t, err, nexus.NotFound)
	if ids, err := c.classes.OpenCourses(t.Context()); err != nil || !slices.Equal(ids, []string{string(c.id)}) {
		t.Errorf("%v %v", ids, err)
	}
}

func TestWhoIsConcernedHearsWhatBecomesOfAClass(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 2)
	waiting := pgfix.Users(t, c.db, "w", nexus.Student, 1)[0]
	c.settle(enrol(waiting))
	class := c.plan()
	class, _, err := c.do(course.Act{What: course.ActMove, Reason: "Painters", Class: nexus.Class{ID: class.ID, StartsAt: at("13:00"), EndsAt: at("14:00")}}, at("08:00"))
	if err != nil || !class.StartsAt.Equal(at("13:00")) {
		t.Fatalf("%+v %v", class, err)
	}
	_, news, err := c.do(course.Act{What: course.ActCancel, Reason: "Ill", Class: nexus.Class{ID: class.ID}}, at("08:00"))
	if err != nil || len(news) != 6 { // a line and a notice for each of three
		t.Fatalf("news of %v, %v", news, err)
	}
	n := told(t, c.db, c.students[1])
	if len(n) != 2 || n[0].Kind != "class.moved" || n[1].Kind != "class.cancelled" || n[1].Priority != nexus.PriorityHigh ||
		!strings.Contains(n[0].Body, "Mon 5 Oct 09:00 is held on Mon 5 Oct 13:00. Painters") {
		t.Errorf("%+v", n)
	}
	if n := told(t, c.db, waiting); len(n) != 0 {
		t.Errorf("who waits was told %+v", n)
	}
	lines, err := pg.NewOutbox(c.db).Lines(t.Context(), map[string]int64{nexus.OutboxStream(nexus.AcademicChannel, c.students[0]): 0}, 10)
	ok(t, err)
	for i, want := range []string{"added", "moved", "cancelled"} {
		if !strings.Contains(string(lines[i].Payload), `"type":"`+want+`"`) || lines[i].Kind != course.ScheduleUpdate {
			t.Errorf("line %d: %s", i, lines[i].Payload)
		}
	}
	if _, news, err = c.do(course.Act{What: course.ActCancel, Class: nexus.Class{ID: class.ID}}, at("08:00")); err != nil || len(news) != 0 {
		t.Errorf("again: news of %v, %v", news, err)
	}
	_, _, err = c.do(course.Act{What: course.ActOpen, Class: nexus.Class{ID: class.ID}}, at("08:00"))
	code(t, err, nexus.StateConflict)
	_, _, err = c.do(course.Act{What: course.ActOpen, Class: nexus.Class{ID: nexus.ClassID(nexus.NewID())}}, at("08:00"))
	code(t, err, nexus.NotFound)
	_, _, err = c.classes.Correct(t.Context(), c.fence, c.teacher, class.ID, c.students[0], nexus.Present, "x")
	code(t, err, nexus.StateConflict)
}

// TestARoomIsNotTakenTwice: by a class of another course, or by a meeting that is held then.
func TestARoomIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	room, other := nexus.NewID(), newLecture(t, c.db, "CS2", 5, 0)
	c.run(`insert into room (id, block_code, block_name, number) values ($1, 'A', 'A', '1')`, room)
	meeting := nexus.NewID()
	c.run(`insert into course_meeting (id, course_id, weekday, starts, ends, room_id) values ($1, $2, 1, '11:00', '12:00', $3)`, meeting, string(other.id), room)
	class := c.plan()
	move := func(from, to string) error {
		_, _, err := c.do(course.Act{What: course.ActMove, Class: nexus.Class{ID: class.ID, StartsAt: at(from), EndsAt: at(to), Room: nexus.RoomID(room)}}, at("08:00"))
		return err
	}
	err := move("11:30", "12:30")
	onField(t, err, nexus.Conflict, "roomId")
	if !strings.Contains(err.Error(), "CS2 from 11:00 to 12:00") {
		t.Errorf("%v", err)
	}
	_, err = c.classes.Do(t.Context(), other.fence, course.Act{What: course.ActAdd, By: c.teacher, Class: nexus.Class{
		Course: other.id, StartsAt: at("15:00"), EndsAt: at("16:00"), Room: nexus.RoomID(room),
	}}, at("08:00"))
	ok(t, err)
	onField(t, move("15:59", "17:00"), nexus.Conflict, "roomId")
	ok(t, move("12:00", "13:00"))
	ok(t, move("12:30", "13:30")) // its own place is no clash
	_, err = c.classes.Do(t.Context(), other.fence, course.Act{What: course.ActAdd, By: c.teacher, Class: nexus.Class{
		Course: other.id, Meeting: nexus.MeetingID(meeting), OccursOn: "2026-10-05",
	}}, at("08:00"))
	ok(t, err)
}

// TestAClosedClassHasNoRoom: when it is opened again, another may have taken its room.
func TestAClosedClassHasNoRoom(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	room, other := nexus.NewID(), newLecture(t, c.db, "CS2", 5, 0)
	c.run(`insert into room (id, block_code, block_name, number) values ($1, 'A', 'A', '1')`, room)
	class, _, err := c.do(course.Act{What: course.ActAdd, Open: true, Class: nexus.Class{
		Course: c.id, StartsAt: at("09:00"), EndsAt: at("11:00"), Room: nexus.RoomID(room), LateMin: 10,
	}}, at("09:00"))
	ok(t, err)
	act := func(what string) error {
		_, _, err := c.do(course.Act{What: what, Class: class}, at("10:00"))
		return err
	}
	ok(t, act(course.ActClose))
	ok(t, act(course.ActOpen))
	ok(t, act(course.ActClose))
	taken, err := c.classes.Do(t.Context(), other.fence, course.Act{What: course.ActAdd, By: c.teacher, Class: nexus.Class{
		Course: other.id, StartsAt: at("10:30"), EndsAt: at("11:30"), Room: nexus.RoomID(room),
	}}, at("10:00"))
	ok(t, err)
	onField(t, act(course.ActOpen), nexus.Conflict, "roomId")
	_, err = c.classes.Do(t.Context(), other.fence, course.Act{What: course.ActCancel, By: c.teacher, Class: taken.Class}, at("10:00"))
	ok(t, err)
	ok(t, act(course.ActOpen))
}

// TestRoomsAreLockedFirst: whoever plans has the turn before any meeting or class is touched, so that no two who plan can wait for each other.
func TestRoomsAreLockedFirst(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	meeting := nexus.NewID()
	c.run(`insert into course_meeting (id, course_id, weekday, starts, ends) values ($1, $2, 1, '11:00', '12:00')`, meeting, string(c.id))
	held, _, err := c.do(course.Act{What: course.ActAdd, Class: nexus.Class{Course: c.id, Meeting: nexus.MeetingID(meeting), OccursOn: "2026-10-05", LateMin: 10}}, at("08:00"))
	ok(t, err)
	for what, plan := range map[string]func() error{
		"a move": func() error {
			_, _, err := c.do(course.Act{What: course.ActMove, Class: nexus.Class{ID: held.ID, StartsAt: at("11:30"), EndsAt: at("12:30")}}, at("08:00"))
			return err
		},
		"an opening": func() error {
			_, _, err := c.do(course.Act{What: course.ActAdd, Open: true, Class: nexus.Class{Course: c.id, Meeting: nexus.MeetingID(meeting), OccursOn: "2026-10-05"}}, at("11:35"))
			return err
		},
		"other meetings": func() error {
			_, err := pg.NewCourses(c.db).SetMeetings(t.Context(), system, c.id, 0, nil)
			return err
		},
	} {
		done := make(chan error, 1)
		tx := begin(t, c.db)
		_, err := tx.Exec(t.Context(), `select pg_advisory_xact_lock(hashtext('course_meeting'))`)
		ok(t, err)
		go func() { done <- plan() }()
		blocked(t, c.db.Pool(), 1)
		for _, rows := range []string{`select from class_session where id = $1 for update nowait`, `select from course_meeting where id = $2 for update nowait`} {
			if _, err := tx.Exec(t.Context(), strings.NewReplacer("$1", "'"+string(held.ID)+"'", "$2", "'"+meeting+"'").Replace(rows)); err != nil {
				t.Errorf("%s waits for the rooms with a row in its hands: %v", what, err)
				break
			}
		}
		ok(t, tx.Rollback(t.Context()))
		if err := <-done; err != nil {
			t.Errorf("%s: %v", what, err)
		}
		c.run(`insert into course_meeting (id, course_id, weekday, starts, ends) values ($1, $2, 1, '11:00', '12:00') on conflict do nothing`, meeting, string(c.id))
		c.run(`update class_session set meeting_id = $1, status = 'SCHEDULED', secret = null where id = $2`, meeting, string(held.ID))
	}
}

// TestARoomIsTakenByTheClock: past midnight, in a term of another zone, and not by what has gone elsewhere.
func TestARoomIsTakenByTheClock(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	room, other := nexus.NewID(), newLecture(t, c.db, "CS2", 5, 0)
	c.run(`insert into room (id, block_code, block_name, number) values ($1, 'A', 'A', '1')`, room)
	c.run(`insert into term (id, name, starts_on, ends_on, tz) values ('T9', 'x', '2026-09-01', '2026-12-18', 'Asia/Kolkata')`)
	abroad := newLectureIn(t, c.db, "T9", "IN1", 5, 0)
	early, evening := nexus.NewID(), nexus.NewID()
	c.run(`insert into course_meeting (id, course_id, weekday, starts, ends, room_id) values ($1, $2, 2, '00:15', '01:15', $3)`, early, string(other.id), room)
	c.run(`insert into course_meeting (id, course_id, weekday, starts, ends, room_id) values ($1, $2, 1, '20:30', '21:30', $3)`, evening, string(abroad.id), room)
	class := c.plan()
	move := func(from, to time.Time) error {
		_, _, err := c.do(course.Act{What: course.ActMove, Class: nexus.Class{ID: class.ID, StartsAt: from, EndsAt: to, Room: nexus.RoomID(room)}}, at("08:00"))
		return err
	}
	for clash, err := range map[string]error{
		"CS2 from 00:15 to 01:15": move(at("23:00"), at("23:00").Add(80*time.Minute)), // until 00:20 on Tuesday
		"IN1 from 15:00 to 16:00": move(at("15:30"), at("16:30")),                     // 20:30 in India
	} {
		onField(t, err, nexus.Conflict, "roomId")
		if !strings.Contains(err.Error(), clash) {
			t.Errorf("%v, want %s", err, clash)
		}
	}
	c.run(`insert into class_session (id, course_id, meeting_id, occurs_on, starts_at, ends_at, status) values ($1, $2, $3, '2026-10-06', $4, $5, 'CANCELLED')`,
		nexus.NewID(), string(other.id), early, at("00:15").AddDate(0, 0, 1), at("01:15").AddDate(0, 0, 1))
	ok(t, move(at("23:00"), at("23:00").Add(80*time.Minute)))
	c.run(`insert into term_holiday values ('T9', '2026-10-05', 'Day off')`)
	ok(t, move(at("15:30"), at("16:30")))
}

// TestAMoveIsToldOnce.
func TestAMoveIsToldOnce(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	class := c.plan()
	move := course.Act{What: course.ActMove, Reason: "Painters", Class: nexus.Class{ID: class.ID, StartsAt: at("13:00"), EndsAt: at("14:00")}}
	first, news, err := c.do(move, at("08:00"))
	if err != nil || len(news) == 0 {
		t.Fatalf("%v %v", news, err)
	}
	again, news, err := c.do(move, at("08:01"))
	if err != nil || len(news) != 0 || again.Version != first.Version {
		t.Errorf("%+v %v %v", again, news, err)
	}
	move.Reason = "Painters, and a flood"
	if other, news, err := c.do(move, at("08:02")); err != nil || len(news) == 0 || other.Version != first.Version+1 {
		t.Errorf("%+v %v %v", other, news, err)
	}
}

// TestAClassIsAddedWhileItsCourseIsLocked: whoever plans meetings locks the course and then waits for the rooms, whoever adds a class has the rooms and
// then refers to the course.
func TestAClassIsAddedWhileItsCourseIsLocked(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	ok(t, c.db.Tx(t.Context(), func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := q.LockCourse(ctx, string(c.id)); err != nil {
			return err
		}
		c.plan()
		return nil
	}))
}

// TestARegisterIsBounded.
func TestARegisterIsBounded(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 300)
	held := func(n int) {
		t.Helper()
		c.run(`insert into class_session (id, course_id, starts_at, ends_at, status)
			select gen_random_uuid(), $1, '2026-10-05'::timestamptz + n * interval '1 hour', '2026-10-05'::timestamptz + (n + 1) * interval '1 hour', 'CLOSED'
			from generate_series(1, $2::integer) n`, string(c.id), n)
	}
	c.plan() // no session that was held
	held(800)
	r, err := c.classes.Register(t.Context(), c.id)
	ok(t, err)
	if len(r.Classes) != 800 || len(r.Students) != 300 || len(r.Students[0].Marks) != 800 {
		t.Errorf("%d sessions, %d students", len(r.Classes), len(r.Students))
	}
	held(40)
	_, err = c.classes.Register(t.Context(), c.id)
	code(t, err, nexus.TooLarge)
}

func TestClassesAreFenced(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	class := c.plan()
	old := c.fence
	c.claim()
	_, err := c.classes.Do(t.Context(), old, course.Act{What: course.ActOpen, Class: nexus.Class{ID: class.ID}}, at("09:00"))
	code(t, err, nexus.Fenced)
	_, err = c.classes.Mark(t.Context(), old, class.ID, []course.Mark{marked(c.students[0], "")})
	code(t, err, nexus.Fenced)
	_, _, err = c.classes.Correct(t.Context(), old, c.teacher, class.ID, c.students[0], nexus.Present, "x")
	code(t, err, nexus.Fenced)
	_, err = c.classes.OpenClass(t.Context(), old)
	code(t, err, nexus.Fenced)
}
