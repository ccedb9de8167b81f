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
		Method: http.MethodPatch, Path: "/assignments/{id}", Tags: tagAcademic,
		Summary: "Change an assignment",
	}, staff, a.changeAssignment)
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

// dueAt checks when something is due.
func dueAt(at time.Time) error {
	if at.Year() < 2000 || at.Year() > 2200 {
		return nexus.InvalidField("dueAt", "is out of range")
	}
	return nil
}

type createAssignmentInput struct {
	ByID
	Idempotent
	Body AssignmentPlan
}

func (a *API) createAssignment(ctx context.Context, in *createAssignmentInput) (*Versioned[nexus.Assignment], error) {
	b, id := in.Body, nexus.CourseID(in.ID)
	if err := dueAt(b.DueAt); err != nil {
		return nil, err
	}
	if _, err := a.staffed(ctx, id); err != nil {
		return nil, err
	}
	x, news, err := a.Assignments.CreateAssignment(ctx, caller(ctx), nexus.Assignment{
		Course: id, Title: b.Title, Description: b.Description, DueAt: b.DueAt.UTC(), Points: b.Points,
	})
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

type changeAssignmentInput struct {
	ByID
	Conditional
	Body struct {
		Title       *string    `json:"title,omitempty" minLength:"1" maxLength:"200"`
		Description *string    `json:"description,omitempty" maxLength:"10000" text:"lines"`
		DueAt       *time.Time `json:"dueAt,omitempty"`
		Points      *int       `json:"points,omitempty" minimum:"0" maximum:"100000"`
	}
}

func (a *API) changeAssignment(ctx context.Context, in *changeAssignmentInput) (*Versioned[nexus.Assignment], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	b := in.Body
	if b.DueAt != nil {
		if err := dueAt(*b.DueAt); err != nil {
			return nil, err
		}
	}
	x, err := a.owned(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	x, err = a.Assignments.ChangeAssignment(ctx, caller(ctx), x.ID, version, nexus.AssignmentChange{
		Title: b.Title, Description: b.Description, DueAt: b.DueAt, Points: b.Points,
	})
	return versioned(x, x.Version, err)
}

type deleteAssignmentInput struct {
	ByID
	Conditional
}

func (a *API) deleteAssignment(ctx context.Context, in *deleteAssignmentInput) (*Answer[Done], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	x, err := a.owned(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return done(a.Assignments.DeleteAssignment(ctx, caller(ctx), x.ID, version))
}

type myAssignmentsInput struct {
	Past string `query:"past" enum:"true,false" default:"false" doc:"Those whose time is over"`
}

func (a *API) myAssignments(ctx context.Context, in *myAssignmentsInput) (*Answer[nexus.List[nexus.Assignment]], error) {
	list, err := a.Assignments.AssignmentsOf(ctx, caller(ctx).User, in.Past == "true")
	return answer(nexus.List[nexus.Assignment]{Items: list}, err)
}
