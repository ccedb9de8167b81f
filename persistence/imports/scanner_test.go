package imports

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scanned is what a scanner makes of a text: records, lines, and what is wrong.
func scanned(t interface{ Fatal(...any) }, r io.Reader) (records [][]string, lines []int64, wrong []string) {
	for s := newScanner(r); ; {
		line, fields, err := s.next()
		var m *malformed
		switch {
		case errors.Is(err, io.EOF):
			return records, lines, wrong
		case errors.As(err, &m):
			if wrong = append(wrong, m.detail); m.fatal {
				return records, lines, wrong
			}
		case err != nil:
			t.Fatal(err)
		default:
			records, lines = append(records, fields), append(lines, line)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		records [][]string
		lines   []int64
		wrong   int
	}{
		"":                        {nil, nil, 0},
		"\n\r\n\n":                {nil, nil, 0},
		"a":                       {[][]string{{"a"}}, []int64{1}, 0},
		"a,b\r\nc,\n":             {[][]string{{"a", "b"}, {"c", ""}}, []int64{1, 2}, 0},
		",\n\n,":                  {[][]string{{"", ""}, {"", ""}}, []int64{1, 3}, 0},
		"\"a,\"\"b\"\"\nc\",d\ne": {[][]string{{"a,\"b\"\nc", "d"}, {"e"}}, []int64{1, 3}, 0},
		"\"a\"\r\n\"b\"":          {[][]string{{"a"}, {"b"}}, []int64{1, 2}, 0},
		"\"a\r\"\nb":              {[][]string{{"a\r"}, {"b"}}, []int64{1, 2}, 0},
		"a\rb\n":                  {[][]string{{"a\rb"}}, []int64{1}, 0},
		"a\"b\nc\n":               {[][]string{{"c"}}, []int64{2}, 1},
		"\"a\"b,c\nd\n":           {[][]string{{"d"}}, []int64{2}, 1},
		"\"a\"\rb\nd\n":           {[][]string{{"d"}}, []int64{2}, 1},
		"a\n\"b\nc\nd":            {[][]string{{"a"}}, []int64{1}, 1},
		"\"\"\nx":                 {[][]string{{"x"}}, []int64{2}, 0},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
			records, lines, wrong := scanned(t, r)
			if d := cmp.Diff(want.records, records); d != "" || !slices.Equal(lines, want.lines) || len(wrong) != want.wrong {
				t.Errorf("%q, %s: lines %v, wrong %q, %s", text, name, lines, wrong, d)
			}
		}
	}
}

// TestAnythingThatIsWrittenIsRead as the standard library reads it.
func TestAnythingThatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.StringOfN(rapid.SampledFrom([]rune("ab,\"\n é;")), 0, 6, -1)
		want := rapid.SliceOfN(rapid.SliceOfN(field, 2, 4), 0, 8).Draw(t, "records")
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.UseCRLF = rapid.Bool().Draw(t, "CRLF")
		if err := w.WriteAll(want); err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(bytes.NewReader(b.Bytes()))
		r.FieldsPerRecord = -1
		theirs, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		records, lines, wrong := scanned(t, &b)
		for _, record := range records { // they make one of two kinds of line breaks
			for i := range record {
				record[i] = strings.ReplaceAll(record[i], "\r\n", "\n")
			}
		}
		if d := cmp.Diff(theirs, records); d != "" || len(wrong) > 0 || !slices.IsSorted(lines) {
			t.Fatalf("lines %v, wrong %q\n%s", lines, wrong, d)
		}
	})
}

// FuzzScanner: whatever a file holds, it is read to its end, and no record is longer than it may be.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{"a,b\n", "\"a", "a\"b\n\"c\"\r\n", "\r\r\n,\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		records, _, wrong := scanned(t, bytes.NewReader(text))
		n, err := count(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if total := int64(len(records) + len(wrong)); n != max(total-1, 0) && n != max(total-2, 0) {
			t.Errorf("%d are counted, %d are read", n, total)
		}
		for _, r := range records {
			if len(strings.Join(r, "")) > mostRecord {
				t.Errorf("a record of %d bytes", len(strings.Join(r, "")))
			}
		}
	})
}

func FuzzBundleCells(f *testing.F) {
	f.Add("sourcedId,status\n1,active\n")
	f.Fuzz(func(t *testing.T, text string) {
		var found faults
		table, err := openTable(strings.NewReader(text), layout{file: "x.csv", required: []string{"sourcedId", "status"}, open: true}, &found, func() {})
		if err != nil {
			if !errors.Is(err, errNoTable) || found.n == 0 {
				t.Errorf("%v without a fault", err)
			}
			return
		}
		for {
			r, err := table.next()
			if err != nil {
				t.Fatal(err)
			}
			if r == nil {
				return
			}
			r.needed("sourcedId", 10)
			r.status()
			r.email("status")
			r.decimal("status", 4)
			r.list("status", 3)
			whole[int16](r, "sourcedId", 0, 5)
		}
	})
}
