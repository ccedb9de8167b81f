package pg_test

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// staff are instructors, in order.
func staff(users ...nexus.UserID) []nexus.Staff {
	list := make([]nexus.Staff, len(users))
	for i, u := range users {
		list[i] = nexus.Staff{User: u, Kind: nexus.Instructor}
	}
	return list
}

func TestCoursesAreKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	s := pg.NewCourses(db)
	u := pgfix.Users(t, db, "f", nexus.Faculty, 2)
	want := nexus.Course{
		Term: "T1", Code: "CS1", Title: "Programs", Credits: 4.5, Capacity: 30, WaitlistCapacity: 5, MinAttendancePct: 80, Prerequisites: []string{"MA1", "MA2"},
		Staff: []nexus.Staff{{User: u[0], Kind: nexus.Assistant}, {User: u[1], Kind: nexus.Instructor}},
	}
	by := keyed(nexus.Caller{User: u[0]}, "k", "one")
	made, err := s.CreateCourse(t.Context(), by, want)
	ok(t, err)
	want.ID, want.Version = made.ID, 1
	want.Staff = []nexus.Staff{ // an instructor first, whatever the order
		{User: u[1], Kind: nexus.Instructor, Name: "f2", Email: "f2@campus.example"}, {User: u[0], Kind: nexus.Assistant, Name: "f1", Email: "f1@campus.example"},
	}
	read, err := s.Course(t.Context(), made.ID)
	ok(t, err)
	if d := cmp.Diff([]nexus.Course{want, want}, []nexus.Course{made, read}); d != "" {
		t.Error(d)
	}
	if n := count(t, db.Pool(), `select count(*) from course_seat where course_id = $1`, string(made.ID)); n != 30 {
		t.Errorf("%d seats", n)
	}
	if again, err := s.CreateCourse(t.Context(), by, want); err != nil || again.ID != made.ID {
		t.Errorf("a retry made %+v (%v)", again, err)
	}
	same := want
	same.Code, same.Prerequisites = "cs1", nil
	_, err = s.CreateCourse(t.Context(), system, same)
	onField(t, err, nexus.Conflict, "code")
	same.Term = "T2"
	_, err = s.CreateCourse(t.Context(), system, same)
	code(t, err, nexus.NotFound)
	_, err = s.Course(t.Context(), nexus.CourseID(nexus.NewID()))
	code(t, err, nexus.NotFound)
	for field, wrong := range map[string]func(*nexus.Course){
		"capacity":         func(x *nexus.Course) { x.Capacity = -1 },
		"waitlistCapacity": func(x *nexus.Course) { x.WaitlistCapacity = 10_001 },
	} {
		x := nexus.Course{Term: "T1", Code: "CS2", Title: "Programs II"}
		wrong(&x)
		_, err := s.CreateCourse(t.Context(), system, x)
		onField(t, err, nexus.Invalid, field)
	}
	if n := audited(t, db, "course.create"); n != 1 {
		t.Errorf("%d entries in the audit", n)
	}
}

func TestCoursesAreFound(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	s := pg.NewCourses(db)
	f := pgfix.Users(t, db, "f", nexus.Faculty, 2)
	a, b := newLecture(t, db, "CS1", 3, 3), newLecture(t, db, "MA1", 1, 3)
	c := pgfix.Course(t, db, "T1", "CS2", 1, 1, f[1])
	u := pgfix.Users(t, db, "s", nexus.Student, 2)
	a.settle(enrol(u[0]), enrol(u[1]))
	b.settle(enrol(u[1]), enrol(u[0])) // who waits is not in it
	for _, x := range []struct {
		f    nexus.CourseFilter
		want []nexus.CourseID
	}{
		{nexus.CourseFilter{}, []nexus.CourseID{a.id, b.id, c}},
		{nexus.CourseFilter{Term: "T1", Query: "cs"}, []nexus.CourseID{a.id, c}},
		{nexus.CourseFilter{Query: "%"}, nil},
		{nexus.CourseFilter{Term: "T2"}, nil},
		{nexus.CourseFilter{Teacher: f[1]}, []nexus.CourseID{c}},
		{nexus.CourseFilter{Teacher: f[0]}, nil},
		{nexus.CourseFilter{Student: u[0]}, []nexus.CourseID{a.id}},
		{nexus.CourseFilter{Student: u[1]}, []nexus.CourseID{a.id, b.id}},
	} {
		var got []nexus.CourseID
		for p := (nexus.Page{Limit: 1}); ; {
			list, err := s.Courses(t.Context(), x.f, p)
			ok(t, err)
			for _, c := range list.Items {
				got = append(got, c.ID)
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		slices.Sort(x.want)
		if !slices.Equal(got, x.want) {
			t.Errorf("%+v: %v, want %v", x.f, got, x.want)
		}
	}
	_, err := s.Courses(t.Context(), nexus.CourseFilter{}, nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
	got, err := s.Course(t.Context(), b.id)
	if err != nil || got.Enrolled != 1 || got.Waitlisted != 1 {
		t.Errorf("%+v %v", got, err)
	}
}

func TestACourseIsChangedByItsVersion(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	s := pg.NewCourses(db)
	id := pgfix.Course(t, db, "T1", "CS1", 10, 5, "")
	pgfix.Course(t, db, "T1", "CS2", 10, 5, "")
	title, credits, needs := "Programs", 2.5, []string{"MA1"}
	c, err := s.ChangeCourse(t.Context(), system, id, 1, nexus.CourseChange{Title: &title, Credits: &credits, Prerequisites: &needs})
	if err != nil || c.Version != 2 || c.Title != title || c.Credits != credits || !slices.Equal(c.Prerequisites, needs) || c.Code != "CS1" || c.Capacity != 10 {
		t.Fatalf("%+v %v", c, err)
	}
	_, err = s.ChangeCourse(t.Context(), system, id, 1, nexus.CourseChange{Title: &title})
	code(t, err, nexus.Stale)
	_, err = s.ChangeCourse(t.Context(), system, nexus.CourseID(nexus.NewID()), 0, nexus.CourseChange{Title: &title})
	code(t, err, nexus.NotFound)
	taken := "cs2"
	_, err = s.ChangeCourse(t.Context(), system, id, 0, nexus.CourseChange{Code: &taken})
	onField(t, err, nexus.Conflict, "code")
	for field, x := range map[string]nexus.CourseChange{
		"title":            {Title: ptr("")},
		"code":             {Code: ptr(strings.Repeat("x", 41))},
		"credits":          {Credits: ptr(1.25)},
		"minAttendancePct": {MinAttendancePct: ptr(101)},
		"prerequisites[0]": {Prerequisites: &[]string{"cs1"}},
		"prerequisites[1]": {Prerequisites: &[]string{"MA1", "ma1"}},
		"prerequisites":    {Prerequisites: ptr(make([]string, 51))},
	} {
		_, err := s.ChangeCourse(t.Context(), system, id, 0, x)
		onField(t, err, nexus.Invalid, field)
	}
	_, err = s.ChangeCourse(t.Context(), system, id, 0, nexus.CourseChange{Credits: ptr(math.NaN())})
	onField(t, err, nexus.Invalid, "credits")
	if n := audited(t, db, "course.change"); n != 1 {
		t.Errorf("%d entries in the audit", n)
	}
}

func TestOnlyWhoMayTeachIsStaff(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	s := pg.NewCourses(db)
	id := pgfix.Course(t, db, "T1", "CS1", 10, 5, "")
	f := pgfix.Users(t, db, "f", nexus.Faculty, 2)
	student := pgfix.Users(t, db, "s", nexus.Student, 1)[0]
	exec(t, db.Pool(), `update app_user set status = 'suspended' where id = $1`, string(f[1]))
	for _, c := range []struct {
		field string
		staff []nexus.Staff
	}{
		{"staff[1].userId", staff(f[0], student)},
		{"staff[0].userId", staff(f[1])},
		{"staff[1].userId", staff(f[0], f[0])},
		{"staff[0].userId", staff(nexus.UserID(nexus.NewID()))},
		{"staff", []nexus.Staff{{User: f[0], Kind: "GUEST"}}},
		{"staff", make([]nexus.Staff, 101)},
	} {
		_, err := s.SetStaff(t.Context(), system, id, 0, c.staff)
		onField(t, err, nexus.Invalid, c.field)
		_, err = s.CreateCourse(t.Context(), system, nexus.Course{Term: "T1", Code: "CS2", Title: "x", Staff: c.staff})
		onField(t, err, nexus.Invalid, c.field)
	}
	c, err := s.SetStaff(t.Context(), system, id, 1, staff(f[0]))
	if err != nil || c.Version != 2 || !c.TaughtBy(f[0]) || c.Staff[0].Name != "f1" {
		t.Errorf("%+v %v", c, err)
	}
	_, err = s.SetStaff(t.Context(), system, id, 1, nil)
	code(t, err, nexus.Stale)
	other, err := s.CreateCourse(t.Context(), system, nexus.Course{Term: "T1", Code: "CS2", Title: "x", Staff: staff(f[0])})
	ok(t, err)
	teaches := func(want map[nexus.UserID][]nexus.CourseID) {
		t.Helper()
		if taught, err := s.Taught(t.Context(), []nexus.UserID{f[0], f[1], student}); err != nil || !reflect.DeepEqual(taught, want) {
			t.Errorf("%v %v", taught, err)
		}
	}
	exec(t, db.Pool(), `insert into course_staff (course_id, user_id, kind) values ($1, $2, 'ASSISTANT')`, string(id), string(f[1]))
	teaches(map[nexus.UserID][]nexus.CourseID{f[0]: {other.ID, id}}) // the other is suspended
	exec(t, db.Pool(), `update app_user set status = 'active' where id = $1`, string(f[1]))
	teaches(map[nexus.UserID][]nexus.CourseID{f[0]: {other.ID, id}, f[1]: {id}})
	exec(t, db.Pool(), `update user_role set role = 'STUDENT' where user_id = $1`, string(f[0]))
	teaches(map[nexus.UserID][]nexus.CourseID{f[1]: {id}})
	if c, err = s.SetStaff(t.Context(), system, id, 0, nil); err != nil || len(c.Staff) != 0 || c.Staff == nil {
		t.Errorf("%+v %v", c, err)
	}
	if n := audited(t, db, "course.staff"); n != 2 {
		t.Errorf("%d entries in the audit", n)
	}
}
