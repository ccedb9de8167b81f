package sentiment

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// judged is a text, and what people say of it.
type judged struct {
	text string
	mean float64
}

// rows reads a file of testdata: a judgement, a tab, a text.
func rows(t testing.TB, name string) (list []judged) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(strings.TrimSpace(string(data))) {
		mean, text, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			t.Fatalf("%q", line)
		}
		n := map[string]float64{"+": 1, "-": -1}[mean]
		if n == 0 {
			if n, err = strconv.ParseFloat(mean, 64); err != nil {
				t.Fatal(err)
			}
			n /= 4
		}
		list = append(list, judged{text, n})
	}
	return list
}

// fit returns the constants of the calibration by least squares.
func fit(x, y []float64) (a, b float64) {
	var s2, s4, s6, t1, t3 float64
	for i := range x {
		x2 := x[i] * x[i]
		s2, s4, s6 = s2+x2, s4+x2*x2, s6+x2*x2*x2
		t1, t3 = t1+x[i]*y[i], t3+x2*x[i]*y[i]
	}
	d := s2*s6 - s4*s4
	return (t1*s6 - t3*s4) / d, (t3*s2 - t1*s4) / d
}

func correlation(x, y []float64) float64 {
	n := float64(len(x))
	var sx, sy, sxx, syy, sxy float64
	for i := range x {
		sx, sy, sxx, syy, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], syy+y[i]*y[i], sxy+x[i]*y[i]
	}
	return (n*sxy - sx*sy) / math.Sqrt((n*sxx-sx*sx)*(n*syy-sy*sy))
}

// TestEvaluation holds the model to what people say of 4,200 tweets: the ground truth of VADER's authors (github.com/cjhutto/vaderSentiment, MIT), each judged
// by twenty people. The calibration is cross-validated: found on nine tenths, and scored on the other.
func TestEvaluation(t *testing.T) {
	const folds = 10
	all := rows(t, "tweets.tsv")
	var raw, people, scored []float64
	for _, r := range all {
		raw, people = append(raw, compound(ordered(strings.Fields(r.text)))), append(people, r.mean)
		scored = append(scored, Score(r.text).Score)
	}
	held := 0.0
	for f := range folds {
		var x, y []float64
		for i := range raw {
			if i%folds != f {
				x, y = append(x, raw[i]), append(y, people[i])
			}
		}
		a, b := fit(x, y)
		for i := f; i < len(raw); i += folds {
			held += math.Abs(a*raw[i] + b*raw[i]*raw[i]*raw[i] - people[i])
		}
	}
	mae := held / float64(len(raw))
	a, b := fit(raw, people)
	r := correlation(scored, people)
	t.Logf("%d texts: r = %.4f, mean absolute error %.4f (%d folds), calibration %.4f, %.4f", len(all), r, mae, folds, a, b)
	if len(all) != 4200 || r < 0.87 || mae > 0.20 {
		t.Error("that is not good enough")
	}
	if math.Abs(a-linear) > 0.0001 || math.Abs(b-cubic) > 0.0001 {
		t.Error("the constants are not those of these texts")
	}
}

// TestHinglish: the sign is right in 25 of 30, of two sets by different people, and in most of a smaller one.
func TestHinglish(t *testing.T) {
	for name, most := range map[string]int{"hinglish.tsv": 5, "second.tsv": 5, "more.tsv": 5} {
		wrong := 0
		list := rows(t, name)
		for _, r := range list {
			if got := Score(r.text); got.Score*r.mean <= 0 {
				wrong++
				t.Logf("%s: %+.2f for %q by %v", name, got.Score, r.text, got.Drivers)
			}
		}
		t.Logf("%s: %d of %d wrong", name, wrong, len(list))
		if wrong > most {
			t.Errorf("%s: %d of %d wrong", name, wrong, len(list))
		}
	}
}

func TestDriversAreTheWordsThatDecide(t *testing.T) {
	r := Score("The paneer was delicious but the roti was horrible, and the queue was long.")
	if len(r.Drivers) < 2 || r.Drivers[0].Word != "horrible" || r.Drivers[0].Weight >= 0 || r.Drivers[1].Word != "delicious" || r.Drivers[1].Weight <= 0 {
		t.Errorf("%+v", r)
	}
	for _, nothing := range []string{"", "   ", "The paneer was paneer.", "12345", "\x00\xff"} {
		if r := Score(nothing); r.Score != 0 || len(r.Drivers) != 0 {
			t.Errorf("%q: %+v", nothing, r)
		}
	}
	if r := Score(strings.Repeat("good ", 100_000)); len(r.Drivers) != 1 || r.Score <= 0 {
		t.Errorf("%+v", r)
	}
}

func FuzzScore(f *testing.F) {
	f.Add("Khana accha nahi hai!!!")
	f.Add("nahi nahi nahi accha")
	f.Fuzz(func(t *testing.T, text string) {
		r := Score(text)
		if !(r.Score >= -1 && r.Score <= 1) || len(r.Drivers) > maxDrivers {
			t.Errorf("%+v", r)
		}
	})
}

func BenchmarkScore(b *testing.B) {
	for b.Loop() {
		Score("The paneer was delicious but the roti was horrible, and the queue was long. Khana accha nahi tha.")
	}
}
