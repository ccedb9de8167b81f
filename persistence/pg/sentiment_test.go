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
