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

// academic is what /academic does beyond the common. Everybody hears how many seats are left; strangers hear of changed classes as they happen, members
// by a stream of their own, in which nothing is lost; who teaches a course hears who attends it.
type academic struct{ hub *Hub }

func academicOf(hub *Hub) *namespace {
	a := &academic{hub}
	return &namespace{
		name: academicNamespace, anonymous: true, joined: a.joined,
		admitted: func(p *peer) { hub.readOutbox(p, nexus.AcademicChannel) },
		events:   map[string]handler{"subscribe": a.subscribe},
	}
}

func (a *academic) joined(ctx context.Context, p *peer) error {
	return a.listen(ctx, p, []string{course.SeatsTopic("*")})
}

// listen has a peer hear of seats, and of whatever else it may hear of.
func (a *academic) listen(ctx context.Context, p *peer, seats []string) error {
	switch {
	case p.anonymous():
		return a.hub.subscribeFromNow(p, append(seats, course.ScheduleTopic("*")))
	case a.hub.staff == nil:
		return a.hub.subscribeFromNow(p, seats)
	}
	return a.hub.staff.admit(ctx, p, seats)
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
	return struct{}{}, a.listen(ctx, p, slices.Compact(topics)) // who names a course twice hears it once
}
