package pg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
	"nexus/persistence/pg/sqlcgen"
)

// away fails the test unless err is what callers get while the database is away.
func away(t *testing.T, err error) {
	t.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != nexus.Unavailable || e.RetryAfter != time.Second {
		t.Fatalf("want unavailable for a second: %v", err)
	}
}

func TestOpenSetsTheBounds(t *testing.T) {
	t.Parallel()
	db := pgfix.Open(t, pgfix.URL(t), pg.Options{
		MaxConns: 3, StatementTimeout: 1500 * time.Millisecond, LockTimeout: 700 * time.Millisecond,
		IdleInTransaction: 4 * time.Second, ClientCheck: 250 * time.Millisecond, ApplicationName: "nexus test",
	})
	if n := db.Pool().Config().MaxConns; n != 3 {
		t.Errorf("%d connections", n)
	}
	for name, want := range map[string]string{
		"statement_timeout": "1500ms", "lock_timeout": "700ms", "idle_in_transaction_session_timeout": "4s",
		"client_connection_check_interval": "250ms",
		"application_name":                 "nexus test", "timezone": "UTC",
	} {
		var got string
		ok(t, db.Pool().QueryRow(t.Context(), `select current_setting($1)`, name).Scan(&got))
		if got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	ok(t, db.Ping(t.Context()))
}

func TestOpenSaysWhyItCannot(t *testing.T) {
	t.Parallel()
	if _, err := pg.Open(t.Context(), "postgres://%zz", pg.Options{}); err == nil {
		t.Error("a wrong URL was taken")
	}
	u := pgfix.URL(t)
	if _, err := pg.Open(t.Context(), withParam(t, u, "dbname", "nowhere"), pg.Options{}); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a missing database: %v", err)
	}
	if _, err := pg.Open(t.Context(), "postgres://127.0.0.1:1/x?connect_timeout=1", pg.Options{}); err == nil {
		t.Error("nobody listens there")
	}
}

// withParam sets a parameter of a connection string in URL form.
func withParam(t *testing.T, raw, name, value string) string {
	t.Helper()
	u, err := url.Parse(raw)
	ok(t, err)
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func TestRequireDurableRefusesAsynchronousCommits(t *testing.T) {
	t.Parallel()
	raw := pgfix.URL(t)
	u := withParam(t, raw, "synchronous_commit", "off")
	pgfix.Open(t, u, pg.Options{})
	_, err := pg.Open(t.Context(), u, pg.Options{RequireDurable: true})
	code(t, err, nexus.Invalid)
	if !strings.Contains(err.Error(), "synchronous_commit") {
		t.Errorf("does not say what is wrong: %v", err)
	}
	db := pgfix.Open(t, raw, pg.Options{RequireDurable: true})
	// Switched off behind our back: connections made from then on are refused.
	exec(t, db.Pool(), `do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`)
	db.Pool().Reset()
	_, err = pg.NewMess(db).Halls(t.Context())
	away(t, err)
}

func TestAFullPoolIsUnavailable(t *testing.T) {
	t.Parallel()
	db := pgfix.Open(t, pgfix.URL(t), pg.Options{MaxConns: 1, AcquireTimeout: 20 * time.Millisecond})
	conn, err := db.Pool().Acquire(t.Context())
	ok(t, err)
	_, err = pg.NewMess(db).Halls(t.Context())
	conn.Release()
	away(t, err)
	until(t, "the connection is given out again", func() bool {
		_, err = pg.NewMess(db).Halls(t.Context())
		if err != nil {
			away(t, err)
		}
		return err == nil
	})
}

func TestTheCallersContextStaysWhatItIs(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.ByID(cancelled, u.ID)
	if !errors.Is(err, context.Canceled) || errors.As(err, new(*nexus.Error)) {
		t.Errorf("before the call: %v", err)
	}
	if err := db.Ping(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("ping: %v", err)
	}
	// While it waits for a lock that another transaction holds.
	release := lockUser(t, db, u.ID)
	defer release()
	running, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.SetPassword(running, system, u.ID, "x") }()
	blocked(t, db.Pool(), 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || errors.As(err, new(*nexus.Error)) {
		t.Errorf("during the call: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if _, err := s.ByID(late, u.ID); !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*nexus.Error)) {
		t.Errorf("too late: %v", err)
	}
}

// lockUser holds an account's row in a transaction of its own until it is released.
func lockUser(t *testing.T, db *pg.DB, id nexus.UserID) (release func()) {
	t.Helper()
	tx := begin(t, db)
	_, err := tx.Exec(context.Background(), `select 1 from app_user where id = $1 for update`, string(id))
	ok(t, err)
	return func() {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func TestTimeOutsAreUnavailable(t *testing.T) {
	t.Parallel()
	u := pgfix.URL(t)
	long := pgfix.Open(t, u, pg.Options{})
	asha := newUser(t, long, "asha")
	defer lockUser(t, long, asha.ID)()
	for name, o := range map[string]pg.Options{
		"lock":      {LockTimeout: 20 * time.Millisecond},
		"statement": {StatementTimeout: 20 * time.Millisecond},
		"call":      {CallTimeout: 20 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var db *pg.DB
			until(t, "a connection is made within the bounds", func() (made bool) {
				var err error
				db, err = pg.Open(t.Context(), u, pgfix.Patient(o))
				return err == nil
			})
			defer db.Close()
			away(t, pg.NewIdentity(db).SetPassword(context.Background(), system, asha.ID, "x"))
		})
	}
}

func TestALostConnectionIsUnavailableAndRollsBack(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	t.Run("while a statement waits", func(t *testing.T) {
		release := lockUser(t, db, u.ID)
		done := make(chan error, 1)
		go func() { done <- s.SetPassword(context.Background(), system, u.ID, "x") }()
		blocked(t, db.Pool(), 1)
		exec(t, db.Pool(), `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`)
		away(t, <-done)
		release()
	})
	t.Run("between two statements", func(t *testing.T) {
		err := db.Tx(context.Background(), func(ctx context.Context, q *sqlcgen.Queries) error {
			hash := "x"
			if err := q.SetPasswordHash(ctx, &hash, string(u.ID)); err != nil {
				return err
			}
			exec(t, db.Pool(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`)
			_, err := q.UserByID(ctx, string(u.ID))
			return err
		})
		away(t, err)
	})
	t.Run("before the commit", func(t *testing.T) {
		err := db.Tx(context.Background(), func(ctx context.Context, q *sqlcgen.Queries) error {
			hash := "x"
			if err := q.SetPasswordHash(ctx, &hash, string(u.ID)); err != nil {
				return err
			}
			exec(t, db.Pool(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`)
			return nil
		})
		away(t, err)
	})
	c, err := s.ByID(t.Context(), u.ID)
	if err != nil || c.PasswordHash != "hash of asha" || c.TokenEpoch != 0 {
		t.Fatalf("%+v %v", c, err)
	}
	if n := count(t, db.Pool(), `select count(*) from audit_log`); n != 1 {
		t.Fatalf("%d entries", n)
	}
}

// Two transactions that take two rows in opposite order: the database ends one, which is tried again.
func TestDeadlocksAreTriedAgain(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	a, b := newUser(t, db, "a"), newUser(t, db, "b")
	var tries atomic.Int32
	met := make(chan struct{}, 2)
	both := make(chan struct{})
	go func() { <-met; <-met; close(both) }()
	errs := race(2, func(i int) error {
		first, second := a.ID, b.ID
		if i == 1 {
			first, second = b.ID, a.ID
		}
		mine := 0
		return db.Tx(context.Background(), func(ctx context.Context, q *sqlcgen.Queries) error {
			tries.Add(1)
			if _, err := q.LockUser(ctx, string(first)); err != nil {
				return err
			}
			if mine++; mine == 1 {
				met <- struct{}{}
				<-both
			}
			_, err := q.LockUser(ctx, string(second))
			return err
		})
	})
	ok(t, errs[0])
	ok(t, errs[1])
	if tries.Load() < 3 {
		t.Fatalf("%d tries: there was no deadlock", tries.Load())
	}
}

// A database that was away is used again without further ado, though the pool's connections are dead.
func TestThePoolRecovers(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	newUser(t, db, "asha")
	for range 3 {
		exec(t, db.Pool(), `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
		until(t, "an answer", func() bool {
			_, err := pg.NewMess(db).Halls(t.Context())
			if err != nil {
				away(t, err)
			}
			return err == nil
		})
	}
}

// cutAtCommit returns the URL of a database whose connections break when it has committed, before anybody hears of it, and the number of
// commits so far.
func cutAtCommit(t *testing.T, to string) (at string, commits *atomic.Int32) {
	t.Helper()
	c, err := pgconn.ParseConfig(to)
	ok(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	commits = new(atomic.Int32)
	var carried sync.WaitGroup
	t.Cleanup(func() {
		ok(t, l.Close())
		carried.Wait()
	})
	network, server := pgconn.NetworkAddress(c.Host, c.Port)
	carried.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			carried.Go(func() { carryToCommit(client, network, server, commits) })
		}
	})
	return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", c.User, l.Addr(), c.Database), commits
}

func carryToCommit(client net.Conn, network, to string, commits *atomic.Int32) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial(network, to)
	if err != nil {
		return // the client sees that nobody answers
	}
	defer func() { _ = server.Close() }()
	var muted atomic.Bool
	var back sync.WaitGroup
	defer back.Wait()
	back.Go(func() {
		defer func() { _ = client.Close() }()
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if err != nil || muted.Load() {
				return // the answer to the commit goes no further
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 32<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			_ = server.Close()
			return
		}
		if bytes.Contains(buf[:n], []byte("commit\x00")) {
			commits.Add(1)
			muted.Store(true)
		}
		if _, err := server.Write(buf[:n]); err != nil {
			return
		}
	}
}

// TestACommitWithoutAnAnswerIsNotRepeated loses the answer: the caller hears that nobody knows, and the exchange is not made again,
// which would take the owner of the token for a thief.
func TestACommitWithoutAnAnswerIsNotRepeated(t *testing.T) {
	t.Parallel()
	u := pgfix.URL(t)
	db := pgfix.Open(t, u, pg.Options{})
	id := login(t, db, newUser(t, db, "asha").ID, "t0")
	at, commits := cutAtCommit(t, u)
	_, _, err := pg.NewIdentity(pgfix.Open(t, at, pg.Options{})).Rotate(t.Context(), hash("t0"), token("t1"), life)
	away(t, err)
	if n := commits.Load(); n != 1 {
		t.Errorf("%d commits", n)
	}
	if st, err := pg.NewIdentity(db).State(t.Context(), id); err != nil || st.Revoked {
		t.Errorf("the login has ended: %+v %v", st, err)
	}
	if _, _, err := pg.NewIdentity(db).Rotate(t.Context(), hash("t1"), token("t2"), life); err != nil {
		t.Errorf("the exchange was not made: %v", err)
	}
}
