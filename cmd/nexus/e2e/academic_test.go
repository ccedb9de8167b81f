package e2e_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
)

// TestOriginalTimetable: the pages of the original client, of the demo campus.
func TestOriginalTimetable(t *testing.T) {
	t.Parallel()
	me := campus(t).as(t, "student20")
	days := []string{"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"}
	var full object
	me.call(t, "GET", "/academic/timetable/full", nil, 200, &full)
	full.only(t, "full", "success", "data")
	full.in("data").only(t, "data", days...)
	lines := 0
	for _, day := range days {
		var one object
		me.call(t, "GET", "/academic/timetable/day/"+day, nil, 200, &one)
		one.only(t, day, "success", "day", "data")
		list, _ := one["data"].([]any)
		if whole, _ := full.in("data")[day].([]any); len(whole) != len(list) || one["day"] != day {
			t.Errorf("%s: %v, and %v of the whole", day, list, whole)
		}
		for _, entry := range list {
			e := object(entry.(map[string]any))
			lines++
			for _, text := range []any{
				e["id"], e["startTime"], e["endTime"], e["type"], e.in("subject")["name"], e.in("subject")["code"], e.in("classroom")["number"],
				e.in("classroom").in("block")["name"], e.in("classroom").in("block")["code"], e.in("teacher")["name"], e.in("teacher")["email"],
			} {
				if s, _ := text.(string); s == "" {
					t.Errorf("%s lacks something: %v", day, e)
				}
			}
			if _, err := time.Parse("15:04", e["startTime"].(string)); err != nil || e["dayOfWeek"] != day || e["notes"] == nil || e.in("teacher")["avatarUrl"] == nil {
				t.Errorf("%s: %v", day, e)
			}
		}
	}
	if lines < 9 { // three courses of three meetings
		t.Errorf("%d meetings in the week", lines)
	}
	var today object
	me.call(t, "GET", "/academic/timetable/today", nil, 200, &today)
	today.only(t, "today", "success", "day", "data")
	if day, _ := today["day"].(string); !slices.Contains(days, day) {
		t.Errorf("today is %v", today["day"])
	}
	refusal(t, me.call(t, "GET", "/academic/timetable/day/someday", nil, 422, nil))
	a := me.call(t, "GET", "/academic/timetable/export", nil, 200, nil)
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/calendar") || !strings.HasPrefix(string(a.body), "BEGIN:VCALENDAR\r\n") ||
		!strings.Contains(a.header.Get("Content-Disposition"), "timetable.ics") {
		t.Errorf("%v %.100s", a.header, a.body)
	}
}

func TestOriginalAttendance(t *testing.T) {
	t.Parallel()
	s := campus(t)
	levels := map[any]bool{}
	for _, name := range []string{"student4", "student7", "student12"} {
		me := s.as(t, name)
		var got object
		me.call(t, "GET", "/attendance/summary", nil, 200, &got)
		got.only(t, "summary", "success", "data")
		subjects, _ := got["data"].([]any)
		if len(subjects) < 3 {
			t.Fatalf("%s: %v", name, got)
		}
		for _, x := range subjects {
			o := object(x.(map[string]any))
			total, attended, pct := o["totalClasses"].(float64), o["attendedClasses"].(float64), o["percentage"].(float64)
			want := "Safe"
			if pct < 75 {
				want = "Critical"
			} else if pct < 85 {
				want = "Warning"
			}
			if o["subjectName"] == "" || o["subjectCode"] == "" || o["professor"] == "" || attended > total || o["status"] != want {
				t.Errorf("%s: %v", name, o)
			}
			levels[o["status"]] = true
		}
		first := object(subjects[0].(map[string]any))
		var history object
		me.call(t, "GET", "/attendance/subject/"+first["subjectId"].(string), nil, 200, &history)
		history.only(t, "history", "success", "subject", "history")
		history.in("subject").only(t, "subject", "name", "code")
		list, _ := history["history"].([]any)
		present := 0.0
		for _, x := range list {
			o := object(x.(map[string]any))
			o.only(t, "a class", "id", "date", "topic", "startTime", "endTime", "status", "remarks")
			if o["status"] == "PRESENT" || o["status"] == "LATE" {
				present++
			}
		}
		if present != first["attendedClasses"] {
			t.Errorf("%s: %v of %v are in the history", name, present, first)
		}
	}
	if len(levels) < 2 {
		t.Errorf("everybody is %v", levels)
	}
	stranger := s.register(t)
	refusal(t, stranger.call(t, "GET", "/attendance/subject/"+string(s.course(t, "CS201").ID), nil, 403, nil))
}

// course returns a demo course.
func (s *server) course(t testing.TB, code string) nexus.Course {
	t.Helper()
	var list nexus.List[nexus.Course]
	s.as(t, "admin").call(t, "GET", "/courses?q="+code, nil, 200, &list)
	if len(list.Items) == 0 {
		t.Fatalf("no course %s", code)
	}
	return list.Items[len(list.Items)-1]
}

// newCourse makes a course in a term around now, taught by faculty1.
func (s *server) newCourse(t testing.TB, capacity, waitlist int) nexus.Course {
	t.Helper()
	admin := s.as(t, "admin")
	var me struct{ User nexus.User }
	s.as(t, "faculty1").call(t, "GET", "/auth/session", nil, 200, &me)
	term := "t-" + nexus.NewID()[:13]
	admin.call(t, "POST", "/terms", object{
		"id": term, "name": "Now", "tz": "UTC",
		"startsOn": time.Now().AddDate(0, 0, -7).UTC().Format(time.DateOnly), "endsOn": time.Now().AddDate(0, 0, 60).UTC().Format(time.DateOnly),
	}, 201, nil)
	var c nexus.Course
	admin.call(t, "POST", "/courses", object{
		"termId": term, "code": "X-" + nexus.NewID()[24:], "title": "An experiment", "credits": 1, "capacity": capacity, "waitlistCapacity": waitlist,
		"staff": []object{{"userId": me.User.ID, "kind": "INSTRUCTOR"}},
	}, 201, &c)
	return c
}

// said waits for an event of a name that fits.
func (c *client) said(name string, fits func(object) bool) object {
	c.t.Helper()
	var o object
	c.await(name, func(e event) bool {
		if e.Kind != "event" || e.Name != name {
			return false
		}
		o = nil
		decode(c.t, e.Args[0], &o)
		return fits(o)
	})
	return o
}

// TestAClassFromItsOpeningToItsEnd, as its teacher, a student and a stranger see it.
func TestAClassFromItsOpeningToItsEnd(t *testing.T) {
	t.Parallel()
	s := campus(t)
	c := s.newCourse(t, 5, 0)
	asha, ravi := s.register(t), s.register(t)
	for _, a := range []account{asha, ravi} {
		a.call(t, "POST", "/courses/"+string(c.ID)+"/enrollments", nil, 200, nil)
	}
	teacher := s.as(t, "faculty1")
	desk := connect(t, s, "/academic", with(s.login(t, "faculty1", password)))
	phone, stranger := connect(t, s, "/academic", with(asha.token)), connect(t, s, "/academic", nil)
	of := func(what string) func(object) bool {
		return func(o object) bool { return o["courseId"] == string(c.ID) && o["type"] == what }
	}

	var class nexus.Class
	now := time.Now().UTC()
	teacher.call(t, "POST", "/courses/"+string(c.ID)+"/sessions", object{
		"startsAt": now.Format(nexus.TimeLayout), "endsAt": now.Add(time.Hour).Format(nexus.TimeLayout), "topic": "Heaps", "open": true,
	}, 201, &class)
	path := "/sessions/" + string(class.ID)
	line := phone.said("SCHEDULE_UPDATE", of("opened"))
	line.only(t, "SCHEDULE_UPDATE", "courseId", "sessionId", "type", "message", "timestamp", "seq", "deliveryId", "offset")
	stranger.said("SCHEDULE_UPDATE", of("opened")).only(t, "a stranger's", "courseId", "sessionId", "type", "message", "timestamp", "seq")

	mine := func(o object) bool { return o["sessionId"] == string(class.ID) }
	shown := desk.said("CODE", mine)
	shown.only(t, "CODE", "sessionId", "code", "validUntil")
	var code struct{ Code, QR string }
	teacher.call(t, "GET", path+"/code", nil, 200, &code)
	if !strings.Contains(code.QR, code.Code) || !strings.Contains(code.QR, string(class.ID)) {
		t.Errorf("%+v", code)
	}
	var mark object
	asha.call(t, "POST", path+"/mark", object{"code": code.Code, "deviceId": "one"}, 200, &mark)
	if mark["status"] != "PRESENT" {
		t.Errorf("%v", mark)
	}
	desk.said("ATTENDANCE_TICK", func(o object) bool { return mine(o) && o["present"] == 1.0 && o["total"] == 2.0 })
	refusal(t, asha.call(t, "POST", path+"/mark", object{"code": "wrong"}, 409, nil))
	refusal(t, asha.call(t, "GET", path+"/code", nil, 403, nil))
	refusal(t, s.register(t).call(t, "POST", path+"/mark", object{"code": code.Code}, 403, nil))

	teacher.call(t, "POST", path+"/close", nil, 200, nil)
	phone.said("SCHEDULE_UPDATE", of("closed"))
	var list nexus.List[nexus.Attendee]
	teacher.call(t, "GET", path+"/attendance", nil, 200, &list)
	for _, a := range list.Items {
		if want := map[nexus.UserID]nexus.AttendanceStatus{asha.id: nexus.Present, ravi.id: nexus.Absent}[a.User]; a.Mark == nil || a.Mark.Status != want {
			t.Errorf("%+v, want %s", a, want)
		}
	}
	teacher.call(t, "PUT", path+"/attendance/"+string(ravi.id), object{"status": "EXCUSED", "reason": "ill"}, 200, nil)
	refusal(t, teacher.call(t, "PUT", path+"/attendance/"+string(ravi.id), object{"status": "EXCUSED"}, 422, nil))
	register := teacher.call(t, "GET", "/courses/"+string(c.ID)+"/register.csv", nil, 200, nil)
	if lines := strings.Split(strings.TrimSpace(string(register.body)), "\r\n"); len(lines) != 3 || !strings.Contains(string(register.body), "EXCUSED") {
		t.Errorf("the register: %s", register.body)
	}
	refusal(t, asha.call(t, "GET", "/courses/"+string(c.ID)+"/register.csv", nil, 403, nil))
}

// TestWhoIsTakenOffACourseHearsNoMoreCodes, on another node than the office's, though the code goes on; and who is put on it does, on a socket that was
// there before.
func TestWhoIsTakenOffACourseHearsNoMoreCodes(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	c := a.newCourse(t, 5, 0)
	staff := func(names ...string) {
		t.Helper()
		list := []object{}
		for _, name := range names {
			var me struct{ User nexus.User }
			a.as(t, name).call(t, "GET", "/auth/session", nil, 200, &me)
			list = append(list, object{"userId": me.User.ID, "kind": "INSTRUCTOR"})
		}
		a.as(t, "admin").call(t, "PUT", "/courses/"+string(c.ID)+"/staff", object{"staff": list}, 200, nil)
	}
	desk := func(name string) *client { return connect(t, b, "/academic", with(a.login(t, name, password))) }
	stays, goes, comes := desk("faculty1"), desk("faculty2"), desk("faculty3")
	teacher := a.as(t, "faculty1")
	// hears opens a class, whose code comes at once, closes it after who stays has heard the code, and says who else has.
	hears := func() (who []*client) {
		t.Helper()
		var class nexus.Class
		now := time.Now().UTC()
		teacher.call(t, "POST", "/courses/"+string(c.ID)+"/sessions", object{
			"startsAt": now.Format(nexus.TimeLayout), "endsAt": now.Add(time.Hour).Format(nexus.TimeLayout), "open": true,
		}, 201, &class)
		stays.said("CODE", func(o object) bool { return o["sessionId"] == string(class.ID) })
		for _, x := range []*client{goes, comes} {
			x.alive() // whatever was sent to it before has come
			if x.heard("CODE") {
				who = append(who, x)
			}
			x.forget()
		}
		teacher.call(t, "POST", "/sessions/"+string(class.ID)+"/close", nil, 200, nil)
		return who
	}
	until := func(what string, want *client) {
		t.Helper()
		for told := time.Now(); !slices.Equal(hears(), []*client{want}); {
			if time.Since(told) > 15*time.Second { // before nodes look by themselves
				t.Fatalf("not so: %s", what)
			}
		}
		if !slices.Equal(hears(), []*client{want}) {
			t.Errorf("%s only for a while", what)
		}
	}
	staff("faculty1", "faculty2")
	until("who is put on the course hears its codes", goes)
	staff("faculty1", "faculty3")
	until("only who has come in another's place hears them", comes)
}

// heard reports whether an event of a name has come.
func (c *client) heard(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.events, func(e event) bool { return e.Kind == "event" && e.Name == name })
}

// TestACalendarIsFollowedByItsSecretAddress, which opens nothing once it has ended, and which no log knows.
func TestACalendarIsFollowedByItsSecretAddress(t *testing.T) {
	t.Parallel()
	s := campus(t)
	me := s.as(t, "student21")
	var made struct{ URL string }
	me.call(t, "POST", "/me/calendar", nil, 201, &made)
	path := strings.TrimPrefix(made.URL, "/api/v1")
	first := s.stranger().call(t, "GET", path, nil, 200, nil)
	again := caller{s, map[string][]string{"If-None-Match": {first.header.Get("ETag")}}}
	again.call(t, "GET", path, nil, 304, nil)
	me.call(t, "POST", "/me/calendar", nil, 201, &made)
	s.stranger().call(t, "GET", path, nil, 404, nil)
	path = strings.TrimPrefix(made.URL, "/api/v1")
	s.stranger().call(t, "GET", path, nil, 200, nil)
	me.call(t, "DELETE", "/me/calendar", nil, 200, nil)
	s.stranger().call(t, "GET", path, nil, 404, nil)
	if token := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], ".ics"); strings.Contains(s.log.tail(), token) {
		t.Error("the log knows the address")
	}
}

// TestWhatWasMissedOfClassesComesOnAnotherNode: what a student's device has not acknowledged comes once and in order after its node has died, and
// what it has acknowledged does not come again.
func TestWhatWasMissedOfClassesComesOnAnotherNode(t *testing.T) {
	t.Parallel()
	a, b := pair(t)
	c := a.newCourse(t, 5, 0)
	me := a.register(t)
	me.call(t, "POST", "/courses/"+string(c.ID)+"/enrollments", nil, 200, nil)
	teacher := a.as(t, "faculty1")
	plan := func(topic string) {
		t.Helper()
		at := time.Now().Add(24 * time.Hour).UTC()
		teacher.call(t, "POST", "/courses/"+string(c.ID)+"/sessions", object{
			"startsAt": at.Format(nexus.TimeLayout), "endsAt": at.Add(time.Hour).Format(nexus.TimeLayout), "topic": topic,
		}, 201, nil)
	}
	line := func(c *client, offset float64) {
		t.Helper()
		if got := c.said("SCHEDULE_UPDATE", func(object) bool { return true }); got["offset"] != offset || got["seq"] != offset {
			t.Errorf("%v, want line %v", got, offset)
		}
	}
	phone := connect(t, b, "/academic", with(me.token))
	for i := range 3 {
		plan(fmt.Sprint(i))
		line(phone, float64(i+1))
	}
	a.until(t, "three lines are acknowledged", func() bool { return a.count(t, `select count(*) from outbox_line where delivered_at is not null`) == 3 })
	b.kill(t)
	for i := range 3 {
		plan(fmt.Sprint(3 + i))
	}
	phone = connect(t, a, "/academic", with(me.token))
	for offset := 4.0; offset <= 6; offset++ {
		line(phone, offset)
	}
	again := connect(t, a, "/academic", options{"auth": object{"token": me.token, "offset": 4}})
	line(again, 5)
	line(again, 6)
	again.none("another line", func(e event) bool { return e.Kind == "event" && e.Name == "SCHEDULE_UPDATE" })
}

// count is the one number that a query of the server's private database gives.
func (s *server) count(t testing.TB, query string, args ...any) int64 {
	t.Helper()
	return count(t, s.database(), query, args...)
}

// count is the one number that a query of a database gives.
func count(t testing.TB, database, query string, args ...any) (n int64) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), database)
	if err == nil {
		err = errors.Join(db.QueryRow(t.Context(), query, args...).Scan(&n), db.Close(t.Context()))
	}
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestWhoIsNextIsToldOfTheSeatAndEverybodySeesIt: two students want one seat, and the one gives it back.
func TestWhoIsNextIsToldOfTheSeatAndEverybodySeesIt(t *testing.T) {
	t.Parallel()
	s := campus(t)
	c := s.newCourse(t, 1, 1)
	path := "/courses/" + string(c.ID) + "/enrollments"
	asha, ravi := s.register(t), s.register(t)
	phone, stranger := connect(t, s, "/", with(ravi.token)), connect(t, s, "/academic", nil)
	seen := func(enrolled, waitlist float64) {
		t.Helper()
		o := stranger.said("SEAT_UPDATE", func(o object) bool {
			return o["courseId"] == string(c.ID) && o["enrolled"] == enrolled && o["waitlist"] == waitlist
		})
		if o.only(t, "SEAT_UPDATE", "courseId", "enrolled", "capacity", "waitlist"); o["capacity"] != 1.0 {
			t.Errorf("%v", o)
		}
	}
	asha.call(t, "POST", path, nil, 200, nil)
	seen(1, 0)
	var e nexus.Enrollment
	if ravi.call(t, "POST", path, nil, 200, &e); e.Status != nexus.Waitlisted || e.Position != 1 {
		t.Errorf("%+v", e)
	}
	seen(1, 1)
	if a := s.register(t).call(t, "POST", path, nil, 409, nil); !strings.Contains(string(a.body), `"code":"course_full"`) {
		t.Errorf("%s", a.body)
	}
	asha.call(t, "DELETE", path+"/me", nil, 200, nil)
	seen(1, 0)
	if n := phone.said("notification", func(object) bool { return true }); n["kind"] != "seat.promoted" || n.in("data")["courseId"] != string(c.ID) {
		t.Errorf("told %v", n)
	}
	if ravi.call(t, "GET", path+"/me", nil, 200, &e); e.Status != nexus.Enrolled {
		t.Errorf("%+v", e)
	}
}

// TestASeatIsPromotedOnceWhereverTheServerDies: a student drops, and the server is killed before its transaction writes, between its writes and
// the commit, and between the commit and the answer. Whoever is next has the seat in the end, and is told once.
func TestASeatIsPromotedOnceWhereverTheServerDies(t *testing.T) {
	t.Parallel()
	db := external(t)
	wire := tap(t, db.URL())
	s := start(t, "NEXUS_DATABASE_URL="+wire.url, "NEXUS_JWT_SECRET="+strings.Repeat("0123456789abcdef", 2))
	for _, at := range []edge{beforeWrites, beforeCommit, beforeAnswer} {
		c := s.newCourse(t, 1, 5)
		people := []account{s.register(t), s.register(t), s.register(t)}
		path := "/courses/" + string(c.ID) + "/enrollments"
		for _, p := range people {
			p.call(t, "POST", path, nil, 200, nil)
		}
		struck := wire.strike(at)
		lost := make(chan error, 1)
		go func() {
			_, err := people[0].do(t.Context(), "DELETE", path+"/me", nil)
			lost <- err
		}()
		select {
		case <-struck:
		case <-time.After(patience):
			t.Fatalf("%s: the transaction never came there", at)
		}
		s.kill(t)
		wire.heal()
		if err := <-lost; err == nil {
			t.Errorf("%s: the drop was answered: the kill came too late to show anything", at)
		}
		kept := map[edge]int64{beforeAnswer: 1}[at]
		if n := count(t, db.URL(), `select count(*) from enrollment where course_id = $1 and status = 'DROPPED'`, c.ID); n != kept {
			t.Errorf("%s: %d drops are kept, not %d: it did not die there", at, n, kept)
		}
		s.restart(t)
		var e nexus.Enrollment
		people[0].call(t, "DELETE", path+"/me", nil, 200, &e) // as a client does that has no answer
		if e.Status != nexus.Dropped {
			t.Errorf("%s: %+v", at, e)
		}
		for i, want := range []string{"ENROLLED 0 1", "WAITLISTED 1 0"} {
			p := people[i+1]
			p.call(t, "GET", path+"/me", nil, 200, &e)
			var told nexus.List[nexus.Notice]
			p.call(t, "GET", "/notifications", nil, 200, &told)
			if got := fmt.Sprintf("%s %d %d", e.Status, e.Position, len(told.Items)); got != want {
				t.Errorf("%s: person %d stands %s, want %s", at, i+1, got, want)
			}
			e = nexus.Enrollment{}
			if socket := connect(t, s, "/", options{"auth": object{"token": p.token, "offset": 0}}); i == 0 {
				n := socket.said("notification", func(object) bool { return true })
				if n["kind"] != "seat.promoted" || n["seq"] != 1.0 {
					t.Errorf("%s: told %v", at, n)
				}
			}
		}
	}
}
