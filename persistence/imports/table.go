package imports

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"nexus"
	"nexus/persistence/pg"
)

// faults collects what is wrong with a run's files: the first of it, and how much it is.
type faults struct {
	kept []nexus.ImportError
	n    int64
}

func (f *faults) add(e nexus.ImportError) {
	if f.n++; len(f.kept) < pg.MostFaults {
		e.Value = visible(e.Value)
		f.kept = append(f.kept, e)
	}
}

// visible shortens a value and leaves nothing in it that a database or a terminal would stumble over.
func visible(value string) string {
	const most = 60
	value = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !nexus.Printable(string(r), false) {
			return '?'
		}
		return r
	}, value)
	if runes := []rune(value); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return value
}

// layout is what columns a file has.
type layout struct {
	file     string
	required []string
	optional []string
	open     bool // other columns are passed over
}

// table reads a file whose first record names its columns.
type table struct {
	layout
	scan   *scanner
	names  []string // of the columns, in the order of the file
	found  *faults
	passed func() // is told of each row
}

// errNoTable says that a file's head is wrong, which has been noted.
var errNoTable = errors.New("the head is wrong")

// openTable reads the head. It returns errNoTable if there is no use in reading on.
func openTable(r io.Reader, l layout, found *faults, passed func()) (*table, error) {
	t := &table{layout: l, scan: newScanner(r), found: found, passed: passed}
	if start, err := t.scan.r.Peek(3); err == nil && bytes.Equal(start, []byte("\ufeff")) {
		if _, err := t.scan.r.Discard(3); err != nil {
			return nil, err
		}
	} else if len(start) >= 2 && (start[0] == 0xfe && start[1] == 0xff || start[0] == 0xff && start[1] == 0xfe) {
		return nil, t.refuse("", "the file is in UTF-16: save it as CSV in UTF-8")
	}
	_, head, err := t.scan.next()
	var wrong *malformed
	switch {
	case errors.Is(err, io.EOF):
		return nil, t.refuse("", "the file is empty: its first line names the columns")
	case errors.As(err, &wrong):
		return nil, t.refuse("", "%s", wrong.detail)
	case err != nil:
		return nil, err
	}
	return t, t.head(head)
}

// refuse notes what is wrong with the file as a whole.
func (t *table) refuse(field, format string, args ...any) error {
	t.found.add(nexus.ImportError{File: t.file, Line: 1, Field: visible(field), Detail: fmt.Sprintf(format, args...)})
	return errNoTable
}

func (t *table) head(names []string) (err error) {
	known := append(slices.Clone(t.required), t.optional...)
	if len(names) == 1 && strings.ContainsAny(names[0], ";\t") {
		return t.refuse("", "the columns are not parted by commas: save the file with commas, not with semicolons or tabs")
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		at := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		switch {
		case at < 0 && t.open:
			t.names = append(t.names, "")
		case at < 0:
			err = cmp.Or(t.refuse(name, "there is no such column; there are %s", strings.Join(known, ", ")), err)
		case slices.Contains(t.names, known[at]):
			err = cmp.Or(t.refuse(name, "the column is there twice"), err)
		default:
			t.names = append(t.names, known[at])
		}
	}
	for _, name := range t.required {
		if !slices.Contains(t.names, name) {
			err = cmp.Or(t.refuse(name, "the column is missing"), err)
		}
	}
	return err
}

// row is one record of a table, of which faults are noted.
type row struct {
	t      *table
	line   int64
	fields []string
	bad    []string // the columns that are wrong
}

// next returns the next row that can be read as one, and nil behind the last.
func (t *table) next() (*row, error) {
	for {
		line, fields, err := t.scan.next()
		var wrong *malformed
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case errors.As(err, &wrong):
			t.passed()
			t.found.add(nexus.ImportError{File: t.file, Line: line, Field: t.name(wrong.field), Detail: wrong.detail})
			if wrong.fatal {
				return nil, nil
			}
			continue
		case err != nil:
			return nil, err
		}
		t.passed()
		if len(fields) != len(t.names) {
			t.found.add(nexus.ImportError{
				File: t.file, Line: line, Value: fields[0],
				Detail: fmt.Sprintf("has %d fields where the head has %d: is a comma missing, or within a field that is not quoted?", len(fields), len(t.names)),
			})
			continue
		}
		return &row{t: t, line: line, fields: fields}, nil
	}
}

func (t *table) name(field int) string {
	if field < len(t.names) {
		return t.names[field]
	}
	return ""
}

// wrong notes a fault of a column, the first alone.
func (r *row) wrong(column, value, format string, args ...any) {
	if slices.Contains(r.bad, column) {
		return
	}
	r.bad = append(r.bad, column)
	r.t.found.add(nexus.ImportError{File: r.t.file, Line: r.line, Field: column, Value: value, Detail: fmt.Sprintf(format, args...)})
}

// rowsOf makes values of a table's rows, without those that are wrong or that make passes over by giving nil.
func rowsOf[T any](t *table, make func(*row) *T) func() (*T, error) {
	return func() (*T, error) {
		for {
			r, err := t.next()
			if r == nil || err != nil {
				return nil, err
			}
			if v := make(r); v != nil && len(r.bad) == 0 {
				return v, nil
			}
		}
	}
}

// count returns how many records a file has behind its head.
func count(r io.Reader) (n int64, err error) {
	for s := newScanner(r); ; n++ {
		_, _, err := s.next()
		var wrong *malformed
		switch {
		case errors.Is(err, io.EOF), errors.As(err, &wrong) && wrong.fatal:
			return max(n-1, 0), nil
		case err != nil && wrong == nil:
			return 0, err
		}
	}
}
