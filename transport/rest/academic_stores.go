package rest

import (
	"context"
	"time"

	"nexus"
	"nexus/actors/course"
)

// Catalogue keeps terms, rooms, courses, who teaches them and when they meet. Every mutation is audited; a version is 0 for any, and Stale is the
// answer to one that is not the present one.
type Catalogue interface {
	Terms
	Rooms
	Courses
}

// Terms keeps the terms.
type Terms interface {
	// Terms lists all terms, the latest first.
	Terms(ctx context.Context) ([]nexus.Term, error)
	// Term returns one. NotFound if there is none.
	Term(ctx context.Context, id nexus.TermID) (nexus.Term, error)
	// CreateTerm makes a term under the id that the office gave it. Conflict for one that is taken.
	CreateTerm(ctx context.Context, by nexus.Caller, t nexus.Term) (nexus.Term, error)
	// PutTerm changes everything but the id.
	PutTerm(ctx context.Context, by nexus.Caller, version int64, t nexus.Term) (nexus.Term, error)
}

// Rooms keeps the rooms.
type Rooms interface {
	// Rooms lists rooms by block and number.
	Rooms(ctx context.Context, p nexus.Page) (nexus.List[nexus.Room], error)
	// CreateRoom makes a room; its id is filled in. Conflict for a number that the block has already.
	CreateRoom(ctx context.Context, by nexus.Caller, r nexus.Room) (nexus.Room, error)
	// PutRoom changes a room.
	PutRoom(ctx context.Context, by nexus.Caller, version int64, r nexus.Room) (nexus.Room, error)
}

// Courses keeps the courses.
type Courses interface {
	// Courses lists courses in order of id, which is the cursor.
	Courses(ctx context.Context, f nexus.CourseFilter, p nexus.Page) (nexus.List[nexus.Course], error)
	// Course returns one. NotFound if there is none.
	Course(ctx context.Context, id nexus.CourseID) (nexus.Course, error)
	// CreateCourse makes a course with its seats; its id is filled in. Conflict for a code that the term has already.
	CreateCourse(ctx context.Context, by nexus.Caller, c nexus.Course) (nexus.Course, error)
	// ChangeCourse changes what is no number of seats.
	ChangeCourse(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, c nexus.CourseChange) (nexus.Course, error)
	// SetStaff replaces who teaches a course, in order.
	SetStaff(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, staff []nexus.Staff) (nexus.Course, error)
	// Meetings returns when a course meets. NotFound for an unknown course.
	Meetings(ctx context.Context, id nexus.CourseID) ([]nexus.Meeting, error)
	// SetMeetings replaces them. Conflict, naming the other course, if a room or a teacher is taken.
	SetMeetings(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, meetings []nexus.Meeting) ([]nexus.Meeting, error)
}

// Seats speaks to the courses' grains, which give out the seats. What they answer has been committed.
type Seats interface {
	// Enrol gives a student a seat, or a place in the waitlist; who has either already has it still. Conflict, which says why, if neither may be
	// had: no room, a clash of times, a course that must be completed before.
	Enrol(ctx context.Context, by nexus.Caller, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error)
	// Drop gives a seat or a place back, and whoever is next has it. NotFound for who has neither.
	Drop(ctx context.Context, by nexus.Caller, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error)
	// Change changes a course whose numbers of seats are among what changes, in one transaction: who waits moves up at once. Conflict
	// for fewer seats than are taken.
	Change(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, c nexus.CourseChange) (nexus.Course, error)
}

// Enrollments reads who has a seat and who waits.
type Enrollments interface {
	// Roster lists who has a seat and who waits, or all of one status, in order of id.
	Roster(ctx context.Context, id nexus.CourseID, status nexus.EnrollmentStatus, p nexus.Page) (nexus.List[nexus.RosterEntry], error)
	// Enrollments lists how somebody stands to courses, but for those that were dropped.
	Enrollments(ctx context.Context, user nexus.UserID) ([]nexus.Enrollment, error)
	// Enrollment returns how somebody stands to a course. NotFound for who never did.
	Enrollment(ctx context.Context, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error)
}

// LiveClasses speaks to the courses' grains about classes. What they answer has been committed.
type LiveClasses interface {
	// Do has staff's act done with a class. StateConflict, with the state, for what is not possible.
	Do(ctx context.Context, id nexus.CourseID, a course.Act) (nexus.Class, error)
	// Mark hands in a code. Who is marked already keeps the first mark. Conflict for a wrong or old code, RateLimited for too many of them,
	// Forbidden for who is not enrolled, StateConflict for a class that is not open.
	Mark(ctx context.Context, id nexus.CourseID, class nexus.ClassID, user nexus.UserID, code, device string, at *nexus.Position) (nexus.AttendanceMark, error)
	// Correct sets a mark by hand. NotFound for no such class or enrolment.
	Correct(ctx context.Context, by nexus.Caller, id nexus.CourseID, class nexus.ClassID, user nexus.UserID, status nexus.AttendanceStatus, reason string) (nexus.AttendanceMark, error)
	// Code returns what the open class shows now. StateConflict for a class that is not open.
	Code(ctx context.Context, id nexus.CourseID, class nexus.ClassID) (course.Shown, error)
}

// Classes reads classes and who attended them.
type Classes interface {
	// Classes lists the classes of a course that begin within a time and that somebody has touched, in order.
	Classes(ctx context.Context, id nexus.CourseID, from, to time.Time) ([]nexus.Class, error)
	// Class returns one. NotFound if there is none.
	Class(ctx context.Context, id nexus.ClassID) (nexus.Class, error)
	// Attendees lists the students of a class with their marks, in order of id.
	Attendees(ctx context.Context, class nexus.Class, p nexus.Page) (nexus.List[nexus.Attendee], error)
	// TotalsOf returns how a student attended the courses in which they have a seat, TotalsIn how those of a course attended it.
	TotalsOf(ctx context.Context, user nexus.UserID) ([]nexus.AttendanceTotal, error)
	TotalsIn(ctx context.Context, id nexus.CourseID) ([]nexus.AttendanceTotal, error)
	// History returns how a student attended the classes of a course that are over, the newest first.
	History(ctx context.Context, id nexus.CourseID, user nexus.UserID) ([]nexus.AttendedClass, error)
	// Register returns everybody's marks in all classes that were held.
	Register(ctx context.Context, id nexus.CourseID) (nexus.Register, error)
}

// Timetables reads what somebody has to do with courses, and keeps who may read it by a secret address.
type Timetables interface {
	// Timetable returns the courses of terms that are not over on a day (YYYY-MM-DD), with all that belongs to them.
	Timetable(ctx context.Context, user nexus.UserID, day string) (nexus.Timetable, error)
	// SetFeed makes the caller's calendar readable to who knows a token, in place of any other.
	SetFeed(ctx context.Context, by nexus.Caller, token string) error
	// Feed says whether a person's calendar is readable. NotFound if it is not.
	Feed(ctx context.Context, user nexus.UserID) (nexus.Feed, error)
	// DeleteFeed ends it. A second call does nothing.
	DeleteFeed(ctx context.Context, by nexus.Caller) error
	// FeedOwner returns whose calendar a token opens. NotFound for none.
	FeedOwner(ctx context.Context, token string) (nexus.UserID, error)
}

// Assignments keeps the work that courses set. Every mutation is audited.
type Assignments interface {
	// AssignmentsIn lists what a course sets, in order of id.
	AssignmentsIn(ctx context.Context, id nexus.CourseID, p nexus.Page) (nexus.List[nexus.Assignment], error)
	// AssignmentsOf lists what is due of somebody from now on, the next first; or what was due before, the last first.
	AssignmentsOf(ctx context.Context, user nexus.UserID, past bool) ([]nexus.Assignment, error)
	// Assignment returns one. NotFound if there is none.
	Assignment(ctx context.Context, id nexus.AssignmentID) (nexus.Assignment, error)
	// CreateAssignment sets work, and tells everybody who has a seat; it returns the streams of which there is news.
	CreateAssignment(ctx context.Context, by nexus.Caller, a nexus.Assignment) (made nexus.Assignment, news []string, err error)
	// ChangeAssignment changes what is set. Stale if version is neither 0 nor the present one.
	ChangeAssignment(ctx context.Context, by nexus.Caller, id nexus.AssignmentID, version int64, c nexus.AssignmentChange) (nexus.Assignment, error)
	// DeleteAssignment takes it back. NotFound if there is none, Stale as for a change.
	DeleteAssignment(ctx context.Context, by nexus.Caller, id nexus.AssignmentID, version int64) error
}
