package rest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/actors/course"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

var autumn = map[string]any{
	"id": "2026-autumn", "name": "Autumn", "startsOn": "2026-09-01", "endsOn": "2026-12-18", "tz": "Europe/Berlin",
	"holidays": []map[string]any{{"day": "2026-10-03", "name": "Unity"}},
}

// courseMade makes the autumn term and a course in it.
func courseMade(t *testing.T, h *resttest.House) (path, etag string) {
	t.Helper()
	admin := h.As(nexus.Admin)
	if r := h.Call("POST", rest.Base+"/terms", autumn, admin...); r.Status != 201 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	r := h.Call("POST", rest.Base+"/courses", map[string]any{
		"termId": "2026-autumn", "code": "CS101", "title": "Programs", "credits": 4.5, "capacity": 30, "waitlistCapacity": 10,
		"staff": []map[string]any{{"userId": h.People[nexus.Faculty].ID, "kind": "INSTRUCTOR"}},
	}, admin...)
	if r.Status != 201 || r.JSON()["minAttendancePct"] != 75.0 || r.JSON()["enrolled"] != 0.0 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	return rest.Base + "/courses/" + r.JSON()["id"].(string), r.Header.Get("ETag")
}

func TestTermsAreTheOffices(t *testing.T) {
	h := resttest.New(t)
	courseMade(t, h)
	admin, path := h.As(nexus.Admin), rest.Base+"/terms/2026-autumn"
	r := h.Call("GET", path, nil, h.As(nexus.Student)...)
	if r.Status != 200 || r.JSON()["tz"] != "Europe/Berlin" || !strings.Contains(string(r.Body), "Unity") {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	change := map[string]any{"name": "Fall", "startsOn": "2026-09-01", "endsOn": "2026-12-18", "tz": "UTC"}
	tag := r.Header.Get("ETag")
	if r := h.Call("PUT", path, change, append([]string{"If-Match", tag}, admin...)...); r.Status != 200 || r.JSON()["name"] != "Fall" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("PUT", path, change, append([]string{"If-Match", tag}, admin...)...); r.Status != 412 {
		t.Errorf("stale: %d", r.Status)
	}
	if r := h.Call("POST", rest.Base+"/terms", autumn, admin...); r.Status != 409 {
		t.Errorf("twice: %d", r.Status)
	}
}

func TestRoomsNeedAPlaceForAFence(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	room := map[string]any{"blockCode": "A", "blockName": "Block A", "number": "101", "fenceM": 50}
	if r := h.Call("POST", rest.Base+"/rooms", room, admin...); r.Status != 422 || !strings.Contains(string(r.Body), `"place"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	room["place"] = map[string]any{"lat": 12.9, "lng": 77.5}
	r := h.Call("POST", rest.Base+"/rooms", room, admin...)
	if r.Status != 201 || r.JSON()["fenceM"] != 50.0 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	path := rest.Base + "/rooms/" + r.JSON()["id"].(string)
	if r := h.Call("PUT", path, map[string]any{"blockCode": "A", "blockName": "Block A", "number": "102"}, admin...); r.Status != 200 || r.JSON()["place"] != nil {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func TestCoursesAreChangedByVersion(t *testing.T) {
	h := resttest.New(t)
	path, tag := courseMade(t, h)
	admin := h.As(nexus.Admin)
	for _, change := range []map[string]any{{"title": "Programs I"}, {"capacity": 31, "title": "Programs II"}} {
		r := h.Call("PATCH", path, change, append([]string{"If-Match", tag}, admin...)...)
		if r.Status != 200 || r.JSON()["title"] != change["title"] || r.JSON()["credits"] != 4.5 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		if r := h.Call("PATCH", path, change, append([]string{"If-Match", tag}, admin...)...); r.Status != 412 {
			t.Errorf("stale: %d", r.Status)
		}
		tag = r.Header.Get("ETag")
	}
	if r := h.Call("GET", path, nil, h.As(nexus.Student)...); r.JSON()["capacity"] != 31.0 {
		t.Errorf("%s", r.Body)
	}
	if r := h.Call("PATCH", rest.Base+"/courses/"+nexus.NewID(), map[string]any{"capacity": 3}, admin...); r.Status != 404 {
		t.Errorf("of no course: %d", r.Status)
	}
	for query, want := range map[string]int{"?q=prog": 1, "?q=x": 0, "?term=2026-autumn": 1, "?term=x": 0, "?mine=taught": 0} {
		if items, _ := h.Call("GET", rest.Base+"/courses"+query, nil, admin...).JSON()["items"].([]any); len(items) != want {
			t.Errorf("%s: %v", query, items)
		}
	}
	if items, _ := h.Call("GET", rest.Base+"/courses?mine=taught", nil, h.As(nexus.Faculty)...).JSON()["items"].([]any); len(items) != 1 {
		t.Errorf("the teacher's: %v", items)
	}
}

// TestNodesAreToldOfChangedStaffs: of a new course's, and of each change that is made.
func TestNodesAreToldOfChangedStaffs(t *testing.T) {
	h := resttest.New(t)
	path, tag := courseMade(t, h)
	topic := course.StaffTopic(nexus.CourseID(path[len(rest.Base+"/courses/"):]))
	for i, status := range []int{200, 412} {
		r := h.Call("PUT", path+"/staff", map[string]any{"staff": []any{}}, append([]string{"If-Match", tag}, h.As(nexus.Admin)...)...)
		if r.Status != status {
			t.Fatalf("%d: %d %s", i, r.Status, r.Body)
		}
	}
	if d := cmp.Diff([]resttest.Published{{Topic: topic}, {Topic: topic}}, h.Mess.Published); d != "" {
		t.Error(d)
	}
}

func TestMeetingsAreReplaced(t *testing.T) {
	h := resttest.New(t)
	path, _ := courseMade(t, h)
	admin := h.As(nexus.Admin)
	put := func(m map[string]any) resttest.Reply {
		return h.Call("PUT", path+"/meetings", map[string]any{"meetings": []any{m}}, admin...)
	}
	if r := put(map[string]any{"weekday": 1, "starts": "09:00", "ends": "10:30"}); r.Status != 200 || !strings.Contains(string(r.Body), `"kind":"LECTURE"`) {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	for field, m := range map[string]map[string]any{
		"weekday": {"weekday": 8, "starts": "09:00", "ends": "10:30"},
		"starts":  {"weekday": 1, "starts": "24:00", "ends": "10:30"},
		"ends":    {"weekday": 1, "starts": "09:00", "ends": "9:30"},
	} {
		if r := put(m); r.Status != 422 || !strings.Contains(string(r.Body), "meetings[0]."+field) {
			t.Errorf("%s: %d %s", field, r.Status, r.Body)
		}
	}
	if items, _ := h.Call("GET", path+"/meetings", nil, h.As(nexus.Student)...).JSON()["items"].([]any); len(items) != 1 {
		t.Errorf("%v", items)
	}
}
