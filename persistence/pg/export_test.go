package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// What the tests outside of the package look at.
var (
	Guarded      = guarded
	Missing      = missing
	DetailCommit = detailCommit
	EntryHash    = entryHash
	EventHash    = eventHash
	VerifyRows   = verifyIncident

	MigrationLock = migrationLock
)

// Tx runs fn in a transaction of the store.
func (db *DB) Tx(ctx context.Context, fn func(context.Context, *sqlcgen.Queries) error) error {
	return db.tx(ctx, "test", fn)
}

// Mutate runs fn as a mutation of by's.
func Mutate[T any](ctx context.Context, db *DB, by nexus.Caller, fn func() (T, error)) (T, error) {
	return mutate(ctx, db, "test", by, func(context.Context, *sqlcgen.Queries) (T, error) { return fn() })
}
