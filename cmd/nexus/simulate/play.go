package simulate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"nexus"
)

// play acts out one made-up day of all the halls and says how it went.
func play(s *sender, halls []nexus.Hall, o Options) (string, error) {
	now := time.Now()
	var moves []Move
	starts := make([]time.Duration, len(halls))
	for i, h := range halls {
		zone, err := time.LoadLocation(h.TZ)
		if err != nil {
			return "", fmt.Errorf("hall %s: %w", h.Name, err)
		}
		if starts[i], err = timeOfDay(o.From, now.In(zone)); err != nil {
			return "", err
		}
		moves = append(moves, Moves(i, h, starts[i], o.Seed)...)
	}
	sortMoves(moves)
	d := &day{s: s, halls: halls, began: now, speed: o.Speed, inside: make([]int, len(halls)), leaving: make([]int, len(halls))}
	bar := newProgress(o.Out, int64(Day/time.Minute), 60)
	err := d.act(moves, func(minute int) {
		bar.step(int64(minute), clock(starts[0]+time.Duration(minute)*time.Minute)+d.crowd())
	})
	bar.end()
	outcome := fmt.Sprintf("a day of %d halls: %d people came", len(halls), d.came)
	if s.ctx.Err() == nil || err == nil {
		return outcome, err
	}
	d.sendHome()
	return outcome + ", then the play was interrupted", nil
}

// day is a day being acted out. It belongs to one goroutine.
type day struct {
	s       *sender
	halls   []nexus.Hall
	began   time.Time
	speed   float64
	came    int
	inside  []int // people reported in and not out, by hall
	leaving []int // those of them who will still check out
}

// act reports every move when its time has come, and calls minute at the end of each simulated minute.
func (d *day) act(moves []Move, minute func(int)) error {
	for m := range int(Day / time.Minute) {
		end := time.Duration(m+1) * time.Minute
		for len(moves) > 0 && moves[0].At <= end {
			if err := d.until(moves[0].At); err != nil {
				return err
			}
			if err := d.report(d.s.ctx, moves[0]); err != nil {
				return err
			}
			moves = moves[1:]
		}
		if err := d.until(end); err != nil {
			return err
		}
		minute(m + 1)
	}
	return nil
}

// until waits for a moment of the simulated day.
func (d *day) until(at time.Duration) error {
	return sleep(d.s.ctx, time.Until(d.began.Add(time.Duration(float64(at)/d.speed))))
}

// report sends one move and keeps count.
func (d *day) report(ctx context.Context, m Move) error {
	if err := d.s.put(ctx, m.Hall, event{Delta: &m.Delta}); err != nil {
		return err
	}
	d.inside[m.Hall] += m.Delta
	d.came += max(m.Delta, 0)
	if !m.Stays {
		d.leaving[m.Hall] += m.Delta
	}
	return nil
}

// maxDelta is the most people that one event moves.
const maxDelta = 500

// sendHome lets everybody leave who was going to, so that an interrupted play leaves no crowd behind.
func (d *day) sendHome() {
	ctx, cancel := context.WithTimeout(d.s.sending, grace)
	defer cancel()
	for i := range d.halls {
		for d.leaving[i] > 0 {
			n := min(d.leaving[i], maxDelta)
			if d.report(ctx, Move{Hall: i, Delta: -n}) != nil {
				return // the sender is gone, and says why when it is closed
			}
		}
	}
}

// crowd lists the people inside each hall.
func (d *day) crowd() string {
	var b strings.Builder
	for i, h := range d.halls {
		fmt.Fprintf(&b, "  %s %d", h.Name, d.inside[i])
	}
	return b.String()
}

// clock writes a time of day.
func clock(d time.Duration) string {
	d %= Day
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}
