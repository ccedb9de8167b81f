package rest_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

var pathParam = regexp.MustCompile(`\{[^}]+\}`)

// TestRoleByRoute calls every registered operation as everybody there is. Who may not gets 401 or 403, and who
// may gets anything but those: the store, not the door, has the last word.
func TestRoleByRoute(t *testing.T) {
	h := resttest.New(t)
	as := map[nexus.Role][]string{}
	for _, r := range nexus.Roles() {
		as[r] = h.As(r)
	}
	keys := map[nexus.Scope]string{}
	for _, s := range nexus.Scopes() {
		keys[s] = h.Key(s)
	}
	for _, op := range h.API.Operations() {
		path := rest.Base + pathParam.ReplaceAllString(op.Path, nexus.NewID())
		t.Run(op.Method+op.Path, func(t *testing.T) {
			a := op.Access
			if !a.Public && !a.User && len(a.Roles) == 0 && a.Scope == "" {
				t.Fatal("declares no access")
			}
			want := func(who string, allowed bool, refusal int, headers ...string) {
				t.Helper()
				got := h.Call(op.Method, path, `{`, headers...).Status // a broken body changes nothing
				if strings.HasPrefix(op.Path, "/auth/") && got == http.StatusUnauthorized && allowed {
					return // a login that fails, not a door that is shut
				}
				refused := got == http.StatusUnauthorized || got == http.StatusForbidden
				if refused == allowed || refused && got != refusal {
					t.Errorf("%s: status %d, allowed should be %v", who, got, allowed)
				}
			}
			want("stranger", a.Public, http.StatusUnauthorized)
			want("bad token", a.Public, http.StatusUnauthorized, "Authorization", "Bearer nonsense")
			want("bad key", a.Public, http.StatusUnauthorized, "X-Api-Key", "nxk_nonsense")
			want("basic", a.Public, http.StatusUnauthorized, "Authorization", "Basic YTpi")
			for _, r := range nexus.Roles() {
				user := h.People[r]
				allowed := a.Public || a.User || (nexus.Caller{User: user.ID, Roles: user.Roles}).Has(a.Roles...)
				if strings.HasPrefix(op.Path, "/auth/") { // it may end the login
					as[r] = h.As(r)
				}
				want(string(r), allowed, http.StatusForbidden, as[r]...)
			}
			for _, s := range nexus.Scopes() {
				want("key for "+string(s), a.Public || a.Scope == s, http.StatusForbidden, "X-Api-Key", keys[s])
			}
		})
	}
}

func TestAccessOfNobodyIsForNobody(t *testing.T) {
	admin := nexus.Caller{User: "u", Roles: []nexus.Role{nexus.Admin}}
	if err := (rest.Access{}).Check(admin); nexus.CodeOf(err) != nexus.Forbidden {
		t.Errorf("an operation that declares no access lets an administrator in: %v", err)
	}
	if err := (rest.Access{}).Check(nexus.Caller{Key: "k"}); nexus.CodeOf(err) != nexus.Forbidden {
		t.Errorf("and a device: %v", err)
	}
}

// TestEveryRouteOfTheBaseIsRegistered finds routes that were put beside the registry.
func TestEveryRouteOfTheBaseIsRegistered(t *testing.T) {
	h := resttest.New(t)
	known := map[string]bool{}
	for _, op := range h.API.Operations() {
		known[op.Method+" "+rest.Base+pathParam.ReplaceAllStringFunc(op.Path, func(s string) string { return ":" + s[1:len(s)-1] })] = true
	}
	for _, route := range h.Server.App().GetRoutes(true) {
		if name := route.Method + " " + route.Path; strings.HasPrefix(route.Path, rest.Base+"/") && !known[name] {
			t.Errorf("%s declares no access", name)
		}
	}
}
