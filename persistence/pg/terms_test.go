package pg_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// autumn is a term of 2026.
func autumn() nexus.Term {
	return nexus.Term{
		ID: "2026-autumn", Name: "Autumn", StartsOn: "2026-09-01", EndsOn: "2026-12-18", TZ: "Europe/Berlin",
		Holidays: []nexus.Holiday{{Day: "2026-10-03", Name: "Unity"}, {Day: "2026-11-01", Name: "All Saints"}},
	}
}

// audited counts the entries of an action.
func audited(t *testing.T, db *pg.DB, action string) int {
	t.Helper()
	return count(t, db.Pool(), `select count(*) from audit_log where action = $1`, action)
}

func TestTermsAreKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewCourses(db)
	want := autumn()
	made, err := s.CreateTerm(t.Context(), system, want)
	ok(t, err)
	want.Version = 1
	read, err := s.Term(t.Context(), want.ID)
	ok(t, err)
	if d := cmp.Diff([]nexus.Term{want, want}, []nexus.Term{made, read}); d != "" {
		t.Error(d)
	}
	_, err = s.CreateTerm(t.Context(), system, autumn())
	code(t, err, nexus.Conflict)
	spring := nexus.Term{ID: "2027-spring", Name: "Spring", StartsOn: "2027-02-01", EndsOn: "2027-05-31", TZ: "UTC", Holidays: []nexus.Holiday{}, Version: 1}
	_, err = s.CreateTerm(t.Context(), system, spring)
	ok(t, err)
	list, err := s.Terms(t.Context())
	ok(t, err)
	if d := cmp.Diff([]nexus.Term{spring, want}, list); d != "" {
		t.Errorf("not the latest first: %s", d)
	}

	want.Name, want.TZ, want.Holidays = "Fall", "UTC", []nexus.Holiday{{Day: "2026-09-02", Name: "Rest"}}
	changed, err := s.PutTerm(t.Context(), system, 1, want)
	ok(t, err)
	want.Version = 2
	if d := cmp.Diff(want, changed); d != "" {
		t.Error(d)
	}
	_, err = s.PutTerm(t.Context(), system, 1, want)
	code(t, err, nexus.Stale)
	if changed, err = s.PutTerm(t.Context(), system, 0, want); err != nil || changed.Version != 3 {
		t.Errorf("of any version: %+v %v", changed, err)
	}
	want.ID = "2028"
	_, err = s.PutTerm(t.Context(), system, 0, want)
	code(t, err, nexus.NotFound)
	for _, id := range []nexus.TermID{"2028", ""} {
		_, err = s.Term(t.Context(), id)
		code(t, err, nexus.NotFound)
	}
	if c, n := audited(t, db, "term.create"), audited(t, db, "term.change"); c != 2 || n != 2 {
		t.Errorf("%d and %d entries in the audit", c, n)
	}
}

func TestWhatATermMayNotBe(t *testing.T) {
	t.Parallel()
	s := pg.NewCourses(pgfix.DB(t))
	for _, c := range []struct {
		field string
		wrong func(*nexus.Term)
	}{
		{"id", func(x *nexus.Term) { x.ID = "a b" }},
		{"name", func(x *nexus.Term) { x.Name = "" }},
		{"startsOn", func(x *nexus.Term) { x.StartsOn = "2026-09-31" }},
		{"startsOn", func(x *nexus.Term) { x.StartsOn, x.EndsOn, x.Holidays = "1999-09-01", "2000-01-02", nil }},
		{"endsOn", func(x *nexus.Term) { x.EndsOn = "2026-08-31" }},
		{"endsOn", func(x *nexus.Term) { x.EndsOn = "2027-12-18" }}, // longer than a year
		{"tz", func(x *nexus.Term) { x.TZ = "Local" }},
		{"tz", func(x *nexus.Term) { x.TZ = "Mars/Olympus" }},
		{"holidays[0].day", func(x *nexus.Term) { x.Holidays[0].Day = "Monday" }},
		{"holidays[0].day", func(x *nexus.Term) { x.Holidays[0].Day = "2026-08-31" }},
		{"holidays[1].day", func(x *nexus.Term) { x.Holidays[1].Day = x.Holidays[0].Day }},
		{"holidays", func(x *nexus.Term) { x.Holidays[0].Name = "" }},
	} {
		term := autumn()
		c.wrong(&term)
		_, err := s.CreateTerm(t.Context(), system, term)
		onField(t, err, nexus.Invalid, c.field)
	}
	if list, err := s.Terms(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("%v %v", list, err)
	}
}

func TestRoomsAreKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewCourses(db)
	fence := 60
	want := nexus.Room{BlockCode: "A", BlockName: "Block A", Number: "101", Place: &nexus.Position{Lat: 12.9, Lng: 77.5}, FenceM: &fence}
	made, err := s.CreateRoom(t.Context(), system, want)
	ok(t, err)
	want.ID, want.Version = made.ID, 1
	if d := cmp.Diff(want, made); d != "" || !nexus.ValidID(string(made.ID)) {
		t.Error(d)
	}
	same := want
	same.BlockCode = "a"
	_, err = s.CreateRoom(t.Context(), system, same)
	onField(t, err, nexus.Conflict, "number")
	other := want
	other.BlockCode, other.Place = "B", nil
	_, err = s.CreateRoom(t.Context(), system, other)
	onField(t, err, nexus.Invalid, "fenceM")
	other.FenceM = nil
	other, err = s.CreateRoom(t.Context(), system, other)
	ok(t, err)

	want.Number, want.FenceM = "102", nil
	changed, err := s.PutRoom(t.Context(), system, 1, want)
	ok(t, err)
	want.Version = 2
	if d := cmp.Diff(want, changed); d != "" {
		t.Error(d)
	}
	_, err = s.PutRoom(t.Context(), system, 1, want)
	code(t, err, nexus.Stale)
	_, err = s.PutRoom(t.Context(), system, 0, nexus.Room{ID: nexus.RoomID(nexus.NewID())})
	code(t, err, nexus.NotFound)
	var got []nexus.Room
	p := nexus.Page{Limit: 1}
	for range 3 {
		list, err := s.Rooms(t.Context(), p)
		ok(t, err)
		got = append(got, list.Items...)
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if d := cmp.Diff([]nexus.Room{want, other}, got); d != "" {
		t.Error(d)
	}
	if c, n := audited(t, db, "room.create"), audited(t, db, "room.change"); c != 2 || n != 1 {
		t.Errorf("%d and %d entries in the audit", c, n)
	}
}
