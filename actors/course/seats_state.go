package course

import (
	"maps"
	"slices"

	"nexus"
)

// Roll is who has a seat of a course, and who waits for one. The zero Roll has no seats.
type Roll struct {
	Seats     map[nexus.UserID]int // the number of each one's seat
	Free      []int                // the numbers of the others, ascending
	Waiting   []Waiter             // in the order of their places
	Room      int                  // how many may wait
	LastPlace int64                // the last place that was given out; none is given out twice
	Over      bool                 // the term is over: nobody comes any more
}

// Waiter is somebody who waits.
type Waiter struct {
	User  nexus.UserID
	Place int64
}

// Row is how somebody stands to the course after a change: what is to be written.
type Row struct {
	User   nexus.UserID
	Status nexus.EnrollmentStatus
	Seat   int   // of Enrolled
	Place  int64 // of Waitlisted
}

// Clone returns a copy that shares nothing.
func (r Roll) Clone() Roll {
	r.Seats, r.Free, r.Waiting = maps.Clone(r.Seats), slices.Clone(r.Free), slices.Clone(r.Waiting)
	return r
}

// Capacity is how many seats there are.
func (r Roll) Capacity() int { return len(r.Seats) + len(r.Free) }

// Standing returns how somebody stands: Enrolled, Waitlisted with a position from 1, or "" for neither.
func (r Roll) Standing(u nexus.UserID) (status nexus.EnrollmentStatus, position int) {
	if _, ok := r.Seats[u]; ok {
		return nexus.Enrolled, 0
	}
	if i := r.waiting(u); i >= 0 {
		return nexus.Waitlisted, i + 1
	}
	return "", 0
}

func (r Roll) waiting(u nexus.UserID) int {
	return slices.IndexFunc(r.Waiting, func(w Waiter) bool { return w.User == u })
}

// Enrol gives somebody a seat, or the last place in the line; nil rows for who has either already. A free seat is not taken past those who
// wait: there may be one only while all of them are passed over. CourseFull if there is no room, Conflict once the term is over.
func (r *Roll) Enrol(u nexus.UserID) ([]Row, error) {
	if status, _ := r.Standing(u); status != "" {
		return nil, nil
	}
	switch {
	case r.Over:
		return nil, nexus.Errorf(nexus.Conflict, "the term of this course is over")
	case len(r.Free) > 0:
		return []Row{r.seat(u)}, nil
	case len(r.Waiting) < r.Room:
		r.LastPlace++
		r.Waiting = append(r.Waiting, Waiter{u, r.LastPlace})
		return []Row{{User: u, Status: nexus.Waitlisted, Place: r.LastPlace}}, nil
	default:
		return nil, nexus.Errorf(nexus.CourseFull, "the course is full, and so is its waitlist")
	}
}

// seat gives somebody the first free seat.
func (r *Roll) seat(u nexus.UserID) Row {
	if r.Seats == nil {
		r.Seats = map[nexus.UserID]int{}
	}
	n := r.Free[0]
	r.Free, r.Seats[u] = r.Free[1:], n
	return Row{User: u, Status: nexus.Enrolled, Seat: n}
}

// Drop takes somebody's seat, or place in the line. NotFound for who has neither.
func (r *Roll) Drop(u nexus.UserID) ([]Row, error) {
	if n, ok := r.Seats[u]; ok {
		delete(r.Seats, u)
		i, _ := slices.BinarySearch(r.Free, n)
		r.Free = slices.Insert(r.Free, i, n)
	} else if i := r.waiting(u); i >= 0 {
		r.Waiting = slices.Delete(r.Waiting, i, i+1)
	} else {
		return nil, nexus.Errorf(nexus.NotFound, "there is no enrolment in this course")
	}
	return []Row{{User: u, Status: nexus.Dropped}}, nil
}

// Promote gives free seats to those who wait, in order. Who may not have one now is passed over and keeps the place.
func (r *Roll) Promote(may func(nexus.UserID) bool) (rows []Row) {
	var left []Waiter
	for _, w := range r.Waiting {
		if len(r.Free) > 0 && may(w.User) {
			rows = append(rows, r.seat(w.User))
		} else {
			left = append(left, w)
		}
	}
	r.Waiting = left
	return rows
}

// Resize changes how many seats there are, and how many may wait. It returns the numbers of seats that are new, and of those that are no more.
// Conflict for fewer than are taken, and for less room than there are people waiting.
func (r *Roll) Resize(capacity, room int) (added, removed []int, err error) {
	switch {
	case capacity < len(r.Seats):
		return nil, nil, conflictOn("capacity", "%d seats are taken", len(r.Seats))
	case room < len(r.Waiting):
		return nil, nil, conflictOn("waitlistCapacity", "%d people wait", len(r.Waiting))
	}
	r.Room = room
	if n := r.Capacity() - capacity; n > 0 {
		keep := len(r.Free) - n
		r.Free, removed = r.Free[:keep], slices.Clone(r.Free[keep:])
	}
	taken := make(map[int]bool, len(r.Seats))
	for _, n := range r.Seats {
		taken[n] = true
	}
	for _, n := range r.Free {
		taken[n] = true
	}
	for n := 1; r.Capacity() < capacity; n++ {
		if !taken[n] {
			r.Free, added = append(r.Free, n), append(added, n)
		}
	}
	slices.Sort(r.Free)
	return added, removed, nil
}

func conflictOn(field, format string, args ...any) error {
	e := nexus.Errorf(nexus.Conflict, format, args...)
	e.Fields = []nexus.FieldError{{Field: field, Detail: e.Message}}
	return e
}
