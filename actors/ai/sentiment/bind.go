package sentiment

// reach is how many words apart two words may be of which one does something to the other, as in VADER.
const reach = 3

// spoilt is the valence of too much salt, or too little.
const spoilt = -1.5

// bind finds what those words belong to that may stand behind as well as before, as they do in Hindi: "accha nahi", "namak zyada". It returns
// for each word the index of the one that turns it, else -1, and changes tokens so that what is bound does not count by itself.
func bind(tokens []token) []int {
	turns := make([]int, len(tokens))
	for i := range turns {
		turns[i] = -1
	}
	for i := range tokens {
		t := &tokens[i]
		switch t.role {
		case negator:
			t.known = t.known && (i+1 == len(tokens) || !tokens[i+1].known) // "no" is bad, "no good" is not good
		case amount:
			if j := nearest(tokens, i, func(o token) bool { return o.role == ingredient }); j >= 0 {
				first, last := min(i, j), max(i, j)
				t.entry = entry{word: tokens[first].word + " " + tokens[last].word, valence: spoilt}
				t.known = true
			}
		case either, ban:
			j := nearest(tokens, i, func(o token) bool { return o.known && o.role == plain })
			if j < 0 {
				continue
			}
			t.known = false
			if t.role == either || tokens[j].valence > 0 {
				turns[j] = i
			}
		default:
		}
	}
	return turns
}

// nearest returns the last such word before i, else the first behind it, in the same clause and within reach; -1 if there is none.
func nearest(tokens []token, i int, such func(token) bool) int {
	for j := i - 1; j >= max(0, i-reach) && !tokens[j].last; j-- {
		if such(tokens[j]) {
			return j
		}
	}
	for j := i + 1; j <= min(len(tokens)-1, i+reach) && !tokens[j-1].last; j++ {
		if such(tokens[j]) {
			return j
		}
	}
	return -1
}
