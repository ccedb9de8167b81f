// Package pgfix gives tests a migrated database of their own, in about as long as a file copy takes:
//
//	func TestMain(m *testing.M) { pgfix.Main(m) }
//
//	func TestVote(t *testing.T) {
//		db := pgfix.DB(t)
//		...
//	}
package pgfix

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nexus/persistence/pg"
	"nexus/persistence/pgdev/pgtest"
)

var template = pgtest.Template{Prepare: func(ctx context.Context, url string) error {
	return pg.Migrate(ctx, url, slog.New(slog.DiscardHandler))
}}

// Main runs the tests of a package and ends the process's PostgreSQL server. It does not return.
func Main(m *testing.M, leaks ...goleak.Option) { pgtest.Main(m, leaks...) }

// URL returns the connection string of a fresh, migrated database, which is dropped at cleanup.
func URL(t testing.TB) string {
	t.Helper()
	return template.URL(t)
}

// DB opens a fresh, migrated database with at most eight connections. It is closed and dropped at cleanup.
func DB(t testing.TB) *pg.DB {
	t.Helper()
	return Open(t, URL(t), pg.Options{MaxConns: 8})
}

// Open opens the database at url with options of the test's own. It is closed at cleanup. Bounds that the test does not set are wide:
// a machine that does much else is no fault of what is tested.
func Open(t testing.TB, url string, o pg.Options) *pg.DB {
	t.Helper()
	db, err := pg.Open(context.Background(), url, Patient(o))
	if err != nil {
		t.Fatalf("open the test's database: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// patience is longer than anything takes that is not stuck.
const patience = 2 * time.Minute

// Patient returns the options with wide bounds where they set none.
func Patient(o pg.Options) pg.Options {
	for _, d := range []*time.Duration{
		&o.ConnectTimeout, &o.AcquireTimeout, &o.StatementTimeout, &o.LockTimeout, &o.IdleInTransaction, &o.CallTimeout,
	} {
		if *d <= 0 {
			*d = patience
		}
	}
	return o
}
