package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus/persistence/pg/sqlcgen"
)

// pipeline lets statements that answer nothing ride with the next one that does, or with the last flush. On a machine that is busy each way to the
// database and back takes its time, and a press has some twelve statements. What fails on the way fails the statement that it rides with; the
// transaction is over then in any case. How many rows such a statement has met is not known.
type pipeline struct {
	tx    pgx.Tx
	queue *pgx.Batch
}

var _ sqlcgen.DBTX = (*pipeline)(nil)

// piped is tx over a pipeline.
func (db *DB) piped(ctx context.Context, what string, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.call(ctx, what, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			p := &pipeline{tx, &pgx.Batch{}}
			if err := fn(ctx, sqlcgen.New(p)); err != nil {
				return err
			}
			return p.flush(ctx)
		})
	})
}

// Exec queues a statement.
func (p *pipeline) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	p.queue.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

// Query sends what is queued, and a statement behind it.
func (p *pipeline) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	sent, err := p.send(ctx, sql, args)
	if err != nil {
		return nil, err
	}
	rows, err := sent.Query()
	return ridden{rows, sent}, err
}

// QueryRow is Query for one row.
func (p *pipeline) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	sent, err := p.send(ctx, sql, args)
	if err != nil {
		return failedRow{err}
	}
	return riddenRow{sent.QueryRow(), sent}
}

// send sends what is queued and a statement, whose answer is the next to be read.
func (p *pipeline) send(ctx context.Context, sql string, args []any) (pgx.BatchResults, error) {
	before := p.queue.Len()
	p.queue.Queue(sql, args...)
	sent := p.tx.SendBatch(ctx, p.queue)
	p.queue = &pgx.Batch{}
	for range before {
		if _, err := sent.Exec(); err != nil {
			_ = sent.Close() // it says the same
			return nil, err
		}
	}
	return sent, nil
}

func (p *pipeline) flush(ctx context.Context) error {
	if p.queue.Len() == 0 {
		return nil
	}
	return p.tx.SendBatch(ctx, p.queue).Close()
}

// ridden are rows of the last statement that was sent with others.
type ridden struct {
	pgx.Rows
	sent pgx.BatchResults
}

// Close implements pgx.Rows.
func (r ridden) Close() {
	r.Rows.Close()
	_ = r.sent.Close() // what is wrong is in Err
}

// riddenRow is one.
type riddenRow struct {
	row  pgx.Row
	sent pgx.BatchResults
}

// Scan implements pgx.Row.
func (r riddenRow) Scan(dest ...any) error {
	err := r.row.Scan(dest...)
	if closed := r.sent.Close(); err == nil {
		err = closed
	}
	return err
}

type failedRow struct{ err error }

// Scan implements pgx.Row.
func (r failedRow) Scan(...any) error { return r.err }
