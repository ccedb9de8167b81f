package pg

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Assignments keeps the work that courses set.
type Assignments struct{ db *DB }

// NewAssignments returns the assignments in db.
func NewAssignments(db *DB) *Assignments { return &Assignments{db: db} }

// AssignmentsIn lists what a course sets, in order of id, which is the cursor.
func (s *Assignments) AssignmentsIn(ctx context.Context, id nexus.CourseID, p nexus.Page) (nexus.List[nexus.Assignment], error) {
	var list nexus.List[nexus.Assignment]
	limit := limitOf(p)
	after := uuid.Nil.String()
	if p.After != "" {
		if !nexus.ValidID(p.After) {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
		after = p.After
	}
	err := s.db.do(ctx, "list assignments", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.AssignmentsOfCourse(ctx, string(id), after, limit+1)
		list = pageOf(rows, limit, assignmentOf, func(a nexus.Assignment) string { return string(a.ID) })
		return err
	})
	return list, err
}

// AssignmentsOf lists what is due of somebody from now on, the next first; or what was due before, the last first. 200 at most.
func (s *Assignments) AssignmentsOf(ctx context.Context, user nexus.UserID, past bool) ([]nexus.Assignment, error) {
	list := []nexus.Assignment{}
	err := s.db.do(ctx, "list assignments", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.AssignmentsOfPerson(ctx, string(user), past)
		for _, r := range rows {
			a := assignmentOf(sqlcgen.Assignment{
				ID: r.ID, CourseID: r.CourseID, Title: r.Title, Description: r.Description, DueAt: r.DueAt, Points: r.Points, CreatedAt: r.CreatedAt, Version: r.Version,
			})
			a.Code = r.Code
			list = append(list, a)
		}
		return err
	})
	return list, err
}

// Assignment returns one. NotFound if there is none.
func (s *Assignments) Assignment(ctx context.Context, id nexus.AssignmentID) (nexus.Assignment, error) {
	var a nexus.Assignment
	err := s.db.do(ctx, "read assignment", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.Assignment(ctx, string(id))
		a = assignmentOf(row)
		return orNotFound(err, "assignment")
	})
	return a, err
}

// CreateAssignment sets work, and tells everybody who has a seat; it returns the streams of which there is news. Audited.
func (s *Assignments) CreateAssignment(ctx context.Context, by nexus.Caller, a nexus.Assignment) (made nexus.Assignment, news []string, err error) {
	made, err = mutate(ctx, s.db, "create assignment", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Assignment, error) {
		news = nil
		c, err := oneCourse(ctx, q, a.Course)
		if err != nil {
			return a, err
		}
		row, err := q.InsertAssignment(ctx, sqlcgen.InsertAssignmentParams{
			ID: nexus.NewID(), CourseID: string(a.Course), Title: a.Title, Description: a.Description, DueAt: a.DueAt, Points: pointsOf(a), CreatedBy: string(by.User),
		})
		if err != nil {
			return a, err
		}
		made := assignmentOf(row)
		users, err := q.EnrolledIn(ctx, string(a.Course))
		if err != nil {
			return made, err
		}
		data, err := json.Marshal(map[string]any{"courseId": c.ID, "assignmentId": made.ID, "dueAt": clock(made.DueAt)})
		if err != nil {
			return made, fmt.Errorf("encode a notice: %w", err)
		}
		notices := make([]nexus.Notice, len(users))
		for i, u := range users {
			notices[i] = nexus.Notice{
				User: nexus.UserID(u), Kind: "assignment.new", Priority: nexus.PriorityNormal, Title: c.Code + ": " + made.Title, Body: made.Description, Data: data,
				Dedupe: "assignment:" + row.ID,
			}
			if text := []rune(notices[i].Title); len(text) > 200 { // as long as a title may be
				notices[i].Title = string(text[:199]) + "…"
			}
			if text := []rune(made.Description); len(text) > 1000 {
				notices[i].Body = string(text[:999]) + "…"
			}
		}
		news, err = conclude(ctx, q, notices, deed{by, "assignment.create", "assignment", row.ID, nil, made})
		return made, err
	})
	return made, news, err
}

func pointsOf(a nexus.Assignment) *int32 {
	if a.Points == nil {
		return nil
	}
	n := int32(*a.Points) //nolint:gosec // the schema bounds it
	return &n
}

// ChangeAssignment changes what is set. Stale if version is neither 0 nor the present one. Audited.
func (s *Assignments) ChangeAssignment(ctx context.Context, by nexus.Caller, id nexus.AssignmentID, version int64, c nexus.AssignmentChange) (nexus.Assignment, error) {
	return mutate(ctx, s.db, "change assignment", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Assignment, error) {
		before, err := lockAssignment(ctx, q, id, version)
		if err != nil {
			return before, err
		}
		a := c.Of(before)
		row, err := q.UpdateAssignment(ctx, sqlcgen.UpdateAssignmentParams{
			ID: string(a.ID), Title: a.Title, Description: a.Description, DueAt: a.DueAt, Points: pointsOf(a),
		})
		if err != nil {
			return a, err
		}
		after := assignmentOf(row)
		return after, audit(ctx, q, by, "assignment.change", "assignment", row.ID, before, after)
	})
}

// DeleteAssignment takes it back. NotFound if there is none, Stale if version is neither 0 nor the present one. Audited.
func (s *Assignments) DeleteAssignment(ctx context.Context, by nexus.Caller, id nexus.AssignmentID, version int64) error {
	return s.db.tx(ctx, "delete assignment", func(ctx context.Context, q *sqlcgen.Queries) error {
		before, err := lockAssignment(ctx, q, id, version)
		if err != nil {
			return err
		}
		if err := q.DeleteAssignment(ctx, string(id)); err != nil {
			return err
		}
		return audit(ctx, q, by, "assignment.delete", "assignment", string(id), before, nil)
	})
}

// lockAssignment locks an assignment and makes sure of its version.
func lockAssignment(ctx context.Context, q *sqlcgen.Queries, id nexus.AssignmentID, version int64) (nexus.Assignment, error) {
	row, err := q.LockAssignment(ctx, string(id))
	if err != nil {
		return nexus.Assignment{}, orNotFound(err, "assignment")
	}
	return assignmentOf(row), stale(version, row.Version)
}

func assignmentOf(r sqlcgen.Assignment) nexus.Assignment {
	return nexus.Assignment{
		ID: nexus.AssignmentID(r.ID), Course: nexus.CourseID(r.CourseID), Title: r.Title, Description: r.Description, DueAt: r.DueAt,
		Points: intOf(r.Points), CreatedAt: r.CreatedAt, Version: r.Version,
	}
}
