package pg

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus"
)

// Options bound the use of the database. Zero fields take the defaults.
type Options struct {
	MaxConns          int           // connections in the pool; 16
	Warm              bool          // all of them are made at once, and anew when one is lost, so that nobody waits until one is
	ConnectTimeout    time.Duration // for making a connection; 3 s
	AcquireTimeout    time.Duration // for waiting for a free connection; 2 s
	StatementTimeout  time.Duration // for one statement, held by the server; 5 s
	LockTimeout       time.Duration // for one lock, held by the server; 3 s
	IdleInTransaction time.Duration // for a transaction that asks for nothing, held by the server; 10 s
	ClientCheck       time.Duration // how often the server looks whether the client of a statement still lives, held by the server; 1 s
	CallTimeout       time.Duration // for one call of a store, whatever the server does; 10 s
	ApplicationName   string        // as pg_stat_activity shows it; "nexus"
	RequireDurable    bool          // refuse a database that acknowledges commits before they are on disk

	tracer pgx.QueryTracer // of a test; nil: nobody hears of statements
}

func (o Options) withDefaults() Options {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&o.ConnectTimeout, 3*time.Second)
	def(&o.AcquireTimeout, 2*time.Second)
	def(&o.StatementTimeout, 5*time.Second)
	def(&o.LockTimeout, 3*time.Second)
	def(&o.IdleInTransaction, 10*time.Second)
	def(&o.ClientCheck, time.Second)
	def(&o.CallTimeout, 10*time.Second)
	if o.MaxConns <= 0 {
		o.MaxConns = 16
	}
	if o.ApplicationName == "" {
		o.ApplicationName = "nexus"
	}
	return o
}

// DB is a bounded pool of connections, shared by all stores. It is safe for concurrent use.
type DB struct {
	pool *pgxpool.Pool
	opt  Options
}

// Open connects to the database at url, a connection string as libpq knows it, and checks that it
// answers. It does not migrate: see Migrate. With RequireDurable it fails for a database
// whose synchronous_commit is off, and every later connection is checked alike.
func Open(ctx context.Context, url string, o Options) (*DB, error) {
	o = o.withDefaults()
	c, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("parse the database's URL: %w", err)
	}
	c.MaxConns = int32(min(o.MaxConns, 1000))
	if o.Warm {
		c.MinConns, c.HealthCheckPeriod = c.MaxConns, time.Second
	}
	c.PingTimeout = time.Second
	c.ConnConfig.ConnectTimeout = o.ConnectTimeout
	c.ConnConfig.Tracer = o.tracer
	params := c.ConnConfig.RuntimeParams
	params["application_name"] = o.ApplicationName
	params["timezone"] = "UTC"
	params["statement_timeout"] = millis(o.StatementTimeout)
	params["lock_timeout"] = millis(o.LockTimeout)
	params["idle_in_transaction_session_timeout"] = millis(o.IdleInTransaction)
	c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		conn.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID,
			Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		if err := watchClient(ctx, conn, o.ClientCheck); err != nil || !o.RequireDurable {
			return err
		}
		return checkDurable(ctx, conn)
	}
	pool, err := pgxpool.NewWithConfig(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	db := &DB{pool: pool, opt: o}
	if err := db.open(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return db, nil
}

// open makes the first connection; unlike Ping it lets the caller see why it cannot.
func (db *DB) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, db.opt.ConnectTimeout)
	defer cancel()
	return db.pool.Ping(ctx)
}

// watchClient has the server notice, also while a statement waits for a lock, that whoever asked is gone: a process that was killed would
// else hold what it has locked until it has got the rest. A server whose system cannot tell does without.
func watchClient(ctx context.Context, conn *pgx.Conn, every time.Duration) error {
	_, err := conn.Exec(ctx, "select set_config('client_connection_check_interval', $1, false)", millis(every))
	if refused := (*pgconn.PgError)(nil); errors.As(err, &refused) {
		return nil
	}
	return err
}

func checkDurable(ctx context.Context, conn *pgx.Conn) error {
	var v string
	if err := conn.QueryRow(ctx, "select current_setting('synchronous_commit')").Scan(&v); err != nil {
		return fmt.Errorf("read synchronous_commit: %w", err)
	}
	if v == "off" {
		return nexus.Errorf(nexus.Invalid, "synchronous_commit is off: a crash would lose what was acknowledged; set it to on")
	}
	return nil
}

// millis is d as PostgreSQL takes it, at least 1: 0 would mean no limit.
func millis(d time.Duration) string { return strconv.FormatInt(max(d.Milliseconds(), 1), 10) }

// Pool returns the pool, for those who bring their own queries. They keep to its time-outs
// and map their own errors with Err.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Ping asks the database for a sign of life. Unavailable if there is none within a second.
func (db *DB) Ping(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := db.pool.Ping(limited); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("ping: %w", ctx.Err())
		}
		return unavailable(err)
	}
	return nil
}

// Close waits for the connections that are in use and closes all.
func (db *DB) Close() { db.pool.Close() }
