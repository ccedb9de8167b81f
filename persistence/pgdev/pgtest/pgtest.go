// Package pgtest gives every test a PostgreSQL database of its own, on one
// private server per test process.
//
//	var db = pgtest.Template{Prepare: migrations.Up} // runs once per process
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestVote(t *testing.T) {
//		t.Parallel()
//		pool := db.New(t) // a clone of the migrated template, dropped at cleanup
//		...
//	}
//
// The server starts with the first database that is asked for, without fsync,
// in a temporary directory. A guard, a small shell process, holds the other end
// of a pipe: when the test process ends, however it ends, the pipe breaks and
// the guard stops the server and removes the directory.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"
)

const limit = time.Minute // for each step: starting, preparing, cloning, dropping

// Template is a database to clone. The zero value is an empty one. It is used
// by any number of tests at once, and must not be copied.
type Template struct {
	// Prepare fills the template through its own connections, and has closed them
	// when it returns: PostgreSQL clones no database that is in use.
	Prepare func(ctx context.Context, url string) error

	once sync.Once
	name string
	err  error
}

var empty Template

// New returns a pool on a fresh, empty database.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return empty.New(t)
}

// New returns a pool on a fresh clone of the template. Both go at cleanup.
func (p *Template) New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	dsn := p.URL(t)
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatalf("open pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// URL returns the connection string of a fresh clone of the template, for tests
// that open their own connections. The clone is dropped at cleanup, with
// whatever is still connected to it.
func (p *Template) URL(t testing.TB) string {
	t.Helper()
	p.once.Do(func() { p.name, p.err = p.prepare() })
	if p.err != nil {
		t.Fatalf("prepare test database: %v", p.err)
	}
	name, err := create(p.name)
	if err != nil {
		t.Fatalf("clone test database: %v", err)
	}
	t.Cleanup(func() {
		if err := admin("DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return serverURL(name)
}

// Main runs the tests of a package, ends the server, and looks for goroutines
// that were left behind. It is for TestMain and does not return.
func Main(m *testing.M, leaks ...goleak.Option) {
	goleak.VerifyTestMain(run(m.Run), leaks...)
}

// run is the tests with the end of the server behind them.
type run func() int

// Run implements goleak.TestingM.
func (r run) Run() int {
	code := r()
	if err := theServer.close(); err != nil {
		fmt.Println("pgtest:", err)
		code = max(code, 1)
	}
	return code
}

func (p *Template) prepare() (string, error) {
	if p.Prepare == nil {
		return "template0", theServer.start()
	}
	if err := theServer.start(); err != nil {
		return "", err
	}
	name, err := create("template0")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	return name, p.Prepare(ctx, serverURL(name))
}

var serial atomic.Int64

// create clones a database under a new name.
func create(template string) (string, error) {
	name := fmt.Sprintf("test_%d", serial.Add(1))
	return name, admin("CREATE DATABASE " + quote(name) + " TEMPLATE " + quote(template))
}

// admin runs one statement outside of any transaction.
func admin(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, serverURL("postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// serverURL is the connection string of one database of the running server.
func serverURL(database string) string {
	u, err := url.Parse(theServer.url)
	if err != nil {
		panic(err) // our own text
	}
	u.Path = "/" + database
	return u.String()
}
