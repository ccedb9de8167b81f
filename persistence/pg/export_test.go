package pg

import (
	"context"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// What the tests outside of the package look at.
var (
	Post         = post
	Tell         = tell
	Guarded      = guarded
	Missing      = missing
	DetailCommit = detailCommit
	EntryHash    = entryHash
	EventHash    = eventHash
	VerifyRows   = verifyIncident

	MigrationLock = migrationLock
)

// Entry is what an entry of the audit log is hashed as.
type Entry = entry

// Traced returns options with which a tracer hears of every statement.
func Traced(o Options, t pgx.QueryTracer) Options {
	o.tracer = t
	return o
}

// MaxFixes bounds the positions of one incident.
const MaxFixes = maxFixes

// Tx runs fn in a transaction of the store.
func (db *DB) Tx(ctx context.Context, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.tx(ctx, "test", fn)
}

// Mutate runs fn as a mutation of by's.
func Mutate[T any](ctx context.Context, db *DB, by nexus.Caller, fn func() (T, error)) (T, error) {
	return mutate(ctx, db, "test", by, func(context.Context, *sqlcgen.Queries) (T, error) { return fn() })
}
