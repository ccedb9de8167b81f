package rest_test

import (
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

func TestNoticesAreReadByWhoWasTold(t *testing.T) {
	h := resttest.New(t)
	student, other := h.As(nexus.Student), h.As(nexus.Faculty)
	first := h.Notices.Tell(h.People[nexus.Student].ID, "A seat is yours")
	h.Notices.Tell(h.People[nexus.Student].ID, "Class moved")
	list := rest.Base + "/notifications"
	r := h.Call("GET", list+"?limit=1", nil, student...)
	items, _ := r.JSON()["items"].([]any)
	if r.Status != 200 || len(items) != 1 || r.JSON()["next"] != "1" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if n := items[0].(map[string]any); n["id"] != first.ID || n["seq"] != 1.0 || n["title"] != "A seat is yours" || n["readAt"] != nil {
		t.Errorf("%v", n)
	}
	if items, _ := h.Call("GET", list+"?after=1", nil, student...).JSON()["items"].([]any); len(items) != 1 {
		t.Errorf("after the first: %v", items)
	}
	if r := h.Call("GET", list+"?after=x", nil, student...); r.Status != 422 {
		t.Errorf("no cursor: %d", r.Status)
	}
	if r := h.Call("GET", list, nil, other...); string(r.Body) != "{\"items\":[]}\n" {
		t.Errorf("somebody else sees %s", r.Body)
	}
	if r := h.Call("POST", list+"/"+first.ID+"/read", nil, other...); r.Status != 404 {
		t.Errorf("somebody else reads it: %d", r.Status)
	}
	if r := h.Call("POST", list+"/"+first.ID+"/read", nil, student...); r.Status != 200 || r.JSON()["readAt"] == nil {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if items, _ := h.Call("GET", list+"?unread=true", nil, student...).JSON()["items"].([]any); len(items) != 1 {
		t.Errorf("unread: %v", items)
	}
	if r := h.Call("POST", list+"/read-all?upto=1", nil, student...); r.JSON()["read"] != 0.0 {
		t.Errorf("the first was read before: %s", r.Body)
	}
	if r := h.Call("POST", list+"/read-all", nil, student...); r.Status != 200 || r.JSON()["read"] != 1.0 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
