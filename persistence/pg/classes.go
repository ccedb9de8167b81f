package pg

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/course"
	"nexus/persistence/pg/sqlcgen"
)

// Classes keeps the classes of courses, and who attended them. What reads alone is in attendance.go.
type Classes struct{ db *DB }

var _ course.ClassStore = (*Classes)(nil)

// NewClasses returns the classes in db.
func NewClasses(db *DB) *Classes { return &Classes{db: db} }

// OpenClass returns the course's open class; nil if none is.
func (s *Classes) OpenClass(ctx context.Context, f nexus.Fence) (open *course.OpenClass, err error) {
	err = s.db.tx(ctx, "read the open class", func(ctx context.Context, q *sqlcgen.Queries) error {
		open = nil
		if err := held(ctx, q, f); err != nil {
			return err
		}
		open, err = openClassOf(ctx, q, f.ID)
		return err
	})
	return open, err
}

func openClassOf(ctx context.Context, q *sqlcgen.Queries, id string) (*course.OpenClass, error) {
	r, err := q.OpenClassOf(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	marks, err := q.MarksOf(ctx, r.ClassView.ID)
	if err != nil {
		return nil, err
	}
	open := &course.OpenClass{
		Class: classOf(r.ClassView), Secret: r.Secret, Marks: make(map[nexus.UserID]nexus.AttendanceStatus, len(marks)), Devices: map[string]nexus.UserID{},
	}
	if r.Lat != nil && r.Lng != nil && r.FenceM != nil {
		open.Place, open.FenceM = &nexus.Position{Lat: *r.Lat, Lng: *r.Lng}, int(*r.FenceM)
	}
	for _, m := range marks { // in order of time: the first that a device marked is its own
		open.Marks[nexus.UserID(m.UserID)] = nexus.AttendanceStatus(m.Status)
		if _, used := open.Devices[string(m.Device)]; len(m.Device) > 0 && !used {
			open.Devices[string(m.Device)] = nexus.UserID(m.UserID)
		}
	}
	return open, nil
}

// Do does what staff asks, in one transaction with the absence of those who are not marked when a class closes, and with what people are told.
func (s *Classes) Do(ctx context.Context, f nexus.Fence, a course.Act, now time.Time) (done course.Done, err error) {
	err = s.db.tx(ctx, a.What+" class", func(ctx context.Context, q *sqlcgen.Queries) error {
		x := &acting{q: q, act: a, now: now}
		if err := held(ctx, q, f); err != nil {
			return err
		}
		class, err := once(ctx, q, a.By, func() (nexus.Class, error) { return x.do(ctx, nexus.CourseID(f.ID)) })
		if err != nil {
			return err
		}
		open, err := openClassOf(ctx, q, f.ID)
		done = course.Done{Class: class, Changed: x.changed, Open: open, News: x.news}
		return err
	})
	return done, err
}

// acting is one transaction of Do.
type acting struct {
	q       *sqlcgen.Queries
	act     course.Act
	now     time.Time
	changed bool
	news    []string
}

func (x *acting) do(ctx context.Context, id nexus.CourseID) (nexus.Class, error) {
	c, err := oneCourse(ctx, x.q, id)
	if err != nil {
		return nexus.Class{}, err
	}
	term, err := oneTerm(ctx, x.q, c.Term)
	if err != nil {
		return nexus.Class{}, err
	}
	if x.act.What == course.ActAdd || x.act.What == course.ActMove { // before any class is locked: SetMeetings locks those of meetings that go
		if err := x.q.LockRoomsAndTeachers(ctx); err != nil {
			return nexus.Class{}, err
		}
	}
	var before *nexus.Class
	var after nexus.Class
	if x.act.What == course.ActAdd {
		if before, after, err = x.add(ctx, c, term); err != nil {
			return after, err
		}
	} else {
		was, err := lockClass(ctx, x.q, id, x.act.Class.ID)
		if err != nil {
			return was, err
		}
		if after, x.changed, err = x.act.Apply(was, x.now); err != nil || !x.changed {
			return after, err
		}
		before = &was
	}
	if !x.changed {
		return after, nil
	}
	return after, x.keep(ctx, c, term, before, after)
}

// lockClass locks a class of a course. NotFound for none.
func lockClass(ctx context.Context, q *sqlcgen.Queries, id nexus.CourseID, class nexus.ClassID) (nexus.Class, error) {
	if err := q.LockClass(ctx, string(class)); err != nil {
		return nexus.Class{}, err
	}
	row, err := q.Class(ctx, string(class))
	if err == nil && row.CourseID != string(id) {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return nexus.Class{}, orNotFound(err, "session")
	}
	return classOf(row), nil
}

// add plans a class: that of a meeting's day, which may be there already, or one of its own.
func (x *acting) add(ctx context.Context, c nexus.Course, term nexus.Term) (before *nexus.Class, after nexus.Class, err error) {
	after = x.act.Class
	after.Status, after.Version = nexus.ClassScheduled, 1
	if after.Meeting != "" {
		meetings, err := meetingsOf(ctx, x.q, c.ID)
		if err != nil {
			return nil, after, err
		}
		i := slices.IndexFunc(meetings, func(m nexus.Meeting) bool { return m.ID == after.Meeting })
		if i < 0 {
			return nil, after, noSuch("meeting")
		}
		if after, err = planned(after, meetings[i], term); err != nil {
			return nil, after, err
		}
		there, err := x.q.ClassOfOccurrence(ctx, orNil(string(after.Meeting)), after.OccursOn)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return nil, after, err
		}
		if err == nil {
			was, err := lockClass(ctx, x.q, c.ID, nexus.ClassID(there))
			if err != nil {
				return nil, was, err
			}
			if !x.act.Open {
				return nil, was, onField(nexus.Conflict, "date", "this meeting has a session of this day already")
			}
			before, after = &was, was
		}
	}
	if before == nil {
		after.ID = nexus.ClassID(nexus.NewID())
		x.changed = true
	}
	if x.act.Open {
		open := x.act
		open.What = course.ActOpen
		var opened bool
		if after, opened, err = open.Apply(after, x.now); err != nil {
			return before, after, err
		}
		x.changed = x.changed || opened
	}
	return before, after, nil
}

// planned is the class of a meeting on a day.
func planned(c nexus.Class, m nexus.Meeting, term nexus.Term) (nexus.Class, error) {
	zone, err := zoneOf(term)
	if err != nil {
		return c, err
	}
	if c.StartsAt, c.EndsAt, err = m.At(c.OccursOn, zone); err != nil {
		return c, err
	}
	first, last := m.Days(term)
	day, _ := time.Parse(time.DateOnly, c.OccursOn) // At parsed it
	switch {
	case c.OccursOn < first || c.OccursOn > last || int(day.Weekday()) != m.Weekday%7:
		return c, nexus.InvalidField("date", "is no day of this meeting")
	case slices.ContainsFunc(term.Holidays, func(h nexus.Holiday) bool { return h.Day == c.OccursOn }):
		return c, nexus.InvalidField("date", "is a holiday")
	}
	if c.Room == "" {
		c.Room = m.Room
	}
	return c, nil
}

// keep writes the class and all that follows from its change.
func (x *acting) keep(ctx context.Context, c nexus.Course, term nexus.Term, before *nexus.Class, after nexus.Class) error {
	if takesRoom(after) && (before == nil || !takesRoom(*before) || before.Room != after.Room || !before.StartsAt.Equal(after.StartsAt) || !before.EndsAt.Equal(after.EndsAt)) {
		if err := roomFree(ctx, x.q, term, after); err != nil {
			return err
		}
	}
	if err := x.put(ctx, after); err != nil {
		return err
	}
	switch {
	case after.Status == nexus.ClassClosed:
		if err := x.q.MarkAbsent(ctx, string(after.ID), x.now, string(c.ID)); err != nil {
			return err
		}
	case after.Status == nexus.ClassOpen && before != nil && before.Status == nexus.ClassClosed:
		if err := x.q.UnmarkAbsent(ctx, string(after.ID)); err != nil {
			return err
		}
	}
	if err := x.tell(ctx, c, term, before, after); err != nil {
		return err
	}
	return audit(ctx, x.q, x.act.By, "session."+x.act.What, "session", string(after.ID), before, after)
}

// takesRoom reports whether nobody else may be in a class's room at its time.
func takesRoom(c nexus.Class) bool {
	return c.Room != "" && (c.Status == nexus.ClassScheduled || c.Status == nexus.ClassOpen)
}

func (x *acting) put(ctx context.Context, c nexus.Class) error {
	p := sqlcgen.PutClassParams{
		ID: string(c.ID), CourseID: string(c.Course), MeetingID: orNil(string(c.Meeting)), OccursOn: c.OccursOn, StartsAt: c.StartsAt, EndsAt: c.EndsAt,
		RoomID: orNil(string(c.Room)), Topic: c.Topic, Status: string(c.Status), Reason: c.Reason, Fenced: c.Fenced, LateMin: int16(c.LateMin), //nolint:gosec // the schema bounds it
		OpenedAt: c.OpenedAt, ClosedAt: c.ClosedAt, Version: c.Version,
	}
	if c.Status == nexus.ClassOpen { // each opening has a secret of its own, and none is kept afterwards
		p.Secret = make([]byte, 32)
		rand.Read(p.Secret) // never fails
		p.OpenedBy = orNil(string(x.act.By.User))
	}
	return x.q.PutClass(ctx, p)
}

// roomFree fails with Conflict, naming the other course, if a room is taken. Whoever plans holds the lock until the end of the transaction.
func roomFree(ctx context.Context, q *sqlcgen.Queries, term nexus.Term, c nexus.Class) error {
	if err := q.LockRoomsAndTeachers(ctx); err != nil {
		return err
	}
	zone, err := zoneOf(term)
	if err != nil {
		return err
	}
	taken := func(by string, from, to time.Time) error {
		return onField(nexus.Conflict, "roomId", "is taken by %s from %s to %s", by, from.In(zone).Format("15:04"), to.In(zone).Format("15:04"))
	}
	classes, err := q.RoomTakenByClass(ctx, sqlcgen.RoomTakenByClassParams{RoomID: string(c.Room), ID: string(c.ID), StartsAt: c.StartsAt, EndsAt: c.EndsAt})
	if err != nil {
		return err
	}
	for _, o := range classes {
		return taken(o.Code, o.StartsAt, o.EndsAt)
	}
	own := string(c.Meeting)
	if own == "" {
		own = uuid.Nil.String()
	}
	meetings, err := q.RoomTakenByMeeting(ctx, sqlcgen.RoomTakenByMeetingParams{
		RoomID: string(c.Room), StartsAt: c.StartsAt, EndsAt: c.EndsAt, MeetingID: own, OccursOn: c.OccursOn,
	})
	if err != nil {
		return err
	}
	for _, o := range meetings {
		return taken(o.Code, o.StartsAt, o.EndsAt)
	}
	return nil
}

// tell lets those know who are concerned: each change as a line of their streams, what changes their day as a notice too, and who slips what it comes to.
func (x *acting) tell(ctx context.Context, c nexus.Course, term nexus.Term, before *nexus.Class, after nexus.Class) error {
	ids, err := x.q.Concerned(ctx, string(c.ID))
	if err != nil {
		return err
	}
	users := make([]nexus.UserID, len(ids))
	for i, id := range ids {
		users[i] = nexus.UserID(id)
	}
	shown := course.ShowSchedule(after, x.act, x.now)
	if x.news, err = post(ctx, x.q, nexus.AcademicChannel, users, course.ScheduleUpdate, shown); err != nil {
		return err
	}
	var notices []nexus.Notice
	if x.act.What == course.ActCancel || x.act.What == course.ActMove {
		if notices, err = changeNotices(users, c, term, before, after); err != nil {
			return err
		}
	}
	if after.Status == nexus.ClassClosed {
		if notices, err = slipping(ctx, x.q, c, ""); err != nil {
			return err
		}
	}
	told, err := tell(ctx, x.q, notices)
	x.news = append(x.news, told...)
	return err
}

// changeNotices say what has become of somebody's day.
func changeNotices(users []nexus.UserID, c nexus.Course, term nexus.Term, before *nexus.Class, after nexus.Class) ([]nexus.Notice, error) {
	zone, err := zoneOf(term)
	if err != nil {
		return nil, err
	}
	const layout = "Mon 2 Jan 15:04"
	title, kind, body := c.Code+" is cancelled", "class.cancelled", "The class of "+before.StartsAt.In(zone).Format(layout)+" is not held."
	if after.Status != nexus.ClassCancelled {
		title, kind = c.Code+" is moved", "class.moved"
		body = "The class of " + before.StartsAt.In(zone).Format(layout) + " is held on " + after.StartsAt.In(zone).Format(layout) + "."
	}
	if after.Reason != "" {
		body += " " + after.Reason
	}
	data, err := json.Marshal(map[string]any{"courseId": c.ID, "sessionId": after.ID, "startsAt": clock(after.StartsAt), "roomId": after.Room})
	if err != nil {
		return nil, fmt.Errorf("encode a notice: %w", err)
	}
	notices := make([]nexus.Notice, len(users))
	for i, u := range users {
		notices[i] = nexus.Notice{
			User: u, Kind: kind, Priority: nexus.PriorityHigh, Title: title, Body: body, Data: data, Dedupe: fmt.Sprintf("class:%s:%d", after.ID, after.Version),
		}
	}
	return notices, nil
}

// slipping warns those whose attendance of a course is too low, or one of them, once for each level.
func slipping(ctx context.Context, q *sqlcgen.Queries, c nexus.Course, user nexus.UserID) ([]nexus.Notice, error) {
	rows, err := q.AttendanceTotals(ctx, orNil(string(c.ID)), orNil(string(user)))
	if err != nil {
		return nil, err
	}
	var notices []nexus.Notice
	for _, r := range rows {
		t := totalOf(r)
		level := t.Level()
		if level == nexus.Safe {
			continue
		}
		data, err := json.Marshal(map[string]any{"courseId": c.ID, "percentage": t.Percentage(), "status": level})
		if err != nil {
			return nil, fmt.Errorf("encode a notice: %w", err)
		}
		n := nexus.Notice{
			User: t.User, Kind: "attendance.low", Priority: nexus.PriorityNormal, Title: fmt.Sprintf("Your attendance of %s is at %.1f%%", c.Code, t.Percentage()),
			Body: fmt.Sprintf("You attended %d of %d classes; %d%% are asked for.", t.Attended, t.Total, c.MinAttendancePct), Data: data,
			Dedupe: fmt.Sprintf("attendance:%s:%s", c.ID, level),
		}
		if level == nexus.CriticallyLow {
			n.Priority = nexus.PriorityHigh
		}
		notices = append(notices, n)
	}
	return notices, nil
}

// Mark keeps marks and tries, in order. Who has a mark already keeps it.
func (s *Classes) Mark(ctx context.Context, f nexus.Fence, class nexus.ClassID, marks []course.Mark) ([]nexus.AttendanceMark, error) {
	var kept []nexus.AttendanceMark
	err := s.db.tx(ctx, "keep marks", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := held(ctx, q, f); err != nil {
			return err
		}
		known, err := marksByUser(ctx, q, class)
		if err != nil {
			return err
		}
		news, events := fresh(marks, known)
		if err := addDevices(ctx, q, f.ID, class, news); err != nil {
			return err
		}
		p := sqlcgen.PutMarksParams{SessionID: string(class), CourseID: f.ID}
		for _, u := range slices.Sorted(maps.Keys(news)) {
			m := news[u]
			p.Users, p.Statuses, p.Devices = append(p.Users, string(u)), append(p.Statuses, string(m.Status)), append(p.Devices, append([]byte{}, m.Device...))
			p.Flags, p.Ats = append(p.Flags, strings.Join(m.Flags, ",")), append(p.Ats, m.At)
		}
		if err := q.PutMarks(ctx, p); err != nil {
			return err
		}
		if err := addEvents(ctx, q, class, events); err != nil {
			return err
		}
		if known, err = marksByUser(ctx, q, class); err != nil {
			return err
		}
		kept = make([]nexus.AttendanceMark, len(marks))
		for i, m := range marks {
			kept[i] = known[m.User]
		}
		return nil
	})
	return kept, err
}

// fresh are the first good tries of those who have no mark yet, and all tries as they go on record.
func fresh(marks []course.Mark, known map[nexus.UserID]nexus.AttendanceMark) (news map[nexus.UserID]*course.Mark, events []course.Mark) {
	news = map[nexus.UserID]*course.Mark{}
	for _, m := range marks {
		if m.Outcome == course.OutcomeMarked {
			if _, has := known[m.User]; has || news[m.User] != nil {
				m.Outcome = course.OutcomeRepeated
			} else {
				news[m.User] = &m
			}
		}
		events = append(events, m)
	}
	return news, events
}

// addDevices flags those whose device is another than in the class before.
func addDevices(ctx context.Context, q *sqlcgen.Queries, id string, class nexus.ClassID, news map[nexus.UserID]*course.Mark) error {
	users := make([]string, 0, len(news))
	for u := range news {
		users = append(users, string(u))
	}
	rows, err := q.LastDevices(ctx, id, string(class), users)
	for _, r := range rows {
		if m := news[nexus.UserID(r.UserID)]; len(m.Device) > 0 && string(r.Device) != string(m.Device) {
			m.Flags = append(slices.Clone(m.Flags), course.FlagDeviceNew)
		}
	}
	return err
}

func addEvents(ctx context.Context, q *sqlcgen.Queries, class nexus.ClassID, events []course.Mark) error {
	p := sqlcgen.AddAttendanceEventsParams{SessionID: string(class)}
	for _, e := range events {
		p.Users, p.Actors, p.Outcomes = append(p.Users, string(e.User)), append(p.Actors, ""), append(p.Outcomes, e.Outcome)
		p.Flags, p.Reasons, p.Ats = append(p.Flags, strings.Join(e.Flags, ",")), append(p.Reasons, ""), append(p.Ats, e.At)
	}
	return q.AddAttendanceEvents(ctx, p)
}

func marksByUser(ctx context.Context, q *sqlcgen.Queries, class nexus.ClassID) (map[nexus.UserID]nexus.AttendanceMark, error) {
	rows, err := q.MarksOf(ctx, string(class))
	marks := make(map[nexus.UserID]nexus.AttendanceMark, len(rows))
	for _, r := range rows {
		marks[nexus.UserID(r.UserID)] = markOf(r)
	}
	return marks, err
}

// Correct sets a mark by hand. NotFound for no such class or enrolment. Audited.
func (s *Classes) Correct(
	ctx context.Context, f nexus.Fence, by nexus.Caller, class nexus.ClassID, user nexus.UserID, status nexus.AttendanceStatus, reason string,
) (mark nexus.AttendanceMark, news []string, err error) {
	err = s.db.tx(ctx, "correct mark", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := held(ctx, q, f); err != nil {
			return err
		}
		c, err := lockClass(ctx, q, nexus.CourseID(f.ID), class)
		if err != nil {
			return err
		}
		if c.Status == nexus.ClassScheduled || c.Status == nexus.ClassCancelled {
			return nexus.InState(c.Status, "the class is %s", c.Status)
		}
		var before any
		if was, err := q.MarkOf(ctx, string(class), string(user)); err == nil {
			before = markOf(was)
		} else if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		now := time.Now().UTC().Truncate(time.Millisecond)
		row, err := q.CorrectMark(ctx, sqlcgen.CorrectMarkParams{
			SessionID: string(class), CourseID: f.ID, UserID: string(user), Status: string(status), Remarks: reason, MarkedBy: orNil(string(by.User)), MarkedAt: now,
		})
		if err != nil {
			return err
		}
		mark = markOf(row)
		err = q.AddAttendanceEvents(ctx, sqlcgen.AddAttendanceEventsParams{
			SessionID: string(class), Users: []string{string(user)}, Actors: []string{string(by.User)}, Outcomes: []string{course.OutcomeCorrected},
			Flags: []string{""}, Reasons: []string{reason}, Ats: []time.Time{now},
		})
		if err != nil {
			return err
		}
		of, err := oneCourse(ctx, q, nexus.CourseID(f.ID))
		if err != nil {
			return err
		}
		notices, err := slipping(ctx, q, of, user)
		if err != nil {
			return err
		}
		news, err = conclude(ctx, q, notices, deed{by, "attendance.correct", "session", string(class), before, mark})
		return err
	})
	return mark, news, err
}

func classOf(r sqlcgen.ClassView) nexus.Class {
	c := nexus.Class{
		ID: nexus.ClassID(r.ID), Course: nexus.CourseID(r.CourseID), OccursOn: r.OccursOn, StartsAt: r.StartsAt, EndsAt: r.EndsAt, Topic: r.Topic,
		Status: nexus.ClassStatus(r.Status), Reason: r.Reason, Fenced: r.Fenced, LateMin: int(r.LateMin), OpenedAt: r.OpenedAt, ClosedAt: r.ClosedAt, Version: r.Version,
	}
	if r.MeetingID != nil {
		c.Meeting = nexus.MeetingID(*r.MeetingID)
	}
	if r.RoomID != nil {
		c.Room = nexus.RoomID(*r.RoomID)
	}
	return c
}

func markOf(r sqlcgen.Attendance) nexus.AttendanceMark {
	m := nexus.AttendanceMark{
		User: nexus.UserID(r.UserID), Status: nexus.AttendanceStatus(r.Status), Method: r.Method, Flags: r.Flags, Remarks: r.Remarks, MarkedAt: r.MarkedAt,
	}
	if m.Flags == nil {
		m.Flags = []string{}
	}
	if r.MarkedBy != nil {
		by := nexus.UserID(*r.MarkedBy)
		m.MarkedBy = &by
	}
	return m
}

func totalOf(r sqlcgen.AttendanceTotalsRow) nexus.AttendanceTotal {
	return nexus.AttendanceTotal{
		Course: nexus.CourseID(r.CourseID), User: nexus.UserID(r.UserID), Name: r.Name, RegNo: r.RegNo,
		Total: int(r.Total), Attended: int(r.Attended), Excused: int(r.Excused),
	}
}
