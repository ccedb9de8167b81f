package resttest

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"nexus"
)

// ImportBytes is how large a file may be that a House takes.
const ImportBytes = 3 << 20

// Imports takes files and does nothing with them, one at a time. It is safe for concurrent use.
type Imports struct {
	mu    sync.Mutex
	Files []string // what was handed in
	Asked []nexus.ImportOrder
	By    []nexus.Caller
	runs  []nexus.Import
	errs  []nexus.ImportError
}

// NewImports returns one that has taken nothing.
func NewImports() *Imports { return &Imports{} }

// StartImport reads the file and leaves its run under way.
func (m *Imports) StartImport(_ context.Context, by nexus.Caller, o nexus.ImportOrder) (nexus.Import, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer o.File.Close() //nolint:errcheck // it was only read
	if _, err := o.File.Seek(0, io.SeekStart); err != nil {
		return nexus.Import{}, err
	}
	content, err := io.ReadAll(o.File)
	if err != nil {
		return nexus.Import{}, err
	}
	if n := len(m.runs); n > 0 && m.runs[n-1].State == nexus.ImportRunning {
		return nexus.Import{}, nexus.Errorf(nexus.Conflict, "another import is under way")
	}
	run := nexus.Import{
		ID: nexus.ImportID(nexus.NewID()), Kind: o.Kind, DryRun: o.DryRun, State: nexus.ImportRunning, Step: nexus.ImportReading,
		Files: []nexus.ImportFile{}, CreatedBy: by.User, CreatedAt: time.Now(),
	}
	m.Files, m.Asked, m.By, m.runs = append(m.Files, string(content)), append(m.Asked, o), append(m.By, by), append(m.runs, run)
	return run, nil
}

// End ends the run that is under way, with what is wrong with its file.
func (m *Imports) End(errs ...nexus.ImportError) {
	m.mu.Lock()
	defer m.mu.Unlock()
	run := &m.runs[len(m.runs)-1]
	now := time.Now()
	run.State, run.EndedAt, run.Errors, m.errs = nexus.ImportDone, &now, int64(len(errs)), errs
	if len(errs) > 0 {
		run.State, run.Failure = nexus.ImportFailed, &nexus.ImportFailure{Code: nexus.ImportFaults, Detail: "rows are wrong"}
	}
}

// Import returns a run.
func (m *Imports) Import(_ context.Context, id nexus.ImportID) (nexus.Import, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.runs {
		if r.ID == id {
			return r, nil
		}
	}
	return nexus.Import{}, nexus.Errorf(nexus.NotFound, "no such import")
}

// Imports lists the runs, the newest first.
func (m *Imports) Imports(_ context.Context, p nexus.Page) (nexus.List[nexus.Import], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := []nexus.Import{}
	for _, r := range slices.Backward(m.runs) {
		if p.After == "" || strings.Compare(string(r.ID), p.After) < 0 {
			list = append(list, r)
		}
	}
	return cut(list, p.Limit, func(r nexus.Import) string { return string(r.ID) }), nil
}

// ImportErrors lists what was wrong with the last file.
func (m *Imports) ImportErrors(ctx context.Context, id nexus.ImportID, p nexus.Page) (nexus.List[nexus.ImportError], error) {
	if _, err := m.Import(ctx, id); err != nil {
		return nexus.List[nexus.ImportError]{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	after, _ := strconv.Atoi("0" + p.After)
	rest := append([]nexus.ImportError{}, m.errs[min(after, len(m.errs)):]...)
	return cut(rest, p.Limit, func(nexus.ImportError) string { return strconv.Itoa(after + p.Limit) }), nil
}
