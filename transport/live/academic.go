package live

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"nexus"
	"nexus/actors/course"
	"nexus/transport/socketio"
)

const academicNamespace = course.Namespace

// Teachers knows who teaches what.
type Teachers interface {
	// Taught returns the courses of whose staff a person is.
	Taught(ctx context.Context, user nexus.UserID) ([]nexus.CourseID, error)
}

// academic is what /academic does beyond the common. Everybody hears how many seats are left; strangers hear of changed classes as they happen, members
// by a stream of their own, in which nothing is lost; who teaches a course hears who attends it.
type academic struct {
	teachers Teachers
	hub      *Hub
}

func academicOf(t Teachers, hub *Hub) *namespace {
	a := &academic{teachers: t, hub: hub}
	return &namespace{
		name: academicNamespace, anonymous: true, joined: a.joined,
		admitted: func(p *peer) { hub.readOutbox(p, nexus.AcademicChannel) },
		events:   map[string]handler{"subscribe": a.subscribe},
	}
}

func (a *academic) joined(ctx context.Context, p *peer) error {
	topics, err := a.topics(ctx, p, []string{course.SeatsTopic("*")})
	if err != nil {
		return err
	}
	return a.hub.subscribeFromNow(p, topics)
}

// topics are what a peer listens to besides the seats that it asks for.
func (a *academic) topics(ctx context.Context, p *peer, seats []string) ([]string, error) {
	if p.anonymous() {
		return append(seats, course.ScheduleTopic("*")), nil
	}
	if a.teachers == nil || !p.who().Has(nexus.Faculty, nexus.Admin) {
		return seats, nil
	}
	taught, err := a.teachers.Taught(ctx, p.user())
	for _, id := range taught {
		seats = append(seats, course.StaffTopic(id))
	}
	return seats, err
}

// subscribe replaces the courses of whose seats a client hears: subscribe {courses: [id or "*"]}, answered with {}. A course that does
// not exist is never heard of.
func (a *academic) subscribe(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	var in struct {
		Courses []string `json:"courses"`
	}
	if err := e.Args.Decode(0, &in); err != nil || in.Courses == nil {
		return nil, nexus.InvalidField("courses", `must be a list of course ids, or of "*" for all`)
	}
	if len(in.Courses) > maxTopics/2 {
		return nil, nexus.InvalidField("courses", "at most %d courses", maxTopics/2)
	}
	var topics []string
	for i, id := range in.Courses {
		id = strings.ToLower(strings.TrimSpace(id))
		if id != "*" && !nexus.ValidID(id) {
			return nil, nexus.InvalidField(fmt.Sprintf("courses[%d]", i), "is no course's id")
		}
		topics = append(topics, course.SeatsTopic(nexus.CourseID(id)))
	}
	if all := course.SeatsTopic("*"); slices.Contains(topics, all) {
		topics = []string{all}
	}
	slices.Sort(topics)
	topics, err := a.topics(ctx, p, slices.Compact(topics)) // who names a course twice hears it once
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.hub.subscribeFromNow(p, topics)
}
