package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/actors/grain"
	"nexus/transport/engineio"
)

// The courses of the tests.
const (
	physics = "01890a5d-ac96-774b-bcce-b302099aa001"
	history = "01890a5d-ac96-774b-bcce-b302099aa002"
)

// teachers is who teaches what.
type teachers struct {
	mu      sync.Mutex
	courses map[nexus.UserID][]nexus.CourseID
	err     error
	slow    time.Duration    // how long an answer is on its way
	asked   [][]nexus.UserID // of whom
}

func (x *teachers) set(courses map[nexus.UserID][]nexus.CourseID, err error, slow time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.courses, x.err, x.slow = courses, err, slow
}

// queries returns of whom it was asked since the last call.
func (x *teachers) queries() [][]nexus.UserID {
	x.mu.Lock()
	defer x.mu.Unlock()
	asked := x.asked
	x.asked = nil
	return asked
}

func (x *teachers) Taught(_ context.Context, users []nexus.UserID) (map[nexus.UserID][]nexus.CourseID, error) {
	x.mu.Lock()
	x.asked = append(x.asked, slices.Sorted(slices.Values(users)))
	slow, err, taught := x.slow, x.err, make(map[nexus.UserID][]nexus.CourseID)
	for _, u := range users {
		taught[u] = x.courses[u]
	}
	x.mu.Unlock()
	nexus.Pause(context.Background(), slow)
	return taught, err
}

// studying runs a test whose phones are on /academic.
func studying(t *testing.T, test func(s *safe, x *teachers)) {
	t.Helper()
	x := &teachers{courses: map[nexus.UserID][]nexus.CourseID{ravi: {physics}}}
	safely(t, func(s *safe) {
		s.ns = academicNamespace
		test(s, x)
	}, func(cfg *Config) { cfg.Teachers = x })
}

func (s *safe) tell(topic, event, slot string) {
	s.Broadcast(&grain.Broadcast{Topic: topic, Namespace: academicNamespace, Event: event, Slot: slot, Payload: []byte(`{"n":1}`)})
	s.pass(time.Millisecond)
}

// TestALineOfTheOutboxSaysItsSeq, comes again until it is acknowledged, and goes on where the client or its login was, also on another socket.
func TestALineOfTheOutboxSaysItsSeq(t *testing.T) {
	stream := nexus.OutboxStream(nexus.AcademicChannel, asha)
	studying(t, func(s *safe, _ *teachers) {
		p := s.phone(asha, "l1", "")
		s.publish(stream, 2)
		for seq := int64(1); seq <= 2; seq++ {
			d := p.next()
			if want := fmt.Sprintf(`["SCHEDULE_UPDATE",{"deliveryId":"%s:%d","offset":%d,"seq":%d,"type":"moved"}]`, stream, seq, seq, seq); d.raw != want {
				s.Errorf("%s, want %s", d.raw, want)
			}
			if seq == 1 {
				p.answer(d)
			}
		}
		s.pass(time.Second)
		p.get(2)
		p.Hangup()
		s.pass(time.Second)
		p = s.phone(asha, "l1", "") // its login has acknowledged one
		p.take(2)
		p.quiet()
		p = s.phone(asha, "l1", `,"offset":0`) // says that it has none
		p.take(1, 2)
		s.phone(ravi, "l3", "").quiet()
		if p := s.phone(asha, "l1", `,"offset":9`); !strings.Contains(p.NextText(), `["stream:reset",{"stream":"own","offset":2}]`) {
			s.Error("no word of a history that was set back")
		}
	})
}

// TestStrangersHearOfClassesAsTheyHappen, and members once, by their stream.
func TestStrangersHearOfClassesAsTheyHappen(t *testing.T) {
	studying(t, func(s *safe, _ *teachers) {
		stranger := s.join(academicNamespace, "")
		member := s.phone(asha, "l1", "")
		s.tell(course.ScheduleTopic(physics), course.ScheduleUpdate, "")
		if got := stranger.NextText(); got != `42/academic,["SCHEDULE_UPDATE",{"n":1}]` {
			s.Errorf("%s", got)
		}
		s.publish(nexus.OutboxStream(nexus.AcademicChannel, asha), 1)
		member.take(1)
		member.quiet() // nothing twice
	})
}

func TestWhoTeachesHearsWhoAttends(t *testing.T) {
	studying(t, func(s *safe, x *teachers) {
		student := s.phone(asha, "l1", "")
		if len(x.queries()) > 0 {
			s.Error("the store is asked what a student teaches")
		}
		teacher, other := s.phone(ravi, "l2", "", nexus.Faculty), s.phone(guardID, "l3", "", nexus.Admin)
		s.tell(course.StaffTopic(physics), course.AttendanceTick, course.StaffTopic(physics))
		s.tell(course.StaffTopic(history), course.AttendanceTick, course.StaffTopic(history))
		if got := teacher.NextText(); got != `42/academic,["ATTENDANCE_TICK",{"n":1}]` {
			s.Errorf("%s", got)
		}
		for _, p := range []*phone{student, teacher, other} {
			p.quiet()
		}
		x.set(nil, nexus.Errorf(nexus.Unavailable, "away"), 0)
		c := s.dial()
		c.Send(fmt.Sprintf(`40/academic,{"token":%q}`, s.issue(ravi, "l4", nexus.Faculty)))
		c.ExpectClose(engineio.Reason{Code: reasonCode, Name: reasonUnavailable})
	})
}

func TestSeatsAreHeardOfAllUntilOneSubscribes(t *testing.T) {
	studying(t, func(s *safe, _ *teachers) {
		p := s.phone(ravi, "l1", "", nexus.Faculty)
		hear := func(want ...string) {
			s.Helper()
			for _, id := range []string{physics, history} {
				s.tell(course.SeatsTopic(nexus.CourseID(id)), course.SeatUpdate, course.SeatsTopic(nexus.CourseID(id)))
			}
			for range want {
				if got := p.NextText(); got != `42/academic,["SEAT_UPDATE",{"n":1}]` {
					s.Errorf("%s", got)
				}
			}
			p.quiet()
		}
		hear(physics, history)
		if got := p.ask(`["subscribe",{"courses":["` + strings.ToUpper(physics) + `","` + physics + `"]}]`); got != `[{}]` {
			s.Errorf("%s", got)
		}
		hear(physics)
		s.tell(course.StaffTopic(physics), course.AttendanceTick, course.StaffTopic(physics)) // it teaches it still
		if got := p.NextText(); got != `42/academic,["ATTENDANCE_TICK",{"n":1}]` {
			s.Errorf("%s", got)
		}
		p.ask(`["subscribe",{"courses":[]}]`)
		hear()
		p.ask(`["subscribe",{"courses":["*","` + physics + `"]}]`)
		hear(physics, history)
		for _, wrong := range []string{`{}`, `{"courses":["x"]}`, `7`, `{"courses":[` + strings.Repeat(`"`+physics+`",`, 40) + `"*"]}`} {
			if got := p.ask(`["subscribe",` + wrong + `]`); !strings.Contains(got, `"code":"invalid"`) || !strings.Contains(got, "courses") {
				s.Errorf("%s: %s", wrong, got)
			}
		}
	})
}
