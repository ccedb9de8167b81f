package pg

import (
	"context"

	"nexus"
	"nexus/actors/ai/sentiment"
	"nexus/persistence/pg/sqlcgen"
)

// scoreBatch is how many comments are scored in one transaction, and maxSentiments how many groups a list has at most.
const (
	scoreBatch    = 500
	maxSentiments = 1000
)

// score keeps how a comment is meant, in the transaction that keeps the comment.
func score(ctx context.Context, q *sqlcgen.Queries, menu, user, comment string) error {
	if comment == "" {
		return q.DropSentiment(ctx, menu, user)
	}
	r := sentiment.Score(comment)
	p := sqlcgen.PutSentimentParams{MenuID: menu, UserID: user, Score: r.Score, Engine: nexus.EngineLocal, Words: []string{}, Weights: []float64{}}
	for _, d := range r.Drivers {
		p.Words, p.Weights = append(p.Words, d.Word), append(p.Weights, d.Weight)
	}
	return q.PutSentiment(ctx, p)
}

// ScoreComments scores the comments that came before there were scores, and says how many these were.
func (m *Mess) ScoreComments(ctx context.Context) (scored int64, err error) {
	for n := scoreBatch; n == scoreBatch; scored += int64(n) {
		err := m.db.tx(ctx, "score comments", func(ctx context.Context, q *sqlcgen.Queries) error {
			rows, err := q.UnscoredComments(ctx, scoreBatch)
			if err != nil {
				return err
			}
			n = len(rows)
			for _, r := range rows {
				if err := score(ctx, q, r.MenuID, r.UserID, r.Comment); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return scored, err
		}
	}
	return scored, nil
}

// Sentiments says how the comments are meant that were made of the menus from one day to another, grouped by "hall", "dish" or "day".
func (m *Mess) Sentiments(ctx context.Context, by, from, to string) ([]nexus.Sentiment, error) {
	list := []nexus.Sentiment{}
	err := m.db.read(ctx, "sum up sentiment", func(ctx context.Context, q *sqlcgen.Queries) error {
		list = []nexus.Sentiment{}
		rows, err := q.Sentiments(ctx, sqlcgen.SentimentsParams{Kind: by, FromDay: from, ToDay: to, MaxRows: maxSentiments})
		if err != nil {
			return err
		}
		place := map[string]int{}
		for i, r := range rows {
			place[r.Key] = i
			list = append(list, nexus.Sentiment{
				Key: r.Key, Name: r.Name, Comments: int(r.Comments), Mean: r.Mean, Positive: int(r.Positive), Negative: int(r.Negative), Drivers: []nexus.SentimentDriver{},
			})
		}
		drivers, err := q.SentimentDrivers(ctx, by, from, to)
		for _, d := range drivers {
			if i, there := place[d.Key]; there {
				list[i].Drivers = append(list[i].Drivers, nexus.SentimentDriver{Word: d.Word, Comments: int(d.Comments), Weight: d.Weight})
			}
		}
		return err
	})
	return list, err
}
