package rest

import (
	"context"

	"nexus"
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
