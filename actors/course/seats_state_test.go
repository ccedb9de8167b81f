package course

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"nexus"
)

func rollOf(seats, room int) Roll {
	r := Roll{Room: room}
	if _, _, err := r.Resize(seats, room); err != nil {
		panic(err)
	}
	return r
}

func anybody(nexus.UserID) bool { return true }

func TestSeatsAndThenPlaces(t *testing.T) {
	r := rollOf(1, 1)
	for _, c := range []struct {
		user     nexus.UserID
		status   nexus.EnrollmentStatus
		position int
		code     nexus.Code
	}{
		{"a", nexus.Enrolled, 0, ""},
		{"b", nexus.Waitlisted, 1, ""},
		{"c", "", 0, nexus.CourseFull},
		{"a", nexus.Enrolled, 0, ""},
		{"b", nexus.Waitlisted, 1, ""},
	} {
		_, err := r.Enrol(c.user)
		if status, position := r.Standing(c.user); nexus.CodeOf(err) != c.code || status != c.status || position != c.position {
			t.Errorf("%s: %v, %s %d", c.user, err, status, position)
		}
	}
	if _, err := r.Drop("c"); nexus.CodeOf(err) != nexus.NotFound {
		t.Errorf("c drops: %v", err)
	}
	r.Over = true
	if _, err := r.Enrol("d"); nexus.CodeOf(err) != nexus.Conflict {
		t.Errorf("after the term: %v", err)
	}
	if rows, err := r.Drop("a"); err != nil || len(rows) != 1 || rows[0] != (Row{User: "a", Status: nexus.Dropped}) {
		t.Errorf("a drops: %v %v", rows, err)
	}
	if rows := r.Promote(func(nexus.UserID) bool { return false }); len(rows) != 0 || len(r.Waiting) != 1 {
		t.Errorf("b may not: %v", rows)
	}
	if rows := r.Promote(anybody); len(rows) != 1 || rows[0] != (Row{User: "b", Status: nexus.Enrolled, Seat: 1}) {
		t.Errorf("b moves up: %v", rows)
	}
}

func TestResize(t *testing.T) {
	r := rollOf(2, 1)
	for _, u := range []nexus.UserID{"a", "b", "c"} {
		if _, err := r.Enrol(u); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		seats, room int
		field       string
	}{{1, 1, "capacity"}, {2, 0, "waitlistCapacity"}} {
		_, _, err := r.Resize(c.seats, c.room)
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.Conflict || len(e.Fields) != 1 || e.Fields[0].Field != c.field {
			t.Errorf("%v: %v", c, err)
		}
	}
	added, removed, err := r.Resize(4, 5)
	if err != nil || !slices.Equal(added, []int{3, 4}) || removed != nil || r.Room != 5 {
		t.Errorf("%v %v %v", added, removed, err)
	}
	r.Promote(anybody)
	if _, err := r.Drop("a"); err != nil {
		t.Fatal(err)
	}
	added, removed, err = r.Resize(2, 5)
	if err != nil || added != nil || !slices.Equal(removed, []int{1, 4}) && !slices.Equal(removed, []int{4, 1}) || r.Capacity() != 2 {
		t.Errorf("%v %v %v", added, removed, err)
	}
}

// TestAnyOrderKeepsTheRules: seats are neither lost nor given twice, nobody is in two places, who waits keeps the order of coming, moves up only
// from the front, and what the rows say is what the roll says.
func TestAnyOrderKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rollOf(rapid.IntRange(0, 4).Draw(t, "seats"), rapid.IntRange(0, 4).Draw(t, "room"))
		barred := rapid.SampledFrom([]nexus.UserID{"", "u0", "u3"}).Draw(t, "barred")
		may := func(u nexus.UserID) bool { return u != barred }
		rows := map[nexus.UserID]Row{} // the database's view
		places := map[int64]bool{}     // ever given out
		write := func(changed []Row) {
			for _, row := range changed {
				rows[row.User] = row
				if row.Status == nexus.Waitlisted {
					if places[row.Place] {
						t.Fatalf("place %d again", row.Place)
					}
					places[row.Place] = true
				}
			}
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			user := nexus.UserID(rapid.SampledFrom([]string{"u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7"}).Draw(t, "user"))
			before := r.Clone()
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				if changed, err := r.Enrol(user); err == nil {
					write(changed)
				} else if len(before.Free) > 0 || len(before.Waiting) < before.Room {
					t.Fatalf("refused with room: %v", err)
				}
			case 2:
				changed, _ := r.Drop(user)
				write(changed)
			case 3:
				_, _, _ = r.Resize(rapid.IntRange(0, 6).Draw(t, "capacity"), rapid.IntRange(0, 6).Draw(t, "waitlist"))
			}
			line := slices.Clone(r.Waiting)
			promoted := r.Promote(may)
			write(promoted)
			next := 0
			for _, w := range line { // the first of those who may, in order
				if next < len(promoted) && w.User == promoted[next].User {
					next++
				} else if next < len(promoted) && may(w.User) {
					t.Fatalf("%s was passed over: %v of %v", w.User, promoted, line)
				}
			}
			check(t, r, rows, may)
		}
	})
}

func check(t *rapid.T, r Roll, rows map[nexus.UserID]Row, may func(nexus.UserID) bool) {
	taken := map[int]nexus.UserID{}
	for u, n := range r.Seats {
		if o, ok := taken[n]; ok || slices.Contains(r.Free, n) {
			t.Fatalf("seat %d of %s is also %s's or free", n, u, o)
		}
		taken[n] = u
		if rows[u] != (Row{User: u, Status: nexus.Enrolled, Seat: n}) {
			t.Fatalf("%s has seat %d, the rows say %+v", u, n, rows[u])
		}
	}
	if !slices.IsSorted(r.Free) || !slices.IsSortedFunc(r.Waiting, func(a, b Waiter) int { return int(a.Place - b.Place) }) {
		t.Fatalf("out of order: %+v", r)
	}
	for _, w := range r.Waiting {
		if _, ok := r.Seats[w.User]; ok {
			t.Fatalf("%s has a seat and waits", w.User)
		}
		if len(r.Free) > 0 && may(w.User) {
			t.Fatalf("%s waits beside a free seat", w.User)
		}
		if rows[w.User] != (Row{User: w.User, Status: nexus.Waitlisted, Place: w.Place}) {
			t.Fatalf("%s waits, the rows say %+v", w.User, rows[w.User])
		}
	}
	standing := maps.Clone(rows)
	maps.DeleteFunc(standing, func(_ nexus.UserID, row Row) bool { return row.Status == nexus.Dropped })
	if len(standing) != len(r.Seats)+len(r.Waiting) {
		t.Fatalf("%d rows, the roll is %+v", len(standing), r)
	}
}
