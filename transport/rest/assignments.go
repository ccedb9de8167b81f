package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

func (a *API) assignmentRoutes() {
	staff := roles(nexus.Faculty, nexus.Admin)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/assignments", Tags: tagAcademic,
		Summary: "What a course sets, for who has a seat in it or teaches it",
	}, anyUser(), a.courseAssignments)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/courses/{id}/assignments", DefaultStatus: http.StatusCreated, Tags: tagAcademic,
		Summary: "Set an assignment; everybody who has a seat is told",
	}, staff, a.createAssignment)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/assignments/{id}", Tags: tagAcademic,
		Summary: "Change an assignment",
	}, staff, a.putAssignment)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/assignments/{id}", Tags: tagAcademic,
		Summary: "Take an assignment back",
	}, staff, a.deleteAssignment)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/academic/assignments", Tags: tagAcademic,
		Summary: "What is due of you from now on, the next first; or what was",
	}, anyUser(), a.myAssignments)
}

type courseAssignmentsInput struct {
	ByID
	Paged
}

func (a *API) courseAssignments(ctx context.Context, in *courseAssignmentsInput) (*Answer[nexus.List[nexus.Assignment]], error) {
	id := nexus.CourseID(in.ID)
	if _, err := a.staffed(ctx, id); nexus.CodeOf(err) == nexus.Forbidden {
		e, err := a.Enrollments.Enrollment(ctx, id, caller(ctx).User)
		if err != nil && nexus.CodeOf(err) != nexus.NotFound {
			return nil, err
		}
		if e.Status != nexus.Enrolled && e.Status != nexus.Completed {
			return nil, nexus.Errorf(nexus.Forbidden, "you are not enrolled in this course")
		}
	} else if err != nil {
		return nil, err
	}
	return answer(a.Assignments.AssignmentsIn(ctx, id, in.page()))
}

// AssignmentPlan is an assignment as staff sets it.
type AssignmentPlan struct {
	Title       string    `json:"title" minLength:"1" maxLength:"200"`
	Description string    `json:"description,omitempty" maxLength:"10000" text:"lines"`
	DueAt       time.Time `json:"dueAt"`
	Points      *int      `json:"points,omitempty" minimum:"0" maximum:"100000"`
}

func (p AssignmentPlan) assignment() (nexus.Assignment, error) {
	if p.DueAt.Year() < 2000 || p.DueAt.Year() > 2200 {
		return nexus.Assignment{}, nexus.InvalidField("dueAt", "is out of range")
	}
	return nexus.Assignment{Title: p.Title, Description: p.Description, DueAt: p.DueAt.UTC(), Points: p.Points}, nil
}

type createAssignmentInput struct {
	ByID
	Idempotent
	Body AssignmentPlan
}

func (a *API) createAssignment(ctx context.Context, in *createAssignmentInput) (*Versioned[nexus.Assignment], error) {
	x, err := in.Body.assignment()
	if err != nil {
		return nil, err
	}
	if _, err := a.staffed(ctx, nexus.CourseID(in.ID)); err != nil {
		return nil, err
	}
	x.Course = nexus.CourseID(in.ID)
	x, news, err := a.Assignments.CreateAssignment(ctx, caller(ctx), x)
	if err == nil && len(news) > 0 {
		a.Publisher.News(news...)
	}
	return versioned(x, x.Version, err)
}

// owned makes sure that the caller is of the staff that set an assignment.
func (a *API) owned(ctx context.Context, id string) (nexus.Assignment, error) {
	x, err := a.Assignments.Assignment(ctx, nexus.AssignmentID(id))
	if err != nil {
		return x, err
	}
	_, err = a.staffed(ctx, x.Course)
	return x, err
}

type putAssignmentInput struct {
	ByID
	Conditional
	Body AssignmentPlan
}

func (a *API) putAssignment(ctx context.Context, in *putAssignmentInput) (*Versioned[nexus.Assignment], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	x, err := in.Body.assignment()
	if err != nil {
		return nil, err
	}
	if _, err := a.owned(ctx, in.ID); err != nil {
		return nil, err
	}
	x.ID = nexus.AssignmentID(in.ID)
	x, err = a.Assignments.PutAssignment(ctx, caller(ctx), version, x)
	return versioned(x, x.Version, err)
}

func (a *API) deleteAssignment(ctx context.Context, in *ByID) (*Answer[Done], error) {
	x, err := a.owned(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return done(a.Assignments.DeleteAssignment(ctx, caller(ctx), x.ID))
}

type myAssignmentsInput struct {
	Past string `query:"past" enum:"true,false" default:"false" doc:"Those whose time is over"`
}

func (a *API) myAssignments(ctx context.Context, in *myAssignmentsInput) (*Answer[nexus.List[nexus.Assignment]], error) {
	list, err := a.Assignments.AssignmentsOf(ctx, caller(ctx).User, in.Past == "true")
	return answer(nexus.List[nexus.Assignment]{Items: list}, err)
}
