package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"nexus"
	"nexus/persistence/jobs"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestMain(m *testing.M) {
	pgfix.Main(m)
}

// TestTheTablesAreRivers: the ones that this version of it works with.
func TestTheTablesAreRivers(t *testing.T) {
	m, err := rivermigrate.New(riverpgxv5.New(pgfix.DB(t).Pool()), &rivermigrate.Config{Schema: "river"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Validate(t.Context(), nil)
	if err != nil || !r.OK {
		t.Errorf("%+v %v", r, err)
	}
}

// maker does as it is told, and notes what it was asked for.
type maker struct {
	mu    sync.Mutex
	made  []nexus.SummaryOrder
	do    func(ctx context.Context, n int) error
	awake chan struct{}

	forecast chan struct{} // one place
}

func newMaker(do func(ctx context.Context, n int) error) *maker {
	return &maker{do: do, awake: make(chan struct{}, 1000), forecast: make(chan struct{}, 1)}
}

func (m *maker) Make(ctx context.Context, o nexus.SummaryOrder, ordered time.Time) error {
	if ordered.IsZero() {
		return errors.New("no time")
	}
	m.mu.Lock()
	m.made = append(m.made, o)
	n := len(m.made)
	m.mu.Unlock()
	err := m.do(ctx, n)
	m.awake <- struct{}{}
	return err
}

// MakeAll notes that forecasts were made.
func (m *maker) MakeAll(context.Context, time.Time) error {
	select {
	case m.forecast <- struct{}{}:
	default:
	}
	return nil
}

func (m *maker) wait(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-m.awake:
		case <-time.After(30 * time.Second):
			t.Fatal("waited in vain for a job")
		}
	}
}

func start(t *testing.T, db *pg.DB, m *maker) *jobs.Runner {
	t.Helper()
	r, err := jobs.Start(t.Context(), db.Pool(), jobs.Makers{Summaries: m, Rounds: map[string]jobs.Round{"forecasts": {Every: time.Hour, Do: m.MakeAll}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stop(t *testing.T, r *jobs.Runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
}

func order(n int) nexus.SummaryOrder {
	return nexus.SummaryOrder{Letter: nexus.LetterID(fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", n)), TZ: "UTC"}
}

func place(t *testing.T, db *pg.DB, fail error, orders ...nexus.SummaryOrder) {
	t.Helper()
	q, err := jobs.NewQueue(db.Pool())
	if err != nil {
		t.Fatal(err)
	}
	err = pgx.BeginFunc(t.Context(), db.Pool(), func(tx pgx.Tx) error {
		if err := q.Order(t.Context(), tx, orders); err != nil {
			return err
		}
		return fail
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
}

func states(t *testing.T, db *pg.DB) map[string]int {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), `select state::text, count(*) from river.river_job where kind = 'mail_summary' group by 1`)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	var state string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&state, &n}, func() error { found[state] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAnOrderIsDoneOnce, however often it is placed, and not at all if what caused it was not committed.
func TestAnOrderIsDoneOnce(t *testing.T) {
	db := pgfix.DB(t)
	place(t, db, errors.New("changed my mind"), order(1))
	place(t, db, nil, order(2), order(3))
	place(t, db, nil, order(3))
	m := newMaker(func(context.Context, int) error { return nil })
	r := start(t, db, m)
	m.wait(t, 2)
	place(t, db, nil, order(2)) // it was done before
	place(t, db, nil, order(4))
	m.wait(t, 1)
	stop(t, r)
	if len(m.made) != 3 || m.made[2] != order(4) {
		t.Errorf("%v", m.made)
	}
	if s := states(t, db); s["completed"] != 3 || len(s) != 1 {
		t.Errorf("%v", s)
	}
}

// TestAJobComesAgainWhenItIsToldTo, and one of which nobody wants anything any more does not.
func TestAJobComesAgainWhenItIsToldTo(t *testing.T) {
	db := pgfix.DB(t)
	place(t, db, nil, order(1))
	busy := nexus.Errorf(nexus.RateLimited, "busy")
	busy.RetryAfter = 10 * time.Millisecond
	m := newMaker(func(_ context.Context, n int) error {
		if n <= 3 {
			return fmt.Errorf("ask: %w", busy)
		}
		return nil
	})
	r := start(t, db, m)
	defer stop(t, r)
	m.wait(t, 4)
	m.mu.Lock()
	m.do = func(context.Context, int) error { return nexus.Errorf(nexus.NotFound, "erased") }
	m.mu.Unlock()
	place(t, db, nil, order(2))
	m.wait(t, 1)
	for range 500 {
		if s := states(t, db); s["completed"] == 1 && s["cancelled"] == 1 {
			return
		}
		if !nexus.Pause(t.Context(), 10*time.Millisecond) {
			break
		}
	}
	t.Errorf("%v", states(t, db))
}

// TestAJobOfANodeThatEndsIsDoneByAnother.
func TestAJobOfANodeThatEndsIsDoneByAnother(t *testing.T) {
	db := pgfix.DB(t)
	place(t, db, nil, order(1))
	began := make(chan struct{})
	first := newMaker(func(ctx context.Context, _ int) error { close(began); <-ctx.Done(); return ctx.Err() })
	r := start(t, db, first)
	<-began
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // it has no time at all
	if err := r.Close(ctx); err != nil {
		t.Error(err)
	}
	second := newMaker(func(context.Context, int) error { return nil })
	r = start(t, db, second)
	defer stop(t, r)
	second.wait(t, 1)
}

// TestForecastsAreMadeFromTheStart.
func TestForecastsAreMadeFromTheStart(t *testing.T) {
	m := newMaker(func(context.Context, int) error { return nil })
	r := start(t, pgfix.DB(t), m)
	defer stop(t, r)
	select {
	case <-m.forecast:
	case <-time.After(30 * time.Second):
		t.Error("waited in vain")
	}
}
