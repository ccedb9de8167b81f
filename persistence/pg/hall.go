package pg

import (
	"context"
	"fmt"
	"math"

	"nexus"
	"nexus/actors/mess"
	"nexus/persistence/pg/sqlcgen"
)

// Hall keeps what the grains of mess halls must not lose.
type Hall struct{ db *DB }

var _ mess.Store = (*Hall)(nil)

// NewHall returns the halls' store in db.
func NewHall(db *DB) *Hall { return &Hall{db: db} }

// Hall returns the hall's configuration. NotFound if there is none.
func (h *Hall) Hall(ctx context.Context, id nexus.HallID) (nexus.Hall, error) {
	return oneHall(ctx, h.db, id)
}

// Record keeps those of the events that were not kept before, in one statement, and returns their
// Seqs in ascending order. Of two events of one batch with the same source and id the first in the
// batch counts. A Seq that another event of the hall has is a Conflict.
func (h *Hall) Record(ctx context.Context, f nexus.Fence, events []mess.Recorded) ([]int64, error) {
	p := sqlcgen.RecordEventsParams{Kind: f.Kind, Identity: f.ID, Epoch: f.Epoch, HallID: f.ID}
	for i, e := range events {
		amount, counted, err := amountOf(e.Event)
		if err != nil {
			return nil, nexus.InvalidField(fmt.Sprintf("events[%d]", i), "%s", err)
		}
		p.Sources = append(p.Sources, e.Event.Source)
		p.EventIds = append(p.EventIds, e.Event.EventID)
		p.Seqs = append(p.Seqs, e.Seq)
		p.Ats = append(p.Ats, e.Event.At)
		p.Counted = append(p.Counted, counted)
		p.Amounts = append(p.Amounts, amount)
	}
	var row sqlcgen.RecordEventsRow
	err := h.db.do(ctx, "record crowd events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if row, err = q.RecordEvents(ctx, p); err == nil && !row.Held {
			err = fenced(f)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return row.Seqs, nil
}

// amountOf is the number that an event reports, and whether it counts people or changes the count.
func amountOf(e nexus.CrowdEvent) (amount int32, counted bool, err error) {
	n := e.Delta
	if counted = e.Absolute != nil; counted {
		n = e.Absolute
	}
	switch {
	case (e.Delta == nil) == (e.Absolute == nil):
		return 0, false, fmt.Errorf("exactly one of delta and absolute is given")
	case *n < math.MinInt32 || *n > math.MaxInt32:
		return 0, false, fmt.Errorf("%d is out of range", *n)
	}
	return int32(*n), counted, nil
}

// Since returns the hall's events with a Seq above after, in order of Seq. It waits until no Record of
// the hall is under way in the database. A Record whose bytes have not even arrived there can still
// come later: only a Claim, which moves the epoch, shuts it out.
func (h *Hall) Since(ctx context.Context, f nexus.Fence, after int64) ([]mess.Recorded, error) {
	var rows []sqlcgen.EventsSinceRow
	// Two statements: the second sees what was committed while the first waited for the lock.
	err := h.db.tx(ctx, "read crowd events", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if err = held(ctx, q, f); err == nil {
			rows, err = q.EventsSince(ctx, f.ID, after)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	events := make([]mess.Recorded, len(rows))
	for i, r := range rows {
		events[i] = mess.Recorded{Seq: r.Seq, Event: nexus.CrowdEvent{
			Source: r.Source, EventID: r.SourceEventID, At: r.At, Delta: intOf(r.Delta), Absolute: intOf(r.Absolute),
		}}
	}
	return events, nil
}

func intOf(n *int32) *int {
	if n == nil {
		return nil
	}
	v := int(*n)
	return &v
}

// Save keeps the snapshot and the minute samples together. Stale, keeping neither, for a version
// that is not above the kept one. Of two samples of one minute the last counts.
func (h *Hall) Save(ctx context.Context, f nexus.Fence, version int64, payload []byte, samples []mess.Sample) error {
	p := sqlcgen.SaveHallParams{
		Kind: f.Kind, Identity: f.ID, Epoch: f.Epoch, Version: version, Payload: payload, HallID: f.ID,
	}
	at := map[int64]int{} // minute to its place in the arrays
	for _, s := range samples {
		i, ok := at[s.Minute.Unix()]
		if !ok {
			i = len(p.Minutes)
			at[s.Minute.Unix()] = i
			p.Minutes, p.Occupancies, p.Sources = append(p.Minutes, s.Minute), append(p.Occupancies, 0), append(p.Sources, "")
		}
		p.Occupancies[i], p.Sources[i] = int32(min(s.Occupancy, math.MaxInt32)), s.Source
	}
	return h.db.do(ctx, "save "+f.Kind, func(ctx context.Context, q *sqlcgen.Queries) error {
		saved, err := q.SaveHall(ctx, p)
		if err != nil || saved {
			return err
		}
		return refused(ctx, q, f, version)
	})
}
