package rest_test

import (
	"testing"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest/resttest"
)

func TestASeatIsTakenAndGivenBack(t *testing.T) {
	h := resttest.New(t)
	path, _ := courseMade(t, h)
	student, faculty := h.As(nexus.Student), h.As(nexus.Faculty)
	me := string(h.People[nexus.Student].ID)
	if r := h.Call("GET", path+"/enrollments/me", nil, student...); r.Status != 404 {
		t.Errorf("before: %d", r.Status)
	}
	for range 2 {
		r := h.Call("POST", path+"/enrollments", nil, student...)
		if r.Status != 200 || r.JSON()["status"] != "ENROLLED" || r.JSON()["userId"] != me || "/api/v1/courses/"+r.JSON()["courseId"].(string) != path {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
	}
	if r := h.Call("POST", path+"/enrollments", map[string]any{"userId": nexus.NewID()}, student...); r.Status != 403 {
		t.Errorf("somebody else: %d", r.Status)
	}
	if r := h.Call("POST", path+"/enrollments", map[string]any{"userId": nexus.NewID()}, h.As(nexus.Admin)...); r.Status != 200 {
		t.Errorf("by the office: %d %s", r.Status, r.Body)
	}
	if items, _ := h.Call("GET", path+"/roster", nil, faculty...).JSON()["items"].([]any); len(items) != 2 {
		t.Errorf("the roster: %v", items)
	}
	if items, _ := h.Call("GET", "/api/v1/me/enrollments", nil, student...).JSON()["items"].([]any); len(items) != 1 {
		t.Errorf("mine: %v", items)
	}
	if r := h.Call("GET", path+"/roster", nil, student...); r.Status != 403 {
		t.Errorf("a student reads the roster: %d", r.Status)
	}
	if r := h.Call("DELETE", path+"/enrollments/"+me, nil, student...); r.Status != 403 {
		t.Errorf("another's seat: %d", r.Status)
	}
	for range 2 {
		if r := h.Call("DELETE", path+"/enrollments/me", nil, student...); r.Status != 200 || r.JSON()["status"] != "DROPPED" {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if r := h.Call("DELETE", path+"/enrollments/me", nil, faculty...); r.Status != 404 {
		t.Errorf("who never had one: %d", r.Status)
	}
	if r := h.Call("POST", "/api/v1/courses/"+nexus.NewID()+"/enrollments", nil, student...); r.Status != 404 {
		t.Errorf("no course: %d", r.Status)
	}
}

// TestARosterIsForWhoTeachesTheCourse, and not for who teaches another.
func TestARosterIsForWhoTeachesTheCourse(t *testing.T) {
	h := resttest.New(t)
	path, _ := courseMade(t, h)
	if r := h.Call("PUT", path+"/staff", map[string]any{"staff": []any{}}, h.As(nexus.Admin)...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("GET", path+"/roster", nil, h.As(nexus.Faculty)...); r.Status != 403 {
		t.Errorf("not the teacher: %d", r.Status)
	}
	if r := h.Call("GET", path+"/roster", nil, h.As(nexus.Admin)...); r.Status != 200 {
		t.Errorf("the office: %d", r.Status)
	}
}

// TestSeatsHaveARateOfTheirOwn, for each account: a thousand students who want one course are not slowed by each other.
func TestSeatsHaveARateOfTheirOwn(t *testing.T) {
	h := resttest.New(t, func(c *resttest.Config) { c.Limits.Seats = limit.Rule{Rate: 0.001, Burst: 2} })
	path, _ := courseMade(t, h)
	student := h.As(nexus.Student)
	for i, want := range []int{200, 200, 429} {
		if r := h.Call("POST", path+"/enrollments", nil, student...); r.Status != want || r.Header.Get("RateLimit-Limit") != "2" {
			t.Errorf("%d: %d %v", i, r.Status, r.Header)
		}
	}
	if r := h.Call("DELETE", path+"/enrollments/me", nil, student...); r.Status != 429 || r.Header.Get("Retry-After") == "" {
		t.Errorf("giving it back: %d %v", r.Status, r.Header)
	}
	if r := h.Call("GET", path+"/enrollments/me", nil, student...); r.Status != 200 {
		t.Errorf("something else: %d", r.Status)
	}
	if r := h.Call("POST", path+"/enrollments", map[string]any{"userId": nexus.NewID()}, h.As(nexus.Admin)...); r.Status != 200 {
		t.Errorf("somebody else: %d", r.Status)
	}
}
