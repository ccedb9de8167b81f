package simulate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Count is one head count of a replayed file.
type Count struct {
	Line   int
	At     time.Time
	People int
}

// maxPeople bounds a head count; above it a row is a slip of the pen.
const maxPeople = 100_000

// Counts reads head counts row by row and holds one row at a time, whatever the size of the file.
type Counts struct {
	lines *bufio.Scanner
	line  int
	last  time.Time
}

// NewCounts reads the header, which must be "at,people".
func NewCounts(r io.Reader) (*Counts, error) {
	c := &Counts{lines: bufio.NewScanner(r)}
	c.lines.Buffer(make([]byte, 0, 4096), 4096)
	if !c.lines.Scan() {
		return nil, c.end("line 1: the header at,people is missing")
	}
	c.line = 1
	at, people, _ := fields(strings.TrimPrefix(c.lines.Text(), "\ufeff"))
	if at != "at" || people != "people" {
		return nil, errors.New("line 1: the header must be at,people")
	}
	return c, nil
}

// BadRow is a row that cannot be replayed. Reading goes on behind it.
type BadRow struct {
	Line   int
	Reason string
}

// Error names the line, counted from 1 with the header.
func (b *BadRow) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Reason) }

// Next returns the next count; a *BadRow for one that is wrong or goes back in time, after which Next may be called
// again; io.EOF at the end; any other error when the file cannot be read.
func (c *Counts) Next() (Count, error) {
	for c.lines.Scan() {
		c.line++
		if strings.TrimSpace(c.lines.Text()) != "" {
			return c.row()
		}
	}
	return Count{}, c.end("")
}

// row reads the present line.
func (c *Counts) row() (Count, error) {
	bad := func(format string, args ...any) (Count, error) {
		return Count{}, &BadRow{Line: c.line, Reason: fmt.Sprintf(format, args...)}
	}
	rawAt, rawPeople, ok := fields(c.lines.Text())
	if !ok {
		return bad("want two fields, at and people")
	}
	at, err := instant(rawAt)
	if err != nil {
		return bad("at: %q is not a time with its zone offset, such as 2015-08-14 17:00:11-07:00", rawAt)
	}
	people, err := strconv.Atoi(rawPeople)
	if err != nil || people < 0 || people > maxPeople {
		return bad("people: %q is not a whole number from 0 to %d", rawPeople, maxPeople)
	}
	if at.Before(c.last) {
		return bad("at: %s is before the row above it", rawAt)
	}
	c.last = at
	return Count{Line: c.line, At: at, People: people}, nil
}

// end says why there are no more lines: io.EOF, or missing if that is not enough, or what went wrong.
func (c *Counts) end(missing string) error {
	switch err := c.lines.Err(); {
	case err != nil:
		return fmt.Errorf("line %d: %w", c.line+1, err)
	case missing != "":
		return errors.New(missing)
	default:
		return io.EOF
	}
}

// fields splits a row at its one comma; either field may stand in quotation marks.
func fields(line string) (at, people string, ok bool) {
	at, people, ok = strings.Cut(line, ",")
	trim := func(s string) string { return strings.Trim(strings.TrimSpace(s), `"`) }
	return trim(at), trim(people), ok
}

// instant reads RFC 3339, also with a space in place of the T.
func instant(s string) (time.Time, error) {
	if len(s) > 10 && s[10] == ' ' {
		s = s[:10] + "T" + s[11:]
	}
	return time.Parse(time.RFC3339, s)
}
