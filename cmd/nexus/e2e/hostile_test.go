package e2e_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"nexus"
	"nexus/transport/rest/resttest"
)

// TestWrongInputs sends thousands of them to the real server over the real database. Each is sent by one of many people who
// may do everything, since what one may send a second is limited.
func TestWrongInputs(t *testing.T) {
	s := start(t)
	omnipotent, gateway := s.omnipotent(t, 40), s.device(t, s.as(t, "admin"), nexus.ScopeMail)
	var n atomic.Int64
	sent := resttest.Hostile(t, resttest.Target{
		URL: s.url, Do: unhurried,
		Headers: func(_, path string, _ *resttest.Operation) http.Header {
			if path == "/mail/inbound" {
				return gateway.header // no person may
			}
			return omnipotent[int(n.Add(1))%len(omnipotent)].header
		},
		Skip: func(_, path string) bool { return path == "/auth/logout" }, // it takes no input, and ends the login
	})
	t.Logf("%d wrong inputs", sent)
	if sent < 200 {
		t.Errorf("only %d wrong inputs", sent)
	}
}

// unhurried sends a request, again while the server is busy.
func unhurried(q *http.Request) (*http.Response, error) {
	for deadline := time.Now().Add(patience); ; <-time.After(200 * time.Millisecond) {
		res, err := web.Do(q)
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || q.Body != nil && q.GetBody == nil || time.Now().After(deadline) {
			return res, err
		}
		if err := res.Body.Close(); err != nil {
			return nil, err
		}
		if q.GetBody != nil {
			if q.Body, err = q.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// omnipotent gives every role to the first n students.
func (s *server) omnipotent(t *testing.T, n int) []caller {
	t.Helper()
	admin := s.as(t, "admin")
	var list nexus.List[nexus.User]
	admin.call(t, "GET", "/admin/users?q=student&limit=200", nil, 200, &list)
	var all []caller
	for _, u := range list.Items[:n] {
		admin.call(t, "PUT", "/admin/users/"+string(u.ID)+"/roles", map[string]any{"roles": nexus.Roles()}, 200, nil)
		all = append(all, s.as(t, strings.TrimSuffix(u.Email, "@demo.nexus")))
	}
	return all
}

var parameter = regexp.MustCompile(`\{[^}]+\}`)

// TestRoleByRoute calls every operation of the document as everybody there is. Who may not gets 401 or 403, and who may gets
// anything but those.
func TestRoleByRoute(t *testing.T) {
	s := campus(t)
	people := map[string]caller{
		"a stranger":  s.stranger(),
		"a bad token": s.bearer("nonsense"),
		"a bad key":   {s, http.Header{"X-Api-Key": {"nxk_nonsense"}}},
	}
	for role, name := range map[nexus.Role]string{
		nexus.Student: "student20", nexus.Faculty: "faculty2", nexus.MessStaff: "mess1", nexus.Security: "officer2", nexus.Admin: "admin",
	} {
		people[string(role)] = s.as(t, name)
	}
	for _, scope := range nexus.Scopes() {
		people[string(scope)] = s.device(t, people["ADMIN"], scope)
	}
	var doc resttest.Document
	s.stranger().call(t, "GET", "//openapi.json", nil, 200, &doc)
	asked := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for method, op := range doc.Paths[path] {
			if path == "/auth/logout" {
				continue // anybody may, and it ends the login
			}
			for who, c := range people {
				asked++
				a, err := c.insist(t.Context(), strings.ToUpper(method), parameter.ReplaceAllString(path, nexus.NewID()), []byte("{"))
				if err != nil {
					t.Fatal(err)
				}
				want := 0 // anything else
				switch bad := who == "a stranger" || strings.HasPrefix(who, "a bad "); {
				case lets(op, who):
				case bad:
					want = 401
				default:
					want = 403
				}
				refused := a.status == 401 || a.status == 403
				if want == 0 && path == "/auth/refresh" && a.status == 401 {
					continue // no cookie, which is not a closed door
				}
				if a.status != want && (want != 0 || refused) || a.status >= 500 {
					t.Errorf("%s %s as %s: status %d, want %d (0 is any other): %.200s", method, path, who, a.status, want, a.body)
				}
			}
		}
	}
	t.Logf("%d questions", asked)
}

// lets reads from the document whom an operation lets in.
func lets(op *resttest.Operation, who string) bool {
	if len(op.Security) == 0 {
		return true
	}
	for _, way := range op.Security {
		roles, person := way["bearer"]
		if person && slices.Contains(nexus.Roles(), nexus.Role(who)) && (len(roles) == 0 || slices.Contains(roles, who)) || slices.Contains(way["apiKey"], who) {
			return true
		}
	}
	return false
}

// TestANodeShortOfMemoryRefusesNewSockets, with a word when to come again; all else works, and who is there stays.
func TestANodeShortOfMemoryRefusesNewSockets(t *testing.T) {
	t.Parallel()
	s := start(t, "NEXUS_MAX_MEMORY=1MiB", "GOMEMLIMIT=1GiB") // the collector need not try
	res, err := web.Get(s.url + "/socket.io/?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", res.Status, res.Header.Get("Retry-After"))
	}
	s.stranger().call(t, "GET", "/mess/halls", nil, 200, nil)
	if _, err := s.listen("/mess", "", ""); err == nil || !strings.HasPrefix(err.Error(), "upgrade: 503") {
		t.Errorf("a WebSocket: %v", err)
	}
	if n := s.figure(t, `nexus_connections_refused_total{reason="memory"}`); n != 2 {
		t.Errorf("%v are counted", n)
	}
}
