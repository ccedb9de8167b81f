package pg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// openMenu makes a menu that opened a while ago.
func openMenu(t *testing.T, db *pg.DB) nexus.MenuID {
	t.Helper()
	m, err := pg.NewMess(db).PutMenu(t.Context(), system, newHall(t, db, "North").ID, "2026-03-04", nexus.Lunch,
		nexus.MenuPlan{OpensAt: time.Now().Add(-time.Minute), ClosesAt: time.Now().Add(time.Hour)})
	ok(t, err)
	return m.ID
}

func TestOnePersonOneRating(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	menu := openMenu(t, db)
	if r, err := s.Ratings(t.Context(), menu); err != nil || r != (nexus.RatingSummary{MenuID: menu}) {
		t.Fatalf("%+v %v", r, err)
	}
	var people []nexus.Caller
	for i := range 3 {
		people = append(people, nexus.Caller{User: newUser(t, db, fmt.Sprint("u", i)).ID})
	}
	for i, stars := range []int{5, 5, 2} {
		_, err := s.Rate(t.Context(), people[i], menu, stars, "first")
		ok(t, err)
	}
	got, err := s.Rate(t.Context(), people[0], menu, 4, "on second thoughts")
	if err != nil || got.Stars != 4 || got.Comment != "on second thoughts" || got.MenuID != menu || time.Since(got.At) > time.Minute {
		t.Fatalf("%+v %v", got, err)
	}
	r, err := s.Ratings(t.Context(), menu)
	if err != nil || r.Count != 3 || r.Stars != [5]int{0, 1, 0, 1, 1} || r.Average < 3.66 || r.Average > 3.67 {
		t.Fatalf("%+v %v", r, err)
	}
	for _, err := range race(8, func(i int) error {
		_, err := s.Rate(t.Context(), people[1], menu, i%5+1, "")
		return err
	}) {
		ok(t, err)
	}
	if r, err = s.Ratings(t.Context(), menu); err != nil || r.Count != 3 {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestRateRefuses(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	menu := openMenu(t, db)
	by := nexus.Caller{User: newUser(t, db, "asha").ID}
	_, err := s.Rate(t.Context(), by, menu, 0, "")
	onField(t, err, nexus.Invalid, "stars")
	_, err = s.Rate(t.Context(), by, menu, 1<<16+1, "")
	onField(t, err, nexus.Invalid, "stars")
	_, err = s.Rate(t.Context(), by, menu, 5, strings.Repeat("x", 2001))
	onField(t, err, nexus.Invalid, "comment")
	_, err = s.Rate(t.Context(), by, menu, 5, "a\x00")
	code(t, err, nexus.Invalid)
	_, err = s.Rate(t.Context(), nexus.Caller{}, menu, 5, "")
	code(t, err, nexus.Forbidden)
	_, err = s.Rate(t.Context(), nexus.Caller{User: nexus.UserID(nexus.NewID())}, menu, 5, "")
	code(t, err, nexus.NotFound)
	_, err = s.Rate(t.Context(), by, nexus.MenuID(nexus.NewID()), 5, "")
	code(t, err, nexus.NotFound)
	_, err = s.Ratings(t.Context(), nexus.MenuID(nexus.NewID()))
	code(t, err, nexus.NotFound)
	exec(t, db.Pool(), `update mess_menu set opens_at = now() + interval '1 minute'`)
	_, err = s.Rate(t.Context(), by, menu, 5, "")
	code(t, err, nexus.Conflict)
}
