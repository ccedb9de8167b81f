package pg

import (
	"context"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Mess keeps the halls as they are configured, their history, and menus, dishes and ratings. The
// halls' live state is Hall's. Its methods are here and in menus.go and ratings.go.
type Mess struct{ db *DB }

// NewMess returns the mess store in db.
func NewMess(db *DB) *Mess { return &Mess{db: db} }

// maxSteps is how many points a history has at most.
const maxSteps = 10_000

// Halls lists all halls by name.
func (m *Mess) Halls(ctx context.Context) ([]nexus.Hall, error) {
	halls := []nexus.Hall{}
	err := m.db.do(ctx, "list halls", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Halls(ctx)
		for _, r := range rows {
			halls = append(halls, hallOf(r))
		}
		return err
	})
	return halls, err
}

// Hall returns one. NotFound if there is none.
func (m *Mess) Hall(ctx context.Context, id nexus.HallID) (nexus.Hall, error) {
	return oneHall(ctx, m.db, id)
}

func oneHall(ctx context.Context, db *DB, id nexus.HallID) (nexus.Hall, error) {
	var h nexus.Hall
	err := db.do(ctx, "read hall", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.Hall(ctx, string(id))
		h = hallOf(row)
		return orNotFound(err, "hall")
	})
	return h, err
}

// CreateHall makes a hall; an empty ID is filled in. Conflict for a name that is taken and for a
// second default hall. Audited.
func (m *Mess) CreateHall(ctx context.Context, by nexus.Caller, h nexus.Hall) (nexus.Hall, error) {
	return mutate(ctx, m.db, "create hall", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Hall, error) {
		if err := checkHall(h); err != nil {
			return nexus.Hall{}, err
		}
		if h.ID == "" {
			h.ID = nexus.HallID(nexus.NewID())
		}
		row, err := q.InsertHall(ctx, sqlcgen.InsertHallParams{
			ID: string(h.ID), Name: h.Name, Capacity: int32(h.Capacity), ServiceRatePerMin: h.ServiceRatePerMin,
			DwellMin: int32(h.DwellMin), Tz: h.TZ, IsDefault: h.Default,
		})
		if err != nil {
			return nexus.Hall{}, err
		}
		made := hallOf(row)
		return made, audit(ctx, q, by, "hall.create", "hall", row.ID, nil, made)
	})
}

// PutHall changes name, capacity, service rate, dwell time and zone of a hall.
func (m *Mess) PutHall(ctx context.Context, by nexus.Caller, version int64, h nexus.Hall) (nexus.Hall, error) {
	return mutate(ctx, m.db, "change hall", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Hall, error) {
		if err := checkHall(h); err != nil {
			return nexus.Hall{}, err
		}
		before, err := q.LockHall(ctx, string(h.ID))
		if err != nil {
			return nexus.Hall{}, orNotFound(err, "hall")
		}
		if err := stale(version, before.Version); err != nil {
			return nexus.Hall{}, err
		}
		row, err := q.UpdateHall(ctx, sqlcgen.UpdateHallParams{
			ID: string(h.ID), Name: h.Name, Capacity: int32(h.Capacity), ServiceRatePerMin: h.ServiceRatePerMin,
			DwellMin: int32(h.DwellMin), Tz: h.TZ,
		})
		if err != nil {
			return nexus.Hall{}, err
		}
		after := hallOf(row)
		return after, audit(ctx, q, by, "hall.change", "hall", row.ID, hallOf(before), after)
	})
}

// checkHall checks what the database cannot, or could not even be told.
func checkHall(h nexus.Hall) error {
	const most = 1_000_000
	switch {
	case h.Capacity < 1 || h.Capacity > most:
		return nexus.InvalidField("capacity", "is out of range")
	case h.DwellMin < 1 || h.DwellMin > most:
		return nexus.InvalidField("dwellMin", "is out of range")
	}
	return zone("tz", h.TZ)
}

// History returns means over steps of whole minutes, the first of which starts at from; steps without
// samples are left out. Invalid for a step that is not whole minutes, or more than 10,000
// steps; NotFound for an unknown hall.
func (m *Mess) History(ctx context.Context, id nexus.HallID, from, to time.Time, step time.Duration) ([]nexus.CrowdSample, error) {
	if step < time.Minute || step%time.Minute != 0 {
		return nil, nexus.InvalidField("step", "is not a number of whole minutes")
	}
	if to.Sub(from)/step >= maxSteps {
		return nil, nexus.InvalidField("step", "makes more than %d steps", maxSteps)
	}
	samples := []nexus.CrowdSample{}
	err := m.db.read(ctx, "read history", func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := q.Hall(ctx, string(id)); err != nil {
			return orNotFound(err, "hall")
		}
		rows, err := q.History(ctx, sqlcgen.HistoryParams{HallID: string(id), FromAt: from, ToAt: to, StepSeconds: step.Seconds()})
		for _, r := range rows {
			samples = append(samples, nexus.CrowdSample{At: r.At, Occupancy: r.Occupancy, Max: int(r.Max)})
		}
		return err
	})
	return samples, err
}

func hallOf(r sqlcgen.MessHall) nexus.Hall {
	return nexus.Hall{
		ID: nexus.HallID(r.ID), Name: r.Name, Capacity: int(r.Capacity), ServiceRatePerMin: r.ServiceRatePerMin,
		DwellMin: int(r.DwellMin), TZ: r.Tz, Default: r.IsDefault, Version: r.Version,
	}
}
