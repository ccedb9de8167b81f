package pg_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// hall of learning: a course with its grain's fence.
type lecture struct {
	*testing.T
	db    *pg.DB
	seats *pg.Seats
	id    nexus.CourseID
	fence nexus.Fence
	roll  course.Roll
}

func newLecture(t *testing.T, db *pg.DB, code string, capacity, waitlist int) *lecture {
	t.Helper()
	return newLectureIn(t, db, "T1", code, capacity, waitlist)
}

func newLectureIn(t *testing.T, db *pg.DB, term nexus.TermID, code string, capacity, waitlist int) *lecture {
	t.Helper()
	l := &lecture{T: t, db: db, seats: pg.NewSeats(db), id: pgfix.Course(t, db, term, code, capacity, waitlist, "")}
	l.claim()
	return l
}

// claim begins a new activation.
func (l *lecture) claim() {
	l.Helper()
	var err error
	l.fence, _, err = pg.NewGrains(l.db).Claim(l.Context(), course.KindName, string(l.id))
	ok(l.T, err)
	l.roll, err = l.seats.Roll(l.Context(), l.fence)
	ok(l.T, err)
}

// settle decides requests and moves the roll.
func (l *lecture) settle(requests ...course.Request) []course.Settled {
	l.Helper()
	roll, answers, _, err := l.seats.Settle(l.Context(), l.fence, l.roll, requests)
	ok(l.T, err)
	l.roll = roll
	if read, err := l.seats.Roll(l.Context(), l.fence); err != nil || fmt.Sprint(read) != fmt.Sprint(roll) {
		l.Fatalf("the rows say %+v (%v), the roll %+v", read, err, roll)
	}
	return answers
}

func enrol(u nexus.UserID) course.Request {
	return course.Request{By: nexus.Caller{User: u}, User: u}
}

func drop(u nexus.UserID) course.Request {
	return course.Request{By: nexus.Caller{User: u}, User: u, Drop: true}
}

func told(t *testing.T, db *pg.DB, u nexus.UserID) []nexus.Notice {
	t.Helper()
	list, err := pg.NewNotices(db).Notices(t.Context(), u, false, nexus.Page{})
	ok(t, err)
	return list.Items
}

// TestWhoIsNextHasTheSeatAndIsToldOnce.
func TestWhoIsNextHasTheSeatAndIsToldOnce(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 2, 2)
	u := pgfix.Users(t, db, "s", nexus.Student, 5)
	got := l.settle(enrol(u[0]), enrol(u[1]), enrol(u[2]), enrol(u[3]), enrol(u[4]), enrol(u[2]))
	for i, want := range []string{"ENROLLED 0", "ENROLLED 0", "WAITLISTED 1", "WAITLISTED 2", " 0", "WAITLISTED 1"} {
		if e := got[i].Enrollment; fmt.Sprintf("%s %d", e.Status, e.Position) != want {
			t.Errorf("%d: %+v %v, want %s", i, e, got[i].Err, want)
		}
	}
	code(t, got[4].Err, nexus.CourseFull)
	got = l.settle(drop(u[0]), drop(u[0]), enrol(u[0]))
	if got[0].Err != nil || got[0].Enrollment.Status != nexus.Dropped {
		t.Errorf("%+v", got[0])
	}
	code(t, got[1].Err, nexus.NotFound)
	if e := got[2].Enrollment; e.Status != nexus.Waitlisted || e.Position != 2 { // behind u3, not before
		t.Errorf("back again: %+v", e)
	}
	if n := told(t, db, u[2]); len(n) != 1 || n[0].Kind != "seat.promoted" || !strings.Contains(n[0].Title, "CS1") {
		t.Errorf("the promoted was told %+v", n)
	}
	if n := told(t, db, u[3]); len(n) != 0 {
		t.Errorf("who still waits was told %+v", n)
	}
	list, err := l.seats.Roster(t.Context(), l.id, "", nexus.Page{})
	if err != nil || len(list.Items) != 4 {
		t.Fatalf("%+v %v", list, err)
	}
	e, err := l.seats.Enrollment(t.Context(), l.id, u[0])
	if err != nil || e.Position != 2 {
		t.Errorf("%+v %v", e, err)
	}
	if mine, err := l.seats.Enrollments(t.Context(), u[2]); err != nil || len(mine) != 1 || mine[0].Status != nexus.Enrolled {
		t.Errorf("%+v %v", mine, err)
	}
}

func TestWhoIsSuspendedIsPassedOverAndKeepsThePlace(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 5)
	u := pgfix.Users(t, db, "s", nexus.Student, 4)
	l.settle(enrol(u[0]), enrol(u[1]), enrol(u[2]), enrol(u[3]))
	set := func(status string) {
		_, err := db.Pool().Exec(t.Context(), `update app_user set status = $1 where id = $2`, status, string(u[1]))
		ok(t, err)
	}
	set("suspended")
	l.settle(drop(u[0]))
	if status, _ := l.roll.Standing(u[2]); status != nexus.Enrolled {
		t.Fatalf("%+v", l.roll)
	}
	set("active")
	l.settle(drop(u[2]))
	if status, _ := l.roll.Standing(u[1]); status != nexus.Enrolled {
		t.Errorf("back again: %+v", l.roll)
	}
}

// TestWhoMayNotMoveUpIsPassedOverAndKeepsThePlace, until what stands in the way is gone: a clash with a seat elsewhere, or something that must have
// been completed by now. That one waits for both of two courses which clash by now is no reason.
func TestWhoMayNotMoveUpIsPassedOverAndKeepsThePlace(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	u := pgfix.Users(t, db, "s", nexus.Student, 6)
	a, b := newLecture(t, db, "CS1", 1, 5), newLecture(t, db, "CS2", 1, 5)
	run := func(sql string, args ...any) {
		t.Helper()
		_, err := db.Pool().Exec(t.Context(), sql, args...)
		ok(t, err)
	}
	promoted := func(l *lecture, gone, next nexus.UserID) {
		t.Helper()
		ok(t, l.settle(drop(gone))[0].Err)
		if status, _ := l.roll.Standing(next); status != nexus.Enrolled {
			t.Errorf("%s has no seat: %+v", next, l.roll)
		}
	}
	a.settle(enrol(u[0]), enrol(u[1]), enrol(u[2]), enrol(u[3]))
	b.settle(enrol(u[4]), enrol(u[1]), enrol(u[2]))
	for _, l := range []*lecture{a, b} {
		run(`insert into course_meeting (id, course_id, weekday, starts, ends) values ($1, $2, 1, '09:00', '10:00')`, nexus.NewID(), string(l.id))
	}
	promoted(b, u[4], u[1]) // who waits for the other, too
	promoted(a, u[0], u[2]) // not u[1], who has a seat in the other
	if _, position := a.roll.Standing(u[1]); position != 1 {
		t.Errorf("%s waits at %d", u[1], position)
	}
	run(`insert into course_prerequisite values ($1, 'CS0')`, string(a.id))
	ok(t, a.settle(drop(u[2]))[0].Err)
	if len(a.roll.Free) != 1 || len(a.roll.Waiting) != 2 {
		t.Errorf("%+v", a.roll)
	}
	run(`delete from course_prerequisite`)
	run(`delete from course_meeting where course_id = $1`, string(b.id))
	if e := a.settle(enrol(u[5]))[0].Enrollment; e.Position != 2 { // they come before who asks now
		t.Errorf("%+v", e)
	}
	if status, _ := a.roll.Standing(u[1]); status != nexus.Enrolled {
		t.Errorf("%+v", a.roll)
	}
}

// TestAFullCourseHoldsUpNobodyWhoWaits: as long as no seat is free, what goes on for those who wait, in other courses, is nothing to it.
func TestAFullCourseHoldsUpNobodyWhoWaits(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 5)
	u := pgfix.Users(t, db, "s", nexus.Student, 3)
	l.settle(enrol(u[0]), enrol(u[1]))
	elsewhere, err := db.Pool().Begin(t.Context())
	ok(t, err)
	defer func() { ok(t, elsewhere.Rollback(t.Context())) }()
	_, err = elsewhere.Exec(t.Context(), `select from app_user where id = $1 for no key update`, string(u[1]))
	ok(t, err)
	if e := l.settle(enrol(u[2]))[0].Enrollment; e.Position != 2 {
		t.Errorf("%+v", e)
	}
}

func TestWhoMayNotEnrol(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	u := pgfix.Users(t, db, "s", nexus.Student, 3)
	teacher := pgfix.Users(t, db, "f", nexus.Faculty, 1)[0]
	a, b := newLecture(t, db, "CS1", 5, 5), newLecture(t, db, "CS2", 5, 5)
	run := func(sql string, args ...any) {
		t.Helper()
		_, err := db.Pool().Exec(t.Context(), sql, args...)
		ok(t, err)
	}
	for _, m := range []struct {
		id           nexus.CourseID
		starts, ends string
	}{{a.id, "09:00", "10:30"}, {b.id, "10:00", "11:00"}} {
		run(`insert into course_meeting (id, course_id, weekday, starts, ends) values ($1, $2, 2, $3::text::time, $4::text::time)`, nexus.NewID(), string(m.id), m.starts, m.ends)
	}
	run(`insert into course_prerequisite values ($1, 'cs0')`, string(a.id))
	done := newLecture(t, db, "CS0", 5, 5)
	run(`insert into enrollment (course_id, user_id, status) values ($1, $2, 'COMPLETED')`, string(done.id), string(u[0]))

	refused := func(l *lecture, who nexus.UserID, words string) {
		t.Helper()
		err := l.settle(enrol(who))[0].Err
		if nexus.CodeOf(err) != nexus.Conflict || !strings.Contains(err.Error(), words) {
			t.Errorf("%v, want %q", err, words)
		}
	}
	refused(a, u[1], "cs0 must be completed")
	refused(b, teacher, "no active student")
	refused(done, u[0], "completed already")
	if got := a.settle(enrol(u[0]))[0]; got.Err != nil {
		t.Fatal(got.Err)
	}
	refused(b, u[0], "clashes with CS1 on Tuesday from 09:00 to 10:30")
	if got := b.settle(enrol(u[1]))[0]; got.Err != nil {
		t.Fatal(got.Err)
	}
	// Also of a course that one waits for, and not on days that do not meet.
	run(`update course_meeting set until_day = '2026-10-01' where course_id = $1`, string(a.id))
	run(`update course_meeting set from_day = '2026-10-02' where course_id = $1`, string(b.id))
	if got := b.settle(enrol(u[0]))[0]; got.Err != nil {
		t.Fatal(got.Err)
	}
	run(`update term set ends_on = '2026-09-02'`)
	b.claim()
	refused(b, u[2], "term of this course is over")
}

// TestNoStudentIsInTwoPlacesAtOneTime: two courses that meet at one time take the same students at once.
func TestNoStudentIsInTwoPlacesAtOneTime(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	u := pgfix.Users(t, db, "s", nexus.Student, 40)
	courses := []*lecture{newLecture(t, db, "CS1", 50, 0), newLecture(t, db, "CS2", 50, 0)}
	for _, l := range courses {
		_, err := db.Pool().Exec(t.Context(), `insert into course_meeting (id, course_id, weekday, starts, ends) values ($1, $2, 1, '09:00', '10:00')`, nexus.NewID(), string(l.id))
		ok(t, err)
	}
	for _, err := range race(2, func(i int) error {
		for n := range len(u) / 10 {
			var batch []course.Request
			for j := range 10 {
				batch = append(batch, enrol(u[n*10+(j*7+i*3)%10]))
			}
			roll, _, _, err := courses[i].seats.Settle(t.Context(), courses[i].fence, courses[i].roll, batch)
			if err != nil {
				return err
			}
			courses[i].roll = roll
		}
		return nil
	}) {
		ok(t, err)
	}
	for _, who := range u {
		one, _ := courses[0].roll.Standing(who)
		two, _ := courses[1].roll.Standing(who)
		if (one == "") == (two == "") {
			t.Errorf("%s: %q and %q", who, one, two)
		}
	}
}

func TestSeatsAreFencedAndTheRowsAreASecondLock(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 1)
	u := pgfix.Users(t, db, "s", nexus.Student, 3)
	old, oldRoll := l.fence, l.roll
	l.claim()
	l.settle(enrol(u[0]), enrol(u[1]))
	_, _, _, err := l.seats.Settle(t.Context(), old, oldRoll, []course.Request{enrol(u[2])})
	code(t, err, nexus.Fenced)
	_, err = l.seats.Roll(t.Context(), old)
	code(t, err, nexus.Fenced)
	_, _, _, err = l.seats.Resize(t.Context(), old, oldRoll, system, 0, nexus.CourseChange{Capacity: new(int)})
	code(t, err, nexus.Fenced)
	// An activation that remembers wrongly, and is not fenced, still gives no seat twice.
	_, _, _, err = l.seats.Settle(t.Context(), l.fence, oldRoll, []course.Request{enrol(u[2])})
	code(t, err, nexus.Conflict)
	read, err := l.seats.Roll(t.Context(), l.fence)
	if err != nil || fmt.Sprint(read) != fmt.Sprint(l.roll) {
		t.Errorf("%+v %v", read, err)
	}
}

func TestResizingPromotes(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 5)
	u := pgfix.Users(t, db, "s", nexus.Student, 4)
	l.settle(enrol(u[0]), enrol(u[1]), enrol(u[2]), enrol(u[3]))
	two, title, one, none := 3, "Programs", 1, 0
	roll, made, news, err := l.seats.Resize(t.Context(), l.fence, l.roll, system, 1, nexus.CourseChange{Capacity: &two, Title: &title})
	ok(t, err)
	if made.Capacity != 3 || made.Enrolled != 3 || made.Waitlisted != 1 || made.Title != title || made.Version != 2 || len(news) != 2 {
		t.Fatalf("%+v %v", made, news)
	}
	l.roll = roll
	_, _, _, err = l.seats.Resize(t.Context(), l.fence, l.roll, system, 1, nexus.CourseChange{Capacity: &two})
	code(t, err, nexus.Stale)
	_, _, _, err = l.seats.Resize(t.Context(), l.fence, l.roll, system, 0, nexus.CourseChange{Capacity: &one})
	onField(t, err, nexus.Conflict, "capacity")
	_, _, _, err = l.seats.Resize(t.Context(), l.fence, l.roll, system, 0, nexus.CourseChange{WaitlistCapacity: &none})
	onField(t, err, nexus.Conflict, "waitlistCapacity")
	l.settle(drop(u[3]))
	l.settle(drop(u[0]))
	roll, made, _, err = l.seats.Resize(t.Context(), l.fence, l.roll, system, 0, nexus.CourseChange{Capacity: new(2)})
	ok(t, err)
	l.roll = roll
	if made.Capacity != 2 || made.Enrolled != 2 {
		t.Errorf("%+v", made)
	}
	l.settle(enrol(u[0]))
	if n := told(t, db, u[1]); len(n) != 1 {
		t.Errorf("told %+v", n)
	}
}

// TestARequestIsSettledOnceForItsKey, also beside others in one batch; a refusal leaves the key free.
func TestARequestIsSettledOnceForItsKey(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 1)
	u := pgfix.Users(t, db, "s", nexus.Student, 4)
	keyed := func(r course.Request, key, hash string) course.Request {
		r.By.Once = nexus.Once{Key: key, Hash: []byte(hash)}
		return r
	}
	got := l.settle(keyed(enrol(u[0]), "k", "1"), keyed(enrol(u[1]), "k", "1"), keyed(enrol(u[1]), "k", "1"), keyed(enrol(u[1]), "k", "2"))
	for i, want := range []nexus.EnrollmentStatus{nexus.Enrolled, nexus.Waitlisted, nexus.Waitlisted} {
		if got[i].Err != nil || got[i].Enrollment.Status != want {
			t.Errorf("%d: %+v", i, got[i])
		}
	}
	code(t, got[3].Err, nexus.KeyReused)
	code(t, l.settle(keyed(enrol(u[2]), "k", "1"))[0].Err, nexus.CourseFull)
	l.settle(drop(u[0]))
	if got := l.settle(keyed(enrol(u[2]), "k", "1"), keyed(enrol(u[1]), "k", "1")); got[0].Enrollment.Status != nexus.Waitlisted || got[1].Enrollment.Status != nexus.Waitlisted {
		t.Errorf("%+v", got) // the second was promoted meanwhile, and is answered as before all the same
	}
}

// TestAKeyThatCannotBeKeptIsRefusedAlone: those who come in the same batch get their seats.
func TestAKeyThatCannotBeKeptIsRefusedAlone(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 5, 0)
	u := pgfix.Users(t, db, "s", nexus.Student, 4)
	requests := []course.Request{enrol(u[0]), enrol(u[1]), enrol(u[2]), enrol(u[3])}
	for i, key := range []string{strings.Repeat("é", 150), "\xff", "a\x00b"} {
		requests[i].By.Once = nexus.Once{Key: key, Hash: []byte("1")}
	}
	got := l.settle(requests...)
	for _, a := range got[:3] {
		onField(t, a.Err, nexus.Invalid, "Idempotency-Key")
	}
	if got[3].Err != nil || got[3].Enrollment.Status != nexus.Enrolled {
		t.Errorf("%+v", got[3])
	}
}

// TestARefusedRequestGivesItsKeyBack, to whoever comes with it next, also in the same batch.
func TestARefusedRequestGivesItsKeyBack(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 0)
	u := pgfix.Users(t, db, "s", nexus.Student, 2)
	keyed := func(r course.Request, hash string) course.Request {
		r.By.Once = nexus.Once{Key: "k", Hash: []byte(hash)}
		return r
	}
	got := l.settle(enrol(u[0]), keyed(enrol(u[1]), "1"), drop(u[0]), keyed(enrol(u[1]), "2"), keyed(enrol(u[1]), "1"))
	code(t, got[1].Err, nexus.CourseFull)
	if got[3].Err != nil || got[3].Enrollment.Status != nexus.Enrolled {
		t.Errorf("%+v", got[3])
	}
	code(t, got[4].Err, nexus.KeyReused)
	if got := l.settle(keyed(enrol(u[1]), "2")); got[0].Err != nil || got[0].Enrollment.Status != nexus.Enrolled {
		t.Errorf("again: %+v", got)
	}
	code(t, l.settle(keyed(enrol(u[0]), "1"))[0].Err, nexus.CourseFull)
	if n := count(t, db.Pool(), `select count(*) from idempotency`); n != 1 {
		t.Errorf("%d keys are held", n)
	}
}

// TestACrowdIsAFewRoundTrips: a batch of seats, the notices of those who move up, and the cancelling of a class for everybody are no more work to
// ask for than one of each, so that a database that is far away does not make them take longer than a grain's job may.
func TestACrowdIsAFewRoundTrips(t *testing.T) {
	t.Parallel()
	trace := &statements{}
	o := pg.Options{MaxConns: 8, AcquireTimeout: time.Minute, LockTimeout: time.Minute, CallTimeout: time.Minute, StatementTimeout: time.Minute}
	c := classroomIn(t, pgfix.Open(t, pgfix.URL(t), pg.Traced(o, trace)), 1000)
	few := func(what string, most int, do func()) {
		t.Helper()
		before := trace.ways()
		do()
		if trips := trace.ways() - before; trips > most {
			t.Errorf("%s: %d round trips", what, trips)
		}
	}
	class := c.plan()
	few("cancel", 30, func() {
		_, news, err := c.do(course.Act{What: course.ActCancel, Class: nexus.Class{ID: class.ID}, Reason: "ill"}, at("08:00"))
		ok(t, err)
		if len(news) != 2002 { // the students and the teacher, in both channels
			t.Errorf("news of %d", len(news))
		}
	})
	l := newLecture(t, c.db, "CS2", 250, 750)
	seat := func(r course.Request, i int) course.Request {
		r.By.Once = nexus.Once{Key: fmt.Sprint(r.Drop, i), Hash: []byte("x")}
		return r
	}
	for batch := range 4 {
		var wishes []course.Request
		for i := range 250 {
			wishes = append(wishes, seat(enrol(c.students[batch*250+i]), i))
		}
		few("enrol", 30, func() { l.settle(wishes...) })
	}
	var drops []course.Request
	for i := range 250 {
		drops = append(drops, seat(drop(c.students[i]), i))
	}
	few("drop", 30, func() { l.settle(drops...) })
	for _, u := range []int{250, 499} {
		if got := told(t, c.db, c.students[u]); len(got) != 2 || got[1].Kind != "seat.promoted" || got[1].Seq != 2 {
			t.Errorf("%+v", got)
		}
	}
	if n, bad, err := pg.NewAuditLog(c.db).Verify(t.Context()); err != nil || bad != 0 || n < 1500 {
		t.Errorf("%d entries, the first bad one %d: %v", n, bad, err)
	}
}

// TestATermsEndIsSeen by a course that is in use, also one that is put off.
func TestATermsEndIsSeen(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 3, 0)
	u := pgfix.Users(t, db, "s", nexus.Student, 2)
	ends := func(days int) {
		t.Helper()
		exec(t, db.Pool(), `update term set starts_on = '2020-01-01', ends_on = now()::date + $1::integer`, days)
	}
	ends(-2)
	if got := l.settle(enrol(u[0])); nexus.CodeOf(got[0].Err) != nexus.Conflict {
		t.Errorf("after the term: %+v", got)
	}
	ends(2)
	if got := l.settle(enrol(u[0])); got[0].Err != nil {
		t.Errorf("%+v", got)
	}
}

func TestOfNoCourse(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	f, _, err := pg.NewGrains(db).Claim(t.Context(), course.KindName, nexus.NewID())
	ok(t, err)
	_, err = pg.NewSeats(db).Roll(t.Context(), f)
	code(t, err, nexus.NotFound)
	_, err = pg.NewSeats(db).Enrollment(t.Context(), nexus.CourseID(nexus.NewID()), nexus.UserID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

// TestWhatIsDecidedIsAudited, once for each who came, went or moved up.
func TestWhatIsDecidedIsAudited(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 1, 1)
	u := pgfix.Users(t, db, "s", nexus.Student, 2)
	l.settle(enrol(u[0]), enrol(u[1]), drop(u[0]))
	list, err := pg.NewAuditLog(db).Entries(t.Context(), nexus.AuditFilter{EntityID: string(l.id)}, nexus.Page{})
	ok(t, err)
	var actions []string
	for _, e := range list.Items {
		actions = append(actions, e.Action)
	}
	if want := []string{"enrollment.promote", "enrollment.drop", "enrollment.create", "enrollment.create"}; !slices.Equal(actions, want) {
		t.Errorf("%v, want %v", actions, want)
	}
	if list.Items[3].Actor != string(u[0]) {
		t.Errorf("%+v", list.Items[3])
	}
}
