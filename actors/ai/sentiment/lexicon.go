package sentiment

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/jonreiter/govader/data"
)

// role is what a word does to others.
type role uint8

const (
	plain       role = iota
	negator          // turns a word that follows within three
	either           // turns the nearest word before it in its clause, else one that follows
	ban              // as either, but it turns only what is good: what one is asked not to do is bad as it is
	ingredient       // of which there can be too much
	amount           // of an ingredient is too much or too little
	contrast         // what follows counts for more than what came before
	conjunction      // ends a clause
)

// entry is a word or a phrase as the lexicons know it.
type entry struct {
	word    string
	valence float64 // from -4 to 4
	boost   float64 // of a word that follows within three
	role    role
}

const (
	phraseWords = 4 // of a phrase at most
	shortest    = 4 // bytes of a sound that are enough to know a word by: ball is not baal
)

// lexicon finds entries. It is read only.
type lexicon struct {
	exact   map[string]entry // by word or picture, in lower case
	folded  map[string]entry // by sound, for words that exact does not have; see fold
	phrases map[string]entry // by the sounds of its words
	heads   map[string]int   // how many words the longest phrase has that starts with this sound
}

//go:embed hinglish.tsv
var hinglish string

// load reads the lexicons, which are part of the program.
var load = sync.OnceValue(func() *lexicon {
	l := &lexicon{exact: make(map[string]entry, 12000), folded: map[string]entry{}, phrases: map[string]entry{}, heads: map[string]int{}}
	for line := range strings.Lines(string(data.MustAsset("rawdata/vaderLexicon.txt"))) {
		f := strings.Split(line, "\t")
		l.add(entry{word: f[0], valence: number(f[1])})
	}
	for line := range strings.Lines(string(data.MustAsset("rawdata/emojiUTF8Lexicon.txt"))) {
		emoji, description, _ := strings.Cut(strings.TrimSpace(line), "\t")
		e := entry{word: emoji}
		for word := range strings.FieldsSeq(description) {
			e.valence += l.exact[word].valence
		}
		if r, size := utf8.DecodeRuneInString(emoji); size == len(emoji) && r != utf8.RuneError {
			l.exact[emoji] = e
		}
	}
	for line := range strings.Lines(hinglish) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		valence, forms, _ := strings.Cut(line, "\t")
		for word := range strings.SplitSeq(forms, ",") {
			e, sound := entry{word: word, valence: number(valence)}, fold(word)
			if first, ok := l.folded[sound]; ok {
				l.exact[word] = first
				continue
			}
			l.add(e)
			if !strings.Contains(word, " ") {
				l.folded[sound] = e
			}
		}
	}
	for _, g := range grammar {
		for word := range strings.SplitSeq(g.words, ",") {
			e := g.entry
			e.word = word
			l.add(e)
		}
	}
	return l
})

// number reads what the program itself has written down.
func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		panic(fmt.Sprintf("lexicon: %v", err))
	}
	return x
}

func (l *lexicon) add(e entry) {
	words := strings.Fields(e.word)
	if len(words) < 2 || len(words) > phraseWords {
		l.exact[e.word] = e
		return
	}
	for i, w := range words {
		words[i] = fold(w)
	}
	if sound := strings.Join(words, " "); l.phrases[sound].word == "" {
		l.phrases[sound] = e
	}
	l.heads[words[0]] = max(l.heads[words[0]], len(words))
}

// find returns what is known of a word in lower case, also if it is looong or spelt another way.
func (l *lexicon) find(word string) (entry, bool) {
	if e, ok := l.exact[word]; ok {
		return e, true
	}
	if short := shorten(word, 2); short != word {
		if e, ok := l.exact[short]; ok {
			return e, true
		}
		if e, ok := l.exact[shorten(word, 1)]; ok {
			return e, true
		}
	}
	sound := fold(word)
	e, ok := l.folded[sound]
	return e, ok && len(sound) >= shortest
}

// shorten cuts each run of three or more of a letter down to so many.
func shorten(word string, most int) string {
	var b strings.Builder
	for word != "" {
		r, size := utf8.DecodeRuneInString(word)
		rest := strings.TrimLeft(word, string(r))
		n := (len(word) - len(rest)) / size
		if n > 2 {
			n = most
		}
		b.WriteString(word[:n*size])
		word = rest
	}
	return b.String()
}

// alike are spellings of one sound.
var alike = strings.NewReplacer("ee", "i", "oo", "u", "w", "v", "z", "j")

// fold returns how a Hindi word in Latin letters sounds, whoever spells it: accha, acha and achha are one. Other letters stay.
func fold(word string) string {
	var b strings.Builder
	last := ' '
	for _, r := range alike.Replace(word) {
		if r == last || r == 'h' && 'b' <= last && last <= 'z' && !strings.ContainsRune("eiou", last) {
			continue
		}
		b.WriteRune(r)
		last = r
	}
	return b.String()
}

// up and down are how much a booster adds to a valence and a damper takes: B_INCR and B_DECR of VADER, found by experiment.
const up, down = 0.293, -0.293

// grammar is the words that do something to others. The English ones, and the idioms at the end, are those of VADER's code; see NOTICE. A
// "nahi" that turns nothing is half as bad as a "no" is there: something was not there, or not done.
var grammar = []struct {
	entry
	words string
}{
	{entry{role: negator}, "aint,arent,cannot,cant,couldnt,darent,didnt,doesnt,dont,hadnt,hasnt,havent,isnt,mightnt,mustnt,neither,neednt,never," +
		"none,nope,nor,not,nothing,nowhere,oughtnt,shant,shouldnt,uhuh,uh-uh,wasnt,werent,without,wont,wouldnt,rarely,seldom,despite,least,bina,bagair,बिना"},
	{entry{role: negator, valence: -1.2}, "no"},
	{entry{}, "at least,very least,without doubt,without a doubt"},
	{entry{boost: up}, "absolutely,amazingly,awfully,completely,considerable,considerably,decidedly,deeply,effing,enormous,enormously,entirely," +
		"especially,exceptional,exceptionally,extreme,extremely,fabulously,flipping,flippin,frackin,fracking,fricking,frickin,frigging,friggin," +
		"fully,fuckin,fucking,fuggin,fugging,greatly,hella,highly,hugely,incredible,incredibly,intensely,major,majorly,more,most,particularly," +
		"purely,quite,really,remarkably,so,substantially,thoroughly,total,totally,tremendous,tremendously,uber,unbelievably,unusually,utter," +
		"utterly,very,too,never so,never this," +
		"bahut,bohot,bahot,bohat,bht,bhut,ekdum,ekdam,bilkul,kaafi,kafi,itna,itni,itne,kitna,kitni,sabse,bada,badi,kya,bhayankar,sachmuch," +
		"बहुत,एकदम,बिल्कुल,बिलकुल,काफी,इतना,क्या"},
	{entry{boost: down}, "almost,barely,hardly,just enough,kind of,kinda,kindof,kind-of,less,little,marginal,marginally,occasional,occasionally," +
		"partly,scarce,scarcely,slight,slightly,somewhat,sort of,sorta,sortof,sort-of,thoda,thodi,thode,zara,jara,थोड़ा,थोड़ी"},
	{entry{role: either, valence: -0.6}, "nahi,nahin,nhi,nahii,naahi,नहीं,नही"},
	{entry{role: ban, valence: -0.6}, "mat,मत"},
	{entry{role: ingredient}, "namak,salt,tel,oil,mirch,mirchi,masala,masale,cheeni,chini,sugar,pani,paani,water,ghee,नमक,तेल,मिर्च,मिर्ची,पानी"},
	{entry{role: amount, boost: up}, "zyada,jyada,zyaada,jyaada,jada,zada,ज़्यादा,ज्यादा"},
	{entry{role: amount, boost: down}, "kam,कम"},
	{entry{role: contrast}, "but,lekin,magar,hai par,hain par,tha par,thi par,लेकिन,मगर"},
	{entry{role: conjunction}, "aur,kyunki,kyonki,और"},
	{entry{valence: 3}, "the shit,the bomb,to die for"},
	{entry{valence: 1.5}, "bad ass,badass"},
	{entry{valence: -2}, "yeah right"},
	{entry{valence: -1.5}, "kiss of death"},
}
