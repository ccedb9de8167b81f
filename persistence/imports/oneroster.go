package imports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"nexus"
	"nexus/persistence/pg"
)

// The files of a bundle, by the names that OneRoster 1.1 gives them.
const (
	manifestCSV    = "manifest.csv"
	orgsCSV        = "orgs.csv"
	sessionsCSV    = "academicSessions.csv"
	coursesCSV     = "courses.csv"
	classesCSV     = "classes.csv"
	usersCSV       = "users.csv"
	enrollmentsCSV = "enrollments.csv"
)

// bundleFiles are their required columns, and the optional ones that mean something here. Others, and metadata of any name, are passed over.
var bundleFiles = map[string]layout{
	manifestCSV: {file: manifestCSV, open: true, required: []string{"propertyName", "value"}},
	orgsCSV:     {file: orgsCSV, open: true, required: []string{"sourcedId", "status", "dateLastModified", "name", "type"}},
	sessionsCSV: {file: sessionsCSV, open: true, required: []string{"sourcedId", "status", "dateLastModified", "title", "type", "startDate", "endDate", "schoolYear"}},
	coursesCSV:  {file: coursesCSV, open: true, required: []string{"sourcedId", "status", "dateLastModified", "title", "orgSourcedId"}, optional: []string{"courseCode"}},
	classesCSV: {
		file: classesCSV, open: true, optional: []string{"classCode"},
		required: []string{"sourcedId", "status", "dateLastModified", "title", "courseSourcedId", "classType", "schoolSourcedId", "termSourcedIds"},
	},
	usersCSV: {
		file: usersCSV, open: true, optional: []string{"identifier", "email", "sms", "phone"},
		required: []string{"sourcedId", "status", "dateLastModified", "enabledUser", "orgSourcedIds", "role", "username", "givenName", "familyName"},
	},
	enrollmentsCSV: {
		file: enrollmentsCSV, open: true, optional: []string{"primary"},
		required: []string{"sourcedId", "status", "dateLastModified", "classSourcedId", "schoolSourcedId", "userSourcedId", "role"},
	},
}

const (
	mostEntries = 200 // files in a bundle

	mostDirectory = 256 << 10      // bytes of its table of contents
	mostComment   = math.MaxUint16 // bytes behind the end of that
	endRecord     = 22

	mostKnown = 100_000 // sessions, organisations and courses that a bundle may have: they are remembered while it is read
	mostDays  = 366     // that a term may last
	unpacks   = 5       // times the bound of an upload that a bundle may unpack to
)

// bundle reads the files of a zip in such an order that each knows what it refers to.
func (f *reading) bundle(ctx context.Context) error {
	b, err := f.open()
	if errors.Is(err, errNoTable) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{b.manifest, b.orgs, b.sessions, b.courses, b.classes, b.users, b.enrollments} {
		if err := step(ctx); err != nil || b.left.spoilt != "" {
			return err
		}
	}
	return nil
}

// staged reads a file into the stage.
func staged[T any](ctx context.Context, b *opened, name string, make func(*row) *T, to func(context.Context, func() (*T, error)) error) error {
	return b.with(name, func(r io.Reader) error { return take(ctx, b.reading, r, bundleFiles[name], make, to) })
}

// status returns whether the row is to be taken away. What nothing here can take away says so.
func (r *row) status() (gone bool) {
	switch s := r.text("status", 20); s {
	case "", "active":
		return false
	case "tobedeleted":
		return true
	default:
		r.wrong("status", s, "is neither active nor tobedeleted")
		return false
	}
}

// stays notes that the row's thing is not taken away by an import.
func (r *row) stays() {
	if r.status() {
		r.wrong("status", "tobedeleted", "is done by hand: much may refer to it")
	}
}

// remember keeps an id of what later files refer to.
func remember[V any](b *opened, r *row, known map[string]V, v V) {
	id := r.needed("sourcedId", 255)
	_, double := known[id]
	switch {
	case len(r.bad) > 0:
	case double:
		r.wrong("sourcedId", id, "is there twice")
	case len(known) >= mostKnown:
		b.found.add(nexus.ImportError{File: r.t.file, Line: r.line, Detail: fmt.Sprintf("is one of more than %d", mostKnown)})
	default:
		known[id] = v
	}
}

// manifest refuses what is not a whole bundle in the version that is known.
func (b *opened) manifest(context.Context) error {
	said := map[string]string{}
	err := b.each(manifestCSV, func(r *row) {
		name, value := r.needed("propertyName", 100), r.text("value", 255)
		if _, known := bundleFiles[strings.TrimPrefix(name, "file.")+".csv"]; strings.EqualFold(value, "delta") && strings.HasPrefix(name, "file.") {
			r.wrong("value", value, "is not taken: export the whole bundle as bulk, not what has changed")
		} else if known && value != "bulk" {
			r.wrong("value", value, "is not bulk, and the file is needed")
		}
		if len(said) < mostEntries {
			said[name] = value
		}
	})
	if v := said["oneroster.version"]; err == nil && b.left.spoilt == "" && v != "1.1" {
		b.found.add(nexus.ImportError{File: manifestCSV, Field: "value", Value: v, Detail: "oneroster.version is not 1.1"})
	}
	return err
}

func (b *opened) orgs(context.Context) error {
	return b.each(orgsCSV, func(r *row) {
		r.stays()
		r.needed("name", 255)
		remember(b, r, b.orgIDs, true)
	})
}

// sessions makes terms of terms and semesters. Years and grading periods are parts of nothing here.
func (b *opened) sessions(ctx context.Context) error {
	return staged(ctx, b, sessionsCSV, func(r *row) *pg.ImportedTerm {
		r.stays()
		kind := r.needed("type", 40)
		term := kind == "term" || kind == "semester"
		if !term && !slices.Contains([]string{"schoolYear", "gradingPeriod", ""}, kind) {
			r.wrong("type", kind, "is none of term, semester, schoolYear and gradingPeriod")
		}
		t := &pg.ImportedTerm{
			Line: r.line, SourcedID: r.needed("sourcedId", 255), Name: r.needed("title", 200), StartsOn: r.day("startDate"), EndsOn: r.day("endDate"), TZ: b.TZ,
		}
		if len(r.bad) == 0 && t.EndsOn.Before(t.StartsOn) {
			r.wrong("endDate", t.EndsOn.Format(time.DateOnly), "is before startDate")
		}
		if term && t.EndsOn.Sub(t.StartsOn) > mostDays*24*time.Hour {
			r.wrong("endDate", t.EndsOn.Format(time.DateOnly), "is more than %d days after startDate", mostDays)
		}
		t.ID = termOf(t.SourcedID)
		if _, double := b.terms[t.SourcedID]; !double { // one that is there twice is found with the staged ones
			remember(b, r, b.terms, term)
		}
		if !term {
			return nil
		}
		return t
	}, b.stage.Terms)
}

// termOf is the id of a new term: the one that it has, if it can be one here.
func termOf(sourcedID string) nexus.TermID {
	if termID.MatchString(sourcedID) {
		return nexus.TermID(sourcedID)
	}
	hash := sha256.Sum256([]byte(sourcedID))
	return nexus.TermID("s-" + hex.EncodeToString(hash[:8]))
}

// day is a date that must be there.
func (r *row) day(column string) time.Time {
	s := r.needed(column, 40)
	d, err := time.Parse(time.DateOnly, s)
	if err != nil || d.Year() < 2000 || d.Year() >= 2200 {
		r.wrong(column, s, "is not a day such as 2026-09-01")
	}
	return d
}

func (b *opened) courses(context.Context) error {
	return b.each(coursesCSV, func(r *row) {
		r.stays()
		r.needed("title", 200)
		remember(b, r, b.codes, r.text("courseCode", 40))
	})
}

// classes makes courses: what is taught in one term. A class without a code has its course's.
func (b *opened) classes(ctx context.Context) error {
	return staged(ctx, b, classesCSV, func(r *row) *pg.ImportedCourse {
		r.stays()
		c := &pg.ImportedCourse{Line: r.line, SourcedID: r.needed("sourcedId", 255), Code: r.text("classCode", 40), Title: r.needed("title", 200)}
		course := r.needed("courseSourcedId", 255)
		code, known := b.codes[course]
		if course != "" && !known {
			r.wrong("courseSourcedId", course, "is no course of the bundle")
		}
		if c.Code == "" {
			c.Code = code
		}
		if c.Code == "" {
			r.wrong("classCode", "", "is empty, and the course has no courseCode")
		}
		terms, _, _ := strings.Cut(r.needed("termSourcedIds", 2000), ",")
		if c.Term = strings.TrimSpace(terms); c.Term != "" && !b.terms[c.Term] {
			r.wrong("termSourcedIds", c.Term, "begins with none of the bundle's terms and semesters")
		}
		return c
	}, b.stage.Courses)
}

// rosterRoles are the people that the campus has accounts for; administrators are made by hand, and kin are none of the campus.
var rosterRoles = map[string][]string{
	"student": {string(nexus.Student)}, "teacher": {string(nexus.Faculty)}, "aide": {string(nexus.Faculty)},
	"administrator": nil, "guardian": nil, "parent": nil, "relative": nil, "proctor": nil,
}

func (b *opened) users(ctx context.Context) error {
	return staged(ctx, b, usersCSV, func(r *row) *pg.ImportedUser {
		role := r.needed("role", 40)
		roles, known := rosterRoles[role]
		if !known && role != "" {
			r.wrong("role", role, "is none of administrator, aide, guardian, parent, proctor, relative, student and teacher")
		}
		if roles == nil {
			return nil
		}
		enabled := r.needed("enabledUser", 10)
		if enabled != "" && !truth.MatchString(enabled) {
			r.wrong("enabledUser", enabled, "is neither true nor false")
		}
		u := &pg.ImportedUser{
			Line: r.line, SourcedID: r.needed("sourcedId", 255), Email: r.email("email"), Name: r.needed("givenName", 60) + " " + r.needed("familyName", 59),
			RegNo: r.shaped("identifier", 40, regNo, "is not a registration number: letters, digits and /_.- alone"), Roles: roles, Phone: r.phone("phone"),
			Leaves: r.status() || strings.EqualFold(enabled, "false"),
		}
		if u.Phone == nil {
			u.Phone = r.phone("sms")
		}
		return u
	}, b.stage.Users)
}

var truth = regexp.MustCompile(`(?i)^(true|false)$`)

// rosterStaff is what people are in a class.
var rosterStaff = map[string]string{
	"student": string(nexus.Student), "teacher": string(nexus.Instructor), "aide": string(nexus.Assistant), "administrator": "", "proctor": "",
}

func (b *opened) enrollments(ctx context.Context) error {
	return staged(ctx, b, enrollmentsCSV, func(r *row) *pg.ImportedEnrollment {
		role := r.needed("role", 40)
		kind, known := rosterStaff[role]
		if !known && role != "" {
			r.wrong("role", role, "is none of administrator, aide, proctor, student and teacher")
		}
		if kind == "" {
			return nil
		}
		r.needed("sourcedId", 255)
		e := &pg.ImportedEnrollment{
			Line: r.line, Course: r.needed("classSourcedId", 255), User: r.needed("userSourcedId", 255), Role: kind,
			First: strings.EqualFold(r.text("primary", 10), "true"), Status: string(nexus.Enrolled),
		}
		if r.status() {
			e.Status = string(nexus.Dropped)
		}
		return e
	}, b.stage.Enrollments)
}
