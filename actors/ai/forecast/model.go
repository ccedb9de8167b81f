package forecast

import (
	"maps"
	"math"
	"slices"
	"time"
)

const (
	// Slot is the step of time of everything here.
	Slot     = 15 * time.Minute
	perDay   = int(24 * time.Hour / Slot)
	perWeek  = 7 * perDay
	features = 11
)

// Band is a forecast of how many people there will be: the median, and the bounds below which one and nine values in ten fall.
type Band struct {
	P10, P50, P90 float64
}

// Model learns slot by slot and forecasts. Learn is called once for each slot in order; NaN is a slot of which nothing is known.
type Model interface {
	// Learn takes the number of people in the next slot.
	Learn(at time.Time, people float64)
	// Forecast says what to expect ahead slots after the last one learnt; false while too little is known. ahead is one of those that the
	// model was made for, or between two of them.
	Forecast(ahead int) (Band, bool)
}

// How much of a mean is kept when a value is added to it: of the same slot of the week, lately and for long, and of the same slot of
// days of the same kind. A half-life is log(1/2)/log(keep): 1.4 weeks, 8 weeks and 2.4 days.
const (
	keepFast = 0.6
	keepSlow = 0.92
	keepDay  = 0.75
)

// smoothing weighs a slot with its neighbours: one week's value alone is noise.
var smoothing = [...]float64{0.5, 1, 2, 1, 0.5}

// Adaptive is the model of this package. Its memory does not grow.
type Adaptive struct {
	zone       *time.Location
	calendar   Calendar
	special    map[string]*special // by kind of day
	fast, slow []mean              // by slot of the week
	days       []mean              // by slot of a working day, then of a day of a weekend
	horizons   map[int]*horizon
	order      []int // of horizons

	last   time.Time // the slot learnt last
	people ring      // what was learnt
	usual  ring      // what was usual then, as it was known before
}

// New returns a model of a place in a zone, or nil to take each time by its own, that can forecast so many slots ahead, each from 1 to a day's 96.
// The calendar may be nil.
func New(zone *time.Location, calendar Calendar, ahead ...int) *Adaptive {
	a := &Adaptive{
		zone: zone, calendar: calendar, special: map[string]*special{}, fast: make([]mean, perWeek), slow: make([]mean, perWeek), days: make([]mean, 2*perDay),
		horizons: make(map[int]*horizon, len(ahead)), people: newRing(2 * perDay), usual: newRing(2 * perDay),
	}
	for _, h := range ahead {
		a.horizons[h] = newHorizon(h)
	}
	a.order = slices.Sorted(maps.Keys(a.horizons))
	return a
}

// Learn implements Model.
func (a *Adaptive) Learn(at time.Time, people float64) {
	week, day := a.slots(at)
	for _, h := range a.horizons {
		h.settle(people, week%perDay)
	}
	usual := math.NaN()
	if p, ok := a.profile(at); ok {
		usual = p.mean()
	}
	a.people.push(people)
	a.usual.push(usual)
	a.last = at
	switch kind := a.kind(at); {
	case math.IsNaN(people):
	case kind != "": // ordinary days are not to be forecast from this one
		a.learnSpecial(kind, at, people)
	default:
		a.fast[week].add(people, keepFast)
		a.slow[week].add(people, keepSlow)
		a.days[day].add(people, keepDay)
	}
	for ahead, h := range a.horizons {
		x, ok := a.features(ahead)
		h.expect(x, ok)
	}
}

// Forecast implements Model.
func (a *Adaptive) Forecast(ahead int) (Band, bool) {
	i, exact := slices.BinarySearch(a.order, ahead)
	x, ok := a.features(ahead)
	if i == len(a.order) || i == 0 && !exact || !ok {
		return Band{}, false
	}
	week, _ := a.slots(a.last.Add(time.Duration(ahead) * Slot))
	after := a.horizons[a.order[i]].band(x, week%perDay)
	if exact {
		return after, true
	}
	// What is learnt changes slowly with the horizon: between two of them it is between theirs.
	from, to := a.order[i-1], a.order[i]
	before, share := a.horizons[from].band(x, week%perDay), float64(ahead-from)/float64(to-from)
	mix := func(a, b float64) float64 { return a + (b-a)*share }
	return Band{P10: mix(before.P10, after.P10), P50: mix(before.P50, after.P50), P90: mix(before.P90, after.P90)}, true
}

// slots returns the slot of the week, and that of the kind of day.
func (a *Adaptive) slots(at time.Time) (week, day int) {
	if a.zone != nil {
		at = at.In(a.zone)
	}
	day = at.Hour()*4 + at.Minute()/15
	week = int(at.Weekday())*perDay + day
	if at.Weekday() == time.Saturday || at.Weekday() == time.Sunday {
		day += perDay
	}
	return week, day
}

// profile is what three memories expect of a slot, each smoothed over its neighbours. sharp is what that takes away from the slow one: much where a bell rings and
// everybody comes at once.
type profile struct{ fast, slow, day, sharp float64 }

func (p profile) mean() float64 { return (p.fast + p.slow + p.day) / 3 }

func (a *Adaptive) profile(at time.Time) (profile, bool) {
	week, day := a.slots(at)
	special := a.kind(at)
	if special == "" {
		return a.ordinary(week, day)
	}
	if usual, ok := a.ordinary(week, day); ok {
		if p, seen := a.special[special].of(usual.mean(), week%perDay); seen {
			return p, true
		}
	}
	if special == Holiday {
		week = int(time.Sunday)*perDay + week%perDay
		day = perDay + week%perDay
	}
	return a.ordinary(week, day)
}

// ordinary is the profile of a day like others.
func (a *Adaptive) ordinary(week, day int) (profile, bool) {
	kind := day / perDay * perDay
	p := profile{fast: smooth(a.fast, week), slow: smooth(a.slow, week), day: smooth(a.days[kind:kind+perDay], day-kind)}
	if m := a.slow[week]; m.weight > 0 {
		p.sharp = m.value() - p.slow
	}
	return p, !math.IsNaN(p.fast + p.slow + p.day)
}

// smooth is the weighted mean around a slot of a circle of slots; NaN if nothing is known there.
func smooth(circle []mean, at int) float64 {
	sum, weight := 0.0, 0.0
	for i, w := range smoothing {
		if m := circle[(at+i-len(smoothing)/2+len(circle))%len(circle)]; m.weight > 0 {
			sum += w * m.value()
			weight += w
		}
	}
	return sum / weight
}

// features are what a forecast is a weighted sum of; false while too little is known.
func (a *Adaptive) features(ahead int) (x [features]float64, ok bool) {
	p, ok := a.profile(a.last.Add(time.Duration(ahead) * Slot))
	if !ok {
		return x, false
	}
	yesterday := 0.0 // how the same slot of the day before differed, where that is known already
	if back := perDay - ahead; back >= 0 {
		if d := a.people.back(back) - a.usual.back(back); !math.IsNaN(d) {
			yesterday = d
		}
	}
	return [features]float64{
		p.fast, p.slow, p.day, 1,
		a.differed(1), a.differed(4), a.differed(12), a.differed(perDay),
		p.mean() * (a.level() - 1), yesterday, p.sharp,
	}, true
}

// differed is by how much the last n slots differed from what is usual, on average; 0 if nothing is known of them.
func (a *Adaptive) differed(n int) float64 {
	sum, count := 0.0, 0.0
	for i := range n {
		if d := a.people.back(i) - a.usual.back(i); !math.IsNaN(d) {
			sum += d
			count++
		}
	}
	return sum / max(count, 1)
}

// level is how many people came within the last day, compared to what is usual. A few dozen are added to both sides, so that a quiet day
// does not look like a revolution.
func (a *Adaptive) level() float64 {
	const some = 50
	came, usual := float64(some), float64(some)
	for i := range perDay {
		if x, u := a.people.back(i), a.usual.back(i); !math.IsNaN(x + u) {
			came, usual = came+x, usual+u
		}
	}
	return min(max(came/usual, 0.3), 2)
}

// mean is a mean that forgets.
type mean struct{ sum, weight float64 }

func (m *mean) add(x, keep float64) { m.sum, m.weight = m.sum*keep+x, m.weight*keep+1 }

func (m mean) value() float64 { return m.sum / m.weight }

// ring keeps the last values.
type ring struct {
	values []float64
	next   int
}

func newRing(n int) ring {
	r := ring{values: make([]float64, n)}
	for i := range r.values {
		r.values[i] = math.NaN()
	}
	return r
}

func (r *ring) push(x float64) {
	r.values[r.next] = x
	r.next = (r.next + 1) % len(r.values)
}

// back returns the value pushed n before the last one; NaN for one that never was.
func (r *ring) back(n int) float64 {
	return r.values[(r.next-1-n+2*len(r.values))%len(r.values)]
}
