package mess

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus"
)

const (
	dwell   = 20 * time.Minute
	longest = 30 * time.Minute // for whom others check out
)

var (
	noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	hall = nexus.Hall{ID: "h", Name: "North", Capacity: 100, ServiceRatePerMin: 4, DwellMin: int(dwell / time.Minute)}
)

// delta is an event at so many minutes past noon. Its id is its place in the list that it is in.
func delta(minute float64, n int) nexus.CrowdEvent {
	return nexus.CrowdEvent{Source: "gate", At: noon.Add(time.Duration(minute * float64(time.Minute))), Delta: &n}
}

func absolute(minute float64, n int) nexus.CrowdEvent {
	e := delta(minute, 0)
	e.Delta, e.Absolute = nil, &n
	return e
}

func numbered(events ...nexus.CrowdEvent) []Recorded {
	rs := make([]Recorded, len(events))
	for i, e := range events {
		if e.EventID == "" {
			e.EventID = fmt.Sprintf("%06d", i)
		}
		rs[i] = Recorded{Seq: int64(i + 1), Event: e}
	}
	return rs
}

func stateOf(rs ...Recorded) *State {
	s := &State{Hall: hall}
	for _, r := range rs {
		s.Apply(r)
	}
	return s
}

// TestOccupancy tells the rules one by one. Each event happens so many minutes after noon.
func TestOccupancy(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []nexus.CrowdEvent
		at     float64 // minutes after noon
		want   int
	}{
		{"nobody was ever counted", nil, 0, 0},
		{"arrivals add up", []nexus.CrowdEvent{delta(0, 2), delta(1, 3)}, 2, 5},
		{"departures take away", []nexus.CrowdEvent{delta(0, 5), delta(1, -2)}, 2, 3},
		{"never below 0", []nexus.CrowdEvent{delta(0, 1), delta(1, -5)}, 2, 0},
		{"what would be below 0 is not owed", []nexus.CrowdEvent{delta(0, -5), delta(1, 3)}, 2, 3},
		{"a departure reported before its arrival", []nexus.CrowdEvent{delta(5, -1), delta(0, 1)}, 6, 0},
		{"a departure does not match a later arrival", []nexus.CrowdEvent{delta(0, -1), delta(5, 1)}, 6, 1},
		{"in and out in one instant", []nexus.CrowdEvent{delta(0, -2), delta(0, 3)}, 0, 1},
		{"a count replaces what was before", []nexus.CrowdEvent{delta(0, 7), absolute(1, 3)}, 2, 3},
		{"a count that arrives late replaces only what was before", []nexus.CrowdEvent{delta(0, 7), delta(2, 1), absolute(1, 3)}, 3, 4},
		{"what was before a count arrives after it", []nexus.CrowdEvent{absolute(1, 3), delta(0, 7)}, 2, 3},
		{"a change of the count's very instant is added", []nexus.CrowdEvent{delta(1, 2), absolute(1, 3)}, 1, 5},
		{"and taken away", []nexus.CrowdEvent{absolute(1, 3), delta(1, -1)}, 1, 2},
		{"the later of two counts holds", []nexus.CrowdEvent{absolute(2, 9), absolute(1, 3)}, 3, 9},
		{"a count of nobody", []nexus.CrowdEvent{delta(0, 7), absolute(1, 0)}, 2, 0},
		{"entries alone: inside for the dwell time", []nexus.CrowdEvent{delta(0, 4)}, 20, 4},
		{"entries alone: gone after it", []nexus.CrowdEvent{delta(0, 4)}, 20.001, 0},
		{"where others check out: inside for half as long again", []nexus.CrowdEvent{delta(0, 4), delta(1, -1)}, 30, 3},
		{"where others check out: gone after it", []nexus.CrowdEvent{delta(0, 4), delta(1, -1)}, 30.001, 0},
		{"where others checked out long ago: inside for the dwell time", []nexus.CrowdEvent{delta(0, 5), delta(1, -1), delta(82, 4)}, 102.001, 0},
		{"whoever is counted and forgotten goes too", []nexus.CrowdEvent{absolute(0, 40)}, 20.001, 0},
		{"the longest inside leaves first", []nexus.CrowdEvent{delta(0, 1), delta(10, 1), delta(12, -1)}, 31, 1},
		{"whose time is up does not leave once more", []nexus.CrowdEvent{delta(0, 1), delta(31, 1), delta(32, -1)}, 32, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			rs, now := numbered(c.events...), noon.Add(time.Duration(c.at*float64(time.Minute)))
			if got := stateOf(rs...).Occupancy(now); got != c.want {
				t.Errorf("%d inside, want %d", got, c.want)
			}
			if ref := reference(rs, now); ref != c.want {
				t.Errorf("the reference says %d, want %d", ref, c.want)
			}
		})
	}
}

func TestEntriesAloneGiveRateTimesDwell(t *testing.T) {
	s, rs := &State{Hall: hall}, []nexus.CrowdEvent(nil)
	for i := range 3 * int(dwell/time.Minute) * 6 { // one every 10 s
		rs = append(rs, delta(float64(i)/6, 1))
	}
	for _, r := range numbered(rs...) {
		s.Apply(r)
		if r.Event.At.Sub(noon) > dwell {
			if got := s.Occupancy(r.Event.At); got < 120 || got > 121 { // 6 a minute for 20 minutes
				t.Fatalf("%d inside at %v, want 120", got, r.Event.At)
			}
		}
	}
}

// crowdEvents draws events of the last four dwell times before now, many of them in one instant.
func crowdEvents(now time.Time) *rapid.Generator[nexus.CrowdEvent] {
	return rapid.Custom(func(t *rapid.T) nexus.CrowdEvent {
		grain := rapid.SampledFrom([]time.Duration{time.Minute, 5 * time.Minute, 1234567 * time.Microsecond}).Draw(t, "grain")
		age := time.Duration(rapid.Int64Range(0, int64(settleAfter*dwell/grain)).Draw(t, "age")) * grain
		e := nexus.CrowdEvent{Source: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "source"), At: now.Add(-age)}
		n := rapid.IntRange(0, 12).Draw(t, "n")
		if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
			e.Absolute = &n
			return e
		}
		if n -= 5; n == 0 {
			n = 1
		}
		e.Delta = &n
		return e
	})
}

func TestAnyOrderGivesTheSameCrowd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rs := numbered(rapid.SliceOfN(crowdEvents(noon), 0, 60).Draw(t, "events")...)
		shuffled := rapid.Permutation(rs).Draw(t, "order")
		now := noon.Add(time.Duration(rapid.Int64Range(0, 2*dwell.Microseconds()).Draw(t, "later")) * time.Microsecond)
		a, b := stateOf(rs...), stateOf(shuffled...)
		if a.Crowd(now) != b.Crowd(now) {
			t.Fatalf("in order %+v, shuffled %+v", a.Crowd(now), b.Crowd(now))
		}
		if want := reference(rs, now); a.Occupancy(now) != want {
			t.Fatalf("%d inside, the reference says %d", a.Occupancy(now), want)
		}
		if a.Seq != b.Seq {
			t.Fatalf("seqs %d and %d", a.Seq, b.Seq)
		}
	})
}

// TestSettlingChangesNothing lives through hours of events, each late by up to four dwell times, settling, saving and
// loading now and then.
func TestSettlingChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, now, rs := &State{Hall: hall}, noon, []nexus.CrowdEvent(nil)
		for i := range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				s.Settle(now)
			case 1:
				now = now.Add(time.Duration(rapid.Int64Range(0, dwell.Microseconds()).Draw(t, "pass")) * time.Microsecond)
			case 2:
				s = reloaded(t, s)
			default:
				e := crowdEvents(now).Draw(t, "event")
				e.EventID = fmt.Sprint(i)
				rs = append(rs, e)
				s.Apply(Recorded{Seq: int64(i + 1), Event: e})
			}
			if got, want := s.Occupancy(now), reference(numbered(rs...), now); got != want {
				t.Fatalf("step %d: %d inside, the reference says %d", i, got, want)
			}
		}
	})
}

func reloaded(t *rapid.T, s *State) *State {
	b, err := s.encode(0)
	if err != nil {
		t.Fatal(err)
	}
	n := &State{Hall: s.Hall}
	if _, err := n.decode(b); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSettleForgets(t *testing.T) {
	s := &State{Hall: hall}
	for i := range 10_000 {
		n := 1 - i%2*2
		s.Apply(Recorded{Seq: int64(i), Event: delta(float64(i)/100, n)})
	}
	s.Settle(noon.Add(24 * time.Hour))
	if len(s.changes) != 0 || s.count.people != 0 {
		t.Fatalf("%d changes and %d people are remembered a day later", len(s.changes), s.count.people)
	}
}

func TestNewsOlderThanSettledCountsForNothing(t *testing.T) {
	now := noon.Add(settleAfter*dwell + time.Minute)
	for _, late := range []nexus.CrowdEvent{delta(0, 50), delta(0, -50), absolute(0, 50), absolute(0, 0)} {
		// A full house since, in which departures of one match arrivals of another.
		var rs []Recorded
		for m := 1.5; m < 80; m += 0.5 {
			rs = append(rs, numbered(delta(m, 3))...)
			if m > 16 {
				rs = append(rs, numbered(delta(m, -3))...)
			}
		}
		plain, with := stateOf(rs...), stateOf(rs...)
		plain.Settle(now)
		with.Settle(now)
		with.Apply(Recorded{Seq: 9999, Event: late})
		if plain.Occupancy(now) != with.Occupancy(now) || plain.Occupancy(now) == 0 {
			t.Errorf("%+v: %d inside, want %d", late, with.Occupancy(now), plain.Occupancy(now))
		}
	}
}

// TestSettleRemembersWhomALaterDepartureMatches has fifty people too many in a house where as many leave as come.
func TestSettleRemembersWhomALaterDepartureMatches(t *testing.T) {
	rs := numbered(delta(0.5, 50))
	for m := 1.0; m <= 80; m += 0.5 {
		rs = append(rs, numbered(delta(m, 3))...)
		if m > 16 {
			rs = append(rs, numbered(delta(m, -3))...)
		}
	}
	now := noon.Add(settleAfter*dwell + time.Minute)
	plain, settled := stateOf(rs...), stateOf(rs...)
	settled.Settle(noon.Add(settleAfter*dwell + 45*time.Second))
	if plain.Occupancy(now) != settled.Occupancy(now) {
		t.Fatalf("%d inside after settling, %d before", settled.Occupancy(now), plain.Occupancy(now))
	}
}

func TestSettledNeverGoesBack(t *testing.T) {
	s := stateOf(numbered(delta(0, 5), delta(10, -5))...)
	s.Settle(noon.Add(2 * time.Hour))
	before := s.settled
	s.Hall.DwellMin *= 3 // somebody has configured it anew
	s.Settle(noon.Add(2 * time.Hour))
	if s.settled != before {
		t.Fatalf("settled moved by %d us", s.settled-before)
	}
}

func TestInstantsAreBounded(t *testing.T) {
	s, total := &State{Hall: hall}, 0
	began := time.Now()
	const events = 60_000
	for i := range events { // 100 a second for ten minutes
		n := 1
		s.Apply(Recorded{Seq: int64(i), Event: delta(float64(i)/6000, n)})
		total += n
		if len(s.changes) > maxInstants+coarsenEvery {
			t.Fatalf("%d instants", len(s.changes))
		}
	}
	if got := s.Occupancy(noon.Add(11 * time.Minute)); got != total {
		t.Fatalf("%d inside, want %d", got, total)
	}
	if !slices.IsSortedFunc(s.changes, func(a, b change) int { return cmp.Compare(a.at, b.at) }) {
		t.Fatal("the changes are out of order")
	}
	t.Logf("%v an event", time.Since(began)/events)
}

func TestWaitFollowsLittlesLaw(t *testing.T) {
	for _, c := range []struct {
		capacity  int
		rate      float64
		dwell     int
		occupancy int
		want      int
	}{
		{100, 4, 20, 0, 0},
		{100, 4, 20, 80, 0},   // 4 a minute stay 20 minutes: 80 are served
		{100, 4, 20, 81, 1},   // one is waiting: a quarter of a minute, rounded up
		{100, 4, 20, 84, 1},   // four are waiting
		{100, 4, 20, 85, 2},   // five
		{100, 10, 20, 100, 0}, // the seats are the limit: 5 a minute fall free
		{100, 10, 20, 105, 1},
		{100, 10, 20, 200, 20},
		{100, 0, 20, 50, 0}, // nobody serves: no wait is known
		{0, 4, 20, 50, 0},
		{98, 99, 49, 98, 0}, // 98/49*49 must not come out below 98
		{1, 99, 49, 1, 0},
	} {
		s := &State{Hall: nexus.Hall{Capacity: c.capacity, ServiceRatePerMin: c.rate, DwellMin: c.dwell}}
		if got := s.wait(c.occupancy); got != c.want {
			t.Errorf("%+v: %d minutes", c, got)
		}
	}
}

// TestWaitIsExact compares the wait with the same formula in whole numbers.
func TestWaitIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity, dwell := rapid.IntRange(1, 2000).Draw(t, "capacity"), rapid.IntRange(1, 240).Draw(t, "dwell")
		tenths, occupancy := rapid.IntRange(1, 1000).Draw(t, "rate x 10"), rapid.IntRange(0, 5000).Draw(t, "occupancy")
		s := &State{Hall: nexus.Hall{Capacity: capacity, ServiceRatePerMin: float64(tenths) / 10, DwellMin: dwell}}
		up := func(a, b int) int { return (max(a, 0) + b - 1) / b }
		want := up(10*occupancy-tenths*dwell, tenths)
		if tenths*dwell > 10*capacity {
			want = up((occupancy-capacity)*dwell, capacity)
		}
		if got := s.wait(occupancy); got != want {
			t.Fatalf("%d minutes, want %d", got, want)
		}
	})
}

func TestLevelAndStatus(t *testing.T) {
	for _, c := range []struct {
		people, level int
		status        string
	}{
		{0, 0, nexus.Low},
		{79, 40, nexus.Moderate}, // 39.5 is 40
		{78, 39, nexus.Low},
		{80, 40, nexus.Moderate},
		{148, 74, nexus.Moderate},
		{149, 75, nexus.High},
		{200, 100, nexus.High},
		{500, 100, nexus.High},
	} {
		s := stateOf(numbered(absolute(0, c.people))...)
		s.Hall.Capacity = 200
		got := s.Crowd(noon)
		if got.Occupancy != c.people || got.Level != c.level || got.Status != c.status {
			t.Errorf("%+v: got %+v", c, got)
		}
	}
}

func TestStale(t *testing.T) {
	s := &State{Hall: hall}
	if c := s.Crowd(noon); !c.Stale || c.Source != "none" || !c.AsOf.IsZero() {
		t.Errorf("a hall nobody ever counted in: %+v", c)
	}
	s.Apply(numbered(delta(0, 1))[0])
	if c := s.Crowd(noon.Add(StaleAfter)); c.Stale || c.Source != "gate" || !c.AsOf.Equal(noon) {
		t.Errorf("after 5 minutes: %+v", c)
	}
	if c := s.Crowd(noon.Add(StaleAfter + time.Nanosecond)); !c.Stale {
		t.Errorf("after more than 5 minutes: %+v", c)
	}
}

func TestStatedWaitHoldsUntilTheNextEvent(t *testing.T) {
	at := func(s *State, minute int) int {
		return s.Crowd(noon.Add(time.Duration(minute) * time.Minute)).WaitMinutes
	}
	s := stateOf(numbered(absolute(0, 100))...)
	s.stateWait(33, noon)
	if got := at(s, 9); got != 33 {
		t.Errorf("after 9 minutes: %d", got)
	}
	if got := at(s, 10); got != 5 {
		t.Errorf("after 10 minutes: %d, want what the law says", got)
	}
	s.Apply(Recorded{Seq: 2, Event: delta(-1, 1)})
	if got := at(s, 1); got != 33 {
		t.Errorf("after late news: %d", got)
	}
	s.Apply(Recorded{Seq: 3, Event: delta(1, 4)})
	if got := at(s, 1); got != 6 {
		t.Errorf("after news: %d", got)
	}
}
