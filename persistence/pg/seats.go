package pg

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"nexus"
	"nexus/actors/course"
	"nexus/persistence/pg/sqlcgen"
)

// Seats keeps who has a seat in a course and who waits for one.
type Seats struct{ db *DB }

var _ course.SeatStore = (*Seats)(nil)

// NewSeats returns the seats in db.
func NewSeats(db *DB) *Seats { return &Seats{db: db} }

// Roll reads who has a seat and who waits. NotFound for no course.
func (s *Seats) Roll(ctx context.Context, f nexus.Fence) (course.Roll, error) {
	var roll course.Roll
	// Later statements see what was committed while the first waited for the lock.
	err := s.db.tx(ctx, "read seats", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if err = held(ctx, q, f); err == nil {
			roll, err = rollOf(ctx, q, f.ID)
		}
		return err
	})
	return roll, err
}

func rollOf(ctx context.Context, q *sqlcgen.Queries, id string) (course.Roll, error) {
	size, err := q.CourseSize(ctx, id)
	if err != nil {
		return course.Roll{}, orNotFound(err, "course")
	}
	numbers, err := q.SeatNumbers(ctx, id)
	if err != nil {
		return course.Roll{}, err
	}
	rows, err := q.SeatsAndPlaces(ctx, id)
	if err != nil {
		return course.Roll{}, err
	}
	r := course.Roll{Seats: make(map[nexus.UserID]int, len(rows)), Room: int(size.WaitlistCapacity), LastPlace: size.LastPlace, Over: size.Over}
	taken := make(map[int32]bool, len(rows))
	for _, e := range rows {
		if e.SeatNo != nil {
			r.Seats[nexus.UserID(e.UserID)] = int(*e.SeatNo)
			taken[*e.SeatNo] = true
		} else if e.Place != nil {
			r.Waiting = append(r.Waiting, course.Waiter{User: nexus.UserID(e.UserID), Place: *e.Place})
		}
	}
	for _, n := range numbers {
		if !taken[n] {
			r.Free = append(r.Free, int(n))
		}
	}
	return r, nil
}

// Settle lets the rules of Roll decide the requests, and keeps what comes of it. The students' rows are locked until the commit, so that
// what is found out about them still holds then.
func (s *Seats) Settle(ctx context.Context, f nexus.Fence, roll course.Roll, requests []course.Request) (course.Roll, []course.Settled, []string, error) {
	var t *settling
	err := s.db.tx(ctx, "settle seats", func(ctx context.Context, q *sqlcgen.Queries) error {
		t = &settling{q: q, course: f.ID, roll: roll.Clone(), answers: make([]course.Settled, len(requests))}
		if err := held(ctx, q, f); err != nil {
			return err
		}
		if err := t.keys.take(ctx, q, requests); err != nil { // before any row, as once does: the order of locks is one
			return err
		}
		if err := t.inquire(ctx, requests); err != nil {
			return err
		}
		t.promote() // who was passed over may be eligible again, and comes before those who ask now
		for i, r := range requests {
			var err error
			if t.answers[i], err = t.decide(r); err != nil {
				return err
			}
		}
		if err := t.keys.keep(ctx, q); err != nil {
			return err
		}
		return t.keep(ctx)
	})
	if err != nil {
		return course.Roll{}, nil, nil, err
	}
	return t.roll, t.answers, t.news, nil
}

// Resize changes the course, numbers of seats included, and moves up who waits. Stale if version is neither 0 nor the course's present one. Audited.
func (s *Seats) Resize(
	ctx context.Context, f nexus.Fence, roll course.Roll, by nexus.Caller, version int64, change nexus.CourseChange,
) (course.Roll, nexus.Course, []string, error) {
	var t *settling
	var after nexus.Course
	err := s.db.tx(ctx, "resize course", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		t = &settling{q: q, course: f.ID, roll: roll.Clone()}
		if err := held(ctx, q, f); err != nil {
			return err
		}
		after, err = once(ctx, q, by, func() (nexus.Course, error) { return t.change(ctx, by, version, change) })
		return err
	})
	if err != nil {
		return course.Roll{}, after, nil, err
	}
	return t.roll, after, t.news, nil
}

// change changes the course and its roll.
func (t *settling) change(ctx context.Context, by nexus.Caller, version int64, change nexus.CourseChange) (nexus.Course, error) {
	if err := t.inquire(ctx, nil); err != nil {
		return nexus.Course{}, err
	}
	before, err := changeCourse(ctx, t.q, nexus.CourseID(t.course), version, change)
	if err != nil {
		return nexus.Course{}, err
	}
	if err := t.resize(ctx, change.Of(before)); err != nil {
		return nexus.Course{}, err
	}
	t.promote()
	if err := t.keep(ctx); err != nil {
		return nexus.Course{}, err
	}
	after, err := oneCourse(ctx, t.q, nexus.CourseID(t.course))
	if err != nil {
		return nexus.Course{}, err
	}
	return after, audit(ctx, t.q, by, "course.change", "course", t.course, before, after)
}

func (t *settling) resize(ctx context.Context, c nexus.Course) error {
	added, removed, err := t.roll.Resize(c.Capacity, c.WaitlistCapacity)
	if err != nil {
		return err
	}
	if err := t.q.ResizeCourse(ctx, int32(c.Capacity), int32(c.WaitlistCapacity), t.course); err != nil { //nolint:gosec // checked
		return err
	}
	if err := t.q.RemoveSeatNumbers(ctx, t.course, numbers(removed)); err != nil {
		return err
	}
	return t.q.AddSeatNumbers(ctx, t.course, numbers(added))
}

func numbers(seats []int) []int32 {
	n := make([]int32, len(seats))
	for i, s := range seats {
		n[i] = int32(s) //nolint:gosec // bounded by the capacity
	}
	return n
}

// settling is one transaction of Settle or Resize.
type settling struct {
	q       *sqlcgen.Queries
	course  string
	roll    course.Roll
	answers []course.Settled
	news    []string

	students  map[nexus.UserID]bool       // of those who ask, or wait and may move up: active students, whose rows are locked
	obstacles map[nexus.UserID]error      // that keep somebody from coming in
	barred    map[nexus.UserID]bool       // who may not move up either
	rows      map[nexus.UserID]course.Row // how those stand now who stood otherwise
	promoted  []nexus.UserID
	keys      keyring
	deeds     []deed
}

func (t *settling) audit(by nexus.Caller, action string, user nexus.UserID) {
	t.deeds = append(t.deeds, deed{by: by, action: action, entity: "course", entityID: t.course, after: map[string]any{"userId": user}})
}

// inquire locks those who ask, and finds out what keeps them from a seat; likewise those who wait, if a seat may become free for them. Else these
// are left alone: thousands wait for what everybody wants, and each may be asking for another course at this moment.
func (t *settling) inquire(ctx context.Context, requests []course.Request) error {
	all := map[nexus.UserID]bool{}
	free := requests == nil || len(t.roll.Free) > 0
	for _, r := range requests {
		if r.Drop {
			free = true
		} else {
			all[r.User] = true
		}
	}
	if free {
		for _, w := range t.roll.Waiting {
			all[w.User] = true
		}
	}
	size, err := t.q.CourseSize(ctx, t.course)
	if err != nil {
		return orNotFound(err, "course")
	}
	t.roll.Over = size.Over // the term may have ended, or have been lengthened, since the roll was read
	users := usersIn(all)
	active, err := t.q.LockStudents(ctx, users)
	if err != nil {
		return err
	}
	t.students, t.obstacles, t.barred = map[nexus.UserID]bool{}, map[nexus.UserID]error{}, map[nexus.UserID]bool{}
	for _, id := range active {
		t.students[nexus.UserID(id)] = true
	}
	return t.obstruct(ctx, users)
}

// obstruct finds out what keeps people from a seat. Who waits is kept from it by a clash with a seat alone: of two courses that came to clash while
// somebody waited for both, one is to be had.
func (t *settling) obstruct(ctx context.Context, users []string) error {
	missing, err := t.q.PrerequisitesMissing(ctx, users, t.course)
	if err != nil {
		return err
	}
	for _, m := range missing {
		t.obstacles[nexus.UserID(m.UserID)] = onField(nexus.Conflict, "courseId", "%s must be completed before", strings.Join(m.Codes, ", "))
		t.barred[nexus.UserID(m.UserID)] = true
	}
	completed, err := t.q.CompletedAmong(ctx, t.course, users)
	if err != nil {
		return err
	}
	for _, id := range completed {
		t.obstacles[nexus.UserID(id)] = onField(nexus.Conflict, "courseId", "is completed already")
	}
	clashes, err := t.q.EnrollmentClashes(ctx, users, t.course)
	if err != nil {
		return err
	}
	for _, c := range clashes {
		t.obstacles[nexus.UserID(c.UserID)] = onField(nexus.Conflict, "courseId", "clashes with %s on %s from %s to %s",
			c.Code, time.Weekday(c.Weekday%7), c.Starts, c.Ends)
		if c.Status == string(nexus.Enrolled) {
			t.barred[nexus.UserID(c.UserID)] = true
		}
	}
	return nil
}

func usersIn(set map[nexus.UserID]bool) []string {
	ids := make([]string, 0, len(set))
	for u := range set {
		ids = append(ids, string(u))
	}
	slices.Sort(ids)
	return ids
}

// onField is an error that names a field.
func onField(code nexus.Code, field, format string, args ...any) error {
	e := nexus.Errorf(code, format, args...)
	e.Fields = []nexus.FieldError{{Field: field, Detail: e.Message}}
	return e
}

// decide answers one request by the rules, or as it was answered before under its key.
func (t *settling) decide(r course.Request) (course.Settled, error) {
	if kept, again := t.keys.answered(r.By); again {
		return kept, nil
	}
	rows, err := t.apply(r)
	if err != nil {
		return course.Settled{Err: err}, nil
	}
	action := "enrollment.create"
	if r.Drop {
		action = "enrollment.drop"
	}
	for _, row := range rows {
		t.put(row)
		t.audit(r.By, action, row.User)
	}
	t.promote() // at once, so that nobody who asks later has the seat before those who wait
	settled := course.Settled{Enrollment: t.standing(r)}
	return settled, t.keys.answer(r.By, settled.Enrollment)
}

// apply changes the roll for a request. Who has a seat already is not asked for anything again.
func (t *settling) apply(r course.Request) ([]course.Row, error) {
	if r.Drop {
		return t.roll.Drop(r.User)
	}
	if status, _ := t.roll.Standing(r.User); status == "" {
		if !t.students[r.User] {
			return nil, onField(nexus.Conflict, "userId", "is no active student")
		}
		if err := t.obstacles[r.User]; err != nil {
			return nil, err
		}
	}
	return t.roll.Enrol(r.User)
}

func (t *settling) standing(r course.Request) nexus.Enrollment {
	e := nexus.Enrollment{Course: nexus.CourseID(t.course), User: r.User, Status: nexus.Dropped}
	if !r.Drop {
		e.Status, e.Position = t.roll.Standing(r.User)
	}
	return e
}

func (t *settling) put(row course.Row) {
	if t.rows == nil {
		t.rows = map[nexus.UserID]course.Row{}
	}
	t.rows[row.User] = row
}

// promote gives free seats to those who wait. Whose account is suspended, who lacks what must have been completed by now, or who has a seat at the
// same time elsewhere by now, is passed over, and keeps the place.
func (t *settling) promote() {
	for _, row := range t.roll.Promote(func(u nexus.UserID) bool { return t.students[u] && !t.barred[u] }) {
		t.put(row)
		t.promoted = append(t.promoted, row.User)
		t.audit(nexus.Caller{}, "enrollment.promote", row.User)
	}
}

// keep writes what has come of it: how everybody stands, what people are told, and the audit log, which comes last in a transaction.
func (t *settling) keep(ctx context.Context) error {
	if err := t.write(ctx); err != nil {
		return err
	}
	if err := t.tell(ctx); err != nil {
		return err
	}
	return auditAll(ctx, t.q, t.deeds)
}

// write writes how everybody stands now.
func (t *settling) write(ctx context.Context) error {
	p := sqlcgen.PutEnrollmentsParams{CourseID: t.course}
	var gone []string
	for _, u := range slices.Sorted(maps.Keys(t.rows)) {
		row := t.rows[u]
		// Whoever moves leaves the old seat or place first: another may have it by now.
		gone = append(gone, string(u))
		if row.Status == nexus.Dropped {
			continue
		}
		p.Users, p.Statuses = append(p.Users, string(u)), append(p.Statuses, string(row.Status))
		p.Seats, p.Places = append(p.Seats, int32(row.Seat)), append(p.Places, row.Place) //nolint:gosec // bounded by the schema
	}
	if len(gone) == 0 {
		return nil
	}
	if err := t.q.VacateSeats(ctx, t.course, gone); err != nil {
		return err
	}
	if err := t.q.PutEnrollments(ctx, p); err != nil {
		return err
	}
	return t.q.SetLastPlace(ctx, t.roll.LastPlace, t.course)
}

// tell lets those know who moved up.
func (t *settling) tell(ctx context.Context) error {
	if len(t.promoted) == 0 {
		return nil
	}
	c, err := oneCourse(ctx, t.q, nexus.CourseID(t.course))
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"courseId": c.ID, "code": c.Code})
	if err != nil {
		return fmt.Errorf("encode a notice: %w", err)
	}
	notices := make([]nexus.Notice, len(t.promoted))
	for i, u := range t.promoted {
		notices[i] = nexus.Notice{
			User: u, Kind: "seat.promoted", Priority: nexus.PriorityHigh, Title: "You have a seat in " + c.Code,
			Body: "A seat became free and you were next: you are enrolled in " + c.Title + ".", Data: data,
		}
	}
	t.news, err = tell(ctx, t.q, notices)
	return err
}

// Roster lists who has a seat and who waits, or all of one status, in order of id, which is the cursor. NotFound for no course.
func (s *Seats) Roster(ctx context.Context, id nexus.CourseID, status nexus.EnrollmentStatus, p nexus.Page) (nexus.List[nexus.RosterEntry], error) {
	var list nexus.List[nexus.RosterEntry]
	limit := limitOf(p)
	after := uuid.Nil.String()
	if p.After != "" {
		if !nexus.ValidID(p.After) {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
		after = p.After
	}
	err := s.db.read(ctx, "list roster", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.CourseRoster(ctx, sqlcgen.CourseRosterParams{CourseID: string(id), After: after, Status: string(status), MaxRows: limit + 1})
		list = pageOf(rows, limit, func(r sqlcgen.CourseRosterRow) nexus.RosterEntry {
			return nexus.RosterEntry{
				User: nexus.UserID(r.UserID), Name: r.Name, RegNo: r.RegNo, Status: nexus.EnrollmentStatus(r.Status), Position: int(r.Position),
			}
		}, func(e nexus.RosterEntry) string { return string(e.User) })
		return err
	})
	return list, err
}

// Enrollments lists how somebody stands to courses, but for those that were dropped.
func (s *Seats) Enrollments(ctx context.Context, user nexus.UserID) ([]nexus.Enrollment, error) {
	list := []nexus.Enrollment{}
	err := s.db.do(ctx, "list enrolments", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.EnrollmentsOf(ctx, string(user))
		for _, r := range rows {
			list = append(list, nexus.Enrollment{
				Course: nexus.CourseID(r.CourseID), User: user, Status: nexus.EnrollmentStatus(r.Status), Position: int(r.Position),
			})
		}
		return err
	})
	return list, err
}

// Enrollment returns how somebody stands to a course. NotFound for who never did.
func (s *Seats) Enrollment(ctx context.Context, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error) {
	e := nexus.Enrollment{Course: id, User: user}
	err := s.db.do(ctx, "read enrolment", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.EnrollmentOf(ctx, string(user), string(id))
		e.Status, e.Position = nexus.EnrollmentStatus(r.Status), int(r.Position)
		return orNotFound(err, "enrolment")
	})
	return e, err
}
