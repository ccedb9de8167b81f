package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Outbox reads the streams of class A other than those of safety, for those who carry their lines to clients, and keeps what became of them. Whoever
// has read a stream up to a seq has missed nothing below it.
type Outbox struct{ db *DB }

// NewOutbox returns the outbox in db.
func NewOutbox(db *DB) *Outbox { return &Outbox{db: db} }

// Standings says how far each reader has come, and whether that was noted. A device that is new begins at the end.
func (o *Outbox) Standings(ctx context.Context, readers []nexus.Reader) ([]nexus.Standing, error) {
	streams, devices := make([]string, len(readers)), make([]string, len(readers))
	for i, r := range readers {
		streams[i], devices[i] = r.Stream, string(r.Device)
	}
	standings := make([]nexus.Standing, 0, len(readers))
	err := o.db.do(ctx, "place readers", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.OutboxStandings(ctx, streams, devices)
		for _, r := range rows {
			standings = append(standings, nexus.Standing{
				Reader: nexus.Reader{Stream: r.Stream, Device: nexus.SessionID(r.Device)}, Cursor: r.Cursor, Known: r.Known, Last: r.Last,
			})
		}
		return err
	})
	return standings, err
}

// Lines returns the lines of each stream after a seq, in order, at most limit of each.
func (o *Outbox) Lines(ctx context.Context, after map[string]int64, limit int) ([]nexus.Delivery, error) {
	streams, afters := make([]string, 0, len(after)), make([]int64, 0, len(after))
	for stream, seq := range after {
		streams, afters = append(streams, stream), append(afters, seq)
	}
	var lines []nexus.Delivery
	err := o.db.do(ctx, "read the outbox", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.OutboxLines(ctx, streams, afters, int32(min(limit, maxSteps))) //nolint:gosec // it is bounded
		lines = make([]nexus.Delivery, len(rows))
		for i, r := range rows {
			lines[i] = nexus.Delivery{Stream: r.Stream, Seq: r.Seq, Kind: r.Event, Payload: r.Payload, At: r.CommittedAt}
		}
		return err
	})
	return lines, err
}

// Heads returns the seq of the newest line of each stream; one that has none may be left out.
func (o *Outbox) Heads(ctx context.Context, streams []string) (map[string]int64, error) {
	heads := make(map[string]int64, len(streams))
	err := o.db.do(ctx, "read the ends of the outbox", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.OutboxHeads(ctx, streams)
		for _, r := range rows {
			heads[r.Stream] = r.LastSeq
		}
		return err
	})
	return heads, err
}

// Note keeps when lines were sent and acknowledged, the first time alone, and how far devices have come; a cursor never goes back, nor
// past the end of its stream. What it says of streams that do not exist is left out.
func (o *Outbox) Note(ctx context.Context, marks []nexus.Mark, cursors []nexus.Standing) error {
	var m sqlcgen.MarkOutboxLinesParams
	for _, k := range marks {
		m.Streams, m.Seqs = append(m.Streams, k.Stream), append(m.Seqs, k.Seq)
		m.Sents, m.Gots = append(m.Sents, k.Sent), append(m.Gots, k.Got)
	}
	var streams, devices []string
	var seqs []int64
	for _, c := range cursors {
		streams, devices, seqs = append(streams, c.Stream), append(devices, string(c.Device)), append(seqs, c.Cursor)
	}
	return o.db.do(ctx, "note what became of lines", func(ctx context.Context, q *sqlcgen.Queries) error {
		if len(marks) > 0 {
			if err := q.MarkOutboxLines(ctx, m); err != nil {
				return err
			}
		}
		if len(cursors) == 0 {
			return nil
		}
		return q.RaiseOutboxCursors(ctx, streams, devices, seqs)
	})
}

// Purge drops what was said a month ago, and the cursors of logins that are no more, and says how many rows that were, also if it fails half
// way. Like PurgeIdempotency it may run anywhere at any time.
func (o *Outbox) Purge(ctx context.Context) (int64, error) {
	lines, err := o.db.purge(ctx, "purge the outbox", (*sqlcgen.Queries).PurgeOutboxLines)
	if err != nil {
		return lines, err
	}
	cursors, err := o.db.purge(ctx, "purge cursors of the outbox", (*sqlcgen.Queries).PurgeOutboxCursors)
	return lines + cursors, err
}
