package forecast

import (
	"math"
	"time"
)

// Naive forecasts what was there a week before, with no band: what any model must beat.
type Naive struct{ people ring }

// NewNaive returns a model that knows nothing yet.
func NewNaive() *Naive { return &Naive{people: newRing(perWeek + 1)} }

// Learn implements Model.
func (n *Naive) Learn(_ time.Time, people float64) { n.people.push(people) }

// Forecast implements Model, for at most a week ahead.
func (n *Naive) Forecast(ahead int) (Band, bool) {
	x := n.people.back(perWeek - ahead)
	return Band{x, x, x}, !math.IsNaN(x)
}
