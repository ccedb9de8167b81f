package pg_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func autumn() nexus.Term {
	return nexus.Term{
		ID: "2026-autumn", Name: "Autumn", StartsOn: "2026-09-01", EndsOn: "2026-12-18", TZ: "Europe/Berlin",
		Holidays: []nexus.Holiday{{Day: "2026-10-03", Name: "Unity"}},
	}
}

func TestTermsAreKept(t *testing.T) {
	t.Parallel()
	s := pg.NewCourses(pgfix.DB(t))
	made, err := s.CreateTerm(t.Context(), system, autumn())
	if err != nil || made.Version != 1 || len(made.Holidays) != 1 || made.EndsOn != "2026-12-18" {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = s.CreateTerm(t.Context(), system, autumn())
	code(t, err, nexus.Conflict)
	change := autumn()
	change.Name, change.Holidays = "Fall", nil
	after, err := s.PutTerm(t.Context(), system, 1, change)
	if err != nil || after.Name != "Fall" || len(after.Holidays) != 0 || after.Version != 2 {
		t.Fatalf("%+v %v", after, err)
	}
	_, err = s.PutTerm(t.Context(), system, 1, change)
	code(t, err, nexus.Stale)
	for field, wrong := range map[string]func(*nexus.Term){
		"startsOn":        func(x *nexus.Term) { x.StartsOn = "2026-9-1" },
		"endsOn":          func(x *nexus.Term) { x.EndsOn = "2026-08-31" },
		"tz":              func(x *nexus.Term) { x.TZ = "Mars" },
		"holidays[0].day": func(x *nexus.Term) { x.Holidays = []nexus.Holiday{{Day: "2027-01-01", Name: "x"}} },
		"holidays[1].day": func(x *nexus.Term) {
			x.Holidays = []nexus.Holiday{{Day: "2026-10-03", Name: "x"}, {Day: "2026-10-03", Name: "y"}}
		},
	} {
		x := autumn()
		wrong(&x)
		_, err := s.PutTerm(t.Context(), system, 0, x)
		onField(t, err, nexus.Invalid, field)
	}
	_, err = s.Term(t.Context(), "none")
	code(t, err, nexus.NotFound)
	if list, err := s.Terms(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestRoomsAreKept(t *testing.T) {
	t.Parallel()
	s := pg.NewCourses(pgfix.DB(t))
	room := nexus.Room{BlockCode: "A", BlockName: "Block A", Number: "101", Place: &nexus.Position{Lat: 1, Lng: 2}, FenceM: new(50)}
	made, err := s.CreateRoom(t.Context(), system, room)
	if err != nil || made.Place.Lat != 1 || *made.FenceM != 50 {
		t.Fatalf("%+v %v", made, err)
	}
	room.BlockCode = "a"
	_, err = s.CreateRoom(t.Context(), system, room)
	onField(t, err, nexus.Conflict, "number")
	room.Number = "102"
	_, err = s.CreateRoom(t.Context(), system, room)
	ok(t, err)
	made.Place, made.FenceM = nil, nil
	after, err := s.PutRoom(t.Context(), system, 1, made)
	if err != nil || after.Place != nil || after.Version != 2 {
		t.Fatalf("%+v %v", after, err)
	}
	_, err = s.PutRoom(t.Context(), system, 1, made)
	code(t, err, nexus.Stale)
	page, err := s.Rooms(t.Context(), nexus.Page{Limit: 1})
	if err != nil || len(page.Items) != 1 || page.Items[0].Number != "101" || page.Next == "" {
		t.Fatalf("%+v %v", page, err)
	}
	if page, err = s.Rooms(t.Context(), nexus.Page{Limit: 1, After: page.Next}); err != nil || page.Items[0].Number != "102" || page.Next != "" {
		t.Errorf("%+v %v", page, err)
	}
}

func TestCoursesAreKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewCourses(db)
	_, err := s.CreateTerm(t.Context(), system, autumn())
	ok(t, err)
	teachers, student := pgfix.Users(t, db, "f", nexus.Faculty, 2), pgfix.Users(t, db, "s", nexus.Student, 1)[0]
	c := nexus.Course{
		Term: "2026-autumn", Code: "CS1", Title: "Programs", Credits: 4.5, Capacity: 30, WaitlistCapacity: 5, MinAttendancePct: 80, Prerequisites: []string{"CS0"},
		Staff: []nexus.Staff{{User: teachers[1], Kind: nexus.Assistant}, {User: teachers[0], Kind: nexus.Instructor}},
	}
	made, err := s.CreateCourse(t.Context(), system, c)
	if err != nil || made.Credits != 4.5 || made.Capacity != 30 || made.Version != 1 || !slices.Equal(made.Prerequisites, []string{"CS0"}) {
		t.Fatalf("%+v %v", made, err)
	}
	if len(made.Staff) != 2 || made.Staff[0].User != teachers[0] || made.Staff[0].Name != "f1" || !made.TaughtBy(teachers[1]) || made.TaughtBy(student) {
		t.Errorf("the staff is %+v", made.Staff)
	}
	if taught, err := s.Taught(t.Context(), teachers[1]); err != nil || !slices.Equal(taught, []nexus.CourseID{made.ID}) {
		t.Errorf("%v %v", taught, err)
	}
	_, err = s.CreateCourse(t.Context(), system, c)
	onField(t, err, nexus.Conflict, "code")
	for field, wrong := range map[string]func(*nexus.Course){
		"credits":          func(x *nexus.Course) { x.Credits = 1.25 },
		"capacity":         func(x *nexus.Course) { x.Capacity = -1 },
		"waitlistCapacity": func(x *nexus.Course) { x.WaitlistCapacity = 20_000 },
		"minAttendancePct": func(x *nexus.Course) { x.MinAttendancePct = 101 },
		"prerequisites[0]": func(x *nexus.Course) { x.Prerequisites = []string{"cs2"} },
		"staff[0].userId":  func(x *nexus.Course) { x.Staff = []nexus.Staff{{User: student, Kind: nexus.Instructor}} },
		"staff[1].userId": func(x *nexus.Course) {
			x.Staff = []nexus.Staff{{User: teachers[0], Kind: nexus.Instructor}, {User: teachers[0], Kind: nexus.Assistant}}
		},
	} {
		x := c
		x.Code = "CS2"
		wrong(&x)
		_, err := s.CreateCourse(t.Context(), system, x)
		onField(t, err, nexus.Invalid, field)
	}
	c.Term, c.Code = "none", "CS2"
	_, err = s.CreateCourse(t.Context(), system, c)
	code(t, err, nexus.NotFound)

	title := "Programs I"
	after, err := s.ChangeCourse(t.Context(), system, made.ID, 1, nexus.CourseChange{Title: &title, Prerequisites: &[]string{}})
	if err != nil || after.Title != title || len(after.Prerequisites) != 0 || after.Version != 2 {
		t.Fatalf("%+v %v", after, err)
	}
	_, err = s.ChangeCourse(t.Context(), system, made.ID, 1, nexus.CourseChange{Title: &title})
	code(t, err, nexus.Stale)
	after, err = s.SetStaff(t.Context(), system, made.ID, 2, nil)
	if err != nil || len(after.Staff) != 0 || after.Version != 3 {
		t.Fatalf("%+v %v", after, err)
	}
	for _, f := range []struct {
		filter nexus.CourseFilter
		want   int
	}{
		{nexus.CourseFilter{}, 1},
		{nexus.CourseFilter{Term: "2026-autumn", Query: "PROG"}, 1},
		{nexus.CourseFilter{Query: "cs1"}, 1},
		{nexus.CourseFilter{Query: "%"}, 0},
		{nexus.CourseFilter{Term: "x"}, 0},
		{nexus.CourseFilter{Teacher: teachers[0]}, 0},
		{nexus.CourseFilter{Student: student}, 0},
	} {
		if list, err := s.Courses(t.Context(), f.filter, nexus.Page{}); err != nil || len(list.Items) != f.want {
			t.Errorf("%+v: %+v %v", f.filter, list, err)
		}
	}
	_, err = s.Courses(t.Context(), nexus.CourseFilter{}, nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
}

// TestARoomAndATeacherAreInOnePlaceAtATime, also when two courses ask at once.
func TestARoomAndATeacherAreInOnePlaceAtATime(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewCourses(db)
	pgfix.Term(t, db)
	teachers := pgfix.Users(t, db, "f", nexus.Faculty, 2)
	a, b := pgfix.Course(t, db, "T1", "CS1", 5, 0, teachers[0]), pgfix.Course(t, db, "T1", "CS2", 5, 0, teachers[1])
	room, err := s.CreateRoom(t.Context(), system, nexus.Room{BlockCode: "A", BlockName: "A", Number: "1"})
	ok(t, err)
	at := func(starts, ends string, room nexus.RoomID) []nexus.Meeting {
		return []nexus.Meeting{{Weekday: 3, Starts: starts, Ends: ends, Room: room, Kind: "LECTURE"}}
	}
	made, err := s.SetMeetings(t.Context(), system, a, 1, at("09:00", "10:00", room.ID))
	if err != nil || len(made) != 1 || made[0].Starts != "09:00" || made[0].ID == "" {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = s.SetMeetings(t.Context(), system, b, 0, at("09:30", "10:30", room.ID))
	if nexus.CodeOf(err) != nexus.Conflict || !strings.Contains(err.Error(), "the room is taken by CS1 on Wednesday from 09:00 to 10:00") {
		t.Errorf("%v", err)
	}
	mine := at("09:30", "10:30", "")
	mine[0].Teacher = teachers[0]
	_, err = s.SetMeetings(t.Context(), system, b, 0, mine)
	if nexus.CodeOf(err) != nexus.Conflict || !strings.Contains(err.Error(), "the teacher is taken by CS1") {
		t.Errorf("%v", err)
	}
	_, err = s.SetMeetings(t.Context(), system, b, 0, at("10:00", "11:00", room.ID))
	ok(t, err)
	// A meeting that stays keeps its id, to which classes refer.
	made[0].Notes = "Bring a laptop"
	again, err := s.SetMeetings(t.Context(), system, a, 0, append(made, nexus.Meeting{Weekday: 4, Starts: "09:00", Ends: "10:00", Kind: "LAB", FromDay: "2026-10-01"}))
	if err != nil || len(again) != 2 || again[0].ID != made[0].ID || again[0].Notes == "" || again[1].FromDay != "2026-10-01" {
		t.Fatalf("%+v %v", again, err)
	}
	_, err = s.SetMeetings(t.Context(), system, b, 0, []nexus.Meeting{{ID: made[0].ID, Weekday: 1, Starts: "09:00", Ends: "10:00", Kind: "LAB"}})
	onField(t, err, nexus.Invalid, "meetings[0].id")
	for field, m := range map[string]nexus.Meeting{
		"meetings[0].weekday":  {Weekday: 0, Starts: "09:00", Ends: "10:00"},
		"meetings[0].starts":   {Weekday: 1, Starts: "9:00", Ends: "10:00"},
		"meetings[0].ends":     {Weekday: 1, Starts: "09:00", Ends: "09:00"},
		"meetings[0].fromDay":  {Weekday: 1, Starts: "09:00", Ends: "10:00", FromDay: "2027-01-01"},
		"meetings[0].untilDay": {Weekday: 1, Starts: "09:00", Ends: "10:00", FromDay: "2026-10-02", UntilDay: "2026-10-01"},
	} {
		_, err := s.SetMeetings(t.Context(), system, a, 0, []nexus.Meeting{m})
		onField(t, err, nexus.Invalid, field)
	}
	_, err = s.SetMeetings(t.Context(), system, a, 0, []nexus.Meeting{{Weekday: 1, Starts: "09:00", Ends: "10:00", Kind: "x"}, {Weekday: 1, Starts: "09:59", Ends: "11:00", Kind: "x"}})
	onField(t, err, nexus.Invalid, "meetings[1].starts")

	taken := 0
	for _, err := range race(2, func(i int) error {
		_, err := s.SetMeetings(t.Context(), system, []nexus.CourseID{a, b}[i], 0, []nexus.Meeting{{Weekday: 5, Starts: "12:00", Ends: "13:00", Room: room.ID, Kind: "x"}})
		return err
	}) {
		if nexus.CodeOf(err) == nexus.Conflict {
			taken++
		} else if err != nil {
			t.Error(err)
		}
	}
	if taken != 1 {
		t.Errorf("%d of two were refused", taken)
	}
}

func TestATimetableIsWhatConcernsSomebody(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 1)
	s := pg.NewCourses(c.db)
	room, err := s.CreateRoom(t.Context(), system, nexus.Room{BlockCode: "A", BlockName: "Block A", Number: "1"})
	ok(t, err)
	guest := pgfix.Users(t, c.db, "g", nexus.Faculty, 1)[0]
	_, err = s.SetMeetings(t.Context(), system, c.id, 0, []nexus.Meeting{
		{Weekday: 1, Starts: "09:00", Ends: "10:00", Room: room.ID, Kind: "LECTURE"}, {Weekday: 2, Starts: "09:00", Ends: "10:00", Teacher: guest, Kind: "LAB"},
	})
	ok(t, err)
	class := c.plan()
	for _, who := range []nexus.UserID{c.students[0], c.teacher.User} {
		x, err := s.Timetable(t.Context(), who, "2026-10-01")
		if err != nil || len(x.Courses) != 1 || len(x.Meetings) != 2 || len(x.Classes) != 1 || x.Classes[0].ID != class.ID || x.Rooms[room.ID].Number != "1" ||
			x.Terms["T1"].TZ != "UTC" || x.Teacher(x.Courses[0], x.Meetings[0]).Name != "f1" || x.Teacher(x.Courses[0], x.Meetings[1]).Name != "g1" {
			t.Errorf("%+v %v", x, err)
		}
	}
	for who, day := range map[nexus.UserID]string{c.students[0]: "2027-01-01", guest: "2026-10-01"} {
		if x, err := s.Timetable(t.Context(), who, day); err != nil || len(x.Courses) != 0 {
			t.Errorf("%+v %v", x, err)
		}
	}
	_, err = s.Timetable(t.Context(), guest, "today")
	onField(t, err, nexus.Invalid, "day")
}

func TestACalendarFeedIsOpenedByItsTokenAlone(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s, u := pg.NewCourses(db), pgfix.Users(t, db, "s", nexus.Student, 1)[0]
	by := nexus.Caller{User: u}
	_, err := s.Feed(t.Context(), u)
	code(t, err, nexus.NotFound)
	ok(t, s.SetFeed(t.Context(), by, "one"))
	if owner, err := s.FeedOwner(t.Context(), "one"); err != nil || owner != u {
		t.Fatalf("%s %v", owner, err)
	}
	if f, err := s.Feed(t.Context(), u); err != nil || f.UsedAt == nil || time.Since(*f.UsedAt) > time.Minute {
		t.Errorf("%+v %v", f, err)
	}
	ok(t, s.SetFeed(t.Context(), by, "two"))
	_, err = s.FeedOwner(t.Context(), "one")
	code(t, err, nexus.NotFound)
	_, err = db.Pool().Exec(t.Context(), `update app_user set status = 'suspended' where id = $1`, string(u))
	ok(t, err)
	_, err = s.FeedOwner(t.Context(), "two")
	code(t, err, nexus.NotFound)
	for range 2 {
		ok(t, s.DeleteFeed(t.Context(), by))
	}
	_, err = s.Feed(t.Context(), u)
	code(t, err, nexus.NotFound)
}

func TestAssignmentsAreSetAndTold(t *testing.T) {
	t.Parallel()
	c := newClassroom(t, 2)
	s := pg.NewAssignments(c.db)
	due := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Millisecond)
	made, news, err := s.CreateAssignment(t.Context(), c.teacher, nexus.Assignment{Course: c.id, Title: strings.Repeat("é", 200), Description: "All of it", DueAt: due, Points: new(20)})
	if err != nil || len(news) != 2 || made.Version != 1 || *made.Points != 20 {
		t.Fatalf("%+v %v %v", made, news, err)
	}
	if n := told(t, c.db, c.students[0]); len(n) != 1 || n[0].Kind != "assignment.new" || !strings.HasPrefix(n[0].Title, "CS1: é") {
		t.Errorf("%+v", n)
	}
	made.Title = "Trees"
	after, err := s.PutAssignment(t.Context(), c.teacher, 1, made)
	if err != nil || after.Title != "Trees" || after.Version != 2 {
		t.Fatalf("%+v %v", after, err)
	}
	_, err = s.PutAssignment(t.Context(), c.teacher, 1, made)
	code(t, err, nexus.Stale)
	if list, err := s.AssignmentsOf(t.Context(), c.students[1], false); err != nil || len(list) != 1 || list[0].Code != "CS1" || !list[0].DueAt.Equal(due) {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := s.AssignmentsOf(t.Context(), c.students[1], true); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	if list, err := s.AssignmentsIn(t.Context(), c.id, nexus.Page{}); err != nil || len(list.Items) != 1 {
		t.Errorf("%+v %v", list, err)
	}
	ok(t, s.DeleteAssignment(t.Context(), c.teacher, made.ID))
	code(t, s.DeleteAssignment(t.Context(), c.teacher, made.ID), nexus.NotFound)
	_, err = s.Assignment(t.Context(), made.ID)
	code(t, err, nexus.NotFound)
	_, _, err = s.CreateAssignment(t.Context(), c.teacher, nexus.Assignment{Course: nexus.CourseID(nexus.NewID()), Title: "x", DueAt: due})
	code(t, err, nexus.NotFound)
}
