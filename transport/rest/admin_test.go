package rest_test

import (
	"strings"
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

func TestUsersAreListedByPages(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	seen := map[string]bool{}
	next := ""
	for range 10 {
		r := h.Call("GET", rest.Base+"/admin/users?limit=2&after="+next, nil, admin...)
		items, _ := r.JSON()["items"].([]any)
		for _, i := range items {
			seen[i.(map[string]any)["id"].(string)] = true
		}
		var more bool
		if next, more = r.JSON()["next"].(string); !more {
			break
		}
	}
	if len(seen) != len(nexus.Roles()) {
		t.Errorf("saw %d accounts", len(seen))
	}
	if r := h.Call("GET", rest.Base+"/admin/users?q=nobody-has-this", nil, admin...); string(r.Body) != "{\"items\":[]}\n" {
		t.Errorf("an empty list: %s", r.Body)
	}
	if r := h.Call("GET", rest.Base+"/admin/users?after=zz", nil, admin...); r.Status != 422 {
		t.Errorf("no cursor: %d", r.Status)
	}
}

func TestSuspendingEndsLoginsAtOnce(t *testing.T) {
	h := resttest.New(t)
	admin, student := h.As(nexus.Admin), h.As(nexus.Student)
	id := string(h.People[nexus.Student].ID)
	path := rest.Base + "/admin/users/" + id
	if r := h.Call("GET", rest.Base+"/auth/session", nil, student...); r.Status != 200 {
		t.Fatalf("before: %d", r.Status)
	}
	r := h.Call("GET", path, nil, admin...)
	tag := r.Header.Get("ETag")
	if r.Status != 200 || tag == "" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	change := map[string]any{"status": "suspended", "department": "Physics"}
	if r := h.Call("PATCH", path, change, append([]string{"If-Match", tag}, admin...)...); r.Status != 200 || r.JSON()["status"] != "suspended" {
		t.Fatalf("suspend: %d %s", r.Status, r.Body)
	}
	if r := h.Call("PATCH", path, change, append([]string{"If-Match", tag}, admin...)...); r.Status != 412 {
		t.Errorf("stale: %d", r.Status)
	}
	if r := h.Call("GET", rest.Base+"/auth/session", nil, student...); r.Status != 401 {
		t.Errorf("a suspended account goes on: %d", r.Status)
	}
	if r := h.Call("POST", rest.Base+"/auth/login", map[string]any{"identifier": "student@example.edu", "password": resttest.Password}); r.Status != 403 {
		t.Errorf("a suspended account logs in: %d", r.Status)
	}
	if ended := h.Sockets.Ended(); len(ended) != 1 || !strings.HasPrefix(ended[0], id+"||") {
		t.Errorf("sockets ended: %v", ended)
	}
	self := rest.Base + "/admin/users/" + string(h.People[nexus.Admin].ID)
	if r := h.Call("PATCH", self, change, admin...); r.Status != 409 {
		t.Errorf("suspending oneself: %d", r.Status)
	}
}

func TestRolesTakeEffectAtOnce(t *testing.T) {
	h := resttest.New(t)
	admin, security := h.As(nexus.Admin), h.As(nexus.Security)
	path := rest.Base + "/admin/users/" + string(h.People[nexus.Security].ID) + "/roles"
	r := h.Call("PUT", path, map[string]any{"roles": []string{"ADMIN", "ADMIN", "SECURITY"}}, admin...)
	if r.Status != 200 || strings.Count(string(r.Body), "ADMIN") != 1 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("GET", rest.Base+"/auth/session", nil, security...); r.Status != 401 {
		t.Errorf("the old token lives on: %d", r.Status)
	}
	if r := h.Call("GET", rest.Base+"/admin/users", nil, h.As(nexus.Security)...); r.Status != 200 {
		t.Errorf("the new role: %d", r.Status)
	}
}

func TestLastAdministratorStays(t *testing.T) {
	h := resttest.New(t)
	path := rest.Base + "/admin/users/" + string(h.People[nexus.Admin].ID) + "/roles"
	if r := h.Call("PUT", path, map[string]any{"roles": []string{"STUDENT"}}, h.As(nexus.Admin)...); r.Status != 409 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

func TestKeyLivesAndDies(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	r := h.Call("POST", rest.Base+"/admin/api-keys", map[string]any{"name": "gate 1", "scopes": []string{"mess:checkins"}, "expiresAt": "2999-01-01T00:00:00Z"}, admin...)
	secret, _ := r.JSON()["secret"].(string)
	key, _ := r.JSON()["key"].(map[string]any)
	if r.Status != 201 || secret == "" || key["expiresAt"] != "2999-01-01T00:00:00.000Z" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	checkins := rest.Base + "/mess/halls/" + nexus.NewID() + "/checkins"
	if r := h.Call("POST", checkins, "{", "X-Api-Key", secret); r.Status != 400 {
		t.Errorf("the key: %d %s", r.Status, r.Body)
	}
	list := h.Call("GET", rest.Base+"/admin/api-keys", nil, admin...)
	if !strings.Contains(string(list.Body), "gate 1") || strings.Contains(string(list.Body), secret) {
		t.Errorf("list: %s", list.Body)
	}
	path := rest.Base + "/admin/api-keys/" + key["id"].(string)
	if r := h.Call("DELETE", path, nil, admin...); r.Status != 200 {
		t.Errorf("delete: %d %s", r.Status, r.Body)
	}
	if r := h.Call("POST", checkins, "{", "X-Api-Key", secret); r.Status != 401 {
		t.Errorf("the ended key: %d", r.Status)
	}
	if r := h.Call("DELETE", path, nil, admin...); r.Status != 404 {
		t.Errorf("delete again: %d", r.Status)
	}
	past := map[string]any{"name": "old", "scopes": []string{"mess:checkins"}, "expiresAt": "2001-01-01T00:00:00Z"}
	if r := h.Call("POST", rest.Base+"/admin/api-keys", past, admin...); r.Status != 422 {
		t.Errorf("in the past: %d", r.Status)
	}
}

func TestAuditIsReadAndVerified(t *testing.T) {
	h := resttest.New(t)
	admin := h.As(nexus.Admin)
	r := h.Call("GET", rest.Base+"/admin/audit?action=login.open&limit=1", nil, admin...)
	if items, _ := r.JSON()["items"].([]any); r.Status != 200 || len(items) != 1 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("GET", rest.Base+"/admin/audit?after=x", nil, admin...); r.Status != 422 {
		t.Errorf("no cursor: %d", r.Status)
	}
	if r := h.Call("GET", rest.Base+"/admin/audit/verify", nil, admin...); r.JSON()["ok"] != true {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
