package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"nexus"
	"nexus/persistence/pg"
)

const (
	beatEvery  = time.Second / 5  // a run says that its node lives, and how far it has come
	silence    = 15 * time.Second // after which it is taken for lost: many beats may be late
	sweepEvery = 5 * time.Second  // each node looks for lost runs: within a minute one does
	attempts   = 3                // where the campus has changed under a run
	runWithin  = 30 * time.Minute // whatever the database does
	lastWords  = 10 * time.Second // for noting how a run has ended
)

// Options is what a Runner works with.
type Options struct {
	Store    *pg.Imports
	Log      *slog.Logger
	MaxBytes int64 // that a bundle may unpack to

	// Ended is told whose tokens have died, Fenced which courses have changed behind their grains' backs. Both are called after the commit.
	Ended  func(context.Context, []nexus.UserID)
	Fenced func(context.Context, []nexus.CourseID)

	Silence, SweepEvery time.Duration // of tests; the usual ones if zero
}

// Runner carries imports on, one at a time on the whole campus. Its methods are safe for concurrent use.
type Runner struct {
	Options
	ctx  context.Context // of the runs; ends with Close
	stop context.CancelFunc
	runs sync.WaitGroup
}

// Start returns a runner, which also ends the runs of nodes that are no more.
func Start(o Options) *Runner {
	if o.Silence == 0 {
		o.Silence = silence
	}
	if o.SweepEvery == 0 {
		o.SweepEvery = sweepEvery
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &Runner{Options: o, ctx: ctx, stop: stop}
	r.runs.Go(r.sweep)
	return r
}

// Close ends a run that is under way, which changes nothing then, and waits until that is noted.
func (r *Runner) Close(ctx context.Context) error {
	r.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.runs.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Runner) sweep() {
	for nexus.Pause(r.ctx, r.SweepEvery) {
		lost, err := r.Store.LoseImports(r.ctx, r.Silence)
		if err != nil && r.ctx.Err() == nil {
			r.Log.Warn("look for lost imports", "err", err)
		}
		for _, id := range lost {
			r.Log.Warn("an import's node is gone; nothing was changed", "import", id)
		}
	}
}

// StartImport begins a run and returns at once. Conflict while another runs anywhere on the campus.
func (r *Runner) StartImport(ctx context.Context, by nexus.Caller, o nexus.ImportOrder) (nexus.Import, error) {
	run, resumed, err := r.Store.StartImport(ctx, by, o.Kind, o.DryRun)
	if err != nil || resumed {
		return run, errors.Join(err, o.File.Close())
	}
	by.Once = nexus.Once{} // it is the start's
	r.runs.Go(func() { r.carry(by, o, run) })
	return run, nil
}

// progress is where a run is. The beat reads it while the run goes on.
type progress struct {
	step        atomic.Pointer[string]
	total, done atomic.Int64
}

func (p *progress) of(run nexus.Import) nexus.Import {
	run.Step, run.RowsTotal, run.RowsDone = *p.step.Load(), p.total.Load(), p.done.Load()
	return run
}

func (p *progress) next(step string) { p.step.Store(&step) }

// carry does a run to its end.
func (r *Runner) carry(by nexus.Caller, o nexus.ImportOrder, run nexus.Import) {
	ctx, cancel := context.WithTimeout(r.ctx, runWithin)
	defer cancel()
	began := time.Now()
	var p progress
	p.next(nexus.ImportReading)
	var beat sync.WaitGroup
	beat.Go(func() { r.beat(ctx, cancel, run, &p) })
	t, err := r.takeOver(ctx, by, o, run, &p)
	cancel()
	beat.Wait()
	run = p.of(run)
	run.Errors = t.Errors
	if err = errors.Join(err, o.File.Close()); err == nil && t.Errors == 0 {
		run = counted(run, t)
	}
	err = r.end(run, t, err)
	run.State = nexus.ImportDone
	if err != nil || t.Errors > 0 {
		run.State = nexus.ImportFailed
	}
	r.Log.Info("import ended", "import", run.ID, "kind", run.Kind, "dryRun", run.DryRun, "by", by.User, "requestId", by.RequestID, "state", run.State,
		"rows", run.RowsDone, "made", run.Made, "changed", run.Changed, "unchanged", run.Unchanged, "errors", run.Errors,
		"took", time.Since(began).Round(time.Millisecond), "err", cause(err))
	r.tell(t)
}

// cause is an error without what the database says of a row.
func cause(err error) any {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		return fmt.Sprintf("SQLSTATE %s, %s %s", e.Code, e.TableName, e.ConstraintName)
	}
	return err
}

// tell passes on what has been committed.
func (r *Runner) tell(t pg.Takeover) {
	if len(t.Ended) > 0 && r.Ended != nil {
		r.Ended(r.ctx, t.Ended)
	}
	if len(t.Courses) > 0 && r.Fenced != nil {
		r.Fenced(r.ctx, t.Courses)
	}
}

// beat says that the run lives until ctx ends, and ends a run that was taken for lost meanwhile.
func (r *Runner) beat(ctx context.Context, lost context.CancelFunc, run nexus.Import, p *progress) {
	for nexus.Pause(ctx, beatEvery) {
		if err := r.Store.Beat(ctx, p.of(run)); nexus.CodeOf(err) == nexus.NotFound {
			lost()
		}
	}
}

// takeOver turns a panic into an error: what a file holds must not end the node.
func (r *Runner) takeOver(ctx context.Context, by nexus.Caller, o nexus.ImportOrder, run nexus.Import, p *progress) (t pg.Takeover, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	for n := range attempts {
		if n > 0 && !nexus.Pause(ctx, time.Duration(n)*time.Second) {
			break
		}
		p.next(nexus.ImportReading)
		p.done.Store(0)
		read := func(ctx context.Context, s *pg.Stage) ([]nexus.ImportError, int64, error) {
			f := reading{ImportOrder: o, stage: s, most: r.MaxBytes, progress: p}
			err := f.read(ctx)
			return f.found.kept, f.found.n, err
		}
		report := func(t pg.Takeover) nexus.Import { return counted(p.of(run), t) }
		if t, err = r.Store.TakeOver(ctx, by, run, p.next, read, report); nexus.CodeOf(err) != nexus.Conflict {
			break
		}
	}
	return t, err
}

// end notes how a run has ended, unless that was done with its change, and returns why if it has failed by no fault of the file.
func (r *Runner) end(run nexus.Import, t pg.Takeover, err error) error {
	switch {
	case err == nil && t.Errors == 0 && !run.DryRun:
		return nil
	case err == nil && t.Errors > 0:
		run.Failure = &nexus.ImportFailure{Code: nexus.ImportFaults, Detail: "rows are wrong; nothing was changed"}
	case err == nil:
	case r.ctx.Err() != nil:
		run.Failure = &nexus.ImportFailure{Code: nexus.ImportInterrupted, Detail: "the node that carried it on was ended; nothing was changed, send the file again"}
	case nexus.CodeOf(err) == nexus.Conflict:
		run.Failure = &nexus.ImportFailure{Code: nexus.ImportContended, Detail: "the campus has changed under the import; nothing was changed, send the file again"}
	default:
		run.Failure = &nexus.ImportFailure{Code: nexus.ImportBroken, Detail: "the import could not be done; nothing was changed"}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), lastWords)
	defer cancel()
	if run.Failure == nil {
		return r.Store.EndDryRun(ctx, run)
	}
	return errors.Join(err, r.Store.FailImport(ctx, run, t.Faults))
}

// counted fills in what has become of the rows, or would.
func counted(run nexus.Import, t pg.Takeover) nexus.Import {
	files := map[nexus.ImportKind][]struct{ what, file string }{
		nexus.ImportUsers: {{"users", usersFile.file}}, nexus.ImportCourses: {{"courses", coursesFile.file}}, nexus.ImportEnrollments: {{"enrollments", enrollmentsFile.file}},
		nexus.ImportOneRoster: {{"terms", sessionsCSV}, {"users", usersCSV}, {"courses", classesCSV}, {"enrollments", enrollmentsCSV}},
	}
	run.Files, run.Made, run.Changed, run.Unchanged = nil, 0, 0, 0
	for _, f := range files[run.Kind] {
		n := nexus.ImportFile{File: f.file, Made: t.Made[f.what], Changed: t.Changed[f.what], Unchanged: t.Unchanged[f.what]}
		run.Files = append(run.Files, n)
		run.Made, run.Changed, run.Unchanged = run.Made+n.Made, run.Changed+n.Changed, run.Unchanged+n.Unchanged
	}
	return run
}

// reading is one pass over a run's file.
type reading struct {
	nexus.ImportOrder
	stage    *pg.Stage
	most     int64
	progress *progress
	found    faults
}

func (f *reading) read(ctx context.Context) error {
	if f.Kind == nexus.ImportOneRoster {
		return f.bundle(ctx)
	}
	if f.progress.total.Load() == 0 {
		n, err := count(f.start())
		if err != nil {
			return err
		}
		f.progress.total.Store(n)
	}
	switch f.Kind {
	case nexus.ImportUsers:
		return take(ctx, f, f.start(), usersFile, userOf, f.stage.Users)
	case nexus.ImportCourses:
		return take(ctx, f, f.start(), coursesFile, courseOf, f.stage.Courses)
	default:
		return take(ctx, f, f.start(), enrollmentsFile, enrollmentOf, f.stage.Enrollments)
	}
}

// start reads the file from its beginning.
func (f *reading) start() io.Reader { return io.NewSectionReader(f.File, 0, 1<<62) }

// take stages the rows of one file. A head that is wrong has been noted.
func take[T any](ctx context.Context, f *reading, from io.Reader, l layout, make func(*row) *T, to func(context.Context, func() (*T, error)) error) error {
	t, err := openTable(from, l, &f.found, func() { f.progress.done.Add(1) })
	if errors.Is(err, errNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	return to(ctx, rowsOf(t, make))
}
