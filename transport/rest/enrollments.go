package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

func (a *API) enrollmentRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/courses/{id}/enrollments", Tags: tagAcademic,
		Summary: "Take a seat in a course, or a place in its waitlist",
		Description: "Safe to repeat: who has a seat or a place has it still. A 409 says why neither may be had: the course and its waitlist are full (course_full), it " +
			"clashes with another course of yours, or something must be completed before.",
	}, roles(nexus.Student, nexus.Admin), a.enrol)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/courses/{id}/enrollments/me", Tags: tagAcademic,
		Summary: "Give your seat or place back; whoever is next has it at once, and is told. Safe to repeat",
	}, anyUser(), a.dropMine)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/enrollments/me", Tags: tagAcademic,
		Summary: "How you stand to a course",
	}, anyUser(), a.enrollment)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/courses/{id}/enrollments/{userId}", Tags: tagAcademic,
		Summary: "Take a student's seat or place",
	}, roles(nexus.Admin), a.dropOther)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/roster", Tags: tagAcademic,
		Summary: "Who has a seat and who waits, for the course's staff",
	}, roles(nexus.Faculty, nexus.Admin), a.roster)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/me/enrollments", Tags: tagAcademic,
		Summary: "How you stand to courses",
	}, anyUser(), a.myEnrollments)
}

type enrolInput struct {
	ByID
	Idempotent
	Body *struct {
		UserID string `json:"userId,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Whom an administrator enrols; without it yourself"`
	}
}

func (a *API) enrol(ctx context.Context, in *enrolInput) (*Answer[nexus.Enrollment], error) {
	by := caller(ctx)
	user := by.User
	if in.Body != nil && in.Body.UserID != "" && in.Body.UserID != string(user) {
		if !by.Has(nexus.Admin) {
			return nil, nexus.Errorf(nexus.Forbidden, "you may enrol yourself alone")
		}
		user = nexus.UserID(in.Body.UserID)
	}
	// A made-up id must not bring a grain to life.
	if _, err := a.Catalogue.Course(ctx, nexus.CourseID(in.ID)); err != nil {
		return nil, err
	}
	return answer(a.Seats.Enrol(ctx, by, nexus.CourseID(in.ID), user))
}

func (a *API) dropMine(ctx context.Context, in *ByID) (*Answer[nexus.Enrollment], error) {
	return a.drop(ctx, in.ID, caller(ctx).User)
}

type dropOtherInput struct {
	ByID
	UserID string `path:"userId" format:"uuid" minLength:"36" maxLength:"36" doc:"The student"`
}

func (a *API) dropOther(ctx context.Context, in *dropOtherInput) (*Answer[nexus.Enrollment], error) {
	return a.drop(ctx, in.ID, nexus.UserID(in.UserID))
}

func (a *API) drop(ctx context.Context, id string, user nexus.UserID) (*Answer[nexus.Enrollment], error) {
	if _, err := a.Catalogue.Course(ctx, nexus.CourseID(id)); err != nil {
		return nil, err
	}
	e, err := a.Seats.Drop(ctx, caller(ctx), nexus.CourseID(id), user)
	if nexus.CodeOf(err) == nexus.NotFound {
		// Whose answer was lost asks again: what is dropped is dropped.
		if was, e := a.Enrollments.Enrollment(ctx, nexus.CourseID(id), user); e == nil && was.Status == nexus.Dropped {
			return answer(was, nil)
		}
	}
	return answer(e, err)
}

func (a *API) enrollment(ctx context.Context, in *ByID) (*Answer[nexus.Enrollment], error) {
	return answer(a.Enrollments.Enrollment(ctx, nexus.CourseID(in.ID), caller(ctx).User))
}

func (a *API) myEnrollments(ctx context.Context, _ *struct{}) (*Answer[nexus.List[nexus.Enrollment]], error) {
	list, err := a.Enrollments.Enrollments(ctx, caller(ctx).User)
	return answer(nexus.List[nexus.Enrollment]{Items: list}, err)
}

type rosterInput struct {
	ByID
	Paged
	Status string `query:"status" enum:"ENROLLED,WAITLISTED,DROPPED,COMPLETED" doc:"Only these; without it those who have a seat or wait"`
}

func (a *API) roster(ctx context.Context, in *rosterInput) (*Answer[nexus.List[nexus.RosterEntry]], error) {
	if _, err := a.staffed(ctx, nexus.CourseID(in.ID)); err != nil {
		return nil, err
	}
	return answer(a.Enrollments.Roster(ctx, nexus.CourseID(in.ID), nexus.EnrollmentStatus(in.Status), in.page()))
}

// staffed returns a course of whose staff the caller is, or the administration. Forbidden for others.
func (a *API) staffed(ctx context.Context, id nexus.CourseID) (nexus.Course, error) {
	c, err := a.Catalogue.Course(ctx, id)
	if err != nil {
		return c, err
	}
	if by := caller(ctx); !by.Has(nexus.Admin) && !c.TaughtBy(by.User) {
		return c, nexus.Errorf(nexus.Forbidden, "you do not teach this course")
	}
	return c, nil
}
