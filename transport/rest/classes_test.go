package rest_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// lesson is a course with a student in it, and its class that is open.
func lesson(t *testing.T, h *resttest.House) (course, session string) {
	t.Helper()
	course, _ = courseMade(t, h)
	if r := h.Call("POST", course+"/enrollments", nil, h.As(nexus.Student)...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	now := time.Now().UTC()
	r := h.Call("POST", course+"/sessions", map[string]any{
		"startsAt": now.Format(nexus.TimeLayout), "endsAt": now.Add(time.Hour).Format(nexus.TimeLayout), "topic": "Heaps", "open": true,
	}, h.As(nexus.Faculty)...)
	if r.Status != 201 || r.JSON()["status"] != "OPEN" || r.JSON()["lateMin"] != 10.0 || r.Header.Get("ETag") == "" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	return course, rest.Base + "/sessions/" + r.JSON()["id"].(string)
}

func TestAClassFromItsCodeToTheRegister(t *testing.T) {
	h := resttest.New(t)
	course, session := lesson(t, h)
	teacher, student := h.As(nexus.Faculty), h.As(nexus.Student)
	r := h.Call("GET", session+"/code", nil, teacher...)
	if r.Status != 200 || r.JSON()["code"] != resttest.GoodCode || !strings.HasSuffix(r.JSON()["qr"].(string), "code="+resttest.GoodCode) {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	for range 2 {
		r = h.Call("POST", session+"/mark", map[string]any{"code": " " + resttest.GoodCode, "lat": 1, "lng": 2, "deviceId": "x"}, student...)
		if flags, _ := r.JSON()["flags"].([]any); r.Status != 200 || r.JSON()["status"] != "PRESENT" || len(flags) != 0 { // those are for the staff
			t.Fatalf("%d %s", r.Status, r.Body)
		}
	}
	for field, body := range map[string]map[string]any{"lng": {"code": "1", "lat": 1}, "lat": {"code": "1", "lng": 1}} {
		if r := h.Call("POST", session+"/mark", body, student...); r.Status != 422 || !strings.Contains(string(r.Body), `"`+field+`"`) {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if r := h.Call("POST", session+"/mark", map[string]any{"code": "7"}, student...); r.Status != 409 {
		t.Errorf("a wrong code: %d", r.Status)
	}
	if r := h.Call("GET", session+"/attendance", nil, teacher...); !strings.Contains(string(r.Body), "no_device") {
		t.Errorf("the staff sees %s", r.Body)
	}
	if r := h.Call("POST", session+"/close", nil, teacher...); r.Status != 200 || r.JSON()["status"] != "CLOSED" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("POST", session+"/cancel", map[string]any{"reason": "x"}, teacher...); r.Status != 409 || r.JSON()["code"] != "state_conflict" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	me := string(h.People[nexus.Student].ID)
	if r := h.Call("PUT", session+"/attendance/"+me, map[string]any{"status": "ABSENT", "reason": "left early"}, teacher...); r.Status != 200 || r.JSON()["method"] != "MANUAL" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	r = h.Call("GET", course+"/register.csv", nil, teacher...)
	lines, err := csv.NewReader(strings.NewReader(string(r.Body))).ReadAll()
	if err != nil || len(lines) != 2 || lines[1][1] != "'=1+1" || lines[1][2] != "ABSENT" || lines[1][5] != "0" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/csv") {
		t.Errorf("%v %q", err, r.Body)
	}
	if r := h.Call("GET", course+"/attendance", nil, teacher...); !strings.Contains(string(r.Body), `"status":"Critical"`) {
		t.Errorf("%s", r.Body)
	}
	if r := h.Call("GET", rest.Base+"/attendance/summary", nil, student...); !strings.Contains(string(r.Body), `"percentage":0,"status":"Critical"`) {
		t.Errorf("%s", r.Body)
	}
	if r := h.Call("GET", rest.Base+"/attendance/subject/"+strings.TrimPrefix(course, rest.Base+"/courses/"), nil, student...); !strings.Contains(string(r.Body), `"remarks":"left early"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

// TestOnlyItsStaffTouchesAClass: not who teaches another course, and no student.
func TestOnlyItsStaffTouchesAClass(t *testing.T) {
	h := resttest.New(t)
	course, session := lesson(t, h)
	if r := h.Call("PUT", course+"/staff", map[string]any{"staff": []any{}}, h.As(nexus.Admin)...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	other := h.As(nexus.Faculty)
	for call, body := range map[string]any{
		"POST " + session + "/open": nil, "POST " + session + "/close": nil, "POST " + session + "/cancel": map[string]any{"reason": "x"},
		"POST " + session + "/reschedule": map[string]any{"startsAt": time.Now().Format(time.RFC3339), "endsAt": time.Now().Add(time.Hour).Format(time.RFC3339)},
		"GET " + session + "/code":        nil, "GET " + session + "/attendance": nil, "GET " + course + "/register.csv": nil, "GET " + course + "/attendance": nil,
		"PUT " + session + "/attendance/" + nexus.NewID(): map[string]any{"status": "PRESENT", "reason": "x"},
		"POST " + course + "/assignments":                 map[string]any{"title": "x", "dueAt": time.Now().Format(time.RFC3339)},
		"POST " + course + "/sessions":                    map[string]any{"startsAt": time.Now().Format(time.RFC3339), "endsAt": time.Now().Add(time.Hour).Format(time.RFC3339)},
	} {
		method, path, _ := strings.Cut(call, " ")
		if r := h.Call(method, path, body, other...); r.Status != 403 {
			t.Errorf("%s: %d %s", call, r.Status, r.Body)
		}
	}
}

func TestAClassIsPlannedOneWayOrTheOther(t *testing.T) {
	h := resttest.New(t)
	course, _ := courseMade(t, h)
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(nexus.TimeLayout) }
	for field, body := range map[string]map[string]any{
		"date":      {"meetingId": nexus.NewID()},
		"meetingId": {"date": "2026-11-30"},
		"startsAt":  {},
		"endsAt":    {"startsAt": at(0), "endsAt": at(-time.Hour)},
	} {
		if r := h.Call("POST", course+"/sessions", body, h.As(nexus.Faculty)...); r.Status != 422 || !strings.Contains(string(r.Body), `"field":"`+field+`"`) {
			t.Errorf("%s: %d %s", field, r.Status, r.Body)
		}
	}
	r := h.Call("POST", course+"/sessions", map[string]any{"startsAt": at(48 * time.Hour), "endsAt": at(49 * time.Hour)}, h.As(nexus.Faculty)...)
	if r.Status != 201 || r.JSON()["status"] != "SCHEDULED" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if items, _ := h.Call("GET", course+"/sessions", nil, h.As(nexus.Student)...).JSON()["items"].([]any); len(items) != 1 {
		t.Errorf("%v", items)
	}
	session := rest.Base + "/sessions/" + r.JSON()["id"].(string)
	if r := h.Call("POST", session+"/reschedule", map[string]any{"startsAt": at(72 * time.Hour), "endsAt": at(71 * time.Hour)}, h.As(nexus.Faculty)...); r.Status != 422 {
		t.Errorf("backwards: %d", r.Status)
	}
	if r := h.Call("POST", session+"/reschedule", map[string]any{"startsAt": at(72 * time.Hour), "endsAt": at(73 * time.Hour), "reason": "Painters"}, h.As(nexus.Faculty)...); r.Status != 200 || r.JSON()["reason"] != "Painters" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
