package pg

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"nexus/migrations"
)

// migrationLock is the key of the advisory lock that one migrator holds at a time.
const migrationLock int64 = 0x6e65787573 // "nexus"

// Migrate brings the database at url to the newest schema. Any number of processes may call it at
// once: one works, the others wait for it and find nothing left to do. The lock belongs to the very
// session that migrates, so it ends with it, whatever the end: a lost connection leaves neither
// a lock nor a second migrator behind. ctx bounds the waiting and the work; the session has no
// time-outs of its own, for a migration may take long.
func Migrate(ctx context.Context, url string, log *slog.Logger) error {
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("parse the database's URL: %w", err)
	}
	c.ConnectTimeout = 3 * time.Second
	c.RuntimeParams["application_name"] = "nexus migrate"
	for name, value := range map[string]string{
		"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0",
		// The server notices a migrator that is gone, also while it waits for the lock or works.
		"client_connection_check_interval": "1000",
		"tcp_keepalives_idle":              "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3",
	} {
		c.RuntimeParams[name] = value
	}
	db := stdlib.OpenDB(*c)
	defer db.Close() //nolint:errcheck // ends the session; nothing is left to be lost
	p, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker{}))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	done, err := p.Up(ctx)
	for _, m := range done {
		log.InfoContext(ctx, "migrated", "file", m.Source.Path, "took", m.Duration)
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", Err(err))
	}
	return nil
}

// locker waits in the database's own queue for the lock, where goose's polls.
type locker struct{}

func (locker) SessionLock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "select pg_advisory_lock($1)", migrationLock); err != nil {
		return fmt.Errorf("wait for the migration lock: %w", err)
	}
	return nil
}

func (locker) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := conn.ExecContext(ctx, "select pg_advisory_unlock($1)", migrationLock); err != nil {
		return fmt.Errorf("release the migration lock: %w", err)
	}
	return nil
}
