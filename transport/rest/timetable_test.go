package rest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// noon is a zone in which it is about noon now, so that no test meets midnight.
func noon(t *testing.T) (string, time.Time) {
	t.Helper()
	name := fmt.Sprintf("Etc/GMT%+d", time.Now().UTC().Hour()-12) // whose signs are the other way round
	if strings.HasSuffix(name, "+0") {
		name = "Etc/GMT"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return name, time.Now().In(zone)
}

func iso(at time.Time) int { return (int(at.Weekday())+6)%7 + 1 }

// week is a course that meets today at 9 in a room and at 14 in none, and tomorrow at 11, in a term that began a week ago.
type week struct {
	*resttest.House
	today    time.Time // at midnight
	id       nexus.CourseID
	path     string
	room     string
	meetings []nexus.Meeting
}

func newWeek(t *testing.T) *week {
	t.Helper()
	h := resttest.New(t)
	tz, now := noon(t)
	w := &week{House: h, today: time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())}
	admin := h.As(nexus.Admin)
	post := func(path string, body map[string]any) map[string]any {
		r := h.Call("POST", rest.Base+path, body, admin...)
		if r.Status != 201 {
			t.Fatalf("%s: %d %s", path, r.Status, r.Body)
		}
		return r.JSON()
	}
	post("/terms", map[string]any{"id": "now", "name": "Now", "tz": tz, "startsOn": w.day(-7), "endsOn": w.day(30)})
	w.room = post("/rooms", map[string]any{"blockCode": "A", "blockName": "Block A", "number": "101"})["id"].(string)
	faculty := h.People[nexus.Faculty]
	if _, err := h.Academic.CreateCourse(t.Context(), nexus.Caller{}, nexus.Course{
		Term: "now", Code: "CS101", Title: "Programs", Capacity: 30,
		Staff: []nexus.Staff{{User: faculty.ID, Kind: nexus.Instructor, Name: faculty.Name, Email: faculty.Email}},
	}); err != nil {
		t.Fatal(err)
	}
	items, _ := h.Call("GET", rest.Base+"/courses", nil, admin...).JSON()["items"].([]any)
	w.id = nexus.CourseID(items[0].(map[string]any)["id"].(string))
	w.path = rest.Base + "/courses/" + string(w.id)
	tomorrow := iso(w.today.AddDate(0, 0, 1))
	if r := h.Call("PUT", w.path+"/meetings", map[string]any{"meetings": []map[string]any{
		{"weekday": iso(w.today), "starts": "14:00", "ends": "15:00", "kind": "LAB"},
		{"weekday": iso(w.today), "starts": "09:00", "ends": "10:00", "roomId": w.room, "notes": "Bring a laptop"},
		{"weekday": tomorrow, "starts": "11:00", "ends": "12:00"},
	}}, admin...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	var err error
	if w.meetings, err = h.Academic.Meetings(t.Context(), w.id); err != nil {
		t.Fatal(err)
	}
	if r := h.Call("POST", w.path+"/enrollments", nil, h.As(nexus.Student)...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	return w
}

func (w *week) day(shift int) string { return w.today.AddDate(0, 0, shift).Format(time.DateOnly) }

// at is a time by the term's clock so many days from today.
func (w *week) at(days, hour int) time.Time {
	return w.today.AddDate(0, 0, days).Add(time.Duration(hour) * time.Hour).UTC()
}

// class keeps a class as it is.
func (w *week) class(t *testing.T, c nexus.Class) nexus.Class {
	t.Helper()
	c, err := w.Academic.Do(t.Context(), w.id, course.Act{What: course.ActAdd, Class: c})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *week) dayName(shift int) string {
	return strings.ToUpper(w.today.AddDate(0, 0, shift).Weekday().String())
}

// timetable reads a page as the account of a role.
func (w *week) timetable(t *testing.T, r nexus.Role, page string) (day string, data []map[string]any) {
	t.Helper()
	a := w.Call("GET", rest.Base+"/academic/timetable/"+page, nil, w.As(r)...)
	var out struct {
		Success bool
		Day     string
		Data    []map[string]any
	}
	if err := json.Unmarshal(a.Body, &out); err != nil || a.Status != 200 || !out.Success || out.Data == nil {
		t.Fatalf("%s: %d %s %v", page, a.Status, a.Body, err)
	}
	return out.Day, out.Data
}

// TestTheTimetableHasTheShapeOfTheOriginal: every field is there, and none is null within a class room or a teacher.
func TestTheTimetableHasTheShapeOfTheOriginal(t *testing.T) {
	w := newWeek(t)
	for _, r := range []nexus.Role{nexus.Student, nexus.Faculty} {
		day, data := w.timetable(t, r, "day/"+strings.ToLower(w.dayName(0)))
		if day != w.dayName(0) || len(data) != 2 {
			t.Fatalf("%s: %s %v", r, day, data)
		}
		got, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		teacher := fmt.Sprintf(`{"avatarUrl":"","email":%q,"name":%q}`, w.People[nexus.Faculty].Email, w.People[nexus.Faculty].Name)
		want := fmt.Sprintf(`[{"classroom":{"block":{"code":"A","name":"Block A"},"number":"101"},"courseId":%[1]q,"dayOfWeek":%[2]q,"endTime":"10:00","id":%[3]q,`+
			`"moved":false,"notes":"Bring a laptop","sessionId":null,"startTime":"09:00","status":"SCHEDULED","subject":{"code":"CS101","name":"Programs"},"teacher":%[5]s,"type":"LECTURE"},`+
			`{"classroom":{"block":{"code":"","name":""},"number":""},"courseId":%[1]q,"dayOfWeek":%[2]q,"endTime":"15:00","id":%[4]q,`+
			`"moved":false,"notes":"","sessionId":null,"startTime":"14:00","status":"SCHEDULED","subject":{"code":"CS101","name":"Programs"},"teacher":%[5]s,"type":"LAB"}]`,
			w.id, day, w.meetings[1].ID, w.meetings[0].ID, teacher)
		if string(got) != want {
			t.Errorf("%s:\n%s\nwant\n%s", r, got, want)
		}
	}
	// Who has nothing to do with the course sees nothing of it, and not null.
	if _, data := w.timetable(t, nexus.Security, "day/"+w.dayName(0)); len(data) != 0 {
		t.Errorf("a stranger to the course: %v", data)
	}
	if r := w.Call("GET", rest.Base+"/academic/timetable/day/FUNDAY", nil, w.As(nexus.Student)...); r.Status != 422 || !strings.Contains(string(r.Body), `"field":"day"`) {
		t.Errorf("no day: %d %s", r.Status, r.Body)
	}
}

func TestTheWholeWeekHasSevenDays(t *testing.T) {
	w := newWeek(t)
	for r, want := range map[nexus.Role]int{nexus.Student: 3, nexus.Admin: 0} {
		a := w.Call("GET", rest.Base+"/academic/timetable/full", nil, w.As(r)...)
		var out struct {
			Success bool
			Data    map[string][]map[string]any
		}
		if err := json.Unmarshal(a.Body, &out); err != nil || a.Status != 200 || !out.Success || len(out.Data) != 7 {
			t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
		n := 0
		for day, list := range out.Data {
			if list == nil {
				t.Errorf("%s is null", day)
			}
			n += len(list)
		}
		if n != want {
			t.Errorf("%s has %d meetings, want %d", r, n, want)
		}
	}
}

// TestTodayIsAsItIsHeld: the cancelled says so, the moved is where it was moved to, and what is held once is there.
func TestTodayIsAsItIsHeld(t *testing.T) {
	w := newWeek(t)
	at14, at9, tomorrow := w.meetings[0], w.meetings[1], w.meetings[2]
	cancelled := w.class(t, nexus.Class{Meeting: at9.ID, OccursOn: w.day(0), StartsAt: w.at(0, 9), EndsAt: w.at(0, 10), Room: nexus.RoomID(w.room)})
	if _, err := w.Academic.Do(t.Context(), w.id, course.Act{What: course.ActCancel, Class: nexus.Class{ID: cancelled.ID}, Reason: "ill"}); err != nil {
		t.Fatal(err)
	}
	w.class(t, nexus.Class{Meeting: at14.ID, OccursOn: w.day(0), StartsAt: w.at(3, 14), EndsAt: w.at(3, 15)})
	moved := w.class(t, nexus.Class{Meeting: tomorrow.ID, OccursOn: w.day(1), StartsAt: w.at(0, 7), EndsAt: w.at(0, 8), Room: nexus.RoomID(w.room)})
	own := w.class(t, nexus.Class{StartsAt: w.at(0, 18), EndsAt: w.at(0, 19)})
	day, data := w.timetable(t, nexus.Student, "today")
	var got []string
	for _, e := range data {
		got = append(got, fmt.Sprint(e["id"], e["sessionId"], e["dayOfWeek"], e["startTime"], e["endTime"], e["status"], e["moved"], e["type"]))
	}
	want := []string{
		fmt.Sprint(tomorrow.ID, moved.ID, day, "07:00", "08:00", "SCHEDULED", true, "LECTURE"),
		fmt.Sprint(at9.ID, cancelled.ID, day, "09:00", "10:00", "CANCELLED", false, "LECTURE"),
		fmt.Sprint(own.ID, own.ID, day, "18:00", "19:00", "SCHEDULED", false, "CLASS"),
	}
	if day != w.dayName(0) || !slices.Equal(got, want) {
		t.Errorf("%s\n%q\nwant\n%q", day, got, want)
	}
	if _, data := w.timetable(t, nexus.Student, "day/"+day); len(data) != 2 {
		t.Errorf("the week is as it was planned: %v", data)
	}
}

// TestAMeetingOfAPartOfTheTermIsShownInItsWeeks: of two rooms, one until today and one from tomorrow on, the week has the one that is meant.
func TestAMeetingOfAPartOfTheTermIsShownInItsWeeks(t *testing.T) {
	w := newWeek(t)
	until := func(weekday, shift int, notes string) nexus.Meeting {
		return nexus.Meeting{Weekday: weekday, Starts: "09:00", Ends: "10:00", UntilDay: w.day(shift), Notes: notes}
	}
	from := func(weekday, shift int, notes string) nexus.Meeting {
		return nexus.Meeting{Weekday: weekday, Starts: "11:00", Ends: "12:00", FromDay: w.day(shift), Notes: notes}
	}
	today := iso(w.today)
	if _, err := w.Academic.SetMeetings(t.Context(), nexus.Caller{}, w.id, 0, []nexus.Meeting{
		until(today, 0, "last time"), until(today, -1, "over"), from(today, 0, "first time"), from(today, 1, "not yet"),
		until(1, -7, "over"), from(1, 7, "not yet"), from(7, 7, "not yet"),
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, day := range []int{0, 1, 2, 3, 4, 5, 6} {
		_, data := w.timetable(t, nexus.Student, "day/"+w.dayName(day))
		for _, e := range data {
			got = append(got, e["notes"].(string))
		}
	}
	if !slices.Equal(got, []string{"last time", "first time"}) {
		t.Errorf("%q", got)
	}
}

// TestTermsToCome are shown until another runs: all that begin first, and none that is later.
func TestTermsToCome(t *testing.T) {
	h := resttest.New(t)
	_, now := noon(t)
	for id, begins := range map[nexus.TermID]int{"a": 30, "b": 30, "c": 90} {
		term := nexus.Term{ID: id, TZ: "UTC", StartsOn: now.AddDate(0, 0, begins).Format(time.DateOnly), EndsOn: now.AddDate(0, 0, begins+50).Format(time.DateOnly)}
		if _, err := h.Academic.CreateTerm(t.Context(), nexus.Caller{}, term); err != nil {
			t.Fatal(err)
		}
		c, err := h.Academic.CreateCourse(t.Context(), nexus.Caller{}, nexus.Course{Term: id, Code: string(id), Staff: []nexus.Staff{{User: h.People[nexus.Faculty].ID}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Academic.SetMeetings(t.Context(), nexus.Caller{}, c.ID, 0, []nexus.Meeting{{Weekday: 1, Starts: "09:00", Ends: "10:00"}}); err != nil {
			t.Fatal(err)
		}
	}
	w := &week{House: h}
	_, data := w.timetable(t, nexus.Faculty, "day/monday")
	var got []string
	for _, e := range data {
		got = append(got, e["subject"].(map[string]any)["code"].(string))
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("courses of %q", got)
	}
	if _, data := w.timetable(t, nexus.Faculty, "today"); len(data) != 0 {
		t.Errorf("today: %v", data)
	}
}
