package rest_test

import (
	"net/http"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// cookie returns the refresh cookie that an answer sets.
func cookie(t *testing.T, r resttest.Reply) *http.Cookie {
	t.Helper()
	for _, c := range (&http.Response{Header: r.Header}).Cookies() {
		if c.Name == "nexus_refresh" {
			return c
		}
	}
	t.Fatalf("no refresh cookie: %d %s", r.Status, r.Body)
	return nil
}

func login(t *testing.T, h *resttest.House, remember bool) (token string, c *http.Cookie) {
	t.Helper()
	r := h.Call("POST", "/api/v1/auth/login", map[string]any{"identifier": "REG-student", "password": resttest.Password, "rememberMe": remember})
	if r.Status != 200 {
		t.Fatalf("login: %d %s", r.Status, r.Body)
	}
	return r.JSON()["token"].(string), cookie(t, r)
}

func TestCookieOfALogin(t *testing.T) {
	h := resttest.New(t, func(c *resttest.Config) { c.Secure = true })
	for _, remember := range []bool{false, true} {
		_, c := login(t, h, remember)
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/api/v1/auth" {
			t.Errorf("cookie %v", c)
		}
		if month := 30*24*3600 - 60; remember != (c.MaxAge > month) {
			t.Errorf("remember %v: Max-Age %d", remember, c.MaxAge)
		}
	}
}

func TestRefreshRotatesAndReuseEndsTheLogin(t *testing.T) {
	h := resttest.New(t)
	_, first := login(t, h, true)
	send := func(c *http.Cookie) resttest.Reply {
		return h.Call("POST", "/api/v1/auth/refresh", nil, "Cookie", c.Name+"="+c.Value)
	}
	r := send(first)
	second := cookie(t, r)
	if r.Status != 200 || second.Value == first.Value || second.MaxAge == 0 {
		t.Fatalf("refresh: %d %s", r.Status, r.Body)
	}
	token := r.JSON()["token"].(string)
	if got := h.Call("GET", "/api/v1/auth/session", nil, "Authorization", "Bearer "+token).Status; got != 200 {
		t.Fatalf("new access token: %d", got)
	}
	reused := send(first)
	if reused.Status != 401 || reused.JSON()["code"] != "token_reused" || cookie(t, reused).MaxAge >= 0 {
		t.Errorf("reuse: %d %s %v", reused.Status, reused.Body, reused.Header)
	}
	if got := send(second).Status; got != 401 {
		t.Errorf("the honest token lives on after reuse: %d", got)
	}
	if got := h.Call("GET", "/api/v1/auth/session", nil, "Authorization", "Bearer "+token).Status; got != 401 {
		t.Errorf("its access token lives on: %d", got)
	}
	if ended := h.Sockets.Ended(); len(ended) != 1 || !strings.Contains(ended[0], "reused") {
		t.Errorf("sockets ended: %v", ended)
	}
}

func TestRegisterGivesNoTokensAndIsIdempotent(t *testing.T) {
	h := resttest.New(t)
	body := map[string]any{"email": " Asha@Example.edu ", "password": "a long password", "name": "  Asha  ", "regNo": "cs-1"}
	send := func(b map[string]any, key string) resttest.Reply {
		return h.Call("POST", "/api/v1/auth/register", b, "Idempotency-Key", key)
	}
	r := send(body, "k1")
	u, _ := r.JSON()["user"].(map[string]any)
	if r.Status != 201 || u["email"] != "asha@example.edu" || u["name"] != "Asha" || u["regNo"] != "CS-1" || r.Header.Get("Set-Cookie") != "" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if again := send(body, "k1"); again.Status != 201 || string(again.Body) != string(r.Body) {
		t.Errorf("the same key and body: %d %s", again.Status, again.Body)
	}
	if taken := send(body, "k2"); taken.Status != 409 || !strings.Contains(string(taken.Body), `"field":"email"`) {
		t.Errorf("another key: %d %s", taken.Status, taken.Body)
	}
	body["name"] = "Another"
	if other := send(body, "k1"); other.Status != 422 || other.JSON()["code"] != "key_reused" {
		t.Errorf("the same key, another body: %d %s", other.Status, other.Body)
	}
	body["roles"] = []string{"ADMIN"}
	if roles := send(body, "k3"); roles.Status != 422 {
		t.Errorf("choosing one's roles: %d", roles.Status)
	}
}

func TestOriginalClientsLogin(t *testing.T) {
	h := resttest.New(t)
	for _, c := range []struct {
		name, path string
		body       map[string]any
		status     int
		role       string
	}{
		{"student by e-mail", "student", map[string]any{"identifier": "student@example.edu", "password": resttest.Password, "rememberMe": true}, 200, "STUDENT"},
		{"student by number", "student", map[string]any{"identifier": "reg-STUDENT", "password": resttest.Password, "rememberMe": false}, 200, "STUDENT"},
		{"staff", "admin", map[string]any{"email": "mess_staff@example.edu", "password": resttest.Password}, 200, "MESS_STAFF"},
		{"student as staff", "admin", map[string]any{"email": "student@example.edu", "password": resttest.Password}, 403, ""},
		{"wrong", "student", map[string]any{"identifier": "student@example.edu", "password": "not it at all"}, 401, ""},
		{"unknown", "student", map[string]any{"identifier": "nobody@example.edu", "password": "not it at all"}, 401, ""},
	} {
		r := h.Call("POST", "/api/v1/auth/login/"+c.path, c.body)
		u, _ := r.JSON()["user"].(map[string]any)
		if r.Status != c.status || c.status == 200 && (u["role"] != c.role || r.JSON()["token"] == "" || u["name"] == "") {
			t.Errorf("%s: %d %s", c.name, r.Status, r.Body)
		}
		if c.status >= 400 && r.JSON()["error"] == nil {
			t.Errorf("%s: the client reads error: %s", c.name, r.Body)
		}
		if _, has := u["department"]; c.status == 200 && has != (c.path == "admin") {
			t.Errorf("%s: department shown: %v", c.name, has)
		}
	}
}

func TestLogoutBothWays(t *testing.T) {
	h := resttest.New(t)
	token, c := login(t, h, false)
	bearer := []string{"Authorization", "Bearer " + token}
	r := h.Call("POST", "/api/v1/auth/logout", nil, bearer...)
	if r.Status != 200 || r.JSON()["success"] != true || cookie(t, r).MaxAge >= 0 {
		t.Errorf("by token: %d %s", r.Status, r.Body)
	}
	if got := h.Call("GET", "/api/v1/auth/session", nil, bearer...).Status; got != 401 {
		t.Errorf("the token lives on: %d", got)
	}
	if got := h.Call("POST", "/api/v1/auth/refresh", nil, "Cookie", c.Name+"="+c.Value).Status; got != 401 {
		t.Errorf("the refresh token lives on: %d", got)
	}
	token, c = login(t, h, false)
	h.Call("POST", "/api/v1/auth/logout", nil, "Cookie", c.Name+"="+c.Value)
	if got := h.Call("GET", "/api/v1/auth/session", nil, "Authorization", "Bearer "+token).Status; got != 401 {
		t.Errorf("by cookie alone: the token lives on: %d", got)
	}
	if got := h.Call("POST", "/api/v1/auth/logout", nil).Status; got != 200 {
		t.Errorf("a stranger's logout: %d", got)
	}
}

func TestSessionsAreMineAlone(t *testing.T) {
	h := resttest.New(t)
	other := h.Login(nexus.Faculty)
	me := h.As(nexus.Student)
	second := h.Login(nexus.Student)
	r := h.Call("GET", rest.Base+"/auth/sessions", nil, me...)
	if items, _ := r.JSON()["items"].([]any); len(items) != 2 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if got := h.Call("DELETE", rest.Base+"/auth/sessions/"+string(other.Session), nil, me...).Status; got != 404 {
		t.Errorf("another's login: %d", got)
	}
	if got := h.Call("DELETE", rest.Base+"/auth/sessions/"+string(second.Session), nil, me...).Status; got != 200 {
		t.Errorf("my other login: %d", got)
	}
	if got := h.Call("GET", rest.Base+"/auth/session", nil, "Authorization", "Bearer "+second.Access).Status; got != 401 {
		t.Errorf("the ended login's token: %d", got)
	}
}

func TestPasswordChangeEndsEveryOtherLogin(t *testing.T) {
	h := resttest.New(t)
	other := h.Login(nexus.Student)
	token, c := login(t, h, false)
	body := map[string]any{"currentPassword": "wrong wrong wrong", "newPassword": "another password"}
	r := h.Call("POST", rest.Base+"/auth/password", body, "Authorization", "Bearer "+token)
	if r.Status != 422 || !strings.Contains(string(r.Body), "currentPassword") {
		t.Fatalf("wrong current one: %d %s", r.Status, r.Body)
	}
	body["currentPassword"] = resttest.Password
	r = h.Call("POST", rest.Base+"/auth/password", body, "Authorization", "Bearer "+token)
	if r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	for name, want := range map[string]int{token: 401, other.Access: 401, r.JSON()["token"].(string): 200} {
		if got := h.Call("GET", rest.Base+"/auth/session", nil, "Authorization", "Bearer "+name).Status; got != want {
			t.Errorf("token: %d, want %d", got, want)
		}
	}
	if got := h.Call("POST", rest.Base+"/auth/refresh", nil, "Cookie", c.Name+"="+c.Value).Status; got != 200 {
		t.Errorf("my own refresh token: %d", got)
	}
}
