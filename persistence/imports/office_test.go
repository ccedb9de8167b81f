package imports_test

import (
	"strings"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestUsersAreMadeAndFoundAgain(t *testing.T) {
	t.Parallel()
	o := open(t)
	lines := []string{
		"\ufeffphone,email,RegNo,name,roles,department,course,semester,externalId\r",
		"+91 1,Asha@campus.example,R1,Asha Rao,STUDENT,Physics,BSc,3,x1\r",
		"\r",
		",ravi@campus.example,R2,\"Rao,\r\n\"\"Ravi\"\"\",FACULTY;MESS_STAFF,,,,\r",
	}
	o.done(nexus.ImportUsers, 2, 0, 0, lines...)
	if got := one[string](o, `select full_name || '/' || phone || '/' || department || '/' || course || '/' || semester from profile p join app_user u on u.id = p.user_id where email = 'asha@campus.example' and reg_no = 'R1' and password_hash is null`); got != "Asha Rao/+91 1/Physics/BSc/3" {
		t.Errorf("Asha is %s", got)
	}
	if got := one[string](o, `select name || '/' || array_to_string(roles, ' ') from user_view where reg_no = 'R2'`); got != `Rao, "Ravi"/FACULTY MESS_STAFF` {
		t.Errorf("Ravi is %s", got)
	}
	before := o.campus()
	o.done(nexus.ImportUsers, 0, 0, 2, lines...)
	if after := o.campus(); without(after, "audit_log") != without(before, "audit_log") {
		t.Errorf("before\n%s\nafter the second time\n%s", before, after)
	}
	if n := one[int](o, `select count(*) from audit_log where action = 'import.apply' and entity = 'import' and actor = $1`, string(o.by.User)); n != 2 {
		t.Errorf("%d entries in the audit log", n)
	}
}

// without drops the line of a table.
func without(campus, table string) string {
	var kept []string
	for line := range strings.Lines(campus) {
		if !strings.HasPrefix(line, table+" ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

func TestADryRunSaysTheSameAndChangesNothing(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	pgfix.Users(t, o.db, "ann", nexus.Student, 2)
	pgfix.Course(t, o.db, "T1", "PH1", 2, 0, "")
	for kind, lines := range map[nexus.ImportKind][]string{
		nexus.ImportUsers:       {"email,name,roles", "ann1@campus.example,Other,STUDENT", "ann2@campus.example,ann2,STUDENT", "new@campus.example,New,STUDENT"},
		nexus.ImportCourses:     {"termId,code,title,credits,capacity", "T1,PH1,PH1,4,3", "T1,PH2,Optics,4,0"},
		nexus.ImportEnrollments: {"termId,courseCode,user", "T1,ph1,ann1@campus.example", "T1,PH1,ANN2"},
	} {
		before := o.campus()
		dry := o.run(nexus.ImportOrder{Kind: kind, DryRun: true, File: file(t, strings.Join(lines, "\n"))})
		if after := o.campus(); after != before || dry.State != nexus.ImportDone {
			t.Errorf("%s: %+v\nbefore\n%s\nafter\n%s", kind, dry, before, after)
		}
		o.done(kind, dry.Made, dry.Changed, dry.Unchanged, lines...)
		if dry.Made+dry.Changed == 0 {
			t.Errorf("%s: nothing was to be done", kind)
		}
	}
}

func TestAnAccountIsFoundByAnyOfItsKeys(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.done(nexus.ImportUsers, 1, 0, 0, "email,regNo,name,roles,externalId", "asha@campus.example,R1,Asha,STUDENT,x1")
	id := one[string](o, `select id from app_user where reg_no = 'R1'`)
	for _, step := range []struct{ head, row, email, regNo string }{
		{"email,regNo,name", "asha.rao@campus.example,r1,Asha", "asha.rao@campus.example", "r1"},
		{"email,regNo,name", "ASHA.RAO@campus.example,R1-B,Asha", "asha.rao@campus.example", "R1-B"},
		{"email,regNo,name,externalId", "rao@campus.example,R9,Asha,x1", "rao@campus.example", "R9"},
	} {
		o.done(nexus.ImportUsers, 0, 1, 0, step.head, step.row)
		if got := one[string](o, `select email || ' ' || reg_no from app_user where id = $1`, id); got != step.email+" "+step.regNo {
			t.Errorf("%s: %s", step.row, got)
		}
	}
	if n := one[int](o, `select version from app_user where id = $1`, id); n != 4 {
		t.Errorf("version %d", n)
	}
}

func TestAnEmptyCellLeavesWhatIsThere(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.done(nexus.ImportUsers, 1, 0, 0, "email,regNo,name,roles,department,course,semester,phone", "asha@campus.example,R1,Asha,STUDENT,Physics,BSc,3,123")
	o.done(nexus.ImportUsers, 0, 0, 1, "email,regNo,name,roles,department,course,semester,phone", "asha@campus.example,,Asha,,,,,")
	o.done(nexus.ImportUsers, 0, 0, 1, "email,name", "asha@campus.example,Asha")
}

// TestRolesAreReplacedAndTheirTokensDie, but no administrator is made, and none ceases to be one.
func TestRolesAreReplacedAndTheirTokensDie(t *testing.T) {
	t.Parallel()
	o := open(t)
	ann := pgfix.Users(t, o.db, "ann", nexus.Student, 2)
	o.exec(`insert into auth_session (id, user_id, expires_at) values (gen_random_uuid(), $1, now() + interval '1 day')`, string(ann[0]))
	o.done(nexus.ImportUsers, 0, 3, 0, "email,name,roles",
		"ann1@campus.example,ann1,FACULTY", "ann2@campus.example,ann2,STUDENT;SECURITY", "clerk1@campus.example,clerk1,FACULTY")
	for email, want := range map[string]string{"ann1": "FACULTY 1", "ann2": "SECURITY STUDENT 1", "clerk1": "ADMIN FACULTY 1"} {
		if got := one[string](o, `select array_to_string(v.roles, ' ') || ' ' || u.token_epoch from user_view v join app_user u on u.id = v.id where v.email = $1`, email+"@campus.example"); got != want {
			t.Errorf("%s: %s, want %s", email, got, want)
		}
	}
	if ended := <-o.ended; len(ended) != 1 || ended[0] != ann[0] {
		t.Errorf("ended: %v, want the one who is logged in", ended)
	}
}

func TestCoursesAreMadeAndFoundAgain(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	pgfix.Users(t, o.db, "prof", nexus.Faculty, 3)
	lines := []string{
		"code,termId,title,credits,capacity,waitlistCapacity,minAttendancePct,instructors,prerequisites",
		"PH1,T1,Optics,4,30,5,80,prof2@campus.example; Prof1@campus.example;PROF2@campus.example,MA1;MA2;ma1",
		"PH2,T1,Waves,1.5,0,,,,",
	}
	o.done(nexus.ImportCourses, 2, 0, 0, lines...)
	const course = `select concat_ws('/', title, credits, capacity, waitlist_capacity, min_attendance_pct, version,
		(select count(*) from course_seat s where s.course_id = c.id), (select string_agg(email, ' ' order by position) from course_staff f join app_user u on u.id = f.user_id where f.course_id = c.id),
		(select string_agg(code, ' ' order by code) from course_prerequisite p where p.course_id = c.id)) from course c where code = $1`
	for code, want := range map[string]string{
		"PH1": "Optics/4.0/30/5/80/1/30/prof2@campus.example prof1@campus.example/MA1 MA2", "PH2": "Waves/1.5/0/0/75/1/0",
	} {
		if got := one[string](o, course, code); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	before := o.campus()
	o.done(nexus.ImportCourses, 0, 0, 2, lines...)
	if after := o.campus(); without(without(after, "audit_log"), "grain_snapshot") != without(without(before, "audit_log"), "grain_snapshot") {
		t.Errorf("before\n%s\nafter the second time\n%s", before, after)
	}
	o.done(nexus.ImportCourses, 0, 2, 0, lines[0],
		"ph1,T1,Light,4,20,,,prof3@campus.example;prof2@campus.example,MA2;MA3", "PH2,T1,Waves,1.5,2,,,,")
	for code, want := range map[string]string{
		"ph1": "Light/4.0/20/5/80/2/20/prof3@campus.example prof2@campus.example/MA2 MA3", "PH2": "Waves/1.5/2/0/75/2/2",
	} {
		if got := one[string](o, course, code); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	o.done(nexus.ImportCourses, 0, 1, 0, lines[0], "ph1,T1,Light,4,20,,,;,;")
	if got := one[string](o, course, "ph1"); got != "Light/4.0/20/5/80/3/20" {
		t.Errorf("emptied: %s", got)
	}
}

func TestFaultsOfCourses(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	profs := pgfix.Users(t, o.db, "prof", nexus.Faculty, 2)
	o.exec(`update app_user set status = 'suspended' where id = $1`, string(profs[1]))
	ann := pgfix.Users(t, o.db, "ann", nexus.Student, 2)
	full := pgfix.Course(t, o.db, "T1", "FULL", 2, 0, "")
	o.exec(`insert into enrollment (course_id, user_id, status, seat_no) values ($1, $2, 'ENROLLED', 1), ($1, $3, 'ENROLLED', 2)`, string(full), string(ann[0]), string(ann[1]))
	long := pgfix.Course(t, o.db, "T1", "LONG", 0, 2, "")
	o.exec(`insert into enrollment (course_id, user_id, status, place) values ($1, $2, 'WAITLISTED', 1)`, string(long), string(ann[0]))
	before := o.campus()
	o.wrong(nexus.ImportCourses, []string{
		"termId,code,title,credits,capacity,waitlistCapacity,minAttendancePct,instructors,prerequisites",
		"T2,A1,A,4,1,,,,",
		",A2,A,4,1,,,,",
		"T1,,A,4,1,,,,",
		"T1,A4,,4,1,,,,",
		"T1,A5,A,,1,,,,",
		"T1,A6,A,4,,,,,",
		"T1,A7,A,4,-1,,,,",
		"T1,A8,A,1.25,1,,,,",
		"T1,A9,A,four,1,,,,",
		"T1,A10,A,100.5,1,,,,",
		"T1,A11,A,-4,1,,,,",
		"T1,A12,A,4,10001,,,,",
		"T1,A13,A,4,1,many,,,",
		"T1,A14,A,4,1,,101,,",
		"T1,A15,A,4,1,,,nobody@campus.example,",
		"T1,A16,A,4,1,,,ann1@campus.example,",
		"T1,A17,A,4,1,,,prof,",
		"T1,A18,A,4,1,,,,B1;a18",
		"T1,A19,A,4,1,,,," + strings.Repeat("b", 41),
		"T1,full,Full,4,1,,,,",
		"T1,A20,A,4,1,,,prof2@campus.example,",
		"T1,A21,A,4,1,,,,",
		"T1,a21,A,4,1,,,,",
		"T1,LONG,A,4,0,0,,,",
	},
		"2 termId: there is no such term", "3 termId: is empty", "4 code: is empty", "5 title: is empty", "6 credits: is empty", "7 capacity: is empty",
		"8 capacity: is negative", "9 credits: has more than one decimal", "10 credits: is not a number such as 4 or 1.5", "11 credits: is more than 100",
		"12 credits: is negative", "13 capacity: is not from 0 to 10000", "14 waitlistCapacity: is not a whole number", "15 minAttendancePct: is not from 0 to 100",
		"16 instructors: there is no such user", "17 instructors: is no active account that may teach", "18 instructors: is not an e-mail address; they are parted by semicolons",
		"19 prerequisites: is the course itself", "20 prerequisites: has more than 40 characters", "21 capacity: 2 students have a seat in the course",
		"22 instructors: is no active account that may teach", "24 code: is on line 23 already, of the same term",
		"25 waitlistCapacity: 1 people wait for a seat in the course")
	if after := o.campus(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// seats are who sits where in a course, and how all others stand to it.
func (o *office) seats(course nexus.CourseID) string {
	return one[string](o, `select coalesce(string_agg(split_part(u.email, '@', 1) || ' ' || e.status || coalesce(' ' || e.seat_no, ''), ', ' order by u.email), '')
		from enrollment e join app_user u on u.id = e.user_id where e.course_id = $1`, string(course))
}

func TestEnrollmentsTakeAndFreeSeats(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	pgfix.Users(t, o.db, "ann", nexus.Student, 6)
	course := pgfix.Course(t, o.db, "T1", "PH1", 3, 2, "")
	lines := []string{
		"user,termId,courseCode,status", "ann1@campus.example,T1,PH1,ENROLLED", "ANN2,T1,ph1,", "ann3@campus.example,T1,PH1,COMPLETED", "ann4@campus.example,T1,PH1,DROPPED",
	}
	o.done(nexus.ImportEnrollments, 4, 0, 0, lines...)
	const want = "ann1 ENROLLED 1, ann2 ENROLLED 2, ann3 COMPLETED, ann4 DROPPED"
	if got := o.seats(course); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	o.done(nexus.ImportEnrollments, 0, 0, 4, lines...)
	o.exec(`insert into enrollment (course_id, user_id, status, place) select $1, id, 'WAITLISTED', 1 from app_user where email = 'ann5@campus.example'`, string(course))
	o.done(nexus.ImportEnrollments, 1, 3, 1, lines[0], "ann1@campus.example,T1,PH1,COMPLETED", "ann6@campus.example,T1,PH1,ENROLLED", "ann2@campus.example,T1,PH1,ENROLLED",
		"ann5@campus.example,T1,PH1,ENROLLED", "ann4@campus.example,T1,PH1,COMPLETED")
	if got := o.seats(course); got != "ann1 COMPLETED, ann2 ENROLLED 2, ann3 COMPLETED, ann4 COMPLETED, ann5 ENROLLED 3, ann6 ENROLLED 1" {
		t.Error(got)
	}
	before := o.campus()
	o.wrong(nexus.ImportEnrollments, []string{
		lines[0], "ann1@campus.example,T1,PH1,ENROLLED", "ann2@campus.example,T1,PH1,DROPPED", "ann3@campus.example,T1,PH1,ENROLLED", "ann4@campus.example,T1,PH1,ENROLLED",
	}, "4 user: the course PH1 has 3 seats, and none is left", "5 user: the course PH1 has 3 seats, and none is left")
	if after := o.campus(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
	o.wrong(nexus.ImportEnrollments, []string{
		lines[0], "ann1@campus.example,T2,PH1,", "ann1@campus.example,T1,PH9,", "nobody,T1,PH1,", "ann1@campus.example,T1,PH1,PRESENT", "ann1@campus.example,T1,PH1,WAITLISTED",
		"ann2@campus.example,T1,PH1,", "ANN2,T1,PH1,DROPPED", ",T1,PH1,",
	}, "2 termId: there is no such term", "3 courseCode: there is no such course", "4 user: there is no such user",
		"5 status: is none; there are ENROLLED, COMPLETED and DROPPED", "6 status: is given by the course alone, in the order of who asks",
		"8 user: is in the same course on line 7 already", "9 user: is empty")
}

// TestFewerSeatsMoveStudentsToThoseThatStay: whoever sat on one that is taken away sits on a free one.
func TestFewerSeatsMoveStudentsToThoseThatStay(t *testing.T) {
	t.Parallel()
	o := open(t)
	pgfix.Term(t, o.db)
	ann := pgfix.Users(t, o.db, "ann", nexus.Student, 2)
	course := pgfix.Course(t, o.db, "T1", "PH1", 5, 0, "")
	o.exec(`insert into enrollment (course_id, user_id, status, seat_no) values ($1, $2, 'ENROLLED', 5), ($1, $3, 'ENROLLED', 2)`, string(course), string(ann[0]), string(ann[1]))
	o.exec(`delete from course_seat where seat_no in (1, 3)`) // as a change of the course may leave them
	o.done(nexus.ImportCourses, 0, 1, 0, "termId,code,title,credits,capacity", "T1,PH1,PH1,4,2")
	if got := o.seats(course); got != "ann1 ENROLLED 1, ann2 ENROLLED 2" {
		t.Error(got)
	}
	if n := one[int](o, `select count(*) from course_seat`); n != 2 {
		t.Errorf("%d seats", n)
	}
}

// TestAHeadThatIsWrongSaysWhy, and no row is looked at.
func TestAHeadThatIsWrongSaysWhy(t *testing.T) {
	t.Parallel()
	o := open(t)
	for name, c := range map[string]struct {
		content string
		want    string
	}{
		"nothing":        {"\ufeff\n", "1 : the file is empty: its first line names the columns"},
		"semicolons":     {"email;name\na@c.example;A", "1 : the columns are not parted by commas: save the file with commas, not with semicolons or tabs"},
		"UTF-16":         {"\xff\xfee\x00m\x00", "1 : the file is in UTF-16: save it as CSV in UTF-8"},
		"unknown column": {"email,name,password", "1 password: there is no such column; there are email, name, regNo, roles, department, course, semester, phone, externalId"},
		"missing column": {"regNo,email", "1 name: the column is missing"},
		"double column":  {"email,name,Name", "1 Name: the column is there twice"},
		"open quote":     {"email,\"name\na@c.example,A", "1 : a quote is opened here and never closed"},
		"long record":    {"email,name\na@c.example,\"" + strings.Repeat("a\n", 40_000), "2 name: the record has more than 64 KiB: is a quote opened here and never closed?"},
	} {
		run := o.csv(nexus.ImportUsers, c.content)
		if got := o.errors(run.ID); run.State != nexus.ImportFailed || len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: %s %q, want %q", name, run.State, got, c.want)
		}
	}
}

// TestManyFaultsAreCountedAndTheFirstKept, in order of their lines.
func TestManyFaultsAreCountedAndTheFirstKept(t *testing.T) {
	t.Parallel()
	o := open(t)
	lines := []string{"email,name,roles"}
	for range 1500 {
		lines = append(lines, "nobody,A,STUDENT", "twice@c.example,A,STUDENT")
	}
	run := o.csv(nexus.ImportUsers, lines...)
	got := o.errors(run.ID)
	if run.Errors != 2999 || len(got) != pg.MostFaults || got[0] != "2 email: is not an e-mail address" || got[1] != "4 email: is not an e-mail address" || got[2] != "5 email: is on line 3 already" {
		t.Errorf("%d errors, %d kept, the first %q", run.Errors, len(got), got[:3])
	}
}
