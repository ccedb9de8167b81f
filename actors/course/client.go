package course

import (
	"context"
	"encoding/json"
	"fmt"

	"nexus"
	"nexus/actors/grain"
)

// Client speaks to the courses' grains, wherever they live. Its errors are those of grain.Ask, and nexus.NotFound for a course that does
// not exist.
type Client struct {
	dir grain.Directory
}

// NewClient returns a client that reaches grains through dir.
func NewClient(dir grain.Directory) Client { return Client{dir: dir} }

func ref(id nexus.CourseID) grain.Ref { return grain.Ref{Kind: KindName, ID: string(id)} }

// Enrol asks for a seat, which is durable when it returns, as a place in the waitlist is. Who has either already has it still.
func (c Client) Enrol(ctx context.Context, by nexus.Caller, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error) {
	answer, err := grain.Ask[*Standing](ctx, c.dir, ref(id), &Enrol{By: callerTo(by), User: string(user)})
	return standingOf(id, user, answer), err
}

// Drop gives a seat or a place back; whoever is next has it when it returns. NotFound for who has neither.
func (c Client) Drop(ctx context.Context, by nexus.Caller, id nexus.CourseID, user nexus.UserID) (nexus.Enrollment, error) {
	answer, err := grain.Ask[*Standing](ctx, c.dir, ref(id), &Drop{By: callerTo(by), User: string(user)})
	return standingOf(id, user, answer), err
}

func standingOf(id nexus.CourseID, user nexus.UserID, s *Standing) nexus.Enrollment {
	return nexus.Enrollment{Course: id, User: user, Status: nexus.EnrollmentStatus(s.GetStatus()), Position: int(s.GetPosition())}
}

// Change changes a course, numbers of seats included, in one transaction; who waits moves up at once.
func (c Client) Change(ctx context.Context, by nexus.Caller, id nexus.CourseID, version int64, x nexus.CourseChange) (nexus.Course, error) {
	text, err := json.Marshal(x)
	if err != nil {
		return nexus.Course{}, fmt.Errorf("encode the change of a course: %w", err)
	}
	answer, err := grain.Ask[*Changed](ctx, c.dir, ref(id), &Change{By: callerTo(by), Version: version, Change: text})
	if err != nil {
		return nexus.Course{}, err
	}
	var course nexus.Course
	if err := json.Unmarshal(answer.GetCourse(), &course); err != nil {
		return nexus.Course{}, fmt.Errorf("decode a course: %w", err)
	}
	return course, nil
}

// MoveUp gives free seats to those who wait, and tells everybody how many are left. It is for those who have changed the course, and shut out its
// grain, themselves.
func (c Client) MoveUp(ctx context.Context, id nexus.CourseID) error {
	_, err := grain.Ask[*grain.Done](ctx, c.dir, ref(id), &MoveUp{})
	return err
}
