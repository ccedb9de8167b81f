package rest

import (
	"context"
	"strconv"
	"time"

	"nexus"
)

// originalSubject is how the web client that the campus used first shows a student's attendance of a course.
type originalSubject struct {
	SubjectID        nexus.CourseID        `json:"subjectId"`
	SubjectName      string                `json:"subjectName"`
	SubjectCode      string                `json:"subjectCode"`
	Professor        string                `json:"professor"`
	TotalClasses     int                   `json:"totalClasses"`
	AttendedClasses  int                   `json:"attendedClasses"`
	Percentage       float64               `json:"percentage"`
	Status           nexus.AttendanceLevel `json:"status"`
	MinAttendancePct int                   `json:"minAttendancePct"`
}

// enrolledIn returns the courses in which the caller has a seat.
func (a *API) enrolledIn(ctx context.Context) (map[nexus.CourseID]nexus.Course, error) {
	list, err := a.Catalogue.Courses(ctx, nexus.CourseFilter{Student: caller(ctx).User}, nexus.Page{Limit: 200})
	courses := make(map[nexus.CourseID]nexus.Course, len(list.Items))
	for _, c := range list.Items {
		courses[c.ID] = c
	}
	return courses, err
}

func (a *API) attendanceSummary(ctx context.Context, _ *struct{}) (*Answer[success[[]originalSubject]], error) {
	courses, err := a.enrolledIn(ctx)
	if err != nil {
		return nil, err
	}
	totals, err := a.Classes.TotalsOf(ctx, caller(ctx).User)
	subjects := []originalSubject{}
	for _, t := range totals {
		c, ok := courses[t.Course]
		if !ok {
			continue // dropped between the two reads
		}
		subjects = append(subjects, originalSubject{
			SubjectID: c.ID, SubjectName: c.Title, SubjectCode: c.Code, Professor: professor(c), TotalClasses: t.Total, AttendedClasses: t.Attended,
			Percentage: t.Percentage(), Status: t.Level(), MinAttendancePct: c.MinAttendancePct,
		})
	}
	return answer(success[[]originalSubject]{Success: true, Data: subjects}, err)
}

// professor is the name that students are shown, "" before anybody teaches.
func professor(c nexus.Course) string {
	if len(c.Staff) == 0 {
		return ""
	}
	return c.Staff[0].Name
}

// originalHistory is a student's attendance of one course as that client shows it.
type originalHistory struct {
	Success bool `json:"success"`
	Subject struct {
		Name string `json:"name"`
		Code string `json:"code"`
	} `json:"subject"`
	History []originalAttended `json:"history"`
}

type originalAttended struct {
	ID        nexus.ClassID          `json:"id"`
	Date      time.Time              `json:"date"`
	Topic     string                 `json:"topic"`
	StartTime string                 `json:"startTime"` // HH:mm by the clock of the term
	EndTime   string                 `json:"endTime"`
	Status    nexus.AttendanceStatus `json:"status"`
	Remarks   string                 `json:"remarks"`
}

func (a *API) attendanceSubject(ctx context.Context, in *ByID) (*Answer[originalHistory], error) {
	id, user := nexus.CourseID(in.ID), caller(ctx).User
	c, err := a.Catalogue.Course(ctx, id)
	if err != nil {
		return nil, err
	}
	e, err := a.Enrollments.Enrollment(ctx, id, user)
	if err != nil && nexus.CodeOf(err) != nexus.NotFound {
		return nil, err
	}
	if e.Status != nexus.Enrolled && e.Status != nexus.Completed {
		return nil, nexus.Errorf(nexus.Forbidden, "you are not enrolled in this course")
	}
	history, err := a.Classes.History(ctx, id, user)
	if err != nil {
		return nil, err
	}
	o := originalHistory{Success: true, History: make([]originalAttended, len(history))}
	o.Subject.Name, o.Subject.Code = c.Title, c.Code
	for i, h := range history {
		zone, err := time.LoadLocation(h.TZ)
		if err != nil {
			return nil, err
		}
		o.History[i] = originalAttended{
			ID: h.Class, Date: h.StartsAt, Topic: h.Topic, StartTime: h.StartsAt.In(zone).Format("15:04"), EndTime: h.EndsAt.In(zone).Format("15:04"),
			Status: h.Status, Remarks: h.Remarks,
		}
	}
	return answer(o, nil)
}

// text is a number in a cell.
func text[N int | float64](n N) string { return strconv.FormatFloat(float64(n), 'f', -1, 64) }
