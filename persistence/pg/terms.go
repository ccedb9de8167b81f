package pg

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Courses keeps the catalogue: terms, rooms, courses, who teaches them and when they meet. Who has a seat is Seats'. Its methods
// are here and in courses.go and meetings.go.
type Courses struct{ db *DB }

// NewCourses returns the catalogue in db.
func NewCourses(db *DB) *Courses { return &Courses{db: db} }

// Terms lists all terms, the latest first.
func (s *Courses) Terms(ctx context.Context) ([]nexus.Term, error) {
	var terms []nexus.Term
	err := s.db.do(ctx, "list terms", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		terms, err = termsOf(ctx, q, "")
		return err
	})
	return terms, err
}

// Term returns one. NotFound if there is none.
func (s *Courses) Term(ctx context.Context, id nexus.TermID) (nexus.Term, error) {
	var t nexus.Term
	err := s.db.do(ctx, "read term", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		t, err = oneTerm(ctx, q, id)
		return err
	})
	return t, err
}

func oneTerm(ctx context.Context, q *sqlcgen.Queries, id nexus.TermID) (nexus.Term, error) {
	if id == "" { // which would be all
		return nexus.Term{}, noSuch("term")
	}
	terms, err := termsOf(ctx, q, id)
	if err == nil && len(terms) == 0 {
		err = noSuch("term")
	}
	if err != nil {
		return nexus.Term{}, err
	}
	return terms[0], nil
}

func termsOf(ctx context.Context, q *sqlcgen.Queries, id nexus.TermID) ([]nexus.Term, error) {
	rows, err := q.Terms(ctx, string(id))
	if err != nil {
		return nil, err
	}
	terms := make([]nexus.Term, len(rows))
	for i, r := range rows {
		terms[i] = nexus.Term{ID: nexus.TermID(r.ID), Name: r.Name, StartsOn: r.StartsOn, EndsOn: r.EndsOn, TZ: r.Tz, Version: r.Version}
		if err := json.Unmarshal(r.Holidays, &terms[i].Holidays); err != nil {
			return nil, fmt.Errorf("decode holidays: %w", err)
		}
	}
	return terms, nil
}

// CreateTerm makes a term under the id that the office gave it. Conflict for one that is taken. Audited.
func (s *Courses) CreateTerm(ctx context.Context, by nexus.Caller, t nexus.Term) (nexus.Term, error) {
	return mutate(ctx, s.db, "create term", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Term, error) {
		if err := checkTerm(t); err != nil {
			return nexus.Term{}, err
		}
		if err := q.InsertTerm(ctx, sqlcgen.InsertTermParams{ID: string(t.ID), Name: t.Name, StartsOn: t.StartsOn, EndsOn: t.EndsOn, Tz: t.TZ}); err != nil {
			return nexus.Term{}, err
		}
		made, err := fillTerm(ctx, q, t)
		if err != nil {
			return nexus.Term{}, err
		}
		return made, audit(ctx, q, by, "term.create", "term", string(t.ID), nil, made)
	})
}

// PutTerm changes everything but the id of a term. Stale if version is neither 0 nor the present one. Audited.
func (s *Courses) PutTerm(ctx context.Context, by nexus.Caller, version int64, t nexus.Term) (nexus.Term, error) {
	return mutate(ctx, s.db, "change term", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Term, error) {
		if err := checkTerm(t); err != nil {
			return nexus.Term{}, err
		}
		if err := q.LockRoomsAndTeachers(ctx); err != nil {
			return nexus.Term{}, err
		}
		have, err := q.LockTerm(ctx, string(t.ID))
		if err != nil {
			return nexus.Term{}, orNotFound(err, "term")
		}
		if err := stale(version, have); err != nil {
			return nexus.Term{}, err
		}
		before, err := oneTerm(ctx, q, t.ID)
		if err != nil {
			return nexus.Term{}, err
		}
		if err := q.UpdateTerm(ctx, sqlcgen.UpdateTermParams{ID: string(t.ID), Name: t.Name, StartsOn: t.StartsOn, EndsOn: t.EndsOn, Tz: t.TZ}); err != nil {
			return nexus.Term{}, err
		}
		after, err := fillTerm(ctx, q, t)
		if err != nil {
			return nexus.Term{}, err
		}
		if err := planHolds(ctx, q, before, after); err != nil {
			return nexus.Term{}, err
		}
		return after, audit(ctx, q, by, "term.change", "term", string(t.ID), before, after)
	})
}

// planHolds fails with Conflict if a term's other days or zone bring two into one room, or one teacher into two.
func planHolds(ctx context.Context, q *sqlcgen.Queries, before, after nexus.Term) error {
	days := func(t nexus.Term) (days []string) {
		for _, h := range t.Holidays {
			days = append(days, h.Day)
		}
		return append(days, t.StartsOn, t.EndsOn, t.TZ)
	}
	if slices.Equal(days(before), days(after)) {
		return nil
	}
	courses, err := q.CoursesOfTerm(ctx, string(after.ID))
	if err != nil {
		return err
	}
	if err := clash(ctx, q, courses, "term"); err != nil {
		return err
	}
	return roomsFree(ctx, q, courses, after, "term")
}

// fillTerm replaces the holidays, and returns the term as it is kept.
func fillTerm(ctx context.Context, q *sqlcgen.Queries, t nexus.Term) (nexus.Term, error) {
	if err := q.ClearHolidays(ctx, string(t.ID)); err != nil {
		return nexus.Term{}, err
	}
	days, names := make([]string, len(t.Holidays)), make([]string, len(t.Holidays))
	for i, h := range t.Holidays {
		days[i], names[i] = h.Day, h.Name
	}
	if err := q.FillHolidays(ctx, string(t.ID), days, names); err != nil {
		return nexus.Term{}, err
	}
	return oneTerm(ctx, q, t.ID)
}

// maxTermDays bounds a term: a wrong year is no reason to plan a century.
const maxTermDays = 366

// checkTerm checks what the database cannot, or could not name.
func checkTerm(t nexus.Term) error {
	for _, d := range []struct{ name, day string }{{"startsOn", t.StartsOn}, {"endsOn", t.EndsOn}} {
		if err := date(d.name, d.day); err != nil {
			return err
		}
	}
	first, _ := time.Parse(time.DateOnly, t.StartsOn) // both were parsed just now
	last, _ := time.Parse(time.DateOnly, t.EndsOn)
	switch {
	case last.Before(first):
		return nexus.InvalidField("endsOn", "is before startsOn")
	case last.Sub(first) > maxTermDays*24*time.Hour:
		return nexus.InvalidField("endsOn", "is more than %d days after startsOn", maxTermDays)
	}
	if err := zone("tz", t.TZ); err != nil {
		return err
	}
	for i, h := range t.Holidays {
		name := fmt.Sprintf("holidays[%d].day", i)
		if err := date(name, h.Day); err != nil {
			return err
		}
		if h.Day < t.StartsOn || h.Day > t.EndsOn {
			return nexus.InvalidField(name, "is not within the term")
		}
		if slices.ContainsFunc(t.Holidays[:i], func(o nexus.Holiday) bool { return o.Day == h.Day }) {
			return nexus.InvalidField(name, "is there twice")
		}
	}
	return nil
}

// zone checks an IANA zone.
func zone(field, name string) error {
	if name == "" || name == "Local" { // which LoadLocation takes, and means something else by
		return nexus.InvalidField(field, "is no IANA zone")
	}
	if _, err := time.LoadLocation(name); err != nil {
		return nexus.InvalidField(field, "is no IANA zone")
	}
	return nil
}

// Rooms lists rooms by block and number; the cursor is both.
func (s *Courses) Rooms(ctx context.Context, p nexus.Page) (nexus.List[nexus.Room], error) {
	var list nexus.List[nexus.Room]
	limit := limitOf(p)
	err := s.db.do(ctx, "list rooms", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Rooms(ctx, p.After, limit+1)
		list = pageOf(rows, limit, roomOf, func(r nexus.Room) string { return strings.ToLower(r.BlockCode) + " " + strings.ToLower(r.Number) })
		return err
	})
	return list, err
}

// CreateRoom makes a room. Conflict for a number that the block has already. Audited.
func (s *Courses) CreateRoom(ctx context.Context, by nexus.Caller, r nexus.Room) (nexus.Room, error) {
	return mutate(ctx, s.db, "create room", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Room, error) {
		p := roomTo(r)
		p.ID = nexus.NewID()
		row, err := q.InsertRoom(ctx, p)
		if err != nil {
			return nexus.Room{}, err
		}
		made := roomOf(row)
		return made, audit(ctx, q, by, "room.create", "room", row.ID, nil, made)
	})
}

// PutRoom changes a room. Stale if version is neither 0 nor the present one. Audited.
func (s *Courses) PutRoom(ctx context.Context, by nexus.Caller, version int64, r nexus.Room) (nexus.Room, error) {
	return mutate(ctx, s.db, "change room", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Room, error) {
		before, err := q.LockRoom(ctx, string(r.ID))
		if err != nil {
			return nexus.Room{}, orNotFound(err, "room")
		}
		if err := stale(version, before.Version); err != nil {
			return nexus.Room{}, err
		}
		p := roomTo(r)
		row, err := q.UpdateRoom(ctx, sqlcgen.UpdateRoomParams{
			ID: p.ID, BlockCode: p.BlockCode, BlockName: p.BlockName, Number: p.Number, Lat: p.Lat, Lng: p.Lng, FenceM: p.FenceM,
		})
		if err != nil {
			return nexus.Room{}, err
		}
		after := roomOf(row)
		return after, audit(ctx, q, by, "room.change", "room", row.ID, roomOf(before), after)
	})
}

func roomTo(r nexus.Room) sqlcgen.InsertRoomParams {
	p := sqlcgen.InsertRoomParams{ID: string(r.ID), BlockCode: r.BlockCode, BlockName: r.BlockName, Number: r.Number}
	if r.Place != nil {
		p.Lat, p.Lng = &r.Place.Lat, &r.Place.Lng
	}
	if r.FenceM != nil {
		m := int32(*r.FenceM) //nolint:gosec // the schema bounds it, and the database does
		p.FenceM = &m
	}
	return p
}

func roomOf(r sqlcgen.Room) nexus.Room {
	room := nexus.Room{
		ID: nexus.RoomID(r.ID), BlockCode: r.BlockCode, BlockName: r.BlockName, Number: r.Number, FenceM: intOf(r.FenceM), Version: r.Version,
	}
	if r.Lat != nil && r.Lng != nil {
		room.Place = &nexus.Position{Lat: *r.Lat, Lng: *r.Lng}
	}
	return room
}

// zoneOf is the zone that a term's days and times are in.
func zoneOf(t nexus.Term) (*time.Location, error) {
	zone, err := time.LoadLocation(t.TZ)
	if err != nil {
		return nil, fmt.Errorf("load the zone of %s: %w", t.ID, err)
	}
	return zone, nil
}
