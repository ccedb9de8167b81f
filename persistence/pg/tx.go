package pg

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// attempts is how often a transaction is tried that the database rolled back for others' sake.
const attempts = 5

// do lends fn a connection for single statements and maps its error.
func (db *DB) do(ctx context.Context, what string, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.call(ctx, what, func(ctx context.Context, conn *pgxpool.Conn) error {
		return fn(ctx, sqlcgen.New(conn))
	})
}

// tx runs fn in a transaction and commits unless fn fails. fn may run several times, so it
// must not keep anything of an earlier run. After an error of the connection at the commit
// nobody knows whether it happened.
func (db *DB) tx(ctx context.Context, what string, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.begin(ctx, what, pgx.TxOptions{}, fn)
}

// purgeBatch is how many rows one statement drops: few enough to be done well within a call's time.
const purgeBatch = 10_000

// purge drops rows batch by batch until none is left, each batch in a call of its own, and says how many it dropped.
func (db *DB) purge(ctx context.Context, what string, drop func(*sqlcgen.Queries, context.Context, int32) (int64, error)) (purged int64, err error) {
	for n := int64(purgeBatch); n == purgeBatch; purged += n {
		n = 0
		err := db.do(ctx, what, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			n, err = drop(q, ctx, purgeBatch)
			return err
		})
		if err != nil {
			return purged, err
		}
	}
	return purged, nil
}

// read runs fn in a transaction that sees the database as it is at one moment.
func (db *DB) read(ctx context.Context, what string, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.begin(ctx, what, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
}

func (db *DB) begin(ctx context.Context, what string, o pgx.TxOptions, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.raw(ctx, what, o, func(ctx context.Context, tx pgx.Tx) error { return fn(ctx, sqlcgen.New(tx)) })
}

// raw is tx for what needs more than queries, such as durable jobs.
func (db *DB) raw(ctx context.Context, what string, o pgx.TxOptions, fn func(context.Context, pgx.Tx) error) error {
	return db.call(ctx, what, func(ctx context.Context, conn *pgxpool.Conn) error {
		return pgx.BeginTxFunc(ctx, conn, o, func(tx pgx.Tx) error { return fn(ctx, tx) })
	})
}

// mutate makes a change of by's: in one transaction, and once for each idempotency key.
func mutate[T any](ctx context.Context, db *DB, what string, by nexus.Caller,
	fn func(context.Context, *sqlcgen.Queries) (T, error),
) (T, error) {
	var answer, none T
	err := db.tx(ctx, what, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		answer, err = once(ctx, q, by, func() (T, error) { return fn(ctx, q) })
		return err
	})
	if err != nil {
		return none, err
	}
	return answer, nil
}

// call runs fn on a connection of its own, again where that is safe and promising.
func (db *DB) call(ctx context.Context, what string, fn func(context.Context, *pgxpool.Conn) error) error {
	limited, cancel := context.WithTimeout(ctx, db.opt.CallTimeout)
	defer cancel()
	var err error
	for n := range attempts {
		if n > 0 && !pause(limited, n) {
			break
		}
		var again bool
		if again, err = db.try(limited, fn); err == nil {
			return nil
		}
		if !again {
			break
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return fmt.Errorf("%s: %w", what, Err(err))
}

// try runs fn once and says whether the database asks for another try.
func (db *DB) try(ctx context.Context, fn func(context.Context, *pgxpool.Conn) error) (again bool, err error) {
	waiting, cancel := context.WithTimeout(ctx, db.opt.AcquireTimeout)
	conn, err := db.pool.Acquire(waiting)
	cancel()
	if err != nil {
		return false, unavailable(err)
	}
	defer conn.Release()
	err = fn(ctx, conn)
	if err == nil {
		return false, nil
	}
	if contended(err) || unsent(err) {
		return true, err
	}
	if conn.Conn().IsClosed() && nexus.CodeOf(err) == nexus.Internal {
		return false, unavailable(err) // the connection broke on the way
	}
	return false, err
}

// unsent reports whether the database has heard nothing of what failed. pgx calls ErrConnClosed safe to repeat as well, which it
// also returns when a connection breaks between a simple query, such as a commit, and its answer: nobody knows then.
func unsent(err error) bool { return pgconn.SafeToRetry(err) && !errors.Is(err, pgconn.ErrConnClosed) }

// pause waits before the n-th new try, a little longer each time and never in step with others.
func pause(ctx context.Context, n int) bool {
	return nexus.Pause(ctx, time.Duration(n)*(2*time.Millisecond+rand.N(8*time.Millisecond)))
}
