package pg_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"nexus/migrations"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
	"nexus/persistence/pgdev/pgtest"
)

var empty pgtest.Template

var quiet = slog.New(slog.DiscardHandler)

func TestEightMigratorsAtOnce(t *testing.T) {
	t.Parallel()
	u := empty.URL(t)
	files, err := fs.Glob(migrations.FS, "*.sql")
	ok(t, err)
	for _, state := range []string{"empty", "migrated"} {
		for _, err := range race(8, func(int) error { return pg.Migrate(context.Background(), u, quiet) }) {
			if err != nil {
				t.Errorf("on an %s database: %v", state, err)
			}
		}
		db := pgfix.Open(t, u, pg.Options{})
		if n := count(t, db.Pool(), `select count(*) from goose_db_version where version_id > 0`); n != len(files) {
			t.Errorf("%d migrations are noted, of %d", n, len(files))
		}
		if n := locks(t, db); n != 0 {
			t.Errorf("%d locks are left behind", n)
		}
	}
}

func locks(t *testing.T, db *pg.DB) int {
	t.Helper()
	return count(t, db.Pool(), `select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`)
}

// hold takes the migration lock the way a migrator does that then hangs.
func hold(t *testing.T, u string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), u)
	ok(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // may be dead already
	_, err = conn.Exec(context.Background(), `select pg_advisory_lock($1)`, pg.MigrationLock)
	ok(t, err)
	return conn
}

func TestTheMigrationLockDiesWithItsConnection(t *testing.T) {
	t.Parallel()
	u := empty.URL(t)
	db := pgfix.Open(t, u, pg.Options{})
	holder := hold(t, u)
	done := make(chan error, 1)
	go func() { done <- pg.Migrate(context.Background(), u, quiet) }()
	blocked(t, db.Pool(), 1)
	exec(t, db.Pool(), `select pg_terminate_backend($1)`, holder.PgConn().PID())
	ok(t, <-done)
	if n := locks(t, db); n != 0 {
		t.Fatalf("%d locks are left behind", n)
	}
}

func TestAMigratorThatGivesUpLeavesTheQueue(t *testing.T) {
	t.Parallel()
	u := empty.URL(t)
	db := pgfix.Open(t, u, pg.Options{})
	holder := hold(t, u)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- pg.Migrate(ctx, u, quiet) }()
	blocked(t, db.Pool(), 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	until(t, "the server to notice that it is gone", func() bool { return locks(t, db) == 1 })
	ok(t, holder.Close(context.Background()))
	until(t, "the lock to go", func() bool { return locks(t, db) == 0 })
}

// A migrator whose connection dies half-way leaves whole migrations, and the next one finishes.
func TestAMigratorThatDiesIsFollowedByAnother(t *testing.T) {
	t.Parallel()
	u := empty.URL(t)
	db := pgfix.Open(t, u, pg.Options{})
	// Held up at its second file by a table that it is about to make.
	blocker := begin(t, db)
	_, err := blocker.Exec(t.Context(), `create table app_user (id int)`)
	ok(t, err)
	done := make(chan error, 1)
	go func() { done <- pg.Migrate(context.Background(), u, quiet) }()
	blocked(t, db.Pool(), 1)
	exec(t, db.Pool(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
	if err := <-done; err == nil {
		t.Fatal("a dead migrator succeeded")
	}
	ok(t, blocker.Rollback(t.Context()))
	if n := count(t, db.Pool(), `select max(version_id) from goose_db_version`); n != 1 {
		t.Fatalf("stopped at version %d", n)
	}
	ok(t, pg.Migrate(context.Background(), u, quiet))
	if _, err := pg.NewMess(db).Halls(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestMigrateSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	if err := pg.Migrate(t.Context(), "postgres://%zz", quiet); err == nil {
		t.Error("a wrong URL was taken")
	}
	if err := pg.Migrate(t.Context(), withParam(t, empty.URL(t), "dbname", "nowhere"), quiet); err == nil {
		t.Error("a missing database was migrated")
	}
}
