package imports_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/imports"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestMain(m *testing.M) { pgfix.Main(m) }

// office is a campus with an office that imports.
type office struct {
	t      testing.TB
	db     *pg.DB
	store  *pg.Imports
	runner *imports.Runner
	by     nexus.Caller
	ended  chan []nexus.UserID
	fenced chan []nexus.CourseID
}

func open(t testing.TB, change ...func(*imports.Options)) *office {
	t.Helper()
	db := pgfix.DB(t)
	o := &office{t: t, db: db, store: pg.NewImports(db), ended: make(chan []nexus.UserID, 10), fenced: make(chan []nexus.CourseID, 10)}
	clerk := pgfix.Users(t, db, "clerk", nexus.Admin, 1)[0]
	o.by = nexus.Caller{User: clerk, Roles: []nexus.Role{nexus.Admin}, RequestID: "r-1", IP: netip.MustParseAddr("192.0.2.7")}
	with := imports.Options{
		Store: o.store, Log: slog.New(slog.DiscardHandler), MaxBytes: 1 << 20,
		Ended:  func(_ context.Context, users []nexus.UserID) { o.ended <- users },
		Fenced: func(_ context.Context, courses []nexus.CourseID) { o.fenced <- courses },
	}
	for _, f := range change {
		f(&with)
	}
	o.runner = imports.Start(with)
	t.Cleanup(func() {
		if err := o.runner.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return o
}

// file is a file of a test's own.
func file(t testing.TB, content string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), nexus.NewID())
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// run imports a file and waits for its end.
func (o *office) run(order nexus.ImportOrder) nexus.Import {
	o.t.Helper()
	run, err := o.runner.StartImport(o.t.Context(), o.by, order)
	if err != nil {
		o.t.Fatal(err)
	}
	return o.wait(run.ID)
}

// wait waits for a run's end, for which the database has no event.
func (o *office) wait(id nexus.ImportID) nexus.Import {
	o.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) {
		run, err := o.store.Import(o.t.Context(), id)
		if err != nil {
			o.t.Fatal(err)
		}
		if run.State != nexus.ImportRunning {
			return run
		}
	}
	o.t.Fatal("the run does not end")
	return nexus.Import{}
}

// csv imports the lines as a file of a kind.
func (o *office) csv(kind nexus.ImportKind, lines ...string) nexus.Import {
	o.t.Helper()
	return o.run(nexus.ImportOrder{Kind: kind, File: file(o.t, strings.Join(lines, "\n"))})
}

// done imports lines that are right, and wants so many made, changed and left as they were.
func (o *office) done(kind nexus.ImportKind, made, changed, unchanged int64, lines ...string) {
	o.t.Helper()
	run := o.csv(kind, lines...)
	if run.State != nexus.ImportDone || run.Made != made || run.Changed != changed || run.Unchanged != unchanged {
		o.t.Fatalf("%+v, want %d made, %d changed, %d unchanged\n%s", run, made, changed, unchanged, strings.Join(o.errors(run.ID), "\n"))
	}
}

// wrong imports lines of which some are wrong, and wants these faults, as "line field: detail".
func (o *office) wrong(kind nexus.ImportKind, lines []string, want ...string) {
	o.t.Helper()
	run := o.csv(kind, lines...)
	if run.State != nexus.ImportFailed || run.Failure == nil || run.Failure.Code != nexus.ImportFaults {
		o.t.Fatalf("%+v, want it to fail for its faults", run)
	}
	if got := o.errors(run.ID); strings.Join(got, "\n") != strings.Join(want, "\n") {
		o.t.Errorf("faults\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// errors are a run's faults as text.
func (o *office) errors(id nexus.ImportID) (all []string) {
	o.t.Helper()
	for page := (nexus.Page{}); ; {
		list, err := o.store.ImportErrors(o.t.Context(), id, page)
		if err != nil {
			o.t.Fatal(err)
		}
		for _, e := range list.Items {
			all = append(all, fmt.Sprintf("%d %s: %s", e.Line, e.Field, e.Detail))
		}
		if page.After = list.Next; page.After == "" {
			return all
		}
	}
}

// one returns what a query gives.
func one[T any](o *office, query string, args ...any) (v T) {
	o.t.Helper()
	if err := o.db.Pool().QueryRow(context.Background(), query, args...).Scan(&v); err != nil {
		o.t.Fatalf("%s: %v", query, err)
	}
	return v
}

func (o *office) exec(query string, args ...any) {
	o.t.Helper()
	if _, err := o.db.Pool().Exec(context.Background(), query, args...); err != nil {
		o.t.Fatalf("%s: %v", query, err)
	}
}

// campus counts and fingerprints everything that imports may change.
func (o *office) campus() string {
	o.t.Helper()
	var all []string
	for _, table := range []string{
		"app_user", "profile", "user_role", "term", "course", "course_seat", "course_staff", "course_prerequisite", "enrollment", "external_id", "grain_snapshot", "audit_log",
	} {
		all = append(all, table+" "+one[string](o, `select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from `+table+` t`))
	}
	return strings.Join(all, "\n")
}
