package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Streams reads the streams of class A for those who carry their lines to clients, and keeps what became of them. Whoever has read a
// stream up to a seq has missed nothing below it.
type Streams struct{ db *DB }

// NewStreams returns the streams in db.
func NewStreams(db *DB) *Streams { return &Streams{db: db} }

// Standings says how far each reader has come, and whether that was noted. A device that is new begins below the first line that still matters: one
// of an incident that is open, or of a mass alert that has not run out; or at the end if there is none.
func (s *Streams) Standings(ctx context.Context, readers []nexus.Reader) ([]nexus.Standing, error) {
	streams, devices := make([]string, len(readers)), make([]string, len(readers))
	for i, r := range readers {
		streams[i], devices[i] = r.Stream, string(r.Device)
	}
	standings := make([]nexus.Standing, 0, len(readers))
	err := s.db.do(ctx, "place readers", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Standings(ctx, streams, devices)
		for _, r := range rows {
			standings = append(standings, nexus.Standing{
				Reader: nexus.Reader{Stream: r.Stream, Device: nexus.SessionID(r.Device)}, Cursor: r.Cursor, Known: r.Known, Last: r.Last,
			})
		}
		return err
	})
	return standings, err
}

// Lines returns the lines of each stream after a seq, in order, at most limit of each. Incidents are as they stand now.
func (s *Streams) Lines(ctx context.Context, after map[string]int64, limit int) ([]nexus.Delivery, error) {
	streams, afters := make([]string, 0, len(after)), make([]int64, 0, len(after))
	for stream, seq := range after {
		streams, afters = append(streams, stream), append(afters, seq)
	}
	var lines []nexus.Delivery
	err := s.db.do(ctx, "read streams", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.StreamLines(ctx, streams, afters, int32(min(limit, maxSteps))) //nolint:gosec // it is bounded
		if err != nil {
			return err
		}
		incidents, alerts, err := spokenOf(ctx, q, rows)
		lines = make([]nexus.Delivery, len(rows))
		for i, r := range rows {
			lines[i] = lineOf(r)
			switch r.Kind {
			case nexus.DeliverAlert:
				lines[i].Incident = incidents[*r.IncidentID]
			case nexus.DeliverMass:
				lines[i].Mass = alerts[*r.Alert]
			}
		}
		return err
	})
	return lines, err
}

// spokenOf reads the incidents and the mass alerts that lines are about, if there are any.
func spokenOf(ctx context.Context, q *sqlcgen.Queries, rows []sqlcgen.StreamLinesRow) (map[string]*nexus.Incident, map[string]*nexus.MassAlert, error) {
	incidents, alerts := map[string]*nexus.Incident{}, map[string]*nexus.MassAlert{}
	var ids, identifiers []string
	for _, r := range rows {
		switch r.Kind {
		case nexus.DeliverAlert:
			ids = append(ids, *r.IncidentID)
		case nexus.DeliverMass:
			identifiers = append(identifiers, *r.Alert)
		}
	}
	if len(ids) > 0 {
		rows, err := q.IncidentViews(ctx, ids)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			i, err := incidentOf(r)
			if err != nil {
				return nil, nil, err
			}
			incidents[r.ID] = &i
		}
	}
	if len(identifiers) > 0 {
		rows, err := q.Alerts(ctx, identifiers)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range rows {
			a := alertOf(r)
			alerts[r.Identifier] = &a
		}
	}
	return incidents, alerts, nil
}

// lineOf is a line with its event as its recipient may see it.
func lineOf(r sqlcgen.StreamLinesRow) nexus.Delivery {
	d := nexus.Delivery{Stream: r.Stream, Seq: r.Seq, Kind: r.Kind, At: r.CommittedAt}
	if r.IncidentID == nil {
		return d
	}
	row := sqlcgen.SosEvent{
		IncidentID: *r.IncidentID, Seq: *r.EventSeq, At: *r.EventAt, Actor: r.Actor, Kind: *r.EventKind, Data: r.Data,
		PrevHash: r.PrevHash, Hash: r.Hash,
	}
	e := sosEventOf(row)
	if r.Masked {
		e = masked(row)
	}
	d.Event = &e
	return d
}

// Heads returns the seq of the newest line of each stream; one that has none may be left out.
func (s *Streams) Heads(ctx context.Context, streams []string) (map[string]int64, error) {
	heads := make(map[string]int64, len(streams))
	err := s.db.do(ctx, "read the ends of streams", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.StreamHeads(ctx, streams)
		for _, r := range rows {
			heads[r.Stream] = r.LastSeq
		}
		return err
	})
	return heads, err
}

// Note keeps when lines were sent and acknowledged, the first time alone, and how far devices have come; a cursor never goes back, nor
// past the end of its stream. What it says of streams that do not exist is left out.
func (s *Streams) Note(ctx context.Context, marks []nexus.Mark, cursors []nexus.Standing) error {
	var m sqlcgen.MarkLinesParams
	for _, k := range marks {
		m.Streams, m.Seqs = append(m.Streams, k.Stream), append(m.Seqs, k.Seq)
		m.Sents, m.Gots = append(m.Sents, k.Sent), append(m.Gots, k.Got)
	}
	var streams, devices []string
	var seqs []int64
	for _, c := range cursors {
		streams, devices, seqs = append(streams, c.Stream), append(devices, string(c.Device)), append(seqs, c.Cursor)
	}
	return s.db.do(ctx, "note what became of lines", func(ctx context.Context, q *sqlcgen.Queries) error {
		if len(marks) > 0 {
			if err := q.MarkLines(ctx, m); err != nil {
				return err
			}
		}
		if len(cursors) == 0 {
			return nil
		}
		return q.RaiseCursors(ctx, streams, devices, seqs)
	})
}

// PurgeCursors drops the cursors of logins that are no more, and those of single connections that are a day old, and says how many, also if it fails half way. Like PurgeIdempotency it may
// run anywhere at any time.
func (s *Streams) PurgeCursors(ctx context.Context) (int64, error) {
	return s.db.purge(ctx, "purge cursors", (*sqlcgen.Queries).PurgeCursors)
}
