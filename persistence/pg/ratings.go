package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Rate keeps a person's one rating of a menu; a second one replaces the first. Forbidden for a
// caller who is no user.
func (m *Mess) Rate(ctx context.Context, by nexus.Caller, menu nexus.MenuID, stars int, comment string) (nexus.Rating, error) {
	if by.User == "" {
		return nexus.Rating{}, nexus.Errorf(nexus.Forbidden, "only people rate")
	}
	if stars < 1 || stars > 5 {
		return nexus.Rating{}, nexus.InvalidField("stars", "are 1 to 5")
	}
	return mutate(ctx, m.db, "rate menu", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Rating, error) {
		open, err := q.MenuOpen(ctx, string(menu))
		if err != nil {
			return nexus.Rating{}, orNotFound(err, "menu")
		}
		if !open {
			return nexus.Rating{}, nexus.Errorf(nexus.Conflict, "the meal has not opened yet")
		}
		r, err := q.PutRating(ctx, sqlcgen.PutRatingParams{
			MenuID: string(menu), UserID: string(by.User), Stars: int16(stars), Comment: comment,
		})
		if err != nil {
			return nexus.Rating{}, err
		}
		return nexus.Rating{MenuID: nexus.MenuID(r.MenuID), Stars: int(r.Stars), Comment: r.Comment, At: r.UpdatedAt}, score(ctx, q, r.MenuID, string(by.User), r.Comment)
	})
}

// Ratings sums up a menu's ratings. NotFound for an unknown menu.
func (m *Mess) Ratings(ctx context.Context, menu nexus.MenuID) (nexus.RatingSummary, error) {
	var s nexus.RatingSummary
	err := m.db.do(ctx, "sum up ratings", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.RatingSummary(ctx, string(menu))
		s = nexus.RatingSummary{
			MenuID: menu, Count: int(r.Count), Average: r.Average,
			Stars: [5]int{int(r.One), int(r.Two), int(r.Three), int(r.Four), int(r.Five)},
		}
		return orNotFound(err, "menu")
	})
	return s, err
}
