package rest_test

import (
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/rest"
)

func TestAssignments(t *testing.T) {
	w := newWeek(t)
	student, faculty, admin, stranger := w.As(nexus.Student), w.As(nexus.Faculty), w.As(nexus.Admin), w.As(nexus.Security)
	plan := func(title string, in time.Duration) map[string]any {
		return map[string]any{"title": title, "description": "By hand.\nNo machines.", "dueAt": time.Now().Add(in).UTC().Format(nexus.TimeLayout), "points": 20}
	}
	r := w.Call("POST", w.path+"/assignments", plan("Trees", 48*time.Hour), faculty...)
	if r.Status != 201 || r.JSON()["courseId"] != string(w.id) || r.JSON()["points"] != 20.0 || r.Header.Get("ETag") != `"1"` {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if n := len(w.Mess.Published); n != 1 {
		t.Errorf("news of %d streams", n)
	}
	path, tag := rest.Base+"/assignments/"+r.JSON()["id"].(string), r.Header.Get("ETag")
	if r := w.Call("POST", w.path+"/assignments", plan("Lists", -time.Hour), admin...); r.Status != 201 {
		t.Errorf("the office: %d %s", r.Status, r.Body)
	}
	for _, c := range []struct {
		who    []string
		status int
	}{{student, 200}, {faculty, 200}, {admin, 200}, {stranger, 403}, {nil, 401}} {
		r := w.Call("GET", w.path+"/assignments", nil, c.who...)
		if items, _ := r.JSON()["items"].([]any); r.Status != c.status || r.Status == 200 && len(items) != 2 {
			t.Errorf("%d %s, want %d", r.Status, r.Body, c.status)
		}
	}
	for query, want := range map[string]string{"": "Trees", "?past=true": "Lists"} {
		items, _ := w.Call("GET", rest.Base+"/academic/assignments"+query, nil, student...).JSON()["items"].([]any)
		if len(items) != 1 || items[0].(map[string]any)["title"] != want {
			t.Errorf("%q: %v", query, items)
		}
	}
	if items, isList := w.Call("GET", rest.Base+"/academic/assignments", nil, stranger...).JSON()["items"].([]any); !isList || len(items) != 0 {
		t.Errorf("somebody else's: %v", items)
	}
	ics := w.Call("GET", rest.Base+"/academic/timetable/export", nil, student...).Body
	if !strings.Contains(string(ics), "BEGIN:VTODO") || !strings.Contains(string(ics), "Trees") || strings.Contains(string(ics), "Lists") {
		t.Errorf("what is due is in the calendar:\n%s", ics)
	}

	for _, who := range [][]string{student, stranger} {
		for method, target := range map[string]string{"POST": w.path + "/assignments", "PATCH": path, "DELETE": path} {
			var body any
			if method != "DELETE" {
				body = plan("Mine", time.Hour)
			}
			if r := w.Call(method, target, body, who...); r.Status != 403 {
				t.Errorf("%s by who does not teach: %d", method, r.Status)
			}
		}
	}
	r = w.Call("PATCH", path, map[string]any{"title": "Balanced trees"}, append([]string{"If-Match", tag}, faculty...)...)
	if r.Status != 200 || r.JSON()["title"] != "Balanced trees" || r.JSON()["description"] != "By hand.\nNo machines." || r.Header.Get("ETag") != `"2"` {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	for _, method := range []string{"PATCH", "DELETE"} {
		var body any
		if method == "PATCH" {
			body = map[string]any{"points": 5}
		}
		if r := w.Call(method, path, body, append([]string{"If-Match", tag}, faculty...)...); r.Status != 412 {
			t.Errorf("stale %s: %d %s", method, r.Status, r.Body)
		}
	}
	if r := w.Call("PATCH", path, map[string]any{"dueAt": "1900-01-01T00:00:00Z"}, faculty...); r.Status != 422 || !strings.Contains(string(r.Body), `"dueAt"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := w.Call("DELETE", path, nil, append([]string{"If-Match", `"2"`}, faculty...)...); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := w.Call("DELETE", path, nil, faculty...); r.Status != 404 {
		t.Errorf("what is gone: %d", r.Status)
	}
}

// TestWhoTeachesAnotherCourseSetsNothingHere.
func TestWhoTeachesAnotherCourseSetsNothingHere(t *testing.T) {
	w := newWeek(t)
	r := w.Call("POST", w.path+"/assignments", map[string]any{"title": "Trees", "dueAt": "2030-01-01T00:00:00Z"}, w.As(nexus.Faculty)...)
	if r.Status != 201 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r := w.Call("PUT", w.path+"/staff", map[string]any{"staff": []any{}}, w.As(nexus.Admin)...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	faculty, path := w.As(nexus.Faculty), rest.Base+"/assignments/"+r.JSON()["id"].(string)
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", w.path + "/assignments", nil},
		{"POST", w.path + "/assignments", map[string]any{"title": "Lists", "dueAt": "2030-01-01T00:00:00Z"}},
		{"PATCH", path, map[string]any{"points": 1}},
		{"DELETE", path, nil},
	} {
		if r := w.Call(c.method, c.path, c.body, faculty...); r.Status != 403 {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.Status, r.Body)
		}
	}
}
