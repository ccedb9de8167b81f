package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/actors/course"
)

func (a *API) courseRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses", Tags: tagAcademic,
		Summary: "Courses, with how many seats are taken",
	}, anyUser(), a.courses)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}", Tags: tagAcademic,
		Summary: "One course",
	}, anyUser(), a.course)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/courses", DefaultStatus: http.StatusCreated, Tags: tagAcademic,
		Summary: "Make a course in a term",
	}, roles(nexus.Admin), a.createCourse)
	handle(a, huma.Operation{
		Method: http.MethodPatch, Path: "/courses/{id}", Tags: tagAcademic,
		Summary:     "Change a course",
		Description: "More seats go to those who wait, in their order, at once. Fewer than are taken is a 409.",
	}, roles(nexus.Admin), a.changeCourse)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/courses/{id}/staff", Tags: tagAcademic,
		Summary: "Replace who teaches a course, in order: students are shown the first instructor",
	}, roles(nexus.Admin), a.setStaff)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/meetings", Tags: tagAcademic,
		Summary: "When and where a course meets each week",
	}, anyUser(), a.meetings)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/courses/{id}/meetings", Tags: tagAcademic,
		Summary:     "Replace when and where a course meets",
		Description: "A meeting with the id of one that is there changes that one. A room or a teacher that another course has at that time is a 409 that names it.",
	}, roles(nexus.Admin), a.setMeetings)
}

type coursesInput struct {
	Paged
	Term  string `query:"term" maxLength:"40" doc:"Only courses of this term"`
	Query string `query:"q" maxLength:"200" doc:"Part of the code or the title"`
	Mine  string `query:"mine" enum:"enrolled,taught" doc:"Only those in which you have a seat, or which you teach"`
}

func (a *API) courses(ctx context.Context, in *coursesInput) (*Answer[nexus.List[nexus.Course]], error) {
	f := nexus.CourseFilter{Term: nexus.TermID(in.Term), Query: in.Query}
	switch in.Mine {
	case "enrolled":
		f.Student = caller(ctx).User
	case "taught":
		f.Teacher = caller(ctx).User
	}
	return answer(a.Catalogue.Courses(ctx, f, in.page()))
}

func (a *API) course(ctx context.Context, in *ByID) (*Versioned[nexus.Course], error) {
	c, err := a.Catalogue.Course(ctx, nexus.CourseID(in.ID))
	return versioned(c, c.Version, err)
}

// NewCourse is a course to be made.
type NewCourse struct {
	TermID           string      `json:"termId" minLength:"1" maxLength:"40"`
	Code             string      `json:"code" minLength:"1" maxLength:"40"`
	Title            string      `json:"title" minLength:"1" maxLength:"200"`
	Credits          float64     `json:"credits" minimum:"0" maximum:"100" doc:"With one decimal"`
	Capacity         int         `json:"capacity" minimum:"0" maximum:"10000" doc:"Seats"`
	WaitlistCapacity int         `json:"waitlistCapacity,omitempty" minimum:"0" maximum:"10000" doc:"How many may wait for one"`
	MinAttendancePct *int        `json:"minAttendancePct,omitempty" minimum:"0" maximum:"100" default:"75"`
	Prerequisites    []string    `json:"prerequisites,omitempty" maxItems:"50" minLength:"1" maxLength:"40" doc:"Codes of courses to be completed before"`
	Staff            []StaffPlan `json:"staff,omitempty" maxItems:"100"`
}

// StaffPlan is a person who is to teach.
type StaffPlan struct {
	UserID string `json:"userId" format:"uuid" minLength:"36" maxLength:"36"`
	Kind   string `json:"kind" enum:"INSTRUCTOR,ASSISTANT"`
}

func staffOf(plans []StaffPlan) []nexus.Staff {
	staff := make([]nexus.Staff, len(plans))
	for i, p := range plans {
		staff[i] = nexus.Staff{User: nexus.UserID(p.UserID), Kind: nexus.StaffKind(p.Kind)}
	}
	return staff
}

type createCourseInput struct {
	Idempotent
	Body NewCourse
}

func (a *API) createCourse(ctx context.Context, in *createCourseInput) (*Versioned[nexus.Course], error) {
	b := in.Body
	c := nexus.Course{
		Term: nexus.TermID(b.TermID), Code: b.Code, Title: b.Title, Credits: b.Credits, Capacity: b.Capacity, WaitlistCapacity: b.WaitlistCapacity,
		MinAttendancePct: 75, Prerequisites: b.Prerequisites, Staff: staffOf(b.Staff),
	}
	if b.MinAttendancePct != nil {
		c.MinAttendancePct = *b.MinAttendancePct
	}
	c, err := a.Catalogue.CreateCourse(ctx, caller(ctx), c)
	if err == nil && len(c.Staff) > 0 {
		a.Publisher.News(course.StaffTopic(c.ID))
	}
	return versioned(c, c.Version, err)
}

type changeCourseInput struct {
	ByID
	Conditional
	Body struct {
		Code             *string   `json:"code,omitempty" minLength:"1" maxLength:"40"`
		Title            *string   `json:"title,omitempty" minLength:"1" maxLength:"200"`
		Credits          *float64  `json:"credits,omitempty" minimum:"0" maximum:"100"`
		Capacity         *int      `json:"capacity,omitempty" minimum:"0" maximum:"10000"`
		WaitlistCapacity *int      `json:"waitlistCapacity,omitempty" minimum:"0" maximum:"10000"`
		MinAttendancePct *int      `json:"minAttendancePct,omitempty" minimum:"0" maximum:"100"`
		Prerequisites    *[]string `json:"prerequisites,omitempty" maxItems:"50" minLength:"1" maxLength:"40"`
	}
}

// changeCourse has the course's grain make a change of seats, with all else that changes: it alone gives them out.
func (a *API) changeCourse(ctx context.Context, in *changeCourseInput) (*Versioned[nexus.Course], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	id, change := nexus.CourseID(in.ID), nexus.CourseChange(in.Body)
	var c nexus.Course
	if change.Seats() {
		if _, err := a.Catalogue.Course(ctx, id); err != nil { // a made-up id must not bring a grain to life
			return nil, err
		}
		c, err = a.Seats.Change(ctx, caller(ctx), id, version, change)
	} else {
		c, err = a.Catalogue.ChangeCourse(ctx, caller(ctx), id, version, change)
	}
	return versioned(c, c.Version, err)
}

type setStaffInput struct {
	ByID
	Conditional
	Body struct {
		Staff []StaffPlan `json:"staff" maxItems:"100"`
	}
}

func (a *API) setStaff(ctx context.Context, in *setStaffInput) (*Versioned[nexus.Course], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	c, err := a.Catalogue.SetStaff(ctx, caller(ctx), nexus.CourseID(in.ID), version, staffOf(in.Body.Staff))
	if err == nil {
		a.Publisher.News(course.StaffTopic(c.ID))
	}
	return versioned(c, c.Version, err)
}

func (a *API) meetings(ctx context.Context, in *ByID) (*Answer[nexus.List[nexus.Meeting]], error) {
	meetings, err := a.Catalogue.Meetings(ctx, nexus.CourseID(in.ID))
	return answer(nexus.List[nexus.Meeting]{Items: meetings}, err)
}

// MeetingPlan is a meeting as the office sets it.
type MeetingPlan struct {
	ID       string `json:"id,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Of a meeting that is there; without it a new one is made"`
	Weekday  int    `json:"weekday" minimum:"1" maximum:"7" doc:"1 is Monday"`
	Starts   string `json:"starts" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" minLength:"5" maxLength:"5" doc:"HH:mm in the term's zone"`
	Ends     string `json:"ends" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" minLength:"5" maxLength:"5" doc:"HH:mm, later on the same day"`
	FromDay  string `json:"fromDay,omitempty" format:"date" minLength:"10" maxLength:"10" doc:"The first day; without it the term's"`
	UntilDay string `json:"untilDay,omitempty" format:"date" minLength:"10" maxLength:"10" doc:"The last day; without it the term's"`
	RoomID   string `json:"roomId,omitempty" format:"uuid" minLength:"36" maxLength:"36"`
	Teacher  string `json:"teacher,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Without it the first instructor"`
	Kind     string `json:"kind,omitempty" minLength:"1" maxLength:"40" default:"LECTURE" doc:"LECTURE, LAB, TUTORIAL or what you call it"`
	Notes    string `json:"notes,omitempty" maxLength:"1000" text:"lines"`
}

type setMeetingsInput struct {
	ByID
	Conditional
	Body struct {
		Meetings []MeetingPlan `json:"meetings" maxItems:"50"`
	}
}

func (a *API) setMeetings(ctx context.Context, in *setMeetingsInput) (*Answer[nexus.List[nexus.Meeting]], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	meetings := make([]nexus.Meeting, len(in.Body.Meetings))
	for i, p := range in.Body.Meetings {
		meetings[i] = nexus.Meeting{
			ID: nexus.MeetingID(p.ID), Course: nexus.CourseID(in.ID), Weekday: p.Weekday, Starts: p.Starts, Ends: p.Ends, FromDay: p.FromDay, UntilDay: p.UntilDay,
			Room: nexus.RoomID(p.RoomID), Teacher: nexus.UserID(p.Teacher), Kind: p.Kind, Notes: p.Notes,
		}
	}
	meetings, err = a.Catalogue.SetMeetings(ctx, caller(ctx), nexus.CourseID(in.ID), version, meetings)
	return answer(nexus.List[nexus.Meeting]{Items: meetings}, err)
}
