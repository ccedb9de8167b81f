package imports_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/imports"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// users are n rows of users that nobody knows yet.
func users(n int) []string {
	lines := []string{"email,name,roles"}
	for i := range n {
		lines = append(lines, fmt.Sprintf("new%d@campus.example,New %d,STUDENT", i, i))
	}
	return lines
}

// held locks what an import of users needs at its end, and returns how to let go. Until then the run cannot end.
func (o *office) held() (release func()) {
	o.t.Helper()
	tx, err := o.db.Pool().Begin(context.Background())
	if err == nil {
		_, err = tx.Exec(context.Background(), `lock table profile in share row exclusive mode`)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(context.Background()); err != nil {
			o.t.Error(err)
		}
	})
}

// blocked waits until a backend waits for a lock.
func (o *office) blocked() {
	o.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-time.After(2 * time.Millisecond) {
		if one[int](o, `select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0 {
			return
		}
	}
	o.t.Fatal("nobody waits for a lock")
}

func (o *office) start(lines ...string) nexus.Import {
	o.t.Helper()
	run, err := o.runner.StartImport(o.t.Context(), o.by, nexus.ImportOrder{Kind: nexus.ImportUsers, File: file(o.t, strings.Join(lines, "\n"))})
	if err != nil {
		o.t.Fatal(err)
	}
	return run
}

func (o *office) failed(run nexus.Import, code string) {
	o.t.Helper()
	if run.State != nexus.ImportFailed || run.Failure == nil || run.Failure.Code != code || run.EndedAt == nil {
		o.t.Errorf("%+v %+v, want it to have failed: %s", run, run.Failure, code)
	}
}

func TestOneImportAtATime(t *testing.T) {
	t.Parallel()
	o := open(t)
	release := o.held()
	defer release()
	run := o.start(users(3)...)
	o.blocked()
	second := imports.Start(imports.Options{Store: o.store, Log: o.runner.Log, MaxBytes: 1 << 20}) // another node
	if _, err := second.StartImport(t.Context(), o.by, nexus.ImportOrder{Kind: nexus.ImportUsers, DryRun: true, File: file(t, "x")}); nexus.CodeOf(err) != nexus.Conflict {
		t.Errorf("meanwhile: %v", err)
	}
	if err := second.Close(t.Context()); err != nil {
		t.Error(err)
	}
	release()
	if run = o.wait(run.ID); run.State != nexus.ImportDone {
		t.Errorf("%+v", run)
	}
	o.done(nexus.ImportUsers, 0, 0, 3, users(3)...)
	list, err := o.store.Imports(t.Context(), nexus.Page{Limit: 1})
	if err != nil || len(list.Items) != 1 || list.Next == "" || list.Items[0].ID == run.ID {
		t.Errorf("list %+v, %v", list, err)
	}
	list, err = o.store.Imports(t.Context(), nexus.Page{Limit: 1, After: list.Next})
	if err != nil || len(list.Items) != 1 || list.Next != "" || list.Items[0].ID != run.ID {
		t.Errorf("the next page %+v, %v", list, err)
	}
}

// TestANodeThatEndsLeavesNothingOfItsImport, and says so at once.
func TestANodeThatEndsLeavesNothingOfItsImport(t *testing.T) {
	t.Parallel()
	o := open(t)
	before := o.campus()
	release := o.held()
	defer release()
	run := o.start(users(3)...)
	o.blocked()
	if err := o.runner.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	release()
	run, err := o.store.Import(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	o.failed(run, nexus.ImportInterrupted)
	if after := o.campus(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// TestALostRunIsEndedByOthersAndKeepsNothing: a run about which nothing was heard for long is told to have failed, and even
// if its node lives and was about to commit, nothing of it is kept.
func TestALostRunIsEndedByOthersAndKeepsNothing(t *testing.T) {
	t.Parallel()
	o := open(t)
	before := o.campus()
	release := o.held()
	defer release()
	run := o.start(users(3)...)
	o.blocked()
	if lost, err := o.store.LoseImports(t.Context(), time.Minute); err != nil || len(lost) > 0 {
		t.Fatalf("one that lives is lost: %v, %v", lost, err)
	}
	lost, err := o.store.LoseImports(t.Context(), 0)
	if err != nil || len(lost) != 1 || lost[0] != run.ID {
		t.Fatalf("lost %v, %v", lost, err)
	}
	release()
	if err := o.runner.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.failed(o.wait(run.ID), nexus.ImportInterrupted)
	if after := o.campus(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

func TestNodesLookForLostRuns(t *testing.T) {
	t.Parallel()
	o := open(t, func(o *imports.Options) { o.Silence, o.SweepEvery = time.Millisecond, time.Millisecond })
	run, _, err := o.store.StartImport(t.Context(), o.by, nexus.ImportUsers, false) // by a node that is killed now
	if err != nil {
		t.Fatal(err)
	}
	o.failed(o.wait(run.ID), nexus.ImportInterrupted)
}

func TestAKeyStartsOneRun(t *testing.T) {
	t.Parallel()
	o := open(t)
	hash := sha256.Sum256([]byte("a"))
	o.by.Once = nexus.Once{Key: "k", Hash: hash[:]}
	run := o.csv(nexus.ImportUsers, users(3)...)
	again := o.csv(nexus.ImportUsers, users(3)...)
	if run.ID != again.ID || one[int](o, `select count(*) from import_run`) != 1 {
		t.Errorf("%+v and %+v", run, again)
	}
	other := sha256.Sum256([]byte("b"))
	o.by.Once.Hash = other[:]
	if _, err := o.runner.StartImport(t.Context(), o.by, nexus.ImportOrder{Kind: nexus.ImportUsers, File: file(t, "x")}); nexus.CodeOf(err) != nexus.KeyReused {
		t.Errorf("another file: %v", err)
	}
}

// TestWhoRegistersMeanwhileIsFound: the address was free when the row was checked, and is taken when it is to be made.
func TestWhoRegistersMeanwhileIsFound(t *testing.T) {
	t.Parallel()
	o := open(t)
	tx, err := o.db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into app_user (id, email) values ('01900000-0000-7000-8000-000000000001', 'new1@campus.example')`); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `insert into profile (user_id, full_name) values ('01900000-0000-7000-8000-000000000001', 'Me')`); err != nil {
		t.Fatal(err)
	}
	run := o.start(users(3)...)
	o.blocked()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if run = o.wait(run.ID); run.State != nexus.ImportDone || run.Made != 2 || run.Changed != 1 {
		t.Errorf("%+v", run)
	}
}

// claimed activates the grain of a course.
func (o *office) claimed(course nexus.CourseID) nexus.Fence {
	o.t.Helper()
	f, _, err := pg.NewGrains(o.db).Claim(o.t.Context(), "course", string(course))
	if err != nil {
		o.t.Fatal(err)
	}
	return f
}

// TestAnImportShutsOutTheGrainsOfTheCoursesItChanges, and those alone: what they remember is not true any more.
func TestAnImportShutsOutTheGrainsOfTheCoursesItChanges(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	pgfix.Users(t, o.db, "ann", nexus.Student, 2)
	grains := pg.NewGrains(o.db)
	seats, capacity, same, other := pgfix.Course(t, o.db, "T1", "SEATS", 3, 0, ""), pgfix.Course(t, o.db, "T1", "CAP", 3, 0, ""),
		pgfix.Course(t, o.db, "T1", "SAME", 3, 0, ""), pgfix.Course(t, o.db, "T1", "OTHER", 3, 0, "")
	o.done(nexus.ImportEnrollments, 1, 0, 0, "termId,courseCode,user", "T1,SAME,ann1@campus.example")
	if got := <-o.fenced; len(got) != 1 || got[0] != same {
		t.Errorf("fenced %v", got)
	}
	fences := map[nexus.CourseID]nexus.Fence{}
	for _, c := range []nexus.CourseID{seats, capacity, same, other} {
		fences[c] = o.claimed(c)
	}
	present := func(c nexus.CourseID) bool {
		err := grains.Save(t.Context(), fences[c], nexus.Snapshot{Version: 1})
		if err != nil && nexus.CodeOf(err) != nexus.Fenced && nexus.CodeOf(err) != nexus.Stale {
			t.Fatal(err)
		}
		return nexus.CodeOf(err) != nexus.Fenced
	}
	o.done(nexus.ImportEnrollments, 1, 0, 1, "termId,courseCode,user", "T1,SAME,ann1@campus.example", "T1,SEATS,ann1@campus.example")
	if got := <-o.fenced; len(got) != 1 || got[0] != seats || present(seats) {
		t.Errorf("fenced %v; the old activation may write: %v", got, present(seats))
	}
	o.done(nexus.ImportCourses, 0, 1, 1, "termId,code,title,credits,capacity", "T1,CAP,CAP,4,5", "T1,SAME,SAME,4,3")
	if got := <-o.fenced; len(got) != 1 || got[0] != capacity || present(capacity) {
		t.Errorf("fenced %v; the old activation may write: %v", got, present(capacity))
	}
	for _, c := range []nexus.CourseID{same, other} {
		if !present(c) {
			t.Errorf("%s was not changed, and may not write", c)
		}
	}
	run := o.run(nexus.ImportOrder{Kind: nexus.ImportEnrollments, DryRun: true, File: file(t, "termId,courseCode,user\nT1,OTHER,ann1@campus.example")})
	if run.Made != 1 || !present(other) {
		t.Errorf("a dry run: %+v", run)
	}
}

// TestAnImportSeesTheSeatThatAGrainIsGivingOut: it waits for a write that is under way, and counts what that has left.
func TestAnImportSeesTheSeatThatAGrainIsGivingOut(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	ann := pgfix.Users(t, o.db, "ann", nexus.Student, 2)
	course := pgfix.Course(t, o.db, "T1", "PH1", 1, 0, "")
	o.claimed(course)
	tx, err := o.db.Pool().Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`select from grain_snapshot where kind = 'course' and identity = $1::uuid::text and $2 <> '' for update`,
		`insert into enrollment (course_id, user_id, status, seat_no) values ($1, $2, 'ENROLLED', 1)`,
	} {
		if _, err := tx.Exec(t.Context(), sql, string(course), string(ann[0])); err != nil {
			t.Fatal(err)
		}
	}
	run, err := o.runner.StartImport(t.Context(), o.by, nexus.ImportOrder{Kind: nexus.ImportEnrollments, File: file(t, "termId,courseCode,user\nT1,PH1,ANN2")})
	if err != nil {
		t.Fatal(err)
	}
	o.blocked()
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	o.failed(o.wait(run.ID), nexus.ImportFaults)
	if got := o.errors(run.ID); len(got) != 1 || got[0] != "2 user: the course PH1 has 1 seats, and none is left" {
		t.Errorf("%q", got)
	}
}

// TestImportsAndGrainsGiveEachSeatOnce, and never wait for each other in a circle: while files enrol students, the grains of the same
// courses claim, enrol others and drop them.
func TestImportsAndGrainsGiveEachSeatOnce(t *testing.T) {
	t.Parallel()
	const courses, capacity, rounds = 8, 10, 6
	o := open(t)
	pgfix.Term(t, o.db)
	pgfix.Users(t, o.db, "ann", nexus.Student, capacity)
	ben := pgfix.Users(t, o.db, "ben", nexus.Student, courses)
	var ids []nexus.CourseID
	for i := range courses {
		ids = append(ids, pgfix.Course(t, o.db, "T1", fmt.Sprint("C", i), capacity, 0, ""))
	}
	ctx, stop := context.WithCancel(t.Context())
	var grains sync.WaitGroup
	for i, course := range ids {
		grains.Go(func() {
			for ctx.Err() == nil {
				if err := o.serve(ctx, course, ben[i]); err != nil && ctx.Err() == nil && nexus.CodeOf(err) != nexus.Fenced {
					t.Error(err)
					return
				}
			}
		})
	}
	for round := range rounds {
		lines := []string{"user,termId,courseCode,status"}
		for i := range courses * (capacity - 1) {
			lines = append(lines, fmt.Sprintf("ann%d@campus.example,T1,C%d,%s", 1+i/courses, (i+round)%courses, []string{"ENROLLED", "DROPPED"}[(i+round)%2]))
		}
		if run := o.csv(nexus.ImportEnrollments, lines...); run.State != nexus.ImportDone {
			t.Errorf("%+v %+v %q", run, run.Failure, o.errors(run.ID))
		}
	}
	stop()
	grains.Wait()
	if n := one[int](o, `select count(*) from pg_stat_database where datname = current_database() and deadlocks > 0`); n != 0 {
		t.Error("transactions waited for each other in a circle")
	}
}

// serve is what the grain of a course does: it claims, enrols and drops a student, each in a transaction that holds its fence.
func (o *office) serve(ctx context.Context, course nexus.CourseID, student nexus.UserID) error {
	f, _, err := pg.NewGrains(o.db).Claim(ctx, "course", string(course))
	if err != nil {
		return err
	}
	for _, sql := range []string{
		`insert into enrollment (course_id, user_id, status, seat_no)
			select $1, $2, 'ENROLLED', min(seat_no) from course_seat s where course_id = $1 and not exists (select from enrollment e where e.course_id = $1 and e.seat_no = s.seat_no)
			having count(*) > 0
			on conflict (course_id, user_id) do update set status = 'ENROLLED', seat_no = excluded.seat_no`,
		`update enrollment set status = 'DROPPED', seat_no = null where course_id = $1 and user_id = $2`,
	} {
		err := pgx.BeginFunc(ctx, o.db.Pool(), func(tx pgx.Tx) error {
			var epoch int64
			err := tx.QueryRow(ctx, `select epoch from grain_snapshot where kind = 'course' and identity = $1 for update`, string(course)).Scan(&epoch)
			if err == nil && epoch != f.Epoch {
				err = nexus.Errorf(nexus.Fenced, "epoch %d is over", f.Epoch)
			}
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, sql, string(course), string(student))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestAPanicFailsTheRunAlone: what a file holds must not end the node.
func TestAPanicFailsTheRunAlone(t *testing.T) {
	t.Parallel()
	o := open(t)
	run, _, err := o.store.StartImport(t.Context(), o.by, nexus.ImportUsers, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = o.store.TakeOver(t.Context(), o.by, run, func(string) {}, func(ctx context.Context, s *pg.Stage) ([]nexus.ImportError, int64, error) {
		return nil, 0, s.Users(ctx, func() (*pg.ImportedUser, error) { panic("a row") })
	}, func(pg.Takeover) nexus.Import { return run })
	if err == nil || !strings.Contains(err.Error(), "a row") {
		t.Errorf("%v", err)
	}
	if run, err = o.store.Import(t.Context(), run.ID); err != nil || run.State != nexus.ImportRunning {
		t.Errorf("%+v, %v", run, err)
	}
	if err := o.store.FailImport(t.Context(), run, nil); nexus.CodeOf(err) != nexus.Internal {
		t.Errorf("a failure without a reason: %v", err)
	}
	run.Failure = &nexus.ImportFailure{Code: nexus.ImportBroken}
	if err := o.store.FailImport(t.Context(), run, nil); err != nil {
		t.Error(err)
	}
	o.done(nexus.ImportUsers, 3, 0, 0, users(3)...)
}
