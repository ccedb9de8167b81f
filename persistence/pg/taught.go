package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// maxTaught bounds the courses that a teacher hears of at once, which are the newest: with as many others that one may ask for, they are no more
// than a socket may listen to.
const maxTaught = 30

// Taught returns the courses of whose staff people are, of each the newest first; thirty at most. Who may not teach any more has none.
func (s *Courses) Taught(ctx context.Context, users []nexus.UserID) (map[nexus.UserID][]nexus.CourseID, error) {
	taught := make(map[nexus.UserID][]nexus.CourseID)
	err := s.db.do(ctx, "list courses taught", func(ctx context.Context, q *sqlcgen.Queries) error {
		clear(taught)
		rows, err := q.Taught(ctx, maxTaught, texts(users))
		for _, r := range rows {
			user := nexus.UserID(r.UserID)
			taught[user] = append(taught[user], nexus.CourseID(r.CourseID))
		}
		return err
	})
	return taught, err
}
