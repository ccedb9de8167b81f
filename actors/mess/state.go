package mess

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"nexus"
)

// What a crowd level is called, from its per cent of capacity upwards.
const (
	moderateFrom = 40
	highFrom     = 75
)

// StaleAfter is how long the sensors may be silent before the crowd counts as stale.
const StaleAfter = 5 * time.Minute

// statedFor is how long a wait that staff stated is shown at most.
const statedFor = 10 * time.Minute

// maxInstants bounds the distinct instants remembered one by one. Past it the older half is summed up by seconds: who came
// or went is then taken to have done so less than a second earlier, and the order of news may matter by as much.
const maxInstants = 10_000

// coarsenEvery is how many more instants come between two such sums, so that a hall that stays busy pays little for them.
const coarsenEvery = 500

// settleAfter is how many dwell times an event may arrive late. Older ones are kept, but count for nothing.
const settleAfter = 4

// patience is how many half dwell times someone is counted who does not check out where others do.
const patience = 3

// State is what a hall knows of its crowd. It is a function of the set of events that it was told of: their
// order, and copies of them, which the store takes out, make no difference. It belongs to its grain.
type State struct {
	Hall   nexus.Hall
	Seq    int64     // of the last event applied
	AsOf   time.Time // of the latest event
	Source string    // of the latest event

	count   count
	changes []change // in order of time, none before the count
	settled int64    // Unix microseconds: what was before is summed up, and later news of it ignored
	stated  stated
}

// count is an absolute count: so many were inside at that instant.
type count struct {
	at     int64 // Unix microseconds
	people int
	key    string // settles two counts of one instant, whichever comes first
}

// change sums the deltas of one instant.
type change struct {
	at      int64 // Unix microseconds
	in, out int
}

type stated struct {
	minutes int
	until   time.Time
}

// Apply adds an event. A count replaces all that was before it, however late it arrives; changes of the very
// instant of a count are added to it.
func (s *State) Apply(r Recorded) {
	e := r.Event
	s.Seq = max(s.Seq, r.Seq)
	switch {
	case e.At.After(s.AsOf):
		s.AsOf, s.Source = e.At, e.Source
		s.stated = stated{}
	case e.At.Equal(s.AsOf):
		s.Source = max(s.Source, e.Source)
		s.stated = stated{}
	}
	at := e.At.UnixMicro()
	if e.Absolute != nil {
		s.setCount(count{at: at, people: *e.Absolute, key: e.Source + "/" + e.EventID})
		return
	}
	if at < s.count.at || at < s.settled {
		return
	}
	i, found := slices.BinarySearchFunc(s.changes, at, func(c change, at int64) int { return cmp.Compare(c.at, at) })
	if !found {
		s.changes = slices.Insert(s.changes, i, change{at: at})
	}
	s.changes[i].in += max(*e.Delta, 0)
	s.changes[i].out += max(-*e.Delta, 0)
	if n := len(s.changes); n > maxInstants && n%coarsenEvery == 0 {
		s.changes = coarsen(s.changes)
	}
}

func (s *State) setCount(c count) {
	if c.at < s.settled || c.at < s.count.at || c.at == s.count.at && c.key < s.count.key {
		return
	}
	s.count = c
	s.changes = slices.DeleteFunc(s.changes, func(x change) bool { return x.at < c.at })
}

// coarsen sums the older half of the changes up by seconds.
func coarsen(cs []change) []change {
	half := len(cs) / 2
	out := cs[:0]
	for i, c := range cs {
		second := c.at - c.at%int64(time.Second/time.Microsecond)
		if last := len(out) - 1; i < half && last >= 0 && out[last].at >= second {
			out[last].in += c.in
			out[last].out += c.out
			continue
		}
		out = append(out, c)
	}
	return out
}

// stateWait shows a stated wait until the next event, statedFor at most.
func (s *State) stateWait(minutes int, now time.Time) {
	s.stated = stated{minutes: minutes, until: now.Add(statedFor)}
}

// Settle matches the departures of long ago with their arrivals once and for all, and forgets both. Call it now and then.
func (s *State) Settle(now time.Time) {
	settled := now.Add(-settleAfter * s.dwell()).UnixMicro()
	if settled <= s.settled {
		return // the clock went back, or the dwell time grew
	}
	s.settled = settled
	n, _ := slices.BinarySearchFunc(s.changes, settled, func(c change, at int64) int { return cmp.Compare(c.at, at) })
	if n == 0 {
		return
	}
	var left []change
	people, past := 0, settled-s.longest()
	s.unmatched(s.changes[:n], func(at int64, n int) {
		switch {
		case at < past: // no departure to come can be theirs
		case at == s.count.at && people == 0:
			people = n
		default:
			left = append(left, change{at: at, in: n})
		}
	})
	s.count.people = people
	s.changes = append(left, s.changes[n:]...)
}

func (s *State) dwell() time.Duration { return time.Duration(s.Hall.DwellMin) * time.Minute }

// longest is how long, in microseconds, someone is counted who does not check out where others do: half as much again
// as the dwell time, for the one who is inside the longest has often been there a little longer than the mean.
func (s *State) longest() int64 { return patience * s.dwell().Microseconds() / 2 }

// keep is how long, in microseconds, someone who never checks out is counted at now. Where nobody checks out, because
// the gate counts entries alone, it is the dwell time, so that the count is rate x dwell: Little's law. Nobody does
// when nobody did for as long as departures are remembered for certain.
func (s *State) keep(now time.Time) int64 {
	remembered := now.Add(-settleAfter * s.dwell()).UnixMicro()
	if slices.ContainsFunc(s.changes, func(c change) bool { return c.out > 0 && c.at >= remembered }) {
		return s.longest()
	}
	return s.dwell().Microseconds()
}

// unmatched visits the arrivals among the count and changes that no departure among them matches, oldest first.
// Whoever leaves is taken to be the one who has been inside the longest, those whose time is up having left
// already; nobody leaves before somebody came.
func (s *State) unmatched(changes []change, visit func(at int64, n int)) {
	keep := s.longest()              // for somebody does check out, where a departure is to be matched
	head, left := -1, s.count.people // the longest inside: -1 is the count, i the arrivals of changes[i]
	arrived := s.count.at            // when those came
	next := func() {
		if head++; head < len(changes) {
			arrived, left = changes[head].at, changes[head].in
		}
	}
	for i, c := range changes {
		for out := c.out; head <= i; next() {
			if arrived < c.at-keep {
				continue // their time was up before
			}
			if left > out {
				left -= out
				break
			}
			out -= left
		}
	}
	for ; head < len(changes); next() {
		if left > 0 {
			visit(arrived, left)
		}
	}
}

// Occupancy is how many people are inside: those who arrived, have not departed, and whose time is not up.
func (s *State) Occupancy(now time.Time) int {
	inside, since := 0, now.UnixMicro()-s.keep(now)
	s.unmatched(s.changes, func(at int64, n int) {
		if at >= since {
			inside += n
		}
	})
	return inside
}

// Crowd is how full the hall is at now.
//
// The wait follows Little's law. The counters serve ServiceRatePerMin people a minute and each stays DwellMin minutes, so
// that serviceRate x dwell people, and never more than there are seats, are inside without anybody waiting. The rest
// are the queue, and the wait in minutes is queue / throughput, where throughput is the lesser of
// the service rate and of the seats that fall free: capacity / dwell.
func (s *State) Crowd(now time.Time) nexus.Crowd {
	occupancy := s.Occupancy(now)
	c := nexus.Crowd{
		HallID:      s.Hall.ID,
		Occupancy:   occupancy,
		Capacity:    s.Hall.Capacity,
		Level:       min(100, int(math.Round(100*float64(occupancy)/float64(max(1, s.Hall.Capacity))))),
		WaitMinutes: s.wait(occupancy),
		AsOf:        s.AsOf,
		Stale:       s.AsOf.IsZero() || now.Sub(s.AsOf) > StaleAfter,
		Source:      cmp.Or(s.Source, "none"),
	}
	if now.Before(s.stated.until) {
		c.WaitMinutes = s.stated.minutes
	}
	c.Status = status(c.Level)
	c.WaitTime = fmt.Sprintf("%d mins", c.WaitMinutes)
	return c
}

// hair is less than any fraction of a minute that a queue can make, and more than the errors of the division: a full
// hall without a queue must not show a wait of a minute.
const hair = 1e-9

func (s *State) wait(occupancy int) int {
	dwell := float64(max(1, s.Hall.DwellMin))
	throughput := min(s.Hall.ServiceRatePerMin, float64(s.Hall.Capacity)/dwell)
	if throughput <= 0 {
		return 0
	}
	queue := max(0, float64(occupancy)-throughput*dwell)
	return int(math.Ceil(queue/throughput - hair))
}

func status(level int) string {
	switch {
	case level >= highFrom:
		return nexus.High
	case level >= moderateFrom:
		return nexus.Moderate
	default:
		return nexus.Low
	}
}
