package imports_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"maps"
	"strings"
	"testing"

	"nexus"
	"nexus/persistence/pg/pgfix"
)

// term1 is a bundle that is right: two people in one class of one term, and some that the campus has no place for.
var term1 = map[string]string{
	"manifest.csv": `propertyName,value
manifest.version,1.0
oneroster.version,1.1
file.academicSessions,bulk
file.categories,absent
file.classes,bulk
file.courses,bulk
file.enrollments,bulk
file.orgs,bulk
file.users,bulk
source.systemName,SIS
`,
	"orgs.csv": `sourcedId,status,dateLastModified,name,type,identifier,parentSourcedId
school,,,The School,school,,
`,
	"academicSessions.csv": `sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear
year,,,2026/27,schoolYear,2026-09-01,2027-08-31,,2027
autumn-26,,,Autumn,term,2026-09-01,2026-12-18,year,2027
spring 27,,,Spring,semester,2027-01-11,2027-04-30,year,2027
`,
	"courses.csv": `sourcedId,status,dateLastModified,schoolYearSourcedId,title,courseCode,grades,orgSourcedId,subjects,subjectCodes
c1,,,year,Physics,PH,,school,,
`,
	"classes.csv": `sourcedId,status,dateLastModified,title,grades,courseSourcedId,classCode,classType,location,schoolSourcedId,termSourcedIds,subjects,subjectCodes,periods
k1,,,Optics,,c1,PH-1,scheduled,Hall 3,school,"autumn-26,spring 27",,,
k2,,,Waves,,c1,,scheduled,,school,spring 27,,,
`,
	"users.csv": `sourcedId,status,dateLastModified,enabledUser,orgSourcedIds,role,username,userIds,givenName,familyName,middleName,identifier,email,sms,phone,agentSourcedIds,grades,password
u1,,,true,school,student,asha,,Asha,Rao,,R1,asha@campus.example,,+91 1,p1,12,
u2,active,,true,school,student,ravi,,Ravi,Rao,,,ravi@campus.example,+91 2,,,,
u3,,,true,school,teacher,prof,,Meera,Iyer,,T1,meera@campus.example,,,,,
u4,,,true,school,aide,tutor,,Tom,Das,,T2,tom@campus.example,,,,,
p1,,,true,school,guardian,kin,,Kin,Rao,,,,,,,,
a1,,,true,school,administrator,boss,,The,Boss,,,boss@campus.example,,,,,
`,
	"enrollments.csv": `sourcedId,status,dateLastModified,classSourcedId,schoolSourcedId,userSourcedId,role,primary,beginDate,endDate
e1,,,k1,school,u1,student,,,
e2,,,k1,school,u2,student,false,,
e3,,,k1,school,u4,aide,,,
e4,,,k1,school,u3,teacher,true,,
e5,,,k1,school,a1,administrator,,,
`,
}

// bundle packs files, changed by pairs of an old and a new text in each of them.
func bundle(t testing.TB, files map[string]string, change ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, content := range files {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write([]byte(strings.NewReplacer(change...).Replace(content)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// broken is a bundle of which a byte of the last file's content is another.
func broken(content string) string {
	at := strings.LastIndex(content, "PK\x07\x08") - 1 // the end of what is packed
	return content[:at-20] + string(content[at-20]^0x55) + content[at-19:]
}

// with are the files of a bundle of which one is another.
func with(files map[string]string, name, content string) map[string]string {
	files = maps.Clone(files)
	files[name] = content
	return files
}

func (o *office) roster(content string) nexus.Import {
	o.t.Helper()
	return o.run(nexus.ImportOrder{Kind: nexus.ImportOneRoster, TZ: "Asia/Kolkata", File: file(o.t, content)})
}

// rostered imports a bundle that is right.
func (o *office) rostered(content string, made, changed, unchanged int64) {
	o.t.Helper()
	run := o.roster(content)
	if run.State != nexus.ImportDone || run.Made != made || run.Changed != changed || run.Unchanged != unchanged {
		o.t.Fatalf("%+v, want %d made, %d changed, %d unchanged\n%s", run, made, changed, unchanged, strings.Join(o.errors(run.ID), "\n"))
	}
}

func TestABundleIsTakenOverAndFoundAgain(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.rostered(bundle(t, term1), 2+4+2+4, 0, 0)
	for _, c := range [][2]string{
		{`select string_agg(concat_ws(' ', name, starts_on, ends_on, tz), ', ' order by starts_on) from term`, "Autumn 2026-09-01 2026-12-18 Asia/Kolkata, Spring 2027-01-11 2027-04-30 Asia/Kolkata"},
		{`select id from term where name = 'Autumn'`, "autumn-26"},
		{`select string_agg(concat_ws(' ', v.email, v.name, array_to_string(v.roles, '+'), v.reg_no, p.phone), ', ' order by v.email) from user_view v join profile p on p.user_id = v.id where not 'ADMIN' = any (v.roles)`, "asha@campus.example Asha Rao STUDENT R1 +91 1, meera@campus.example Meera Iyer FACULTY T1 , ravi@campus.example Ravi Rao STUDENT  +91 2, tom@campus.example Tom Das FACULTY T2 "},
		{`select string_agg(concat_ws(' ', t.name, code, title, credits, capacity, (select count(*) from course_seat s where s.course_id = c.id)), ', ' order by code) from course c join term t on t.id = c.term_id`, "Spring PH Waves 0.0 0 0, Autumn PH-1 Optics 0.0 2 2"},
		{`select string_agg(concat_ws(' ', email, kind), ', ' order by position) from course_staff f join app_user u on u.id = f.user_id`, "meera@campus.example INSTRUCTOR, tom@campus.example ASSISTANT"},
		{`select string_agg(concat_ws(' ', email, e.status, seat_no), ', ' order by email) from enrollment e join app_user u on u.id = e.user_id`, "asha@campus.example ENROLLED 1, ravi@campus.example ENROLLED 2"},
		{`select count(*)::text from external_id where source = 'oneroster'`, "8"},
	} {
		if got := one[string](o, c[0]); got != c[1] {
			t.Errorf("%s\n%s, want\n%s", c[0], got, c[1])
		}
	}
	before := o.campus()
	o.rostered(bundle(t, term1), 0, 0, 12)
	if after := o.campus(); without(without(after, "audit_log"), "grain_snapshot") != without(without(before, "audit_log"), "grain_snapshot") {
		t.Errorf("before\n%s\nafter the second time\n%s", before, after)
	}
}

// TestABundleFindsItsThingsUnderOtherNames, by what the other system calls them.
func TestABundleFindsItsThingsUnderOtherNames(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.rostered(bundle(t, term1), 12, 0, 0)
	course := nexus.CourseID(one[string](o, `select id from course where code = 'PH-1'`))
	fence := o.claimed(course)
	o.rostered(bundle(t, term1, "asha@campus.example", "rao@campus.example", "PH-1", "PH-101", "Autumn", "Monsoon", "2026-12-18", "2026-12-19",
		"u2,active,,true", "u2,tobedeleted,,true", "e2,,", "e2,tobedeleted,", "e3,,", "e3,tobedeleted,"), 0, 1+2+1+2, 6)
	for query, want := range map[string]string{
		`select email from app_user where reg_no = 'R1'`:                                                                                           "rao@campus.example",
		`select concat_ws(' ', status, token_epoch) from app_user where email ~ 'ravi'`:                                                            "suspended 1",
		`select concat_ws(' ', name, ends_on, version) from term where id = 'autumn-26'`:                                                           "Monsoon 2026-12-19 2",
		`select concat_ws(' ', title, capacity) from course where code = 'PH-101'`:                                                                 "Optics 2",
		`select string_agg(status, ' ' order by status) from enrollment`:                                                                           "DROPPED ENROLLED",
		`select string_agg(kind, ' ') from course_staff`:                                                                                           "INSTRUCTOR",
		`select (epoch - ` + fmt.Sprint(fence.Epoch) + `)::text from grain_snapshot where kind = 'course' and identity = '` + string(course) + `'`: "1",
	} {
		if got := one[string](o, query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// TestABundleGivesMoreSeatsAndTakesNone: it does not say how many there are.
func TestABundleGivesMoreSeatsAndTakesNone(t *testing.T) {
	t.Parallel()
	o := open(t)
	o.rostered(bundle(t, term1), 12, 0, 0)
	o.exec(`update course set capacity = 3 where code = 'PH-1'`)
	o.exec(`insert into course_seat (course_id, seat_no) select id, 3 from course where code = 'PH-1'`)
	o.rostered(bundle(t, term1), 0, 0, 12)
	ann := pgfix.Users(t, o.db, "ann", nexus.Student, 1)
	o.exec(`insert into enrollment (course_id, user_id, status, seat_no) select id, $1, 'ENROLLED', 3 from course where code = 'PH-1'`, string(ann[0]))
	more := with(term1, "users.csv", term1["users.csv"]+"u5,,,true,school,student,uma,,Uma,Sen,,,uma@campus.example,,,,,\n")
	more = with(more, "enrollments.csv", term1["enrollments.csv"]+"e6,,,k1,school,u5,student,,,\n")
	o.rostered(bundle(t, more), 2, 1, 11)
	if got := one[string](o, `select concat_ws(' ', capacity, (select count(*) from course_seat s where s.course_id = c.id), (select count(*) from enrollment e where e.course_id = c.id and seat_no is not null)) from course c where code = 'PH-1'`); got != "4 4 4" {
		t.Errorf("capacity, seats and students: %s", got)
	}
}

func TestFaultsOfBundles(t *testing.T) {
	t.Parallel()
	o := open(t)
	admin := pgfix.Users(t, o.db, "boss", nexus.Admin, 1)
	o.exec(`insert into user_role (user_id, role) values ($1, 'FACULTY')`, string(admin[0]))
	without := func(name string) map[string]string {
		files := maps.Clone(term1)
		delete(files, name)
		return files
	}
	crowded, hidden := maps.Clone(term1), maps.Clone(term1)
	for i := range 200 {
		crowded[fmt.Sprint(i)] = ""
	}
	for i := range 8000 {
		hidden[fmt.Sprint(i)] = ""
	}
	before := o.campus()
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"no zip":           {"PK\x03\x04 and nothing else", []string{"bundle.zip 0 : is no zip file, or is damaged"}},
		"damaged":          {strings.Replace(bundle(t, term1), "PK\x03\x04", "PK\x03\x05", 1), []string{"bundle.zip 0 : is no zip file, or is damaged"}},
		"a file missing":   {bundle(t, without("orgs.csv")), []string{"orgs.csv 0 : is not in the bundle, whose files lie at its top"}},
		"delta":            {bundle(t, term1, "file.users,bulk", "file.users,delta"), []string{"manifest.csv 10 value: is not taken: export the whole bundle as bulk, not what has changed"}},
		"delta of another": {bundle(t, term1, "file.categories,absent", "file.categories,delta"), []string{"manifest.csv 5 value: is not taken: export the whole bundle as bulk, not what has changed"}},
		"absent":           {bundle(t, term1, "file.users,bulk", "file.users,absent"), []string{"manifest.csv 10 value: is not bulk, and the file is needed"}},
		"version":          {bundle(t, term1, "oneroster.version,1.1", "oneroster.version,1.2"), []string{"manifest.csv 0 value: oneroster.version is not 1.1"}},
		"column":           {bundle(t, term1, "givenName", "firstName"), []string{"users.csv 1 givenName: the column is missing"}},
		"status":           {bundle(t, term1, "u2,active", "u2,inactive"), []string{"users.csv 3 status: is neither active nor tobedeleted"}},
		"taking a class":   {bundle(t, term1, "k2,,", "k2,tobedeleted,"), []string{"classes.csv 3 status: is done by hand: much may refer to it"}},
		"session": {bundle(t, term1, "semester,2027-01-11", "trimester,11.01.2027"), []string{
			"academicSessions.csv 4 startDate: is not a day such as 2026-09-01", "academicSessions.csv 4 type: is none of term, semester, schoolYear and gradingPeriod",
			"classes.csv 3 termSourcedIds: begins with none of the bundle's terms and semesters",
		}},
		"days":            {bundle(t, term1, "2026-12-18", "2026-08-18"), []string{"academicSessions.csv 3 endDate: is before startDate", "classes.csv 2 termSourcedIds: begins with none of the bundle's terms and semesters"}},
		"too long":        {bundle(t, term1, "2027-04-30", "2029-04-30"), []string{"academicSessions.csv 4 endDate: is more than 366 days after startDate", "classes.csv 3 termSourcedIds: begins with none of the bundle's terms and semesters"}},
		"a year":          {bundle(t, term1, `"autumn-26,`, `"year,`), []string{"classes.csv 2 termSourcedIds: begins with none of the bundle's terms and semesters"}},
		"course":          {bundle(t, term1, "Optics,,c1", "Optics,,c2"), []string{"classes.csv 2 courseSourcedId: is no course of the bundle"}},
		"no code":         {bundle(t, term1, "Physics,PH,", "Physics,,"), []string{"classes.csv 3 classCode: is empty, and the course has no courseCode"}},
		"twice":           {bundle(t, term1, "spring 27,,", "autumn-26,,"), []string{"academicSessions.csv 4 sourcedId: is on line 3 already"}},
		"a class twice":   {bundle(t, term1, "k2,,", "k1,,"), []string{"classes.csv 3 sourcedId: is on line 2 already"}},
		"a user twice":    {bundle(t, term1, "u2,", "u1,"), []string{"users.csv 3 sourcedId: is on line 2 already"}},
		"a course twice":  {bundle(t, with(term1, "courses.csv", term1["courses.csv"]+"c1,,,year,Physics,PH,,school,,\n")), []string{"courses.csv 3 sourcedId: is there twice"}},
		"damaged within":  {broken(bundle(t, term1)), []string{"bundle.zip 0 : is no zip file, or is damaged"}},
		"one code":        {bundle(t, term1, ",c1,PH-1,", ",c1,,", `"autumn-26,spring 27"`, "spring 27"), []string{"classes.csv 3 classCode: is on line 2 already, of the same term"}},
		"role":            {bundle(t, term1, "aide,tutor", "helper,tutor"), []string{"users.csv 5 role: is none of administrator, aide, guardian, parent, proctor, relative, student and teacher"}},
		"no address":      {bundle(t, term1, "ravi@campus.example", ""), []string{"users.csv 3 email: is empty"}},
		"enabled":         {bundle(t, term1, "u2,active,,true", "u2,active,,yes"), []string{"users.csv 3 enabledUser: is neither true nor false"}},
		"administrator":   {bundle(t, term1, "u3,,,true", "u3,,,false", "meera@campus.example", "boss1@campus.example"), []string{"users.csv 4 email: an administrator is not suspended by an import"}},
		"nobody":          {bundle(t, term1, "school,u2,student", "school,u9,student"), []string{"enrollments.csv 3 userSourcedId: there is no such user"}},
		"no class":        {bundle(t, term1, "e2,,,k1", "e2,,,k9"), []string{"enrollments.csv 3 classSourcedId: there is no such course"}},
		"enrolled twice":  {bundle(t, term1, "school,u2,student", "school,u1,student"), []string{"enrollments.csv 3 userSourcedId: is in the same course on line 2 already"}},
		"student teaches": {bundle(t, term1, "u3,teacher", "u2,teacher", "u2,student", "u3,student"), []string{"enrollments.csv 5 userSourcedId: is no active account that may teach"}},
		"many files":      {bundle(t, crowded), []string{"bundle.zip 0 : holds more than 200 files"}},
		"a hidden crowd":  {bundle(t, hidden), []string{"bundle.zip 0 : holds more than 200 files, or is damaged"}},
		"a bomb":          {bundle(t, with(term1, "users.csv", term1["users.csv"]+strings.Repeat(",,,,,,,,,,,,,,,,,\n", 400_000))), []string{"bundle.zip 0 : the bundle unpacks to more than 5242880 bytes"}},
		"a hidden bomb":   {bundle(t, with(term1, "orgs.csv", term1["orgs.csv"]+strings.Repeat("\n", 6<<20))), []string{"bundle.zip 0 : the bundle unpacks to more than 5242880 bytes"}},
	} {
		run := o.roster(c.content)
		var got []string
		list, err := o.store.ImportErrors(t.Context(), run.ID, nexus.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Items {
			got = append(got, fmt.Sprintf("%s %d %s: %s", e.File, e.Line, e.Field, e.Detail))
		}
		if run.State != nexus.ImportFailed || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %s\n%s\nwant\n%s", name, run.State, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
	if after := o.campus(); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}
