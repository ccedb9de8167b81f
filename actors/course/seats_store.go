package course

import (
	"context"

	"nexus"
)

// Request is somebody's wish for a seat, or to be rid of one.
type Request struct {
	By   nexus.Caller
	User nexus.UserID
	Drop bool
}

// Settled is what became of a request: how the user stands, or why it was refused.
type Settled struct {
	Enrollment nexus.Enrollment
	Err        error
}

// SeatStore keeps who has a seat and who waits for one. Every call is held to the grain's fence and fails with nexus.Fenced, changing nothing,
// once a newer activation exists.
type SeatStore interface {
	// Roll reads who has a seat and who waits. It waits for any write of this course that is under way. NotFound for no course.
	Roll(ctx context.Context, f nexus.Fence) (Roll, error)
	// Settle lets the rules of Roll decide the requests in their order, beginning with roll, and keeps what comes of it in one transaction, with what
	// those who moved up are told. A request may be refused for what the store alone knows: a clash of times, a prerequisite, an account that
	// is no student's. It returns the roll as it is then, the answers, and the streams of which there is news. It has been committed when it returns.
	Settle(ctx context.Context, f nexus.Fence, roll Roll, requests []Request) (Roll, []Settled, []string, error)
	// Resize changes the course, numbers of seats included, and moves up who waits, in one transaction. Its errors are those of
	// rest.Courses.ChangeCourse and of Roll.Resize.
	Resize(ctx context.Context, f nexus.Fence, roll Roll, by nexus.Caller, version int64, change nexus.CourseChange) (Roll, nexus.Course, []string, error)
}
