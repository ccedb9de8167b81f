package course

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

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

// Do has staff's act done with a class, which is durable when it returns. StateConflict, with the state, for what is not possible.
func (c Client) Do(ctx context.Context, id nexus.CourseID, a Act) (nexus.Class, error) {
	text, err := json.Marshal(a.Class)
	if err != nil {
		return nexus.Class{}, fmt.Errorf("encode a class: %w", err)
	}
	answer, err := grain.Ask[*ClassDone](ctx, c.dir, ref(id), &DoClass{By: callerTo(a.By), What: a.What, Class: text, Reason: a.Reason, Open: a.Open})
	if err != nil {
		return nexus.Class{}, err
	}
	var class nexus.Class
	if err := json.Unmarshal(answer.GetClass(), &class); err != nil {
		return nexus.Class{}, fmt.Errorf("decode a class: %w", err)
	}
	return class, nil
}

// Mark hands in a code; the mark is durable when it returns. Who is marked already keeps the first mark. Conflict for a wrong or old code,
// RateLimited for too many of them, Forbidden for who is not enrolled, StateConflict for a class that is not open.
func (c Client) Mark(ctx context.Context, id nexus.CourseID, class nexus.ClassID, user nexus.UserID, code, device string, at *nexus.Position) (nexus.AttendanceMark, error) {
	m := &MarkMe{User: string(user), Session: string(class), Code: code, Device: deviceHash(id, device)}
	if at != nil {
		m.Placed, m.Lat, m.Lng = true, at.Lat, at.Lng
	}
	answer, err := grain.Ask[*Marked](ctx, c.dir, ref(id), m)
	return markFrom(answer, err)
}

// deviceHash is a device as it is kept: the same for all students of one course, so that two on one device are seen, and of no use beyond it.
func deviceHash(id nexus.CourseID, device string) []byte {
	if device == "" {
		return nil
	}
	sum := sha256.Sum256([]byte("nexus device 1\n" + string(id) + "\n" + device))
	return sum[:]
}

// Correct sets a mark by hand, which is durable when it returns. NotFound for no such class or enrolment.
func (c Client) Correct(
	ctx context.Context, by nexus.Caller, id nexus.CourseID, class nexus.ClassID, user nexus.UserID, status nexus.AttendanceStatus, reason string,
) (nexus.AttendanceMark, error) {
	answer, err := grain.Ask[*Marked](ctx, c.dir, ref(id), &CorrectMark{
		By: callerTo(by), Session: string(class), User: string(user), Status: string(status), Reason: reason,
	})
	return markFrom(answer, err)
}

func markFrom(answer *Marked, err error) (nexus.AttendanceMark, error) {
	if err != nil {
		return nexus.AttendanceMark{}, err
	}
	var mark nexus.AttendanceMark
	if err := json.Unmarshal(answer.GetMark(), &mark); err != nil {
		return mark, fmt.Errorf("decode a mark: %w", err)
	}
	return mark, nil
}

// Shown is the code of an open class.
type Shown struct {
	Code       string
	ValidUntil time.Time // until when it is shown; it is good a little longer
	Present    int
	Total      int
}

// Code returns what the open class shows now. StateConflict for a class that is not open.
func (c Client) Code(ctx context.Context, id nexus.CourseID, class nexus.ClassID) (Shown, error) {
	answer, err := grain.Ask[*ShownCode](ctx, c.dir, ref(id), &ShowCode{Session: string(class)})
	if err != nil {
		return Shown{}, err
	}
	return Shown{Code: answer.GetCode(), ValidUntil: answer.GetValidUntil().AsTime(), Present: int(answer.GetPresent()), Total: int(answer.GetTotal())}, nil
}
