package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Imports keeps the runs of imports, and takes over what they bring.
type Imports struct{ db *DB }

// NewImports returns the imports' store in db.
func NewImports(db *DB) *Imports { return &Imports{db} }

// lostDetail is what is said of a run whose node has ended.
const lostDetail = "the node that carried it on has ended; nothing was changed, send the file again"

// StartImport begins a run, which the caller then carries on; resumed says that it answers an idempotency key again, and that somebody
// carries the run on already. Conflict while another runs.
func (s *Imports) StartImport(ctx context.Context, by nexus.Caller, kind nexus.ImportKind, dryRun bool) (run nexus.Import, resumed bool, err error) {
	resumed = true
	run, err = mutate(ctx, s.db, "start an import", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Import, error) {
		resumed = false // what it made is not an answer that was kept
		row, err := q.InsertImport(ctx, sqlcgen.InsertImportParams{ID: nexus.NewID(), Kind: string(kind), DryRun: dryRun, CreatedBy: string(by.User)})
		if e := (*pgconn.PgError)(nil); errors.As(err, &e) && e.ConstraintName == "import_run_running_key" {
			return nexus.Import{}, nexus.Errorf(nexus.Conflict, "another import is under way: wait for its end")
		}
		if err != nil {
			return nexus.Import{}, err
		}
		made, err := importOf(row)
		return made, err
	})
	return run, resumed, err
}

// Beat says that the run's node lives, and how far it has come. NotFound for a run that has ended: its node was taken for dead.
func (s *Imports) Beat(ctx context.Context, run nexus.Import) error {
	return s.db.do(ctx, "note an import's progress", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.BeatImport(ctx, sqlcgen.BeatImportParams{ID: string(run.ID), Step: run.Step, RowsTotal: run.RowsTotal, RowsDone: run.RowsDone})
		if err == nil && n == 0 {
			return nexus.Errorf(nexus.NotFound, "the import has ended")
		}
		return err
	})
}

// FailImport ends a run that has changed nothing, with its first faults. A run that has ended stays as it is.
func (s *Imports) FailImport(ctx context.Context, run nexus.Import, faults []nexus.ImportError) error {
	run.State = nexus.ImportFailed
	return s.db.tx(ctx, "end an import", func(ctx context.Context, q *sqlcgen.Queries) error {
		if n, err := end(ctx, q, run); err != nil || n == 0 {
			return err
		}
		p := sqlcgen.InsertImportErrorsParams{RunID: string(run.ID)}
		for i, f := range faults {
			p.Ns, p.Files, p.Lines = append(p.Ns, int32(i+1)), append(p.Files, f.File), append(p.Lines, f.Line)
			p.Fields, p.Values, p.Details = append(p.Fields, f.Field), append(p.Values, f.Value), append(p.Details, f.Detail)
		}
		return q.InsertImportErrors(ctx, p)
	})
}

// EndDryRun ends a run that was to change nothing.
func (s *Imports) EndDryRun(ctx context.Context, run nexus.Import) error {
	run.State = nexus.ImportDone
	return s.db.do(ctx, "end an import", func(ctx context.Context, q *sqlcgen.Queries) error {
		_, err := end(ctx, q, run)
		return err
	})
}

// end marks a run as ended, and returns 0 if it was already.
func end(ctx context.Context, q *sqlcgen.Queries, run nexus.Import) (int64, error) {
	files, err := json.Marshal(run.Files)
	if err != nil {
		return 0, fmt.Errorf("encode the counts: %w", err)
	}
	p := sqlcgen.EndImportParams{
		ID: string(run.ID), State: run.State, Step: run.Step, RowsTotal: run.RowsTotal, RowsDone: run.RowsDone,
		Made: run.Made, Changed: run.Changed, Unchanged: run.Unchanged, Errors: run.Errors, Files: files,
	}
	if run.Failure != nil {
		p.Failure, p.Detail = run.Failure.Code, run.Failure.Detail
	}
	return q.EndImport(ctx, p)
}

// LoseImports ends the runs of nodes that have been silent for so long, and returns them.
func (s *Imports) LoseImports(ctx context.Context, silent time.Duration) (lost []nexus.ImportID, err error) {
	err = s.db.do(ctx, "end lost imports", func(ctx context.Context, q *sqlcgen.Queries) error {
		ids, err := q.LoseImports(ctx, lostDetail, silent.Seconds())
		lost = nil
		for _, id := range ids {
			lost = append(lost, nexus.ImportID(id))
		}
		return err
	})
	return lost, err
}

// Import returns a run. NotFound if there is none.
func (s *Imports) Import(ctx context.Context, id nexus.ImportID) (run nexus.Import, err error) {
	err = s.db.do(ctx, "read an import", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.ImportByID(ctx, string(id))
		if err != nil {
			return orNotFound(err, "import")
		}
		run, err = importOf(row)
		return err
	})
	return run, err
}

// Imports lists the runs, the newest first; the cursor is an id.
func (s *Imports) Imports(ctx context.Context, p nexus.Page) (list nexus.List[nexus.Import], err error) {
	var after *string
	if p.After != "" {
		after = &p.After
	}
	limit := limitOf(p)
	err = s.db.do(ctx, "list imports", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Imports(ctx, after, limit+1)
		if err != nil {
			return err
		}
		runs := make([]nexus.Import, len(rows))
		for i, r := range rows {
			if runs[i], err = importOf(r); err != nil {
				return err
			}
		}
		list = pageOf(runs, limit, func(r nexus.Import) nexus.Import { return r }, func(r nexus.Import) string { return string(r.ID) })
		return nil
	})
	return list, err
}

// ImportErrors lists a run's faults in order of file and line; the cursor counts them. NotFound if there is no such run.
func (s *Imports) ImportErrors(ctx context.Context, id nexus.ImportID, p nexus.Page) (list nexus.List[nexus.ImportError], err error) {
	after, err := strconv.Atoi("0" + p.After)
	if err != nil {
		return list, nexus.InvalidField("after", "is no cursor of this list")
	}
	limit := limitOf(p)
	err = s.db.do(ctx, "list an import's errors", func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := q.ImportByID(ctx, string(id)); err != nil {
			return orNotFound(err, "import")
		}
		rows, err := q.ImportErrors(ctx, string(id), int32(after), limit+1)
		list = pageOf(rows, limit, importErrorOf, func(nexus.ImportError) string { return strconv.Itoa(after + int(limit)) })
		return err
	})
	return list, err
}

// PurgeImports drops the runs that have ended more than 90 days ago, and says how many. Any number of nodes may call it.
func (s *Imports) PurgeImports(ctx context.Context) (int64, error) {
	return s.db.purge(ctx, "purge imports", (*sqlcgen.Queries).PurgeImports)
}

func importErrorOf(r sqlcgen.ImportError) nexus.ImportError {
	return nexus.ImportError{File: r.File, Line: r.Line, Field: r.Field, Value: r.Value, Detail: r.Detail}
}

func importOf(r sqlcgen.ImportRun) (nexus.Import, error) {
	run := nexus.Import{
		ID: nexus.ImportID(r.ID), Kind: nexus.ImportKind(r.Kind), DryRun: r.DryRun, State: r.State, Step: r.Step,
		RowsTotal: r.RowsTotal, RowsDone: r.RowsDone, Made: r.Made, Changed: r.Changed, Unchanged: r.Unchanged, Errors: r.Errors,
		CreatedBy: nexus.UserID(r.CreatedBy), CreatedAt: r.CreatedAt, EndedAt: r.EndedAt,
	}
	if r.Failure != nil {
		run.Failure = &nexus.ImportFailure{Code: *r.Failure, Detail: r.Detail}
	}
	if err := json.Unmarshal(r.Files, &run.Files); err != nil {
		return run, fmt.Errorf("decode the counts of import %s: %w", r.ID, err)
	}
	return run, nil
}
