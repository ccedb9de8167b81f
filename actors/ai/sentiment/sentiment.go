// Package sentiment says how a comment is meant, from -1 to 1, and by which words: VADER (C. J. Hutto and E. Gilbert, 2014) with words of Hindi as students
// write them, and a calibration to what people say of the same texts. It is pure: no clock, no randomness, no I/O.
package sentiment

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/jonreiter/govader"
)

const (
	// maxText bounds what is read of a comment, in bytes.
	maxText = 4 << 10
	// maxDrivers bounds the words that are named.
	maxDrivers = 5
)

// The calibration: a person's judgement, scaled to [-1, 1], is linear*c + cubic*c^3 of VADER's compound score c. Least squares over the 4,200 judged tweets of
// VADER's authors; TestEvaluation does it anew, in folds.
const (
	linear = 0.5574
	cubic  = 0.0294
)

// Result is how a text is meant.
type Result struct {
	Score   float64  // from -1, as bad as can be, to 1; 0 for what says nothing
	Drivers []Driver // the words that made it so, the strongest first
}

// Driver is a word, and what the score would lose without it.
type Driver struct {
	Word   string
	Weight float64
}

// Score scores a text. What is behind its first four kilobytes is not read.
func Score(text string) Result {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	words := ordered(strings.Fields(text))
	r := Result{Score: calibrated(compound(words))}
	seen := map[string]bool{}
	for _, w := range words {
		if bare := strings.ToLower(strings.TrimFunc(w, isMark)); bare != "" && !seen[bare] && known(bare) {
			seen[bare] = true
			rest := slices.DeleteFunc(slices.Clone(words), func(o string) bool { return strings.ToLower(strings.TrimFunc(o, isMark)) == bare })
			if weight := r.Score - calibrated(compound(rest)); math.Abs(weight) > 0.01 {
				r.Drivers = append(r.Drivers, Driver{Word: bare, Weight: weight})
			}
		}
		if len(seen) == 4*maxDrivers {
			break
		}
	}
	slices.SortStableFunc(r.Drivers, func(a, b Driver) int { return cmp.Compare(math.Abs(b.Weight), math.Abs(a.Weight)) })
	r.Drivers = r.Drivers[:min(len(r.Drivers), maxDrivers)]
	return r
}

func isMark(r rune) bool { return unicode.IsPunct(r) || unicode.IsSymbol(r) }

func calibrated(c float64) float64 { return min(1, max(-1, linear*c+cubic*c*c*c)) }

// compound is VADER's score of all words.
func compound(words []string) float64 {
	if len(words) == 0 {
		return 0
	}
	c := analyzer().PolarityScores(strings.Join(words, " ")).Compound
	if math.IsNaN(c) {
		return 0
	}
	return c
}

func known(word string) bool {
	_, is := analyzer().Lexicon[word]
	return is
}

// analyzer is VADER with our words. It is only read once it is made.
var analyzer = sync.OnceValue(func() *govader.SentimentIntensityAnalyzer {
	a := govader.NewSentimentIntensityAnalyzer()
	for word, valence := range hindi {
		a.Lexicon[word] = valence
	}
	for _, word := range boosters {
		a.Constants.BoosterDict[word] = 0.293 // VADER's own step
	}
	for word := range negations {
		a.Constants.NegateList = append(a.Constants.NegateList, word)
	}
	delete(a.Lexicon, "mess") // is where people eat here
	return a
})

// ordered is a text as VADER takes it: the negations of Hindi, which follow what they negate, come before it (accha nahi hai), and reach no further than their
// clause; its words for but are that.
func ordered(words []string) []string {
	words = slices.Clone(words)
	for i, w := range words {
		switch bare := strings.ToLower(strings.TrimFunc(w, isMark)); {
		case turns[bare]:
			words[i] = "but"
		case negations[bare]:
			moveBack(words, i)
		}
	}
	var apart []string
	for i, w := range words {
		apart = append(apart, w)
		ends := strings.TrimRight(w, ".,;!?।") != w
		if ends && slices.ContainsFunc(words[max(0, i-2):i+1], func(o string) bool { return negations[strings.ToLower(strings.TrimFunc(o, isMark))] }) {
			apart = append(apart, filler, filler, filler) // so far does VADER look back
		}
	}
	return apart
}

// filler is a word that says nothing.
const filler = "hai"

// moveBack puts a negation before the word that it follows, if that is one of ours.
func moveBack(words []string, i int) {
	for back := 1; back <= 2 && i-back >= 0; back++ {
		before := words[i-back]
		if _, is := hindi[strings.ToLower(strings.TrimFunc(before, isMark))]; is {
			negation := words[i]
			marks := negation[len(strings.TrimRightFunc(negation, isMark)):]
			copy(words[i-back+1:i+1], words[i-back:i])
			words[i-back] = strings.TrimRightFunc(negation, isMark)
			words[i] += marks // the clause ends where it did
			return
		}
		if strings.TrimRight(before, ".,;!?।") != before {
			return
		}
	}
}
