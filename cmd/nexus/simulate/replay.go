package simulate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"nexus"
)

// maxNamed bounds how many bad rows are named one by one.
const maxNamed = 20

// replay reports the head counts of a file into the sender's one hall and says how it went.
func replay(s *sender, o Options) (string, error) {
	f, err := os.Open(o.File)
	if err != nil {
		return "", nexus.InvalidField("file", "%v", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	size := int64(-1)                // a pipe has no size
	if st, err := f.Stat(); err == nil && st.Mode().IsRegular() {
		size = st.Size()
	}
	in := &metered{r: f}
	counts, err := NewCounts(in)
	if err != nil {
		return "", fmt.Errorf("%s: %w", o.File, err)
	}
	p := &player{s: s, counts: counts, speed: o.Speed}
	bar := newProgress(o.Out, size, 1000)
	err = p.act(func(c Count) {
		bar.step(in.n, fmt.Sprintf("%s  %d people", c.At.Format("2006-01-02 15:04"), c.People))
	}, bar.note)
	bar.end()
	outcome := fmt.Sprintf("%s: %d rows replayed, %d bad", o.File, p.good, p.bad)
	switch {
	case s.ctx.Err() != nil && err != nil:
		return outcome + ", then the replay was interrupted", nil
	case err == nil && p.good == 0:
		err = fmt.Errorf("%s: no row to replay", o.File)
	}
	return outcome, err
}

// player replays a file. It belongs to one goroutine.
type player struct {
	s         *sender
	counts    *Counts
	speed     float64
	good, bad int
}

// act reports every row when its time has come: the first at once, the others at their distance from it divided by the speed,
// and never two in one millisecond, for the server could not tell which of two counts came last.
func (p *player) act(step func(Count), note func(string)) error {
	var first, began, last time.Time
	for {
		c, err := p.counts.Next()
		if bad := (*BadRow)(nil); errors.As(err, &bad) {
			if p.bad++; p.bad <= maxNamed {
				note(bad.Error() + "; the row is left out")
			}
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.good == 0 {
			first, began = c.At, time.Now()
		}
		due := began.Add(time.Duration(float64(c.At.Sub(first)) / p.speed))
		if soonest := last.Add(time.Millisecond); due.Before(soonest) {
			due = soonest
		}
		if err := sleep(p.s.ctx, time.Until(due)); err != nil {
			return err
		}
		if err := p.s.put(p.s.ctx, 0, event{Absolute: &c.People}); err != nil {
			return err
		}
		last = time.Now()
		p.good++
		step(c)
	}
}

// metered counts the bytes read.
type metered struct {
	r io.Reader
	n int64
}

// Read reads and counts.
func (m *metered) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.n += int64(n)
	return n, err
}
