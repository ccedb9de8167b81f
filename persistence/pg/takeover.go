package pg

import (
	"context"
	_ "embed" // of the tables' definitions
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

//go:embed staging.sql
var staging string

// MostFaults is how many faults of a run are kept.
const MostFaults = 1000

// importSettings have a takeover take longer than a request may: its statements work on whole files. What they join has grown in this very transaction, or
// just before it, so that the planner takes it for small; a nested loop over it would never end.
const importSettings = `set local statement_timeout = '10min'; set local lock_timeout = '30s'; set local idle_in_transaction_session_timeout = '2min';
	set local work_mem = '16MB'; set local enable_nestloop = off`

// What a file brings. Empty lists and null pointers leave what is there as it is.
type (
	// ImportedTerm is a session of a bundle.
	ImportedTerm struct {
		Line            int64
		SourcedID, Name string
		StartsOn        time.Time
		EndsOn          time.Time
		TZ              string
		ID              nexus.TermID // if it is new
	}
	// ImportedUser is an account.
	ImportedUser struct {
		Line                          int64
		SourcedID, Email, RegNo, Name string // an empty RegNo is left as it is
		Roles                         []string
		Department, Course, Phone     *string
		Semester                      *int16
		Leaves                        bool // it is suspended
	}
	// ImportedCourse is a course of a term.
	ImportedCourse struct {
		Line                         int64
		SourcedID, Term, Code, Title string
		Credits                      *string // a decimal
		Capacity, WaitlistCapacity   *int32
		MinAttendance                *int16
		Instructors, Prerequisites   []string
	}
	// ImportedEnrollment is how a person stands to a course.
	ImportedEnrollment struct {
		Line               int64
		Term, Course, User string
		Role               string // STUDENT, or a kind of staff
		First              bool   // of several instructors the one that students are shown
		Status             string
	}
)

// Stage is where a file's rows go. Each function takes rows from next until that gives nil.
type Stage struct{ tx pgx.Tx }

// Terms takes the terms of a bundle.
func (s *Stage) Terms(ctx context.Context, next func() (*ImportedTerm, error)) error {
	return stage(ctx, s.tx, "staged_term", []string{"line", "sourced_id", "name", "starts_on", "ends_on", "tz", "id"}, next, func(r *ImportedTerm) []any {
		return []any{r.Line, r.SourcedID, r.Name, r.StartsOn, r.EndsOn, r.TZ, string(r.ID)}
	})
}

// Users takes accounts.
func (s *Stage) Users(ctx context.Context, next func() (*ImportedUser, error)) error {
	columns := []string{"line", "sourced_id", "email", "reg_no", "name", "roles", "department", "course", "semester", "phone", "leaves", "id"}
	return stage(ctx, s.tx, "staged_user", columns, next, func(r *ImportedUser) []any {
		return []any{r.Line, r.SourcedID, r.Email, r.RegNo, r.Name, append([]string{}, r.Roles...), r.Department, r.Course, r.Semester, r.Phone, r.Leaves, nexus.NewID()}
	})
}

// Courses takes courses.
func (s *Stage) Courses(ctx context.Context, next func() (*ImportedCourse, error)) error {
	columns := []string{
		"line", "sourced_id", "term_ref", "code", "title", "credits", "capacity", "waitlist_capacity", "min_attendance", "instructors", "prerequisites", "id",
	}
	return stage(ctx, s.tx, "staged_course", columns, next, func(r *ImportedCourse) []any {
		return []any{r.Line, r.SourcedID, r.Term, r.Code, r.Title, r.Credits, r.Capacity, r.WaitlistCapacity, r.MinAttendance, r.Instructors, r.Prerequisites, nexus.NewID()}
	})
}

// Enrollments takes enrolments.
func (s *Stage) Enrollments(ctx context.Context, next func() (*ImportedEnrollment, error)) error {
	columns := []string{"line", "term_ref", "course_ref", "user_ref", "role", "first", "status"}
	return stage(ctx, s.tx, "staged_enrollment", columns, next, func(r *ImportedEnrollment) []any {
		return []any{r.Line, r.Term, r.Course, r.User, r.Role, r.First, r.Status}
	})
}

// stage copies rows as they come: no more than some of them are in memory at once. They are asked for by a goroutine of the driver's, in which a
// panic would end the process.
func stage[R any](ctx context.Context, tx pgx.Tx, table string, columns []string, next func() (*R, error), values func(*R) []any) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromFunc(func() (row []any, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
		}()
		r, err := next()
		if err != nil || r == nil {
			return nil, err
		}
		return values(r), nil
	}))
	if err == nil { // nobody else will count what is in a temporary table
		_, err = tx.Exec(ctx, "analyze "+table)
	}
	return err
}

// Takeover is what a run has come to.
type Takeover struct {
	Made, Changed, Unchanged map[string]int64 // by what: terms, users, courses, enrollments
	Faults                   []nexus.ImportError
	Errors                   int64            // of which Faults are the first
	Ended                    []nexus.UserID   // whose tokens have died, and who may be connected
	Courses                  []nexus.CourseID // whose grains have been shut out and are to look again
}

// errDry takes a takeover back that was to change nothing.
var errDry = errors.New("nothing is to be changed")

// TakeOver reads the rows of a run's file, checks them, and takes them all over unless some are wrong or it is a dry run, in one
// transaction, which also ends the run. read gives the rows to the stage, and returns what it has found wrong itself, and how much that is. report fills in
// the run's counts when they are known; step is told what comes next. Conflict if the campus has changed under it or the run
// was taken for lost: nothing is changed then, and the first may be tried again.
func (s *Imports) TakeOver(ctx context.Context, by nexus.Caller, run nexus.Import, step func(string),
	read func(context.Context, *Stage) ([]nexus.ImportError, int64, error), report func(Takeover) nexus.Import,
) (Takeover, error) {
	var t Takeover
	conn, err := s.db.pool.Acquire(ctx)
	if err != nil {
		return t, unavailable(err)
	}
	defer conn.Release()
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, importSettings+";"+staging); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		faults, n, err := read(ctx, &Stage{tx})
		if err != nil {
			return fmt.Errorf("read the rows: %w", err)
		}
		step(nexus.ImportChecking)
		w := takeover{q: sqlcgen.New(tx), words: wordsOf(run.Kind), live: !run.DryRun}
		t, err = w.check(ctx, faults, n)
		if err != nil {
			return fmt.Errorf("check the rows: %w", err)
		}
		if t.Errors > 0 || run.DryRun {
			return errDry
		}
		step(nexus.ImportApplying)
		if err := w.apply(ctx, &t); err != nil {
			return fmt.Errorf("take the rows over: %w", err)
		}
		return finish(ctx, w.q, by, report(t))
	})
	if errors.Is(err, errDry) {
		return t, nil
	}
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) && (contended(err) || e.Code == "23505" || e.Code == "55P03") {
		return t, nexus.Wrap(nexus.Conflict, err, "the campus has changed under the import")
	}
	return t, Err(err)
}

// finish ends the run in the transaction of its changes: of a run that was taken for lost, which may be told already, nothing is kept.
func finish(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, run nexus.Import) error {
	run.State = nexus.ImportDone
	n, err := end(ctx, q, run)
	if err != nil {
		return err
	}
	if n == 0 {
		return nexus.Errorf(nexus.NotFound, "the import has ended")
	}
	return audit(ctx, q, by, "import.apply", "import", string(run.ID), nil, map[string]any{
		"kind": run.Kind, "rows": run.RowsTotal, "made": run.Made, "changed": run.Changed, "unchanged": run.Unchanged, "files": run.Files,
	})
}

// takeover works within one transaction.
type takeover struct {
	q     *sqlcgen.Queries
	words words
	live  bool // what is checked is about to be done, and must stay true until then
}

// words are what a kind's files and columns are called.
type words struct {
	kind                             nexus.ImportKind
	source                           string
	users, email, regNo, roles, name string // name: that by which others call a user
	terms                            string
	courses, term, code              string
	staff, instructor                string
	enrollments, ofTerm, course, who string
}

func wordsOf(kind nexus.ImportKind) words {
	if kind == nexus.ImportOneRoster {
		return words{
			kind: kind, source: "oneroster",
			users: "users.csv", email: "email", regNo: "identifier", roles: "role", name: "sourcedId",
			terms: "academicSessions.csv", courses: "classes.csv", term: "termSourcedIds", code: "classCode",
			staff: "enrollments.csv", instructor: "userSourcedId",
			enrollments: "enrollments.csv", ofTerm: "classSourcedId", course: "classSourcedId", who: "userSourcedId",
		}
	}
	return words{
		kind: kind, source: "office",
		users: "users.csv", email: "email", regNo: "regNo", roles: "roles", name: "externalId",
		courses: "courses.csv", term: "termId", code: "code", staff: "courses.csv", instructor: "instructors",
		enrollments: "enrollments.csv", ofTerm: "termId", course: "courseCode", who: "user",
	}
}

// each takes steps until one fails.
func each(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// check finds everything that is wrong with the rows, and what would become of each.
func (w *takeover) check(ctx context.Context, faults []nexus.ImportError, n int64) (Takeover, error) {
	t := Takeover{Made: map[string]int64{}, Changed: map[string]int64{}, Unchanged: map[string]int64{}}
	var p sqlcgen.AddFaultsParams
	for _, f := range faults {
		p.Files, p.Lines, p.Fields = append(p.Files, f.File), append(p.Lines, f.Line), append(p.Fields, f.Field)
		p.Values, p.Details = append(p.Values, f.Value), append(p.Details, f.Detail)
	}
	if err := w.q.AddFaults(ctx, p); err != nil {
		return t, err
	}
	more := n - int64(len(faults))
	for _, step := range w.checks() {
		if err := step(ctx); err != nil {
			return t, err
		}
		// What is wrong with one file of a bundle is not said again of those that refer to it.
		if known, err := w.q.CountFaults(ctx); err != nil || w.words.kind == nexus.ImportOneRoster && known > 0 {
			return t, errors.Join(err, w.count(ctx, &t, more))
		}
	}
	return t, w.count(ctx, &t, more)
}

// checks are the steps of a kind's check.
func (w *takeover) checks() []func(context.Context) error {
	switch w.words.kind {
	case nexus.ImportUsers:
		return []func(context.Context) error{w.checkUsers}
	case nexus.ImportCourses:
		full := func(ctx context.Context) error { return w.q.FullCourses(ctx, w.words.courses) }
		return []func(context.Context) error{w.q.TermsOfCourses, w.checkCourses, w.lock, w.q.StageInstructors, w.checkStaff, full, w.q.SortCourses}
	case nexus.ImportEnrollments:
		return []func(context.Context) error{w.q.FindEnrolled, w.lock, w.checkEnrollments}
	default:
		return []func(context.Context) error{
			w.checkTerms, w.checkUsers, w.q.StagedTermsOfCourses, w.checkCourses, w.q.FindStagedEnrolled, w.lock,
			w.q.FillCapacities, w.checkEnrollments, w.q.StageStaff, w.checkStaff, w.q.SortStaffEnrollments, w.q.SortCourses,
		}
	}
}

// count sums up; more faults are known than there are rows of.
func (w *takeover) count(ctx context.Context, t *Takeover, more int64) error {
	n, err := w.q.CountFaults(ctx)
	if err != nil {
		return err
	}
	if t.Errors = n + more; t.Errors > 0 {
		rows, err := w.q.FirstFaults(ctx, MostFaults)
		for _, r := range rows {
			t.Faults = append(t.Faults, nexus.ImportError{File: r.File, Line: r.Line, Field: r.Field, Value: shorten(r.Value), Detail: r.Detail})
		}
		return err
	}
	rows, err := w.q.CountStaged(ctx)
	for _, r := range rows {
		map[string]map[string]int64{"made": t.Made, "changed": t.Changed, "unchanged": t.Unchanged}[r.Action][r.What] = r.Count
	}
	return err
}

// shorten keeps what shows which value is meant.
func shorten(value string) string {
	const most = 60
	runes := []rune(value)
	if len(runes) <= most {
		return value
	}
	return string(runes[:most]) + "…"
}

func (w *takeover) checkTerms(ctx context.Context) error {
	if err := w.q.DoubledTerms(ctx, w.words.terms, "sourcedId"); err != nil {
		return err
	}
	return each(ctx, w.q.FindTerms, w.q.SortTerms)
}

func (w *takeover) checkUsers(ctx context.Context) error {
	n := w.words
	return each(ctx,
		func(ctx context.Context) error { return w.q.FindUsers(ctx, n.source) },
		func(ctx context.Context) error {
			return w.q.DoubledUsers(ctx, sqlcgen.DoubledUsersParams{File: n.users, Email: n.email, RegNo: n.regNo, SourcedID: n.name})
		},
		func(ctx context.Context) error {
			return w.q.TornUsers(ctx, sqlcgen.TornUsersParams{File: n.users, Email: n.email, RegNo: n.regNo, SourcedID: n.name})
		},
		func(ctx context.Context) error { return w.q.MetUsers(ctx, n.users, n.email) },
		func(ctx context.Context) error { return w.q.UnfitUsers(ctx, n.users, n.email, n.roles) },
		w.q.SortUsers)
}

func (w *takeover) checkCourses(ctx context.Context) error {
	if err := w.q.FindCourses(ctx); err != nil {
		return err
	}
	return w.q.UnfitCourses(ctx, w.words.courses, w.words.term, w.words.code)
}

func (w *takeover) checkStaff(ctx context.Context) error {
	if err := w.q.UnfitStaff(ctx, w.words.staff, w.words.instructor); err != nil {
		return err
	}
	return w.q.SortStaff(ctx)
}

func (w *takeover) checkEnrollments(ctx context.Context) error {
	n := w.words
	if err := w.q.UnfitEnrollments(ctx, sqlcgen.UnfitEnrollmentsParams{
		File: n.enrollments, Term: n.ofTerm, Course: n.course, Person: n.who, ByTerm: n.kind == nexus.ImportEnrollments,
	}); err != nil {
		return err
	}
	if err := w.q.CrowdedEnrollments(ctx, n.enrollments, n.who); err != nil {
		return err
	}
	return w.q.SortEnrollments(ctx)
}

// lock keeps the seats as they are while they are counted and given out. A dry run only looks.
func (w *takeover) lock(ctx context.Context) error {
	if !w.live {
		return nil
	}
	return w.q.LockCourses(ctx)
}

// apply does what check has found. Terms come before their courses, people before what they do, and all before the streams and the audit log.
func (w *takeover) apply(ctx context.Context, t *Takeover) error {
	named := func(name func(context.Context, string) error) func(context.Context) error {
		return func(ctx context.Context) error { return name(ctx, w.words.source) }
	}
	if err := each(ctx,
		w.q.MakeTerms, w.q.ChangeTerms, w.q.NameTerms,
		w.q.LockUsers, w.q.MakeUsers, w.q.MakeProfiles, w.q.ChangeUsers, w.q.ChangeProfiles, w.q.TakeRoles, w.q.GiveRoles, w.q.EndSuspended, named(w.q.NameUsers),
		w.q.MakeCourses, w.q.ChangeCourses, w.q.GiveSeats, w.q.MoveToLowerSeats, w.q.TakeSeats, w.q.TakePrerequisites, w.q.GivePrerequisites, w.q.NameCourses,
		w.q.TakeStaff, w.q.DropStaff, w.q.GiveStaff,
		w.q.FreeSeats, w.q.ChooseSeats, w.q.Enrol,
	); err != nil {
		return err
	}
	ended, err := w.q.EndedUsers(ctx)
	for _, id := range ended {
		t.Ended = append(t.Ended, nexus.UserID(id))
	}
	if err != nil {
		return err
	}
	fenced, err := w.q.FenceCourses(ctx)
	for _, id := range fenced {
		t.Courses = append(t.Courses, nexus.CourseID(id))
	}
	return err
}
