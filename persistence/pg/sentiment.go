package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

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
				Key: r.Key, Name: r.Name, Comments: int(r.Comments), Mean: r.Mean, Positive: int(r.Positive), Negative: int(r.Negative), Drivers: []nexus.SentimentDriver{}, Engines: map[string]int{},
			})
		}
		drivers, err := q.SentimentDrivers(ctx, by, from, to)
		for _, d := range drivers {
			if i, there := place[d.Key]; there {
				list[i].Drivers = append(list[i].Drivers, nexus.SentimentDriver{Word: d.Word, Comments: int(d.Comments), Weight: d.Weight})
			}
		}
		if err != nil {
			return err
		}
		engines, err := q.SentimentEngines(ctx, by, from, to)
		for _, e := range engines {
			if i, there := place[e.Key]; there {
				list[i].Engines[e.Engine] = int(e.Comments)
			}
		}
		return err
	})
	return list, err
}

// Comments are the comments of meals, for a model that is asked how they are meant.
type Comments struct{ db *DB }

// NewComments returns the comments in db.
func NewComments(db *DB) *Comments { return &Comments{db: db} }

// ToAsk returns the newest n comments, of those of the last 30 days, that a model was not asked about.
func (s *Comments) ToAsk(ctx context.Context, model string, n int) ([]nexus.Comment, error) {
	var list []nexus.Comment
	err := s.db.do(ctx, "list comments", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.CommentsToAsk(ctx, model, int32(n)) //nolint:gosec // a batch
		for _, r := range rows {
			list = append(list, nexus.Comment{Menu: nexus.MenuID(r.MenuID), User: nexus.UserID(r.UserID), Text: r.Comment, ScoredAt: r.ScoredAt})
		}
		return err
	})
	return list, err
}

// Rescore keeps a model's scores of comments, unless they say something else by now; that of NaN is none, and the comment is not asked about again.
func (s *Comments) Rescore(ctx context.Context, model string, comments []nexus.Comment, scores []float64) error {
	p := sqlcgen.RescoreCommentsParams{Model: model, Scores: scores}
	for _, c := range comments {
		p.Menus, p.Users, p.ScoredAts = append(p.Menus, string(c.Menu)), append(p.Users, string(c.User)), append(p.ScoredAts, c.ScoredAt)
	}
	return s.db.do(ctx, "rescore comments", func(ctx context.Context, q *sqlcgen.Queries) error {
		_, err := q.RescoreComments(ctx, p)
		return err
	})
}

// Trial returns how good a model is; nil if nobody knows.
func (s *Comments) Trial(ctx context.Context, model string) (t *nexus.SentimentTrial, err error) {
	err = s.db.do(ctx, "read sentiment trial", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.SentimentTrial(ctx, model)
		if errors.Is(err, pgx.ErrNoRows) {
			t = nil
			return nil
		}
		judged := nexus.SentimentTrial{Model: r.Model, N: int(r.N), R: r.R, MAE: r.Mae, LocalR: r.LocalR, LocalMAE: r.LocalMae, MadeAt: r.MadeAt}.Judged()
		t = &judged
		return err
	})
	return t, err
}

// KeepTrial keeps how good a model is, in place of what was known before.
func (s *Comments) KeepTrial(ctx context.Context, t nexus.SentimentTrial) error {
	return s.db.do(ctx, "keep sentiment trial", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.PutSentimentTrial(ctx, sqlcgen.PutSentimentTrialParams{
			Model: t.Model, N: int32(t.N), R: t.R, Mae: t.MAE, LocalR: t.LocalR, LocalMae: t.LocalMAE, MadeAt: t.MadeAt, //nolint:gosec // of an evaluation set
		})
	})
}
