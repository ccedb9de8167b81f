package imports_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/imports"
	"nexus/persistence/pg/pgfix"
)

// BenchmarkTerm takes over a term of a large campus: 500 courses, and 100,000 enrolments of 20,000 students in them, and the latter again.
func BenchmarkTerm(b *testing.B) {
	const courses, students, each = 500, 20_000, 5
	for b.Loop() {
		o := open(b)
		pgfix.Term(b, o.db)
		pgfix.Users(b, o.db, "s", nexus.Student, students)
		var list, enrolled strings.Builder
		list.WriteString("termId,code,title,credits,capacity\n")
		for i := range courses {
			fmt.Fprintf(&list, "T1,C%d,Course %d,4,%d\n", i, i, students*each/courses)
		}
		enrolled.WriteString("termId,courseCode,user\n")
		for i := range students * each {
			fmt.Fprintf(&enrolled, "T1,C%d,s%d@campus.example\n", i%courses, 1+i/each)
		}
		for _, f := range []struct {
			name    string
			kind    nexus.ImportKind
			content string
			made    int64
		}{
			{"courses", nexus.ImportCourses, list.String(), courses},
			{"enrolments", nexus.ImportEnrollments, enrolled.String(), students * each},
			{"again", nexus.ImportEnrollments, enrolled.String(), 0},
		} {
			began := time.Now()
			run := o.run(nexus.ImportOrder{Kind: f.kind, File: file(b, f.content)})
			if run.State != nexus.ImportDone || run.Made != f.made {
				b.Fatalf("%+v %q", run, o.errors(run.ID))
			}
			b.ReportMetric(time.Since(began).Seconds(), f.name+"-s")
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkBundle takes over as much as a OneRoster bundle, twice.
func BenchmarkBundle(b *testing.B) {
	const classes, students, each = 500, 20_000, 5
	var list, people, enrolled strings.Builder
	for i := range classes {
		fmt.Fprintf(&list, "class%d,,,Class %d,,c1,K%d,scheduled,,school,autumn-26,,,\n", i, i, i)
		fmt.Fprintf(&people, "prof%d,,,true,school,teacher,prof%d,,Prof,No %d,,P%d,prof%d@campus.example,,,,,\n", i, i, i, i, i)
		fmt.Fprintf(&enrolled, "t%d,,,class%d,school,prof%d,teacher,true,,\n", i, i, i)
	}
	for i := range students {
		fmt.Fprintf(&people, "student%d,,,true,school,student,s%d,,Student,No %d,,S%d,s%d@campus.example,,,,,\n", i, i, i, i, i)
	}
	for i := range students * each {
		fmt.Fprintf(&enrolled, "s%d,,,class%d,school,student%d,student,,,\n", i, i%classes, i/each)
	}
	files := with(with(with(term1, "classes.csv", term1["classes.csv"]+list.String()), "users.csv", term1["users.csv"]+people.String()),
		"enrollments.csv", term1["enrollments.csv"]+enrolled.String())
	content := bundle(b, files)
	for b.Loop() {
		o := open(b, func(o *imports.Options) { o.MaxBytes = 100 << 20 })
		for _, c := range []struct {
			name string
			made int64
		}{{"first", 12 + classes + classes + students + classes + students*each}, {"again", 0}} {
			began := time.Now()
			o.rostered(content, c.made, 0, 12+classes+classes+students+classes+students*each-c.made)
			b.ReportMetric(time.Since(began).Seconds(), c.name+"-s")
		}
		b.ReportMetric(0, "ns/op")
	}
}
