package imports

import (
	"slices"
	"strings"

	"nexus"
	"nexus/persistence/pg"
)

// The files of the office.
var (
	usersFile = layout{
		file: "users.csv", required: []string{"email", "name"},
		optional: []string{"regNo", "roles", "department", "course", "semester", "phone", "externalId"},
	}
	coursesFile = layout{
		file: "courses.csv", required: []string{"termId", "code", "title", "credits", "capacity"},
		optional: []string{"waitlistCapacity", "minAttendancePct", "instructors", "prerequisites"},
	}
	enrollmentsFile = layout{file: "enrollments.csv", required: []string{"termId", "courseCode", "user"}, optional: []string{"status"}}
)

// Bounds of what a cell lists.
const (
	mostInstructors   = 20
	mostPrerequisites = 50
	mostPlaces        = 10_000 // in a course
)

func userOf(r *row) *pg.ImportedUser {
	return &pg.ImportedUser{
		Line: r.line, SourcedID: r.text("externalId", 255), Email: r.email("email"),
		RegNo: r.shaped("regNo", 40, regNo, "is not a registration number: letters, digits and /_.- alone"), Name: r.needed("name", 120),
		Roles: r.roles(), Department: r.wanted("department", 120), Course: r.wanted("course", 120), Semester: whole[int16](r, "semester", 0, 20), Phone: r.phone("phone"),
	}
}

// roles leaves ADMIN to people: a file that is not looked at closely makes nobody an administrator.
func (r *row) roles() []string {
	items := r.list("roles", len(nexus.Roles()))
	for _, item := range items {
		switch role := nexus.Role(item); {
		case role == nexus.Admin:
			r.wrong("roles", item, "is not given by an import")
		case !slices.Contains(nexus.Roles(), role):
			r.wrong("roles", item, "is no role; there are STUDENT, FACULTY, MESS_STAFF and SECURITY, parted by semicolons")
		}
	}
	return items
}

func (r *row) phone(column string) *string {
	if s := r.shaped(column, 32, phone, "is not a phone number"); s != "" {
		return &s
	}
	return nil
}

func courseOf(r *row) *pg.ImportedCourse {
	c := &pg.ImportedCourse{
		Line: r.line, Term: r.needed("termId", 40), Code: r.needed("code", 40), Title: r.needed("title", 200), Credits: r.decimal("credits", 100),
		Capacity: whole[int32](r, "capacity", 0, mostPlaces), WaitlistCapacity: whole[int32](r, "waitlistCapacity", 0, mostPlaces),
		MinAttendance: whole[int16](r, "minAttendancePct", 0, 100), Instructors: r.list("instructors", mostInstructors),
		Prerequisites: r.list("prerequisites", mostPrerequisites),
	}
	if c.Credits == nil {
		r.needed("credits", 40)
	}
	if c.Capacity == nil {
		r.needed("capacity", 40)
	}
	for i, address := range c.Instructors {
		normal, err := nexus.NormalEmail(address)
		if err != nil {
			r.wrong("instructors", address, "is not an e-mail address; they are parted by semicolons")
		}
		c.Instructors[i] = normal
	}
	for _, code := range c.Prerequisites {
		switch {
		case len([]rune(code)) > 40:
			r.wrong("prerequisites", code, "has more than 40 characters")
		case strings.EqualFold(code, c.Code):
			r.wrong("prerequisites", code, "is the course itself")
		}
	}
	return c
}

func enrollmentOf(r *row) *pg.ImportedEnrollment {
	e := &pg.ImportedEnrollment{
		Line: r.line, Term: r.needed("termId", 40), Course: r.needed("courseCode", 40), User: r.needed("user", 254), Role: string(nexus.Student),
		Status: r.text("status", 20),
	}
	switch status := nexus.EnrollmentStatus(e.Status); status {
	case "":
		e.Status = string(nexus.Enrolled)
	case nexus.Enrolled, nexus.Completed, nexus.Dropped:
	case nexus.Waitlisted:
		r.wrong("status", e.Status, "is given by the course alone, in the order of who asks")
	default:
		r.wrong("status", e.Status, "is none; there are ENROLLED, COMPLETED and DROPPED")
	}
	return e
}
