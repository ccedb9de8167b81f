package sentiment

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestCompoundIsVADERs for what its authors show of it, where no word reaches over a comma: here that ends a clause.
func TestCompoundIsVADERs(t *testing.T) {
	for text, want := range map[string]float64{
		"VADER is smart, handsome, and funny.":        0.8316,
		"VADER is smart, handsome, and funny!":        0.8439,
		"The book was good.":                          0.4404,
		"The book was kind of good.":                  0.3832,
		"At least it isn't a horrible book.":          0.431,
		"Today sux":                                   -0.3612,
		"Today sux!":                                  -0.4199,
		"Today SUX!":                                  -0.5461,
		"Make sure you :) or :D today!":               0.8633,
		"Not bad at all":                              0.431,
		"Sentiment analysis has never been good.":     -0.3412,
		"With VADER, sentiment analysis is the shit!": 0.6476,
		"Catch utf-8 emoji such as 💘 and 💋 and 😁":     0.7003,
		"one of the least compelling variations":      -0.1695,
		"at least compelling as a variation":          0.2263,
	} {
		if got, _ := measure(text); math.Abs(got-want) > 0.0001 {
			t.Errorf("%q: %.4f, want %v", text, got, want)
		}
	}
}

// TestDrivers: what decided, as it stands.
func TestDrivers(t *testing.T) {
	for text, want := range map[string][]string{
		"":                               {},
		"   \n ":                         {},
		"the table is in the mess":       {},
		"roti sabzi dal chawal":          {},
		"accha nahi hai":                 {"-accha nahi"},
		"accha hai, dal nahi":            {"+accha", "-nahi"},
		"nahi accha":                     {"-nahi accha"},
		"bura nahi tha":                  {"+bura nahi"},
		"koi shikayat nahi":              {"+shikayat nahi"},
		"accha tha aur kharab nahi":      {"+accha", "+kharab nahi"},
		"itna teekha mat banao":          {"-teekha"},
		"accha mat bolo":                 {"-accha mat"},
		"namak bahut zyada hai":          {"-namak zyada"},
		"zyada namak":                    {"-zyada namak"},
		"namak kam hai":                  {"-namak kam"},
		"namak theek hai, log zyada the": {"+theek"},
		"zyada accha":                    {"+accha"},
		"Paisa Vasool":                   {"+paisa vasool"},
		"pet kharab":                     {"-pet kharab"},
		"dikhne me accha lekin bekar":    {"-bekar", "+accha"},
		"acha achha ACCHHA":              {"+accha"},
		"badhiyaaaa":                     {"+badhiya"},
		"goooood":                        {"+good"},
		"अच्छा नहीं है। बहुत बेकार": {"-बेकार", "-अच्छा नहीं"},
		"not good. fresh":                 {"-not good", "+fresh"},
		"no good":                         {"-no good"},
		"good,but cold&amp;stale":         {"-stale", "+good"},
		"tasty👍🏽":                         {"+tasty", "+👍"},
		"🤮🤮🤮":                             {"-🤮"},
		"best great good nice fine happy": {"+best", "+great", "+happy", "+good", "+nice"},
		"it wasn’t great":                 {"-wasn't great"},
		"dekho mera pet. kharab tha":      {"-kharab"},
		"dal accha\nnahi mila":            {"+accha", "-nahi"},
		"stomach ache":                    {"-ache"},
	} {
		got := []string{}
		for _, d := range Score(text).Drivers {
			sign := "+"
			if d.Weight < 0 {
				sign = "-"
			}
			got = append(got, sign+d.Word)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// TestStronger: a booster, capitals and marks do what they say.
func TestStronger(t *testing.T) {
	for _, c := range [][2]string{
		{"bahut accha", "accha"},
		{"accha", "thoda accha"},
		{"kya mast", "mast"},
		{"ekdum accha", "accha"},
		{"aaj khana ACCHA tha", "aaj khana accha tha"},
		{"accha!", "accha"},
		{"bakwas", "bahut bakwas"},
		{"bakwas", "bakwas!"},
		{"thoda bakwas", "bakwas"},
		{"lajawab", "accha"},
		{"accha", "accha nahi"},
	} {
		if more, less := Score(c[0]).Score, Score(c[1]).Score; more <= less {
			t.Errorf("%q scores %v, %q %v", c[0], more, c[1], less)
		}
	}
}

// TestALongTextIsCut before the rune that does not fit.
func TestALongTextIsCut(t *testing.T) {
	for pad := range 4 {
		text := strings.Repeat("x", pad) + strings.Repeat("😀", MaxText/4) + " bakwas"
		if got := clean(text); len(got) > MaxText || len(got) <= MaxText-utf8.UTFMax || !utf8.ValidString(got) {
			t.Errorf("%d bytes, ends %q", len(got), got[len(got)-4:])
		}
		if got := Score(text).Drivers; len(got) != 1 || got[0].Word != "😀" {
			t.Errorf("%+v", got)
		}
	}
}

func FuzzScore(f *testing.F) {
	for _, s := range []string{
		"", "\xff\xfe", "accha nahi hai", "NOT GOOD!!! ???", "n't", "&lt;3", "nahi nahi mat zyada namak kam", strings.Repeat("good ", 3000), "अच्छा\u200d नहीं", "aaa\ufffd\xff\xff\xff",
		"ééééééééén't good",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Score(text)
		if !(got.Score >= -1 && got.Score <= 1) || len(got.Drivers) > MaxDrivers {
			t.Fatalf("%+v", got)
		}
		last := 1.0
		for _, d := range got.Drivers {
			if w := math.Abs(d.Weight); !(w > 0 && w <= last) || d.Word == "" || !utf8.ValidString(d.Word) || len(d.Word) > 64 {
				t.Fatalf("%+v", got)
			}
			last = math.Abs(d.Weight)
		}
		if got.Score != 0 && len(got.Drivers) == 0 {
			t.Fatalf("%v for nothing", got.Score)
		}
		if diff := cmp.Diff(got, Score(text)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func BenchmarkScore(b *testing.B) {
	all := samples(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Score(all[i%len(all)].text)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "comments/s")
}

// BenchmarkLongest is the most work that one text can be.
func BenchmarkLongest(b *testing.B) {
	for name, word := range map[string]string{"good": "good ", "phrases": "pet me dar ", "letters": "a", "nahi": "nahi ", "bytes": "\xff", "marks": "&"} {
		text := strings.Repeat(word, 1<<20/len(word))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Score(text)
			}
		})
	}
}
