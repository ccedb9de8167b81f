package forecast

import "math"

const (
	// remember is the forgetting factor of the weights: 0.99985 for each slot is a half-life of 48 days.
	remember = 0.99985
	// trust is the variance of the weights before anything is known: little, for the profiles' mean is a good guess.
	trust = 0.01
	// most bounds the sum of the variances, which would grow without bound while nobody comes at night and nothing is learnt.
	most = 1e4
	// least is the error in people below which errors weigh alike.
	least = 2
	// keepError is how much of the mean error of a slot of the day is kept; step is how fast a bound of the band moves, in such errors.
	keepError = 0.98
	step      = 0.02
	outside   = 0.1 // the share of values below P10, and above P90
)

// horizon is what is learnt about forecasts so many slots ahead.
type horizon struct {
	weights  [features]float64
	variance [features][features]float64
	errors   []mean  // absolute, by slot of the day
	low      float64 // the band's bounds, in mean errors around the median
	high     float64

	expected []expectation // a ring; the next to be settled is that made ahead slots ago
	next     int
}

// expectation is what a forecast was made of.
type expectation struct {
	x  [features]float64
	ok bool
}

func newHorizon(ahead int) *horizon {
	h := &horizon{
		weights: [features]float64{1. / 3, 1. / 3, 1. / 3}, errors: make([]mean, perDay), low: -1.3, high: 1.3,
		expected: make([]expectation, ahead),
	}
	for i := range h.variance {
		h.variance[i][i] = trust
	}
	return h
}

// expect notes a forecast that will be settled ahead slots later.
func (h *horizon) expect(x [features]float64, ok bool) {
	h.expected[h.next] = expectation{x, ok}
	h.next = (h.next + 1) % len(h.expected)
}

// settle learns from the forecast that was made for the present slot.
func (h *horizon) settle(people float64, slot int) {
	e := h.expected[h.next]
	if !e.ok || math.IsNaN(people) {
		return
	}
	b := h.band(e.x, slot)
	h.widen((people - b.P50) / h.scale(slot))
	h.errors[slot].add(math.Abs(people-b.P50), keepError)
	h.fit(e.x, people)
}

// widen moves the band's bounds so that in the long run a tenth of the values falls below, and another above, whatever their distribution:
// a step towards a value outside is nine times one away from it (Gibbs and Candès, Adaptive conformal inference, 2021).
func (h *horizon) widen(z float64) {
	if z > h.high {
		h.high += step * (1 - outside)
	} else {
		h.high -= step * outside
	}
	if z < h.low {
		h.low -= step * (1 - outside)
	} else {
		h.low += step * outside
	}
}

// fit is one step of recursive least squares with forgetting, in which each error weighs as much as one over its size: that makes
// the sum of absolute errors least and not that of squares (Schlossmacher's iterative re-weighting, 1973), so that the forecast is a median.
func (h *horizon) fit(x [features]float64, people float64) {
	miss := people - h.sum(x)
	weight := 1 / max(least, math.Abs(miss))
	var px [features]float64
	scale := remember / weight
	for i := range x {
		for j := range x {
			px[i] += h.variance[i][j] * x[j]
		}
		scale += x[i] * px[i]
	}
	trace := 0.0
	for i := range x {
		h.weights[i] += px[i] / scale * miss
		for j := range x {
			h.variance[i][j] = (h.variance[i][j] - px[i]*px[j]/scale) / remember
		}
		trace += h.variance[i][i]
	}
	if trace > most {
		for i := range x {
			for j := range x {
				h.variance[i][j] *= most / trace
			}
		}
	}
}

func (h *horizon) sum(x [features]float64) (s float64) {
	for i, w := range h.weights {
		s += w * x[i]
	}
	return s
}

// scale is how much forecasts for a slot of the day are off, at least one person.
func (h *horizon) scale(slot int) float64 {
	if e := h.errors[slot]; e.weight > 0 {
		return max(1, e.value())
	}
	return 1
}

// band is never below nobody, and in order.
func (h *horizon) band(x [features]float64, slot int) Band {
	mid, scale := max(0, h.sum(x)), h.scale(slot)
	return Band{P10: max(0, mid+min(h.low, 0)*scale), P50: mid, P90: mid + max(h.high, 0)*scale}
}
