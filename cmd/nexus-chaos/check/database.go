package check

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus/cmd/nexus-chaos/history"
)

// Counts is how many people are in each hall by the table of events alone.
func Counts(ctx context.Context, db *pgxpool.Pool) (map[string]int, error) {
	rows, err := db.Query(ctx, `select hall_id::text, delta from crowd_event`)
	if err != nil {
		return nil, err
	}
	counts := make(map[string]int)
	var hall string
	var delta int
	_, err = pgx.ForEachRow(rows, []any{&hall, &delta}, func() error {
		counts[hall] += delta
		return nil
	})
	return counts, err
}

// event is a row of crowd_event.
type event struct {
	hall  string
	delta int
	times int
}

// Events checks the check-ins of clients whose names begin with tag against the table of events.
func Events(ctx context.Context, db *pgxpool.Pool, tag string, ops []history.Op) ([]Result, error) {
	rows, err := db.Query(ctx, `select source_event_id, hall_id::text, delta from crowd_event where starts_with(source, $1)`, tag+"-")
	if err != nil {
		return nil, err
	}
	table := make(map[string]event)
	var id, hall string
	var delta int
	if _, err := pgx.ForEachRow(rows, []any{&id, &hall, &delta}, func() error {
		table[id] = event{hall, delta, table[id].times + 1}
		return nil
	}); err != nil {
		return nil, err
	}
	return judge(table, ops), nil
}

func judge(table map[string]event, ops []history.Op) []Result {
	var lost, wrong, refused, copied []string
	acknowledged, unknown := 0, 0
	known := make(map[string]bool, len(ops))
	for _, o := range ops {
		known[o.Event] = true
		row, there := table[o.Event]
		switch o.Outcome {
		case history.OK:
			acknowledged++
			if !there {
				lost = append(lost, fmt.Sprintf("%s, acknowledged by %s at %v", o.Event, o.Via, time.Duration(o.Return)))
			}
			if o.Attempts == 1 && !o.Accepted {
				copied = append(copied, o.Event)
			}
		case history.Unknown:
			unknown++
		case history.Failed:
			refused = append(refused, fmt.Sprintf("%s: %v", o.Event, o.Troubles))
		}
		if there && (row.times != 1 || row.hall != o.Key || row.delta != o.Delta) {
			wrong = append(wrong, fmt.Sprintf("%s: %+v", o.Event, row))
		}
	}
	for id, row := range table {
		if !known[id] {
			wrong = append(wrong, fmt.Sprintf("%s: nobody sent it: %+v", id, row))
		}
	}
	return []Result{
		none("acknowledged check-ins that are lost", acknowledged, lost),
		none("events stored twice, otherwise than sent, or from nowhere", len(table), wrong),
		none("check-ins refused for good", len(ops), refused),
		Figure(none("first attempts that were called copies, for a node repeated them", acknowledged, copied)),
		Note("check-ins whose outcome nobody knows", "%d", unknown),
	}
}

// Stale checks what the database wrote down of writes and claims since mark: whoever wrote for a grain was the last who had
// claimed it, and the numbers of a hall's events only rise. A process that was killed or frozen is another one than its
// successor on the same node. Two activations within one process the first question cannot tell apart; but both would number
// the hall's next event alike, so that not both can be kept, and what one kept of late falls behind.
func Stale(ctx context.Context, db *pgxpool.Pool, mark int64) ([]Result, error) {
	var writes, claims int
	if err := db.QueryRow(ctx, `select (select count(*) from chaos.wrote where n > $1), (select count(*) from chaos.claim)`, mark).Scan(&writes, &claims); err != nil {
		return nil, err
	}
	stale, err := lines(ctx, db, `select format('%s %s/%s by %s (run %s), which %s (run %s) had claimed, epoch %s', what, kind, identity, node, run, owner, owner_run, epoch)
		from chaos.wrote where n > $1 and (node, run) is distinct from (owner, owner_run) order by n`, mark)
	if err != nil {
		return nil, err
	}
	fell, err := lines(ctx, db, `select format('hall %s: %s after %s, epoch %s after %s', identity, first, before, epoch, was) from (
			select n, identity, first, epoch, lag(last) over w as before, lag(epoch) over w as was from chaos.wrote where what = 'events'
			window w as (partition by identity order by n)) x
		where n > $1 and (first <= before or epoch < was) order by n`, mark)
	if err != nil {
		return nil, err
	}
	return []Result{
		none(StaleWrites, writes, stale),
		none("events whose seq or epoch fell", writes, fell),
		Note("claims of grains so far", "%d", claims),
	}, nil
}

// Contested is how many halls have again and again had events written for them by a node that had been replaced.
func Contested(ctx context.Context, db *pgxpool.Pool) (halls int, err error) {
	err = db.QueryRow(ctx, `select count(*) from (
		select from chaos.wrote where what = 'events' and node is distinct from owner group by identity having count(*) >= 5) x`).Scan(&halls)
	return halls, err
}

// querier is a pool of connections, or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func lines(ctx context.Context, db querier, sql string, args ...any) ([]string, error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Mark is where Stale begins to look for a trial that begins now.
func Mark(ctx context.Context, db *pgxpool.Pool) (mark int64, err error) {
	err = db.QueryRow(ctx, `select coalesce(max(n), 0) from chaos.wrote`).Scan(&mark)
	return mark, err
}

// Owners says which node claimed each grain of a kind last.
func Owners(ctx context.Context, db *pgxpool.Pool, kind string) (map[string]string, error) {
	rows, err := db.Query(ctx, `select distinct on (identity) identity, node from chaos.claim where kind = $1 order by identity, n desc`, kind)
	if err != nil {
		return nil, err
	}
	owners := make(map[string]string)
	var id, node string
	_, err = pgx.ForEachRow(rows, []any{&id, &node}, func() error { owners[id] = node; return nil })
	return owners, err
}

// Clock is the database's time.
func Clock(ctx context.Context, db *pgxpool.Pool) (now time.Time, err error) {
	err = db.QueryRow(ctx, `select clock_timestamp()`).Scan(&now)
	return now, err
}

// Move is how grains changed hands: when the first and the last were claimed, counted from a moment, and how long each was
// nobody's, from its last save to its next claim.
type Move struct {
	Grains      int
	First, Last time.Duration
	gaps        []time.Duration
}

// Gap is a quantile of how long a grain was nobody's.
func (m Move) Gap(q float64) time.Duration { return Quantile(m.gaps, q).Round(time.Millisecond) }

// Moved reads from what the database wrote down how the grains of a kind have changed hands since a moment.
func Moved(ctx context.Context, db *pgxpool.Pool, kind string, since time.Time) (m Move, err error) {
	rows, err := db.Query(ctx, `select c.at, w.at from (select identity, max(at) as at from chaos.claim where kind = $1 and at > $2 group by identity) c
		left join (select identity, max(at) as at from chaos.wrote where kind = $1 and at > $2 group by identity) w using (identity) order by c.at`, kind, since)
	if err != nil {
		return m, err
	}
	var claimed time.Time
	var saved *time.Time
	_, err = pgx.ForEachRow(rows, []any{&claimed, &saved}, func() error {
		if m.Last = claimed.Sub(since); m.Grains == 0 {
			m.First = m.Last
		}
		m.Grains++
		if saved != nil {
			m.gaps = append(m.gaps, claimed.Sub(*saved))
		}
		return nil
	})
	return m, err
}
