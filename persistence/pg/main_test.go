package pg_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestMain(m *testing.M) { pgfix.Main(m) }

// system is a caller with no name.
var system = nexus.Caller{RequestID: "r-1", IP: netip.MustParseAddr("192.0.2.7")}

// code fails the test unless err has the code, "" being none.
func code(t *testing.T, err error, want nexus.Code) {
	t.Helper()
	if got := nexus.CodeOf(err); got != want {
		t.Fatalf("code %q, want %q: %v", got, want, err)
	}
}

// onField fails the test unless err has the code and names the field.
func onField(t *testing.T, err error, want nexus.Code, field string) {
	t.Helper()
	code(t, err, want)
	var e *nexus.Error
	if !errors.As(err, &e) || len(e.Fields) != 1 || e.Fields[0].Field != field {
		t.Fatalf("error does not name %s: %+v", field, e)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newUser makes an account called name with the roles, STUDENT for none.
func newUser(t *testing.T, db *pg.DB, name string, roles ...nexus.Role) nexus.User {
	t.Helper()
	if len(roles) == 0 {
		roles = []nexus.Role{nexus.Student}
	}
	u, err := pg.NewIdentity(db).Create(t.Context(), system, nexus.NewAccount{
		Email: name + "@campus.test", RegNo: "R-" + name, Name: name, PasswordHash: "hash of " + name, Roles: roles,
	})
	ok(t, err)
	return u
}

func newHall(t *testing.T, db *pg.DB, name string) nexus.Hall {
	t.Helper()
	h, err := pg.NewMess(db).CreateHall(t.Context(), system, nexus.Hall{
		Name: name, Capacity: 300, ServiceRatePerMin: 8, DwellMin: 25, TZ: "Asia/Kolkata",
	})
	ok(t, err)
	return h
}

func hash(s string) []byte {
	h := sha256.Sum256([]byte(s))
	return h[:]
}

func keyed(by nexus.Caller, key, body string) nexus.Caller {
	by.Once = nexus.Once{Key: key, Hash: hash(body)}
	return by
}

// race runs fn n times at once and returns their errors.
func race(n int, fn func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = fn(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// tally counts errors by code.
func tally(errs []error) map[nexus.Code]int {
	n := map[nexus.Code]int{}
	for _, err := range errs {
		n[nexus.CodeOf(err)]++
	}
	return n
}

// count returns the number that a query gives.
func count(t *testing.T, pool *pgxpool.Pool, query string, args ...any) int {
	t.Helper()
	var n int
	ok(t, pool.QueryRow(context.Background(), query, args...).Scan(&n))
	return n
}

func exec(t *testing.T, pool *pgxpool.Pool, query string, args ...any) {
	t.Helper()
	_, err := pool.Exec(context.Background(), query, args...)
	ok(t, err)
}

// until waits for a condition in the database, for which PostgreSQL has no event.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// blocked waits until n backends of the pool's database wait for a lock.
func blocked(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	until(t, fmt.Sprintf("%d backends that wait for a lock", n), func() bool {
		return count(t, pool, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) >= n
	})
}

// begin starts a transaction of the test's own, which ends with the test at the latest.
func begin(t *testing.T, db *pg.DB) pgx.Tx {
	t.Helper()
	tx, err := db.Pool().Begin(context.Background())
	ok(t, err)
	t.Cleanup(func() {
		if err := tx.Rollback(context.Background()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	})
	return tx
}
