// Package demo fills an empty database with a campus to look at: accounts of every role, three mess
// halls, a fortnight of menus and what students thought of them, six courses with a month of classes behind them.
//
// It is for development alone, for every account has the same, public password. Everything it makes
// is known by a natural key - an e-mail address, a hall's name, a hall's meal on a day - and made only where that key is
// free, so that seeding again changes nothing, and seeding some days later adds the missing days.
package demo

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
)

// Password opens every demo account.
const Password = "campus-demo"

// DB is a database, such as *pgxpool.Pool or *pgx.Conn. It holds the schema already.
type DB interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// lock makes seeders take turns, on whichever node they run. It goes with the transaction.
const lock = 0x6e657875735f6465 // "nexus_de"

// Wanted reports whether nobody has an account yet: such a database may be given the demo campus.
func Wanted(ctx context.Context, db DB) (bool, error) {
	var empty bool
	err := within(ctx, db, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `select not exists (select from app_user)`).Scan(&empty)
	})
	return empty, err
}

// Seed adds what the demo campus lacks as of now, in one transaction.
func Seed(ctx context.Context, db DB, now time.Time, log *slog.Logger) error {
	began := time.Now()
	var made tally
	err := within(ctx, db, func(tx pgx.Tx) error {
		// On a slow machine another's turn takes longer than a request may wait for a lock, or a statement take.
		if _, err := tx.Exec(ctx, `set local lock_timeout = '2min'; set local statement_timeout = '2min'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, int64(lock)); err != nil {
			return err
		}
		s := seeder{tx: tx, now: now}
		var err error
		made, err = s.all(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("seed the demo campus: %w", err)
	}
	log.InfoContext(ctx, "demo campus seeded", "users", made.users, "halls", made.halls, "dishes", made.dishes,
		"menus", made.menus, "ratings", made.ratings, "courses", made.courses, "classes", made.classes, "counts", made.crowds, "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// within runs fn in a transaction that is committed if fn succeeds.
func within(ctx context.Context, db DB, fn func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, db, fn)
}

// tally counts the rows that were made.
type tally struct{ users, halls, dishes, menus, ratings, courses, classes, crowds int64 }

// seeder works within one transaction.
type seeder struct {
	tx  pgx.Tx
	now time.Time
}

func (s seeder) all(ctx context.Context) (t tally, err error) {
	for _, step := range []struct {
		name string
		made *int64
		do   func(context.Context) (int64, error)
	}{
		{"accounts", &t.users, s.users},
		{"halls", &t.halls, s.halls},
		{"dishes", &t.dishes, s.dishes},
		{"menus", &t.menus, s.menus},
		{"ratings", &t.ratings, s.ratings},
		{"courses", &t.courses, s.courses},
		{"classes", &t.classes, s.classes},
		{"crowds", &t.crowds, s.crowds},
	} {
		if *step.made, err = step.do(ctx); err != nil {
			return t, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return t, nil
}

// insert runs one statement and returns how many rows it made.
func (s seeder) insert(ctx context.Context, sql string, args ...any) (int64, error) {
	tag, err := s.tx.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}
