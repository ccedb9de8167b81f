package sentiment

import (
	"html"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word of a text, or a phrase that is one, or a picture.
type token struct {
	entry
	known bool // to a lexicon as good or bad
	loud  bool // in capitals
	last  bool // in its clause
}

// ends are the marks at which a clause does, as at a line's end, punctuation what may stand around a word.
const (
	ends        = ".,!?;:।"
	punctuation = "\"!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~।…“”‘’"
)

// tokens splits a text. shout says that some of its words are in capitals and others are not.
func (l *lexicon) tokens(text string) (all []token, shout bool) {
	for line := range strings.Lines(text) {
		for field := range strings.FieldsSeq(line) {
			if e, ok := l.exact[strings.ToLower(field)]; ok { // an emoticon, or a word with nothing around it
				all = append(all, token{entry: e, known: e.valence != 0, loud: capitals(field)})
			} else {
				all = l.split(all, field)
			}
		}
		if len(all) > 0 {
			all[len(all)-1].last = true
		}
	}
	loud := 0
	for _, t := range all {
		if t.loud {
			loud++
		}
	}
	shout = loud > 0 && loud < len(all)
	return l.join(all), shout
}

// split appends the words and pictures of what stands between two spaces.
func (l *lexicon) split(all []token, field string) []token {
	for field != "" {
		n := strings.IndexFunc(field, func(r rune) bool { return !inWord(r) })
		if n < 0 {
			n = len(field)
		}
		if word := strings.Trim(field[:n], punctuation); word != "" {
			all = append(all, l.word(word))
		}
		field = field[n:]
		if field == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(field)
		if e, ok := l.exact[field[:size]]; ok {
			all = append(all, token{entry: e, known: e.valence != 0})
		} else if len(all) > 0 && strings.ContainsRune(ends, r) {
			all[len(all)-1].last = true
		}
		field = field[size:]
	}
	return all
}

// inWord reports whether a rune is inside of words, as those of "didn't", "well-made" and "@someone" are.
func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) && r != '\ufe0f' || unicode.IsDigit(r) || strings.ContainsRune("'’-_@#/*$", r)
}

func (l *lexicon) word(written string) token {
	lower := strings.ReplaceAll(strings.ToLower(written), "’", "'")
	e, ok := l.find(lower)
	if !ok {
		e = entry{word: lower}
		if strings.HasSuffix(lower, "n't") {
			e = entry{word: strings.ToValidUTF8(lower[max(0, len(lower)-longest):], ""), role: negator}
		}
	}
	return token{entry: e, known: e.valence != 0, loud: capitals(written)}
}

// longest is how many bytes are kept of a negation that no lexicon lists.
const longest = 12

// join makes one token of each phrase, the longest first.
func (l *lexicon) join(all []token) []token {
	sounds := make([]string, len(all))
	for i, t := range all {
		sounds[i] = fold(t.word)
	}
	out := all[:0]
	for i := 0; i < len(all); {
		t, n := all[i], 1
		for m := min(l.heads[sounds[i]], len(all)-i); m > 1; m-- {
			if slices.ContainsFunc(all[i:i+m-1], func(o token) bool { return o.last }) {
				continue
			}
			if e, ok := l.phrases[strings.Join(sounds[i:i+m], " ")]; ok {
				t, n = token{entry: e, known: e.valence != 0, loud: t.loud, last: all[i+m-1].last}, m
				break
			}
		}
		if (t.role == conjunction || t.role == contrast) && len(out) > 0 {
			out[len(out)-1].last = true
		}
		out = append(out, t)
		i += n
	}
	return out
}

// capitals reports whether a word has capitals and no small letters.
func capitals(word string) bool {
	return strings.ToLower(word) != word && strings.ToUpper(word) == word
}

// clean bounds a text and undoes what the web does to it.
func clean(text string) string {
	if len(text) > MaxText {
		n := MaxText
		for n > MaxText-utf8.UTFMax && !utf8.RuneStart(text[n]) {
			n--
		}
		text = text[:n]
	}
	return strings.ToValidUTF8(html.UnescapeString(text), " ")
}
