package rest

import (
	"bytes"
	"context"
	"encoding/csv"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

func (a *API) attendanceRoutes() {
	staff := roles(nexus.Faculty, nexus.Admin)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/sessions/{id}/mark", Tags: tagAcademic,
		Summary: "Be marked, with the code that the session shows",
		Description: "Safe to repeat: the first mark stays. A code is good for half a minute at most by the server's clock; one that is older is a 409. " +
			"What is odd - a device that marked somebody else, a code that is no longer shown, a position away from the room - is flagged for the staff, not refused.",
	}, roles(nexus.Student), a.mark)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/sessions/{id}/attendance/{userId}", Tags: tagAcademic,
		Summary: "Set a student's mark by hand, with a reason",
	}, staff, a.correct)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/sessions/{id}/attendance", Tags: tagAcademic,
		Summary: "Everybody's marks in a session, for its staff",
	}, staff, a.attendees)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/attendance", Tags: tagAcademic,
		Summary: "How the students of a course attended it, for its staff",
	}, staff, a.courseAttendance)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/courses/{id}/register.csv", Tags: tagAcademic,
		Summary:     "Everybody's marks in all sessions of a course, as CSV",
		Description: "UTF-8 (RFC 4180). A cell that a spreadsheet would take for a formula begins with an apostrophe.",
	}, staff, a.registerFile)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/attendance/summary", Tags: tagAcademic,
		Summary: "How you attended each of your courses",
	}, anyUser(), a.attendanceSummary)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/attendance/subject/{id}", Tags: tagAcademic,
		Summary: "How you attended the sessions of a course, the newest first",
	}, anyUser(), a.attendanceSubject)
}

type markInput struct {
	ByID
	Body struct {
		Code     string   `json:"code" minLength:"1" maxLength:"20"`
		Lat      *float64 `json:"lat,omitempty" minimum:"-90" maximum:"90"`
		Lng      *float64 `json:"lng,omitempty" minimum:"-180" maximum:"180"`
		DeviceID string   `json:"deviceId,omitempty" maxLength:"200" doc:"What the phone calls itself, always the same"`
	}
}

func (a *API) mark(ctx context.Context, in *markInput) (*Answer[nexus.AttendanceMark], error) {
	c, err := a.Classes.Class(ctx, nexus.ClassID(in.ID))
	if err != nil {
		return nil, err
	}
	var at *nexus.Position
	switch b := in.Body; {
	case b.Lat != nil && b.Lng != nil:
		at = &nexus.Position{Lat: *b.Lat, Lng: *b.Lng}
	case b.Lat != nil:
		return nil, nexus.InvalidField("lng", "is needed with lat")
	case b.Lng != nil:
		return nil, nexus.InvalidField("lat", "is needed with lng")
	}
	m, err := a.LiveClasses.Mark(ctx, c.Course, c.ID, caller(ctx).User, strings.TrimSpace(in.Body.Code), in.Body.DeviceID, at)
	m.Flags, m.Remarks = []string{}, "" // for the staff alone: who is told what was odd learns how not to be
	return answer(m, err)
}

type correctInput struct {
	ByID
	UserID string `path:"userId" format:"uuid" minLength:"36" maxLength:"36" doc:"The student"`
	Body   struct {
		Status string `json:"status" enum:"PRESENT,LATE,EXCUSED,ABSENT"`
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) correct(ctx context.Context, in *correctInput) (*Answer[nexus.AttendanceMark], error) {
	c, err := a.taught(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(a.LiveClasses.Correct(ctx, caller(ctx), c.Course, c.ID, nexus.UserID(in.UserID), nexus.AttendanceStatus(in.Body.Status), in.Body.Reason))
}

type attendeesInput struct {
	ByID
	Paged
}

func (a *API) attendees(ctx context.Context, in *attendeesInput) (*Answer[nexus.List[nexus.Attendee]], error) {
	c, err := a.taught(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return answer(a.Classes.Attendees(ctx, c, in.page()))
}

// StudentAttendance is how one student attended a course.
type StudentAttendance struct {
	nexus.AttendanceTotal
	Percentage float64               `json:"percentage"`
	Status     nexus.AttendanceLevel `json:"status"`
}

func (a *API) courseAttendance(ctx context.Context, in *ByID) (*Answer[nexus.List[StudentAttendance]], error) {
	if _, err := a.staffed(ctx, nexus.CourseID(in.ID)); err != nil {
		return nil, err
	}
	totals, err := a.Classes.TotalsIn(ctx, nexus.CourseID(in.ID))
	list := nexus.List[StudentAttendance]{Items: make([]StudentAttendance, len(totals))}
	for i, t := range totals {
		list.Items[i] = StudentAttendance{AttendanceTotal: t, Percentage: t.Percentage(), Status: t.Level()}
	}
	return answer(list, err)
}

// csvAnswer is a file to be kept.
type csvAnswer struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (a *API) registerFile(ctx context.Context, in *ByID) (*csvAnswer, error) {
	c, err := a.staffed(ctx, nexus.CourseID(in.ID))
	if err != nil {
		return nil, err
	}
	term, err := a.Catalogue.Term(ctx, c.Term)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(term.TZ)
	if err != nil {
		return nil, err
	}
	r, err := a.Classes.Register(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	body, err := registerCSV(r, zone)
	return &csvAnswer{Type: "text/csv; charset=utf-8", Disposition: `attachment; filename="register.csv"`, Body: body}, err
}

// registerCSV writes a register: a student a line, a session a column.
func registerCSV(r nexus.Register, zone *time.Location) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true // RFC 4180
	line := []string{"regNo", "name"}
	for _, c := range r.Classes {
		line = append(line, c.StartsAt.In(zone).Format("2006-01-02 15:04"))
	}
	if err := w.Write(append(line, "attended", "total", "percentage")); err != nil {
		return nil, err
	}
	for _, s := range r.Students {
		var t nexus.AttendanceTotal
		line := []string{cell(s.RegNo), cell(s.Name)}
		for _, c := range r.Classes {
			status := s.Marks[c.ID]
			line = append(line, string(status))
			if c.Status == nexus.ClassClosed {
				count(&t, status)
			}
		}
		if err := w.Write(append(line, text(t.Attended), text(t.Total), text(t.Percentage()))); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return b.Bytes(), w.Error()
}

func count(t *nexus.AttendanceTotal, status nexus.AttendanceStatus) {
	switch status {
	case nexus.Present, nexus.Late:
		t.Attended++
		t.Total++
	case nexus.Absent:
		t.Total++
	}
}

// cell is text that no spreadsheet takes for a formula (OWASP, CSV injection).
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
