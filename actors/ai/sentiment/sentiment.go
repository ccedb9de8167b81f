package sentiment

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

const (
	// MaxText is how many bytes of a text are read, up to the last whole rune.
	MaxText = 8 << 10
	// MaxDrivers is how many drivers a result has at most.
	MaxDrivers = 5
)

// Result says how a text is meant. As people do, it seldom comes near the ends: what could not be better scores about 0.6.
type Result struct {
	Score   float64  // from -1 to 1; 0 of a text that is empty or neutral
	Drivers []Driver // the words that decided it, the strongest first
}

// Driver is a word, a phrase or a picture as the lexicon spells it, with what turns it: "accha nahi", "not good".
type Driver struct {
	Word   string
	Weight float64 // from -1 to 1
}

// Score says how a text is meant. Any string will do, and the same one has the same result.
func Score(text string) Result {
	c, drivers := measure(clean(text))
	return Result{Score: people.at(c), Drivers: drivers[:min(len(drivers), MaxDrivers)]}
}

// measure returns VADER's compound score, and what it comes from, the strongest first and each once.
func measure(text string) (float64, []Driver) {
	sum := 0.0
	all := weigh(load().tokens(text))
	for i, d := range all {
		sum += d.Weight
		all[i].Weight = min(1, max(-1, d.Weight/maxValence))
	}
	slices.SortStableFunc(all, func(a, b Driver) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
	seen := make(map[string]bool, len(all))
	all = slices.DeleteFunc(all, func(d Driver) bool {
		again := seen[d.Word]
		seen[d.Word] = true
		return again || d.Weight == 0
	})
	return compound(sum, text), all
}

// The constants of VADER's rules, found by experiment (section 3.3 of the paper, and its code).
const (
	maxValence = 4     // of a word
	loudness   = 0.733 // what capitals among small letters add: C_INCR
	turned     = -0.74 // what a negation makes of a valence: N_SCALAR
	before     = 0.5   // how much a word before "but" counts
	after      = 1.5   // and one behind it
	exclaim    = 0.292 // what each of the first four ! adds to the sum
	question   = 0.18  // what each of two or three ? adds
	questions  = 0.96  // what more of them add
	alpha      = 15    // about the square of the largest sum that is expected
)

// near is how much of a booster is left after so many words between.
var near = [reach]float64{1, 0.95, 0.9}

// weigh returns the words that are good or bad, with their valences where they stand.
func weigh(tokens []token, shout bool) []Driver {
	turns := bind(tokens)
	contrasts := slices.IndexFunc(tokens, func(t token) bool { return t.role == contrast })
	var all []Driver
	for i, t := range tokens {
		if !t.known {
			continue
		}
		d := Driver{Word: t.word, Weight: t.valence}
		if t.loud && shout {
			d.Weight += math.Copysign(loudness, d.Weight)
		}
		for j := i - 1; j >= max(0, i-reach) && !tokens[j].last; j-- {
			p := tokens[j]
			if p.known && p.role != negator {
				continue
			}
			if p.boost != 0 {
				boost := p.boost * near[i-j-1]
				if p.loud && shout {
					boost += loudness
				}
				d.Weight += math.Copysign(boost, boost*d.Weight)
			}
			if p.role == negator {
				d.turn(p.word + " " + d.Word)
			}
		}
		if j := turns[i]; j > i {
			d.turn(d.Word + " " + tokens[j].word)
		} else if j >= 0 {
			d.turn(tokens[j].word + " " + d.Word)
		}
		if contrasts >= 0 && i < contrasts {
			d.Weight *= before
		} else if contrasts >= 0 {
			d.Weight *= after
		}
		all = append(all, d)
	}
	return all
}

func (d *Driver) turn(words string) {
	d.Word, d.Weight = words, d.Weight*turned
}

// compound is the sum of the valences with what the punctuation adds, bounded to (-1, 1).
func compound(sum float64, text string) float64 {
	if sum == 0 {
		return 0
	}
	marks := exclaim * float64(min(strings.Count(text, "!"), 4))
	switch n := strings.Count(text, "?"); {
	case n > 3:
		marks += questions
	case n > 1:
		marks += question * float64(n)
	}
	sum += math.Copysign(marks, sum)
	return sum / math.Sqrt(sum*sum+alpha)
}
