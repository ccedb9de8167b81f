package live

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/actors/grain"
	"nexus/transport/engineio"
)

// hears fails the test unless these phones hear what the staff of physics hears, and no others do.
func (s *safe) hears(those []*phone, others ...*phone) {
	s.Helper()
	s.tell(course.StaffTopic(physics), course.Code, "")
	for _, p := range those {
		if got := p.NextText(); got != `42/academic,["CODE",{"n":1}]` {
			s.Errorf("%s", got)
		}
	}
	for _, p := range append(those, others...) {
		p.quiet()
	}
}

// changed is the word that the staff of physics has changed.
func (s *safe) changed() {
	s.Broadcast(&grain.Broadcast{News: []string{course.StaffTopic(physics)}})
	s.pass(2 * staffRest)
}

// TestWhoIsTakenOffACourseHearsNoMoreOfIt, and who is put on it does, on sockets that stay.
func TestWhoIsTakenOffACourseHearsNoMoreOfIt(t *testing.T) {
	taught := func(u nexus.UserID, more ...nexus.CourseID) map[nexus.UserID][]nexus.CourseID {
		return map[nexus.UserID][]nexus.CourseID{u: append(more, physics)}
	}
	studying(t, func(s *safe, x *teachers) {
		p, q, other := s.phone(ravi, "l1", "", nexus.Faculty), s.phone(ravi, "l2", "", nexus.Faculty), s.phone(guardID, "l3", "", nexus.Admin)
		student := s.phone(asha, "l4", "")
		s.hears([]*phone{p, q}, other, student)

		x.queries()
		x.set(taught(guardID, history), nil, 0)
		s.changed()
		s.hears([]*phone{other}, p, q, student)
		if got := x.queries(); !reflect.DeepEqual(got, [][]nexus.UserID{{ravi, guardID}}) {
			s.Errorf("the store was asked of %v", got)
		}

		x.set(taught(ravi), nil, 0) // and the word is lost
		s.pass(staffLate)
		s.hears([]*phone{p, q}, other, student)

		x.set(taught(guardID), errAway, 0)
		s.changed()
		s.hears([]*phone{p, q}, other, student)
		x.set(taught(guardID), nil, 0)
		s.pass(2 * staffAgain)
		s.hears([]*phone{other}, p, q, student)

		s.tell(course.SeatsTopic(physics), course.SeatUpdate, "") // nobody has lost anything else
		for _, p := range []*phone{p, q, other, student} {
			if got := p.NextText(); got != `42/academic,["SEAT_UPDATE",{"n":1}]` {
				s.Errorf("%s", got)
			}
		}
		for _, p := range []*phone{p, q, other, student} {
			p.Hangup()
		}
		s.changed()
		s.empty()
	})
}

// TestAStaffThatChangesWhileATeacherComes: what the one reads and what the other hears cross.
func TestAStaffThatChangesWhileATeacherComes(t *testing.T) {
	studying(t, func(s *safe, x *teachers) {
		x.set(map[nexus.UserID][]nexus.CourseID{ravi: {physics}}, nil, time.Second)
		c := s.dial()
		c.Send(fmt.Sprintf(`40/academic,{"token":%q}`, s.issue(ravi, "l1", nexus.Faculty)))
		s.pass(time.Second / 2)
		x.set(nil, nil, 0)
		s.Broadcast(&grain.Broadcast{News: []string{course.StaffTopic(physics)}})
		c.NextText() // let in
		s.pass(2 * staffRest)
		s.hears(nil, &phone{s, c})
	})
}

// TestManyChangesOfStaffsAreOneLook at all teachers, in queries of a few.
func TestManyChangesOfStaffsAreOneLook(t *testing.T) {
	studying(t, func(s *safe, x *teachers) {
		for n := range staffAtOnce + 1 {
			s.phone(nexus.NewID(), fmt.Sprint("l", n), "", nexus.Faculty)
		}
		s.pass(2 * staffRest)
		x.queries()
		for range 1000 {
			s.Broadcast(&grain.Broadcast{News: []string{course.StaffTopic(physics)}})
		}
		s.pass(3 * staffRest)
		asked := x.queries()
		if len(asked) != 4 || len(asked[0]) != staffAtOnce || len(asked[1]) != 1 { // the first word, and one for all that came meanwhile
			s.Errorf("%d queries", len(asked))
		}
	})
}

// TestATokenOfOtherRolesNeedsAnotherSocket: what a socket hears was granted by those that its user had when it came.
func TestATokenOfOtherRolesNeedsAnotherSocket(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(guardID, "l1", "", nexus.Security)
		p.Send(`42/security,1["auth:refresh",{"token":"` + s.issue(guardID, "l2", nexus.Security) + `"}]`)
		p.NextText()
		p.quiet()
		p.Send(`42/security,2["auth:refresh",{"token":"` + s.issue(guardID, "l3", nexus.Student) + `"}]`)
		p.ExpectClose(engineio.Reason{Code: reasonCode, Name: reasonRoles})
	})
}
