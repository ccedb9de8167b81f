package imports

import (
	"bufio"
	"errors"
	"io"
)

// mostRecord bounds one record in bytes, for an open quote would take in the rest of the file.
const mostRecord = 64 << 10

// malformed is a record that cannot be read.
type malformed struct {
	field  int // counted from 0
	detail string
	fatal  bool // what comes after it cannot be told from it
}

// Error implements error.
func (m *malformed) Error() string { return m.detail }

// scanner reads the records of a CSV file as RFC 4180 describes them: commas, double quotes, CRLF or LF, and line breaks within quotes.
// It knows at which line of the file a record begins, leaves empty lines out, and goes on behind a record that cannot be read.
type scanner struct {
	r    *bufio.Reader
	line int64 // of the next byte
	buf  []byte
	ends []int // of the fields in buf
}

func newScanner(r io.Reader) *scanner { return &scanner{r: bufio.NewReaderSize(r, 32<<10), line: 1} }

// next returns the next record and the line that it begins at; io.EOF behind the last, and *malformed for one that cannot be read.
func (s *scanner) next() (line int64, fields []string, err error) {
	for {
		line, s.buf, s.ends = s.line, s.buf[:0], s.ends[:0]
		if err = s.record(); err != nil {
			return line, nil, err
		}
		if len(s.ends) > 1 || len(s.buf) > 0 {
			break
		}
	}
	text := string(s.buf)
	fields = make([]string, len(s.ends))
	for i, from := 0, 0; i < len(fields); i++ {
		fields[i], from = text[from:s.ends[i]], s.ends[i]
	}
	return line, fields, nil
}

// record reads fields until the end of the record.
func (s *scanner) record() error {
	for first := true; ; first = false {
		c, err := s.r.ReadByte()
		if errors.Is(err, io.EOF) && first {
			return io.EOF
		}
		var more bool
		if err == nil && c == '"' {
			more, err = s.quoted()
		} else {
			more, err = s.bare(c, err)
		}
		if err != nil || !more {
			return err
		}
	}
}

// bare reads a field without quotes, of which c is the first byte, and says whether another follows.
func (s *scanner) bare(c byte, err error) (more bool, _ error) {
	from := len(s.buf)
	for ; ; c, err = s.r.ReadByte() {
		switch {
		case err != nil || c == ',' || c == '\n':
			if n := len(s.buf); err == nil && c == '\n' && n > from && s.buf[n-1] == '\r' {
				s.buf = s.buf[:n-1]
			}
			return s.ended(c, err)
		case c == '"':
			return false, s.broken("a quote stands within a field that is not quoted: quote the whole field and double the quotes in it")
		}
		if err := s.add(c); err != nil {
			return false, err
		}
	}
}

// ended closes a field at what stands behind it: a comma, the end of the line, or that of the file.
func (s *scanner) ended(c byte, err error) (more bool, _ error) {
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	s.ends = append(s.ends, len(s.buf))
	if err == nil && c == '\n' {
		s.line++
	}
	return err == nil && c == ',', nil
}

// quoted reads a field behind its opening quote.
func (s *scanner) quoted() (more bool, _ error) {
	open := s.line
	for {
		c, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			s.line = open
			return false, &malformed{len(s.ends), "a quote is opened here and never closed", true}
		case err != nil:
			return false, err
		case c == '\n':
			s.line++
		case c == '"':
			next, err := s.r.ReadByte()
			if err == nil && next == '\r' && s.follows('\n') {
				next, err = s.r.ReadByte()
			}
			if err != nil || next == ',' || next == '\n' {
				return s.ended(next, err)
			}
			if next != '"' { // two stand for one
				return false, s.broken("something stands behind a closing quote: double the quotes within a field")
			}
		}
		if err := s.add(c); err != nil {
			return false, err
		}
	}
}

// follows reports whether the next byte is c, which it leaves there.
func (s *scanner) follows(c byte) bool {
	b, err := s.r.Peek(1)
	return err == nil && b[0] == c
}

func (s *scanner) add(c byte) error {
	if len(s.buf) >= mostRecord {
		return &malformed{len(s.ends), "the record has more than 64 KiB: is a quote opened here and never closed?", true}
	}
	s.buf = append(s.buf, c)
	return nil
}

// broken skips the rest of the line.
func (s *scanner) broken(detail string) error {
	for {
		c, err := s.r.ReadByte()
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if err != nil || c == '\n' {
			s.line++
			return &malformed{len(s.ends), detail, false}
		}
	}
}
