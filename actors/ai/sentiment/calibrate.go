package sentiment

// fit is what a compound score is multiplied by to be what people say: they use the ends of a scale less than VADER does, and its lower end more.
type fit struct{ good, bad float64 }

// people is the fit of the least absolute errors to all of testdata/tweets.tsv, of which TestEvaluation finds it again. Powers of the score,
// from 0.85 to 1.35, and alphas from 15 to 30 gained less than 0.002.
var people = fit{good: 0.573, bad: 0.629}

// at keeps the order of scores, and 0.
func (f fit) at(compound float64) float64 {
	if compound < 0 {
		return f.bad * compound
	}
	return f.good * compound
}
