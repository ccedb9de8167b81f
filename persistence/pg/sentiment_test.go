package pg_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"nexus"
	"nexus/actors/ai/sentiment"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// TestSentimentIsWhatARecountSays: by hall, day and dish, with the words that told, also of comments that came before there were scores.
func TestSentimentIsWhatARecountSays(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	menu := openMenu(t, db)
	dish := nexus.NewID()
	exec(t, db.Pool(), `insert into dish (id, name, diet) values ($1, 'Masala Dosa', 'VEG')`, dish)
	exec(t, db.Pool(), `insert into mess_menu_item (menu_id, position, dish_id, station) values ($1, 1, $2, 'x')`, string(menu), dish)
	comments := []string{"The masala dosa was delicious", "Horrible, cold and late", "Masala dosa ekdum bakwas", "ok", "Bahut accha khana", "It was a dosa"}
	var people []nexus.Caller
	sum, positive, negative, named := 0.0, 0, 0, 0.0
	for i, c := range comments {
		people = append(people, nexus.Caller{User: newUser(t, db, fmt.Sprint("u", i)).ID})
		_, err := s.Rate(t.Context(), people[i], menu, 3, c)
		ok(t, err)
		score := sentiment.Score(c).Score
		sum += score
		if score > 0.05 {
			positive++
		} else if score < -0.05 {
			negative++
		}
		if strings.Contains(strings.ToLower(c), "masala dosa") {
			named += score
		}
	}
	exec(t, db.Pool(), `delete from comment_sentiment where user_id = $1`, string(people[0].User)) // as if it were older than the scores
	for i, want := range []int64{1, 0} {
		if n, err := s.ScoreComments(t.Context()); err != nil || n != want {
			t.Errorf("%d: %d scored, %v", i, n, err)
		}
	}
	of := func(by string) nexus.Sentiment {
		t.Helper()
		list, err := s.Sentiments(t.Context(), by, "2026-03-01", "2026-03-31")
		ok(t, err)
		if len(list) != 1 {
			t.Fatalf("%s: %+v", by, list)
		}
		return list[0]
	}
	for by, name := range map[string]string{"hall": "North", "day": "2026-03-04"} {
		got := of(by)
		if got.Name != name || got.Comments != len(comments) || math.Abs(got.Mean-sum/float64(len(comments))) > 1e-9 || got.Positive != positive || got.Negative != negative {
			t.Errorf("%s: %+v", by, got)
		}
		if d := got.Drivers; len(d) < 4 || d[0].Comments != 1 || math.Abs(d[0].Weight) < math.Abs(d[1].Weight) {
			t.Errorf("%s: %+v", by, d)
		}
	}
	if got := of("dish"); got.Key != dish || got.Comments != 2 || math.Abs(got.Mean-named/2) > 1e-9 {
		t.Errorf("%+v", got)
	}
	_, err := s.Rate(t.Context(), people[0], menu, 3, "")
	ok(t, err)
	if got := of("hall"); got.Comments != len(comments)-1 {
		t.Errorf("a comment that was taken back still counts: %+v", got)
	}
	if list, err := s.Sentiments(t.Context(), "hall", "2026-04-01", "2026-04-30"); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// TestAModelsScoresTakeTheirPlace: of what is said still, each once, and of what was changed meanwhile not.
func TestAModelsScoresTakeTheirPlace(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s, c := pg.NewMess(db), pg.NewComments(db)
	menu := openMenu(t, db)
	var people []nexus.Caller
	for i, text := range []string{"Good", "Bad", "Odd"} {
		people = append(people, nexus.Caller{User: newUser(t, db, fmt.Sprint("u", i)).ID})
		_, err := s.Rate(t.Context(), people[i], menu, 3, text)
		ok(t, err)
	}
	asked, err := c.ToAsk(t.Context(), "flash", 10)
	if err != nil || len(asked) != 3 || asked[0].Text != "Odd" {
		t.Fatalf("%+v %v", asked, err)
	}
	_, err = s.Rate(t.Context(), people[1], menu, 3, "Not bad at all")
	ok(t, err)
	ok(t, c.Rescore(t.Context(), "flash", asked, []float64{math.NaN(), -0.9, 0.75}))
	if again, err := c.ToAsk(t.Context(), "flash", 10); err != nil || len(again) != 1 || again[0].Text != "Not bad at all" {
		t.Errorf("%+v %v", again, err)
	}
	if others, err := c.ToAsk(t.Context(), "another", 2); err != nil || len(others) != 2 {
		t.Errorf("%+v %v", others, err)
	}
	list, err := s.Sentiments(t.Context(), "hall", "2026-03-01", "2026-03-31")
	ok(t, err)
	want := (0.75 + sentiment.Score("Not bad at all").Score + sentiment.Score("Odd").Score) / 3
	if len(list) != 1 || math.Abs(list[0].Mean-want) > 1e-9 || list[0].Engines["flash"] != 1 || list[0].Engines[nexus.EngineLocal] != 2 {
		t.Errorf("%+v, want a mean of %v", list, want)
	}
}

// TestATrialIsKept, the last of each model, with its verdict.
func TestATrialIsKept(t *testing.T) {
	t.Parallel()
	c := pg.NewComments(pgfix.DB(t))
	if got, err := c.Trial(t.Context(), "flash"); err != nil || got != nil {
		t.Fatalf("%+v %v", got, err)
	}
	for _, r := range []float64{0.5, 0.95} {
		trial := nexus.SentimentTrial{Model: "flash", N: 210, R: r, MAE: 0.1, LocalR: 0.87, LocalMAE: 0.14, MadeAt: noon}
		ok(t, c.KeepTrial(t.Context(), trial))
		trial.Better = r > 0.87
		if got, err := c.Trial(t.Context(), "flash"); err != nil || *got != trial {
			t.Errorf("%+v %v", got, err)
		}
	}
}
