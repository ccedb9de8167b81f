package simulate

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestCountsReadTheHeader(t *testing.T) {
	for _, c := range []struct{ name, file, wrong string }{
		{"as it should be", "at,people\n", ""},
		{"with quotation marks, a byte order mark and a carriage return", "\ufeff\"at\",\"people\"\r\n", ""},
		{"empty file", "", "line 1: the header at,people is missing"},
		{"no header", "2015-08-14 17:00:11-07:00,37\n", "line 1: the header must be at,people"},
		{"another order", "people,at\n", "line 1: the header must be at,people"},
		{"endless line", strings.Repeat("x", 10_000), "line 1: bufio.Scanner: token too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewCounts(strings.NewReader(c.file))
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || err.Error() != c.wrong) {
				t.Errorf("error %v, want %q", err, c.wrong)
			}
		})
	}
}

func TestCountsNameBadRowsByTheirLine(t *testing.T) {
	file := strings.Join([]string{
		"at,people",
		"2015-08-14 17:00:11-07:00,37", // 2
		"2015-08-14T17:20:14-07:00,45", // 3
		"",                             // 4: blank lines count, and are no rows
		"yesterday,40",                 // 5
		"2015-08-14 17:30:15,40",       // 6: no zone
		"2015-08-14 17:30:15-07:00",    // 7
		"2015-08-14 17:30:15-07:00,many",
		"2015-08-14 17:30:15-07:00,-1",
		"2015-08-14 17:30:15-07:00,100001",
		"2015-08-14 17:10:00-07:00,40", // 11: before line 3
		`"2015-08-15 00:40:16Z", 44 `,  // 12: the same day, said in UTC
	}, "\n")
	counts, err := NewCounts(strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var good []int
	bad := map[int]string{}
	for {
		c, err := counts.Next()
		var b *BadRow
		switch {
		case errors.As(err, &b):
			bad[b.Line] = b.Error()
		case err == nil:
			good = append(good, c.Line, c.People)
		case errors.Is(err, io.EOF):
			if want := []int{2, 37, 3, 45, 12, 44}; !slices.Equal(good, want) {
				t.Errorf("good rows (line, people) %v, want %v", good, want)
			}
			for line, field := range map[int]string{5: "at", 6: "at", 7: "two fields", 8: "people", 9: "people", 10: "people", 11: "at"} {
				if !strings.HasPrefix(bad[line], "line ") || !strings.Contains(bad[line], field) {
					t.Errorf("line %d: %q, want a word on %s", line, bad[line], field)
				}
			}
			if len(bad) != 7 {
				t.Errorf("bad rows %v", bad)
			}
			return
		default:
			t.Fatal(err)
		}
	}
}

func TestCountsSayWhereReadingBroke(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("at,people\n2015-08-14 17:00:11-07:00,37\n"), iotest.ErrReader(errors.New("disk on fire")))
	counts, err := NewCounts(broken)
	if err != nil {
		t.Fatal(err)
	}
	c, err := counts.Next()
	if want := time.Date(2015, 8, 15, 0, 0, 11, 0, time.UTC); err != nil || !c.At.Equal(want) {
		t.Fatalf("Next = %v, %v", c, err)
	}
	if _, err := counts.Next(); err == nil || err.Error() != "line 3: disk on fire" {
		t.Errorf("error %v", err)
	}
}

func FuzzCounts(f *testing.F) {
	f.Add("2015-08-14 17:00:11-07:00,37\nx,y")
	f.Fuzz(func(t *testing.T, rows string) {
		counts, err := NewCounts(strings.NewReader("at,people\n" + rows))
		if err != nil {
			return
		}
		for range strings.Count(rows, "\n") + 2 {
			c, err := counts.Next()
			var bad *BadRow
			if err != nil && !errors.As(err, &bad) {
				return
			}
			if err == nil && (c.People < 0 || c.People > maxPeople) {
				t.Fatalf("row %+v", c)
			}
		}
		t.Fatal("more rows than lines")
	})
}
