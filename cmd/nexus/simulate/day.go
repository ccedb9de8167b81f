package simulate

import (
	"cmp"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"nexus"
)

// Day is how long a simulated day lasts, whatever the clocks of its zone do.
const Day = 24 * time.Hour

// Move is one person passing the gate of a hall.
type Move struct {
	At    time.Duration // since the beginning of the simulated day
	Hall  int           // index of the hall
	Delta int           // +1 in, -1 out
	Stays bool          // of a person coming in: will never check out
}

// sitting is a meal as crowds know it: when people come, and how full the hall gets.
type sitting struct {
	opens, closes time.Duration // since midnight in the hall's zone
	fill          float64       // expected people inside at the peak, as a share of capacity
}

// sittings are those of an ordinary weekday.
var sittings = []sitting{
	{7*time.Hour + 30*time.Minute, 9*time.Hour + 30*time.Minute, 0.55},
	{12 * time.Hour, 14*time.Hour + 30*time.Minute, 0.85},
	{17 * time.Hour, 18 * time.Hour, 0.35},
	{19*time.Hour + 30*time.Minute, 21*time.Hour + 30*time.Minute, 0.90},
}

const (
	forgetful = 0.02 // share of people who never check out
	stayShape = 0.35 // sigma of the log-normal stay: two thirds stay between 0.7 and 1.4 times the median
)

// peakRate is the arrivals per hour at the height of a sitting: by Little's law a hall in which people stay W
// holds rate x W of them.
func (s sitting) peakRate(h nexus.Hall) float64 {
	return s.fill * float64(h.Capacity) / stay(h).Hours()
}

// share is the rate at a time of day as a share of the peak rate: a squared sine over the sitting, 0 outside.
func (s sitting) share(at time.Duration) float64 {
	if at < s.opens || at > s.closes {
		return 0
	}
	x := math.Sin(math.Pi * float64(at-s.opens) / float64(s.closes-s.opens))
	return x * x
}

// visits is how many people a sitting expects: the integral of its rate, whose mean is half its peak.
func (s sitting) visits(h nexus.Hall) float64 {
	return s.peakRate(h) * (s.closes - s.opens).Hours() / 2
}

// stay is the mean time that a person spends in the hall.
func stay(h nexus.Hall) time.Duration { return time.Duration(max(h.DwellMin, 1)) * time.Minute }

// Moves makes up one day of a hall, in order of time. The day begins at the time of day from and goes once
// round the clock. People arrive as a Poisson process whose rate follows the sittings and the hall's capacity;
// their stays are log-normal with the hall's dwell time as the mean, and cut at the day's end. The
// same hall name, from and seed make the same day.
func Moves(index int, h nexus.Hall, from time.Duration, seed uint64) []Move {
	name := fnv.New64a()
	name.Write([]byte(h.Name)) // a hash's Write never fails
	rng := rand.New(rand.NewPCG(seed, name.Sum64()))
	var moves []Move
	for _, s := range sittings {
		for _, at := range arrivals(rng, s, s.peakRate(h)) {
			in := Move{At: (at - from + Day) % Day, Hall: index, Delta: 1, Stays: rng.Float64() < forgetful}
			leaves := in.At + lasts(rng, stay(h))
			moves = append(moves, in)
			if !in.Stays {
				moves = append(moves, Move{At: min(leaves, Day), Hall: index, Delta: -1})
			}
		}
	}
	sortMoves(moves)
	return moves
}

// arrivals draws a Poisson process of varying rate by thinning one of the peak rate (Lewis and Shedler).
func arrivals(rng *rand.Rand, s sitting, perHour float64) []time.Duration {
	var out []time.Duration
	for at := s.opens; perHour > 0; {
		at += time.Duration(rng.ExpFloat64() / perHour * float64(time.Hour))
		if at > s.closes {
			break
		}
		if rng.Float64() < s.share(at) {
			out = append(out, at)
		}
	}
	return out
}

// lasts draws one stay: log-normal with the given mean, never under three minutes, for nobody eats faster, nor
// over four times the mean.
func lasts(rng *rand.Rand, mean time.Duration) time.Duration {
	mu := math.Log(float64(mean)) - stayShape*stayShape/2
	drawn := time.Duration(math.Exp(mu + stayShape*rng.NormFloat64()))
	return min(max(drawn, 3*time.Minute), max(4*mean, 3*time.Minute))
}

// sortMoves orders by time; who comes goes before who leaves at the same instant, so that no count
// dips below the truth.
func sortMoves(moves []Move) {
	slices.SortStableFunc(moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(b.Delta, a.Delta), cmp.Compare(a.Hall, b.Hall))
	})
}

// timeOfDay reads "HH:MM", or takes the wall clock of now for "now".
func timeOfDay(s string, now time.Time) (time.Duration, error) {
	if s != "now" {
		var err error
		if now, err = time.Parse("15:04", s); err != nil {
			return 0, err
		}
	}
	h, m, sec := now.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second, nil
}
