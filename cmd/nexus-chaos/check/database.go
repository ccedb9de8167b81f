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
// claimed it, and the numbers of a hall's events only rise.
func Stale(ctx context.Context, db *pgxpool.Pool, mark int64) ([]Result, error) {
	var writes, claims int
	if err := db.QueryRow(ctx, `select (select count(*) from chaos.wrote where n > $1), (select count(*) from chaos.claim)`, mark).Scan(&writes, &claims); err != nil {
		return nil, err
	}
	stale, err := lines(ctx, db, `select format('%s %s/%s by %s, which %s had claimed, epoch %s', what, kind, identity, node, owner, epoch)
		from chaos.wrote where n > $1 and node is distinct from owner order by n`, mark)
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

func lines(ctx context.Context, db *pgxpool.Pool, sql string, args ...any) ([]string, error) {
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

// Owners says which node claimed each hall last.
func Owners(ctx context.Context, db *pgxpool.Pool) (map[string]string, error) {
	rows, err := db.Query(ctx, `select distinct on (identity) identity, node from chaos.claim where kind = 'mess' order by identity, n desc`)
	if err != nil {
		return nil, err
	}
	owners := make(map[string]string)
	var hall, node string
	_, err = pgx.ForEachRow(rows, []any{&hall, &node}, func() error { owners[hall] = node; return nil })
	return owners, err
}
