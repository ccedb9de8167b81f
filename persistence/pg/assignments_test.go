package pg_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// work is an assignment that is due so long from now.
func work(id nexus.CourseID, title string, in time.Duration) nexus.Assignment {
	return nexus.Assignment{Course: id, Title: title, Description: "By hand.", DueAt: time.Now().Add(in).UTC().Truncate(time.Millisecond), Points: ptr(20)}
}

// TestAnAssignmentIsToldOnceToWhoHasASeat.
func TestAnAssignmentIsToldOnceToWhoHasASeat(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l := newLecture(t, db, "CS1", 2, 2)
	u := pgfix.Users(t, db, "s", nexus.Student, 3)
	l.settle(enrol(u[0]), enrol(u[1]), enrol(u[2])) // who waits
	teacher := pgfix.Users(t, db, "f", nexus.Faculty, 1)[0]
	s := pg.NewAssignments(db)
	by := keyed(nexus.Caller{User: teacher}, "k", "one")
	want := work(l.id, strings.Repeat("ä", 200), time.Hour)
	want.Description = strings.Repeat("ö", 1200)
	made, news, err := s.CreateAssignment(t.Context(), by, want)
	ok(t, err)
	want.ID, want.Version, want.CreatedAt = made.ID, 1, made.CreatedAt
	read, err := s.Assignment(t.Context(), made.ID)
	ok(t, err)
	read.DueAt, read.CreatedAt, made.DueAt = read.DueAt.UTC(), made.CreatedAt, made.DueAt.UTC()
	if d := cmp.Diff([]nexus.Assignment{want, want}, []nexus.Assignment{made, read}); d != "" {
		t.Error(d)
	}
	streams := []string{nexus.OutboxStream(nexus.NoticeChannel, u[0]), nexus.OutboxStream(nexus.NoticeChannel, u[1])}
	slices.Sort(streams)
	slices.Sort(news)
	if !slices.Equal(news, streams) {
		t.Errorf("news of %v, want %v", news, streams)
	}
	if again, news, err := s.CreateAssignment(t.Context(), by, want); err != nil || again.ID != made.ID || len(news) != 0 {
		t.Errorf("a retry: %+v %v %v", again, news, err)
	}
	for _, x := range u[:2] {
		n := told(t, db, x)
		if len(n) != 1 || n[0].Kind != "assignment.new" || !strings.HasPrefix(n[0].Title, "CS1: ä") || len([]rune(n[0].Title)) != 200 ||
			!strings.HasSuffix(n[0].Body, "ö…") || !strings.Contains(string(n[0].Data), string(made.ID)) || !strings.Contains(string(n[0].Data), made.DueAt.Format(nexus.TimeLayout)) {
			t.Errorf("told %+v", n)
		}
	}
	if n := told(t, db, u[2]); len(n) != 0 {
		t.Errorf("who waits was told %+v", n)
	}
	_, _, err = s.CreateAssignment(t.Context(), system, work(nexus.CourseID(nexus.NewID()), "x", time.Hour))
	code(t, err, nexus.NotFound)
	_, _, err = s.CreateAssignment(t.Context(), nexus.Caller{User: teacher}, work(l.id, "", time.Hour))
	onField(t, err, nexus.Invalid, "title")
	if n := audited(t, db, "assignment.create"); n != 1 {
		t.Errorf("%d entries in the audit", n)
	}
}

func TestWhatIsDue(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	l, other := newLecture(t, db, "CS1", 2, 2), pgfix.Course(t, db, "T1", "CS2", 1, 1, "")
	u := pgfix.Users(t, db, "s", nexus.Student, 2)
	l.settle(enrol(u[0]))
	by := nexus.Caller{User: pgfix.Users(t, db, "f", nexus.Faculty, 1)[0]}
	s := pg.NewAssignments(db)
	set := func(a nexus.Assignment) nexus.Assignment {
		a, _, err := s.CreateAssignment(t.Context(), by, a)
		ok(t, err)
		return a
	}
	set(work(l.id, "late", 3*time.Hour))
	soon := set(work(l.id, "soon", time.Hour))
	set(work(l.id, "long ago", -3*time.Hour))
	set(work(l.id, "just now", -time.Hour))
	set(work(other, "another's", time.Hour))
	titles := func(list []nexus.Assignment, err error) string {
		t.Helper()
		ok(t, err)
		var all []string
		for _, a := range list {
			if a.Code != "CS1" {
				t.Errorf("%+v", a)
			}
			all = append(all, a.Title)
		}
		return strings.Join(all, ", ")
	}
	for _, c := range []struct {
		user nexus.UserID
		past bool
		want string
	}{{u[0], false, "soon, late"}, {u[0], true, "just now, long ago"}, {u[1], false, ""}, {by.User, false, ""}} {
		if got := titles(s.AssignmentsOf(t.Context(), c.user, c.past)); got != c.want {
			t.Errorf("past %v: %q, want %q", c.past, got, c.want)
		}
	}
	var all []string
	for p := (nexus.Page{Limit: 3}); ; {
		list, err := s.AssignmentsIn(t.Context(), l.id, p)
		ok(t, err)
		for _, a := range list.Items {
			all = append(all, a.Title)
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if got := strings.Join(all, ", "); got != "late, soon, long ago, just now" {
		t.Errorf("of the course: %s", got)
	}
	_, err := s.AssignmentsIn(t.Context(), l.id, nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")

	changed, err := s.ChangeAssignment(t.Context(), by, soon.ID, 1, nexus.AssignmentChange{Title: ptr("later"), DueAt: ptr(soon.DueAt.Add(5 * time.Hour))})
	if err != nil || changed.Version != 2 || changed.Title != "later" || changed.Description != soon.Description || *changed.Points != 20 {
		t.Errorf("%+v %v", changed, err)
	}
	if got := titles(s.AssignmentsOf(t.Context(), u[0], false)); got != "late, later" {
		t.Errorf("%q", got)
	}
	_, err = s.ChangeAssignment(t.Context(), by, soon.ID, 1, nexus.AssignmentChange{})
	code(t, err, nexus.Stale)
	_, err = s.ChangeAssignment(t.Context(), by, soon.ID, 0, nexus.AssignmentChange{Points: ptr(-1)})
	onField(t, err, nexus.Invalid, "points")
	code(t, s.DeleteAssignment(t.Context(), by, soon.ID, 1), nexus.Stale)
	ok(t, s.DeleteAssignment(t.Context(), by, soon.ID, 2))
	code(t, s.DeleteAssignment(t.Context(), by, soon.ID, 0), nexus.NotFound)
	_, err = s.ChangeAssignment(t.Context(), by, soon.ID, 0, nexus.AssignmentChange{})
	code(t, err, nexus.NotFound)
	_, err = s.Assignment(t.Context(), soon.ID)
	code(t, err, nexus.NotFound)
	if a, b := audited(t, db, "assignment.change"), audited(t, db, "assignment.delete"); a != 1 || b != 1 {
		t.Errorf("%d and %d entries in the audit", a, b)
	}
}
