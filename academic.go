package nexus

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// TermID is a term's name in short, such as "2026-autumn". The office chooses it.
type TermID string

// Term is a part of the year in which courses meet. Days are YYYY-MM-DD, both included, in the term's zone.
type Term struct {
	ID       TermID    `json:"id"`
	Name     string    `json:"name"`
	StartsOn string    `json:"startsOn"`
	EndsOn   string    `json:"endsOn"`
	TZ       string    `json:"tz"` // an IANA zone
	Holidays []Holiday `json:"holidays"`
	Version  int64     `json:"version"`
}

// Holiday is a day of a term on which nothing meets.
type Holiday struct {
	Day  string `json:"day"` // YYYY-MM-DD
	Name string `json:"name"`
}

// Room is where a course meets.
type Room struct {
	ID        RoomID    `json:"id"`
	BlockCode string    `json:"blockCode"`
	BlockName string    `json:"blockName"`
	Number    string    `json:"number"`
	Place     *Position `json:"place"`  // null: not known
	FenceM    *int      `json:"fenceM"` // metres around Place that count as there; null: no fence
	Version   int64     `json:"version"`
}

// StaffKind is what a person does in a course.
type StaffKind string

// What staff do.
const (
	Instructor StaffKind = "INSTRUCTOR"
	Assistant  StaffKind = "ASSISTANT"
)

// Staff is a person who teaches a course.
type Staff struct {
	User      UserID    `json:"userId"`
	Kind      StaffKind `json:"kind"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	AvatarURL string    `json:"avatarUrl"`
}

// Course is one course of one term, as the contract shows it.
type Course struct {
	ID               CourseID `json:"id"`
	Term             TermID   `json:"termId"`
	Code             string   `json:"code"`
	Title            string   `json:"title"`
	Credits          float64  `json:"credits"` // with one decimal
	Capacity         int      `json:"capacity"`
	WaitlistCapacity int      `json:"waitlistCapacity"`
	MinAttendancePct int      `json:"minAttendancePct"`
	Prerequisites    []string `json:"prerequisites"` // codes of courses to be completed before
	Enrolled         int      `json:"enrolled"`
	Waitlisted       int      `json:"waitlisted"`
	Staff            []Staff  `json:"staff"` // the first instructor is the one that students are shown
	Version          int64    `json:"version"`
}

// TaughtBy reports whether the user is of the course's staff.
func (c Course) TaughtBy(u UserID) bool {
	return slices.ContainsFunc(c.Staff, func(s Staff) bool { return s.User == u })
}

// CourseChange is what staff changes of a course; nil fields stay.
type CourseChange struct {
	Code             *string   `json:"code,omitempty"`
	Title            *string   `json:"title,omitempty"`
	Credits          *float64  `json:"credits,omitempty"`
	Capacity         *int      `json:"capacity,omitempty"`
	WaitlistCapacity *int      `json:"waitlistCapacity,omitempty"`
	MinAttendancePct *int      `json:"minAttendancePct,omitempty"`
	Prerequisites    *[]string `json:"prerequisites,omitempty"`
}

// Of returns the course with the change made.
func (x CourseChange) Of(c Course) Course {
	set(&c.Code, x.Code)
	set(&c.Title, x.Title)
	set(&c.Credits, x.Credits)
	set(&c.Capacity, x.Capacity)
	set(&c.WaitlistCapacity, x.WaitlistCapacity)
	set(&c.MinAttendancePct, x.MinAttendancePct)
	set(&c.Prerequisites, x.Prerequisites)
	return c
}

// Seats reports whether the change is one of the numbers of seats.
func (x CourseChange) Seats() bool { return x.Capacity != nil || x.WaitlistCapacity != nil }

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// CourseFilter says which courses are meant. Empty fields let all pass.
type CourseFilter struct {
	Term    TermID
	Query   string // part of the code or the title, whatever the case
	Teacher UserID // who is of the staff
	Student UserID // who is enrolled
}

// Meeting is when and where a course meets each week.
type Meeting struct {
	ID       MeetingID `json:"id"`
	Course   CourseID  `json:"courseId"`
	Weekday  int       `json:"weekday"`  // ISO: 1 is Monday, 7 Sunday
	Starts   string    `json:"starts"`   // HH:mm in the term's zone
	Ends     string    `json:"ends"`     // HH:mm, later on the same day
	FromDay  string    `json:"fromDay"`  // YYYY-MM-DD; empty: the term's first
	UntilDay string    `json:"untilDay"` // YYYY-MM-DD, included; empty: the term's last
	Room     RoomID    `json:"roomId"`   // empty: none
	Teacher  UserID    `json:"teacher"`  // empty: the course's first instructor
	Kind     string    `json:"kind"`     // LECTURE, LAB, TUTORIAL or what the office says
	Notes    string    `json:"notes"`
}

// At returns when the meeting that is held on a day (YYYY-MM-DD) begins and ends. A time that the clocks skip on that day is as much later
// as they are put forward; one that they show twice is the first.
func (m Meeting) At(day string, zone *time.Location) (starts, ends time.Time, err error) {
	if starts, err = wallClock(day, m.Starts, zone); err != nil {
		return starts, ends, err
	}
	ends, err = wallClock(day, m.Ends, zone)
	return starts, ends, err
}

// wallClock is when the clocks of a zone show a time, by the rules of RFC 5545, section 3.3.5. Package time does not say which of two it
// takes.
func wallClock(day, clock string, zone *time.Location) (time.Time, error) {
	at, err := time.ParseInLocation("2006-01-02 15:04", day+" "+clock, zone)
	if err != nil {
		return at, InvalidField("date", "is no day")
	}
	_, before := at.Add(-6 * time.Hour).Zone() // clocks are never set back twice within that
	_, now := at.Zone()
	if first := at.Add(time.Duration(now-before) * time.Second); first.Before(at) && first.Format("15:04") == clock {
		at = first
	}
	return at, nil
}

// Days returns the first and the last day on which the meeting may be held.
func (m Meeting) Days(t Term) (first, last string) {
	return cmp.Or(m.FromDay, t.StartsOn), cmp.Or(m.UntilDay, t.EndsOn)
}

// Overlaps reports whether two meetings of one term are ever held at the same time.
func (m Meeting) Overlaps(o Meeting, t Term) bool {
	first, last := m.Days(t)
	otherFirst, otherLast := o.Days(t)
	return m.Weekday == o.Weekday && m.Starts < o.Ends && o.Starts < m.Ends && first <= otherLast && otherFirst <= last
}

// EnrollmentStatus is how a student stands to a course.
type EnrollmentStatus string

// How students stand to courses.
const (
	Enrolled   EnrollmentStatus = "ENROLLED"
	Waitlisted EnrollmentStatus = "WAITLISTED"
	Dropped    EnrollmentStatus = "DROPPED"
	Completed  EnrollmentStatus = "COMPLETED"
)

// Enrollment is the answer to who asks for a seat.
type Enrollment struct {
	Course   CourseID         `json:"courseId"`
	User     UserID           `json:"userId"`
	Status   EnrollmentStatus `json:"status"`
	Position int              `json:"position,omitempty"` // in the waitlist, from 1
}

// RosterEntry is how one student stands to a course, as its staff sees it.
type RosterEntry struct {
	User     UserID           `json:"userId"`
	Name     string           `json:"name"`
	RegNo    string           `json:"regNo"`
	Status   EnrollmentStatus `json:"status"`
	Position int              `json:"position,omitempty"` // in the waitlist, from 1
}

// ClassStatus is what has become of a class.
type ClassStatus string

// What becomes of a class.
const (
	ClassScheduled ClassStatus = "SCHEDULED"
	ClassOpen      ClassStatus = "OPEN"
	ClassClosed    ClassStatus = "CLOSED"
	ClassCancelled ClassStatus = "CANCELLED"
)

// Class is one class of a course. Its Meeting and OccursOn name the occurrence it stands for, wherever it was moved to; both are empty
// for one of its own.
type Class struct {
	ID       ClassID     `json:"id"`
	Course   CourseID    `json:"courseId"`
	Meeting  MeetingID   `json:"meetingId,omitempty"`
	OccursOn string      `json:"occursOn,omitempty"` // YYYY-MM-DD in the term's zone
	StartsAt time.Time   `json:"startsAt"`
	EndsAt   time.Time   `json:"endsAt"`
	Room     RoomID      `json:"roomId,omitempty"`
	Topic    string      `json:"topic"`
	Status   ClassStatus `json:"status"`
	Reason   string      `json:"reason,omitempty"` // why it was cancelled or moved
	Fenced   bool        `json:"fenced"`           // marking asks for a position near the room
	LateMin  int         `json:"lateMin"`          // minutes from StartsAt after which a mark is LATE
	OpenedAt *time.Time  `json:"openedAt"`
	ClosedAt *time.Time  `json:"closedAt"`
	Version  int64       `json:"version"`
}

// AttendanceStatus is how a student attended a class.
type AttendanceStatus string

// How students attend.
const (
	Present AttendanceStatus = "PRESENT"
	Late    AttendanceStatus = "LATE"
	Excused AttendanceStatus = "EXCUSED"
	Absent  AttendanceStatus = "ABSENT"
)

// AttendanceMark is how one student attended one class.
type AttendanceMark struct {
	User     UserID           `json:"userId"`
	Status   AttendanceStatus `json:"status"`
	Method   string           `json:"method"` // CODE, MANUAL, IMPORT or AUTO: by the clock
	Flags    []string         `json:"flags"`  // reasons to look twice
	Remarks  string           `json:"remarks"`
	MarkedBy *UserID          `json:"markedBy"` // null: the student's own, or the clock's
	MarkedAt time.Time        `json:"markedAt"`
}

// Attendee is a student of a class as its staff sees them.
type Attendee struct {
	User  UserID          `json:"userId"`
	Name  string          `json:"name"`
	RegNo string          `json:"regNo"`
	Mark  *AttendanceMark `json:"mark"`  // null: none yet
	Tries int             `json:"tries"` // to be marked, wrong codes among them
}

// AttendanceTotal is how a student attended a course.
type AttendanceTotal struct {
	Course   CourseID `json:"courseId"`
	User     UserID   `json:"userId"`
	Name     string   `json:"name"`
	RegNo    string   `json:"regNo"`
	Total    int      `json:"totalClasses"` // held, but for those that the student was excused from
	Attended int      `json:"attendedClasses"`
	Excused  int      `json:"excusedClasses"`
}

// Percentage is the share of classes that were attended, with one decimal; 100 before there was any.
func (t AttendanceTotal) Percentage() float64 {
	if t.Total == 0 {
		return 100
	}
	return math.Round(1000*float64(t.Attended)/float64(t.Total)) / 10
}

// AttendanceLevel says what a percentage means.
type AttendanceLevel string

// The levels, as the original client writes them.
const (
	Safe          AttendanceLevel = "Safe"
	Warning       AttendanceLevel = "Warning"
	CriticallyLow AttendanceLevel = "Critical"
)

// Below how many per cent they begin.
const (
	warningBelow  = 85
	criticalBelow = 75
)

// Level is Critical below 75 per cent and Warning below 85, before any rounding.
func (t AttendanceTotal) Level() AttendanceLevel {
	switch {
	case 100*t.Attended < criticalBelow*t.Total:
		return CriticallyLow
	case 100*t.Attended < warningBelow*t.Total:
		return Warning
	default:
		return Safe
	}
}

// AttendedClass is how a student attended one class.
type AttendedClass struct {
	Class    ClassID
	StartsAt time.Time
	EndsAt   time.Time
	TZ       string // of its term
	Topic    string
	Status   AttendanceStatus
	Remarks  string
}

// Register is how everybody attended a course.
type Register struct {
	Classes  []Class // that were held, in order
	Students []RegisterLine
}

// RegisterLine is one student's line of a register.
type RegisterLine struct {
	User  UserID
	RegNo string
	Name  string
	Marks map[ClassID]AttendanceStatus
}

// Timetable is what somebody has to do with courses: those in which they have a seat or which they teach, and all that belongs to them.
type Timetable struct {
	Terms    map[TermID]Term
	Courses  []Course
	Meetings []Meeting
	Classes  []Class
	Rooms    map[RoomID]Room
	Teachers map[UserID]Staff // whoever teaches a meeting without being of the staff is here as well
}

// Teacher is who teaches a meeting, or a class of its own for a zero Meeting; zero for nobody.
func (t Timetable) Teacher(c Course, m Meeting) Staff {
	if m.Teacher != "" {
		return t.Teachers[m.Teacher]
	}
	if len(c.Staff) > 0 {
		return c.Staff[0]
	}
	return Staff{}
}

// Assignment is work that a course sets.
type Assignment struct {
	ID          AssignmentID `json:"id"`
	Course      CourseID     `json:"courseId"`
	Code        string       `json:"courseCode,omitempty"` // in lists over several courses
	Title       string       `json:"title"`
	Description string       `json:"description"`
	DueAt       time.Time    `json:"dueAt"`
	Points      *int         `json:"points"`
	CreatedAt   time.Time    `json:"createdAt"`
	Version     int64        `json:"version"`
}

// AssignmentChange is what staff changes of an assignment; nil fields stay.
type AssignmentChange struct {
	Title       *string
	Description *string
	DueAt       *time.Time
	Points      *int
}

// Of returns the assignment with the change made.
func (x AssignmentChange) Of(a Assignment) Assignment {
	set(&a.Title, x.Title)
	set(&a.Description, x.Description)
	set(&a.DueAt, x.DueAt)
	if x.Points != nil {
		a.Points = x.Points
	}
	return a
}

// Feed is that a person's calendar may be read by who knows its address.
type Feed struct {
	CreatedAt time.Time  `json:"createdAt"`
	UsedAt    *time.Time `json:"usedAt"` // last
}
