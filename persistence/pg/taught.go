package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// maxTaught bounds the courses that a teacher hears of at once, which are the newest: with as many others that one may ask for, they are no more
// than a socket may listen to.
const maxTaught = 30

// Taught returns the courses of whose staff a person is, the newest first; thirty at most.
func (s *Courses) Taught(ctx context.Context, user nexus.UserID) ([]nexus.CourseID, error) {
	var courses []nexus.CourseID
	err := s.db.do(ctx, "list courses taught", func(ctx context.Context, q *sqlcgen.Queries) error {
		ids, err := q.Taught(ctx, string(user), maxTaught)
		for _, id := range ids {
			courses = append(courses, nexus.CourseID(id))
		}
		return err
	})
	return courses, err
}
