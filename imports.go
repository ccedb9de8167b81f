package nexus

import (
	"os"
	"time"
)

// ImportID is one run of an import, a UUIDv7.
type ImportID string

// ImportKind is what a file that the office imports holds.
type ImportKind string

// The kinds of files.
const (
	ImportUsers       ImportKind = "users"
	ImportCourses     ImportKind = "courses"
	ImportEnrollments ImportKind = "enrollments"
	ImportOneRoster   ImportKind = "oneroster" // a bundle of CSV files, as OneRoster 1.1 has them
)

// The states of a run. A run that failed has changed nothing, whatever the reason.
const (
	ImportRunning = "RUNNING"
	ImportDone    = "DONE"
	ImportFailed  = "FAILED"
)

// The steps of a run.
const (
	ImportReading  = "READING"  // rows go from the file to a table of the run's own
	ImportChecking = "CHECKING" // they are held against each other and against the campus
	ImportApplying = "APPLYING" // the campus changes, in one transaction
)

// Why a run has failed.
const (
	ImportFaults      = "faults"      // rows are wrong; the run's errors say which
	ImportInterrupted = "interrupted" // the node that carried the run has ended
	ImportContended   = "contended"   // the campus changed under it; send the file again
	ImportBroken      = "internal"    // our fault; the log has the cause
)

// ImportOrder is an import that is asked for. Who takes the order closes the file.
type ImportOrder struct {
	Kind   ImportKind
	DryRun bool
	TZ     string // of terms that a bundle makes, an IANA zone
	File   *os.File
}

// ImportFile counts what becomes of the rows of one file, or would. Rows of what the campus does not keep, such as guardians, are none of these.
type ImportFile struct {
	File      string `json:"file"`
	Made      int64  `json:"made"`
	Changed   int64  `json:"changed"`
	Unchanged int64  `json:"unchanged"`
}

// ImportFailure says why a run has failed.
type ImportFailure struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Import is one run: a file that is taken over as a whole or not at all.
type Import struct {
	ID        ImportID       `json:"id"`
	Kind      ImportKind     `json:"kind"`
	DryRun    bool           `json:"dryRun"` // everything is done but the change
	State     string         `json:"state"`
	Step      string         `json:"step"`
	RowsTotal int64          `json:"rowsTotal"` // 0 until they are counted
	RowsDone  int64          `json:"rowsDone"`  // read so far
	Made      int64          `json:"made"`
	Changed   int64          `json:"changed"`
	Unchanged int64          `json:"unchanged"`
	Errors    int64          `json:"errors"` // of which the first thousand are kept
	Files     []ImportFile   `json:"files"`
	Failure   *ImportFailure `json:"failure"` // null unless the state is FAILED
	CreatedBy UserID         `json:"createdBy"`
	CreatedAt time.Time      `json:"createdAt"`
	EndedAt   *time.Time     `json:"endedAt"`
}

// ImportError is one thing that is wrong with a file, and where.
type ImportError struct {
	File   string `json:"file"`
	Line   int64  `json:"line"`  // as an editor counts; 0: the file as a whole
	Field  string `json:"field"` // the column; empty: the line as a whole
	Value  string `json:"value"` // shortened
	Detail string `json:"detail"`
}
