package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/actors/course"
)

func (a *API) classRoutes() {
	staff := roles(nexus.Faculty, nexus.Admin)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/sessions", Tags: tagAcademic,
		Summary:     "The sessions of a course that somebody has planned, moved, cancelled or opened",
		Description: "All others are what the meetings say.",
	}, anyUser(), a.classes)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/courses/{id}/sessions", DefaultStatus: http.StatusCreated, Tags: tagAcademic,
		Summary: "Plan a session, or open one",
		Description: "Either that of a meeting on a day, or one of its own with startsAt and endsAt. With open it is opened at once; of a meeting whose session is " +
			"there already, that one is: one request opens today's class, and is safe to repeat.",
	}, staff, a.addClass)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/sessions/{id}", Tags: tagAcademic,
		Summary: "One session",
	}, anyUser(), a.class)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/sessions/{id}/open", Tags: tagAcademic,
		Summary:     "Let students mark that they are there",
		Description: "From an hour before its start to its end, when it closes by itself. One of a course is open at a time. One that was closed by mistake may be opened again.",
	}, staff, a.openClass)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/sessions/{id}/close", Tags: tagAcademic,
		Summary: "No more marks: who has none is absent",
	}, staff, a.closeClass)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/sessions/{id}/cancel", Tags: tagAcademic,
		Summary: "It is not held; everybody concerned is told",
	}, staff, a.cancelClass)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/sessions/{id}/reschedule", Tags: tagAcademic,
		Summary: "It is held at another time or place; everybody concerned is told",
	}, staff, a.moveClass)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/sessions/{id}/code", Tags: tagAcademic,
		Summary:     "The code that an open session shows now, for its staff",
		Description: "It changes every 15 seconds of the server's time, and is good for 15 seconds more. The same comes over Socket.IO as CODE.",
	}, staff, a.classCode)
}

type classesInput struct {
	ByID
	From time.Time `query:"from" doc:"Those that begin from then on; without it a month ago"`
	To   time.Time `query:"to" doc:"And before then; without it in two months"`
}

func (a *API) classes(ctx context.Context, in *classesInput) (*Answer[nexus.List[nexus.Class]], error) {
	if _, err := a.Catalogue.Course(ctx, nexus.CourseID(in.ID)); err != nil {
		return nil, err
	}
	from, to := in.From, in.To
	if from.IsZero() {
		from = time.Now().AddDate(0, -1, 0)
	}
	if to.IsZero() {
		to = time.Now().AddDate(0, 2, 0)
	}
	list, err := a.Classes.Classes(ctx, nexus.CourseID(in.ID), from, to)
	return answer(nexus.List[nexus.Class]{Items: list}, err)
}

// ClassOptions is how a session takes marks.
type ClassOptions struct {
	Fenced  bool   `json:"fenced,omitempty" doc:"Marks ask for a position near the room; others are flagged"`
	LateMin *int   `json:"lateMin,omitempty" minimum:"0" maximum:"600" default:"10" doc:"Minutes from its start after which a mark is LATE"`
	Topic   string `json:"topic,omitempty" maxLength:"500"`
}

func (o ClassOptions) class() nexus.Class {
	c := nexus.Class{Fenced: o.Fenced, LateMin: 10, Topic: o.Topic}
	if o.LateMin != nil {
		c.LateMin = *o.LateMin
	}
	return c
}

// NewClass is a session to be planned.
type NewClass struct {
	MeetingID string     `json:"meetingId,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"With date: the meeting whose session it is"`
	Date      string     `json:"date,omitempty" format:"date" minLength:"10" maxLength:"10"`
	StartsAt  *time.Time `json:"startsAt,omitempty" doc:"With endsAt: one of its own"`
	EndsAt    *time.Time `json:"endsAt,omitempty"`
	RoomID    string     `json:"roomId,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Without it the meeting's"`
	Open      bool       `json:"open,omitempty" doc:"Open it at once"`
	ClassOptions
}

func (n NewClass) act() (course.Act, error) {
	a := course.Act{What: course.ActAdd, Class: n.class(), Open: n.Open}
	a.Class.Room = nexus.RoomID(n.RoomID)
	switch {
	case n.MeetingID != "" && n.Date == "":
		return a, nexus.InvalidField("date", "is needed with meetingId")
	case n.MeetingID != "" && (n.StartsAt != nil || n.EndsAt != nil):
		return a, nexus.InvalidField("startsAt", "is the meeting's")
	case n.MeetingID != "":
		a.Class.Meeting, a.Class.OccursOn = nexus.MeetingID(n.MeetingID), n.Date
		return a, nil
	case n.Date != "":
		return a, nexus.InvalidField("meetingId", "is needed with date")
	case n.StartsAt == nil:
		return a, nexus.InvalidField("startsAt", "is needed, or a meetingId with a date")
	case n.EndsAt == nil:
		return a, nexus.InvalidField("endsAt", "is needed with startsAt")
	}
	a.Class.StartsAt, a.Class.EndsAt = n.StartsAt.UTC(), n.EndsAt.UTC()
	return a, span(a.Class)
}

// span checks how long a class is.
func span(c nexus.Class) error {
	switch {
	case !c.EndsAt.After(c.StartsAt):
		return nexus.InvalidField("endsAt", "must be after startsAt")
	case c.EndsAt.Sub(c.StartsAt) > 24*time.Hour:
		return nexus.InvalidField("endsAt", "must be within a day of startsAt")
	case c.StartsAt.Year() < 2000 || c.StartsAt.Year() > 2200:
		return nexus.InvalidField("startsAt", "is out of range")
	}
	return nil
}

type addClassInput struct {
	ByID
	Idempotent
	Body NewClass
}

func (a *API) addClass(ctx context.Context, in *addClassInput) (*Versioned[nexus.Class], error) {
	act, err := in.Body.act()
	if err != nil {
		return nil, err
	}
	if _, err := a.staffed(ctx, nexus.CourseID(in.ID)); err != nil {
		return nil, err
	}
	act.By = caller(ctx)
	c, err := a.LiveClasses.Do(ctx, nexus.CourseID(in.ID), act)
	return versioned(c, c.Version, err)
}

func (a *API) class(ctx context.Context, in *ByID) (*Versioned[nexus.Class], error) {
	c, err := a.Classes.Class(ctx, nexus.ClassID(in.ID))
	return versioned(c, c.Version, err)
}

// taught returns a session of whose course's staff the caller is.
func (a *API) taught(ctx context.Context, id string) (nexus.Class, error) {
	c, err := a.Classes.Class(ctx, nexus.ClassID(id))
	if err != nil {
		return c, err
	}
	_, err = a.staffed(ctx, c.Course)
	return c, err
}

// do has an act done with a session of the caller's.
func (a *API) do(ctx context.Context, id string, act course.Act) (*Versioned[nexus.Class], error) {
	c, err := a.taught(ctx, id)
	if err != nil {
		return nil, err
	}
	act.By, act.Class.ID = caller(ctx), c.ID
	c, err = a.LiveClasses.Do(ctx, c.Course, act)
	return versioned(c, c.Version, err)
}

type openClassInput struct {
	ByID
	Body *ClassOptions
}

func (a *API) openClass(ctx context.Context, in *openClassInput) (*Versioned[nexus.Class], error) {
	if in.Body == nil {
		in.Body = &ClassOptions{}
	}
	return a.do(ctx, in.ID, course.Act{What: course.ActOpen, Class: in.Body.class()})
}

func (a *API) closeClass(ctx context.Context, in *ByID) (*Versioned[nexus.Class], error) {
	return a.do(ctx, in.ID, course.Act{What: course.ActClose})
}

type cancelClassInput struct {
	ByID
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) cancelClass(ctx context.Context, in *cancelClassInput) (*Versioned[nexus.Class], error) {
	return a.do(ctx, in.ID, course.Act{What: course.ActCancel, Reason: in.Body.Reason})
}

type moveClassInput struct {
	ByID
	Body struct {
		StartsAt time.Time `json:"startsAt"`
		EndsAt   time.Time `json:"endsAt"`
		RoomID   string    `json:"roomId,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Without it in no room"`
		Reason   string    `json:"reason,omitempty" maxLength:"500"`
	}
}

func (a *API) moveClass(ctx context.Context, in *moveClassInput) (*Versioned[nexus.Class], error) {
	act := course.Act{What: course.ActMove, Reason: in.Body.Reason}
	act.Class.StartsAt, act.Class.EndsAt, act.Class.Room = in.Body.StartsAt.UTC(), in.Body.EndsAt.UTC(), nexus.RoomID(in.Body.RoomID)
	if err := span(act.Class); err != nil {
		return nil, err
	}
	return a.do(ctx, in.ID, act)
}

// ShownCode is what staff shows to a class.
type ShownCode struct {
	SessionID     nexus.ClassID `json:"sessionId"`
	Code          string        `json:"code"`
	QR            string        `json:"qr" doc:"The text of a QR code"`
	ValidUntil    time.Time     `json:"validUntil" doc:"When the next one is shown"`
	WindowSeconds int           `json:"windowSeconds"`
	Present       int           `json:"present"`
	Total         int           `json:"total"`
}

func (a *API) classCode(ctx context.Context, in *ByID) (*Answer[ShownCode], error) {
	c, err := a.taught(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s, err := a.LiveClasses.Code(ctx, c.Course, c.ID)
	return answer(ShownCode{
		SessionID: c.ID, Code: s.Code, QR: "nexus:attendance?session=" + string(c.ID) + "&code=" + s.Code, ValidUntil: s.ValidUntil, WindowSeconds: 15,
		Present: s.Present, Total: s.Total,
	}, err)
}
