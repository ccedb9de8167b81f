package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"nexus"
)

const password = "campus-demo"

// web is one HTTP client for all callers, with room for many at once.
var web = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

// A caller speaks REST to a server, with or without credentials.
type caller struct {
	s      *server
	header http.Header
}

// stranger has no credentials.
func (s *server) stranger() caller { return caller{s, http.Header{}} }

// An answer is a REST answer, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is the part of a problem body that tests look at.
type problem struct {
	Type, Title, Detail, Code, Error, RequestID string
	Status                                      int
	Errors                                      []struct{ Field, Detail string }
}

// do sends a request; path is below /api/v1, or begins with "//" for one at the root.
func (c caller) do(ctx context.Context, method, path string, body any) (answer, error) {
	var r io.Reader
	header := c.header.Clone()
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		r = bytes.NewReader(data)
		header.Set("Content-Type", "application/json")
	}
	url := c.s.url + "/api/v1" + path
	if len(path) > 1 && path[1] == '/' {
		url = c.s.url + path[1:]
	}
	q, err := http.NewRequestWithContext(ctx, method, url, r)
	if err != nil {
		return answer{}, err
	}
	q.Header = header
	res, err := web.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, data}, err
}

// insist sends a request, again while the server is busy: while its answer is a complete 503, which says so.
func (c caller) insist(ctx context.Context, method, path string, body any) (answer, error) {
	for deadline := time.Now().Add(patience); ; <-time.After(200 * time.Millisecond) {
		a, err := c.do(ctx, method, path, body)
		if err != nil || a.notUnavailable() != "" || time.Now().After(deadline) {
			return a, err
		}
	}
}

// call sends a request, wants the status, and reads the answer into out unless that is nil.
func (c caller) call(t testing.TB, method, path string, body any, status int, out any) answer {
	t.Helper()
	send := c.insist
	if status == http.StatusServiceUnavailable {
		send = c.do
	}
	a, err := send(t.Context(), method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.status != status {
		t.Fatalf("%s %s: status %d, want %d: %.500s", method, path, a.status, status, a.body)
	}
	if out != nil {
		decode(t, a.body, out)
	}
	return a
}

// as logs a demo user in.
func (s *server) as(t testing.TB, name string) caller {
	t.Helper()
	return s.bearer(s.login(t, name, password))
}

func (s *server) bearer(token string) caller {
	return caller{s, http.Header{"Authorization": {"Bearer " + token}}}
}

// login returns an access token of an account at demo.nexus.
func (s *server) login(t testing.TB, name, password string) string {
	t.Helper()
	var in struct{ Token string }
	s.stranger().call(t, "POST", "/auth/login", map[string]any{"identifier": name + "@demo.nexus", "password": password}, 200, &in)
	return in.Token
}

// device makes an API key.
func (s *server) device(t testing.TB, admin caller, scope nexus.Scope) caller {
	t.Helper()
	var key struct{ Secret string }
	admin.call(t, "POST", "/admin/api-keys", map[string]any{"name": t.Name(), "scopes": []nexus.Scope{scope}}, 201, &key)
	return caller{s, http.Header{"X-Api-Key": {key.Secret}}}
}

// gates makes n keys for check-ins: what one may send a second is limited.
func (s *server) gates(t testing.TB, n int) []caller {
	t.Helper()
	admin := s.as(t, "admin")
	gates := make([]caller, n)
	for i := range gates {
		gates[i] = s.device(t, admin, nexus.ScopeCheckins)
	}
	return gates
}

// halls lists the mess halls; the default one comes first.
func (s *server) halls(t testing.TB) []nexus.Hall {
	t.Helper()
	var list nexus.List[nexus.Hall]
	s.stranger().call(t, "GET", "/mess/halls", nil, 200, &list)
	for i, h := range list.Items {
		if h.Default {
			list.Items[0], list.Items[i] = list.Items[i], list.Items[0]
		}
	}
	if len(list.Items) < 3 || !list.Items[0].Default {
		t.Fatalf("the demo campus has three halls, one of them the default: %+v", list.Items)
	}
	return list.Items
}

// live is how full a hall is by REST.
func (s *server) live(t testing.TB, hall nexus.HallID) nexus.Crowd {
	t.Helper()
	var c nexus.Crowd
	s.stranger().call(t, "GET", "/mess/halls/"+string(hall)+"/live", nil, 200, &c)
	return c
}

// in is one person that comes in, known by the source's own id.
func in(source, id string) map[string]any {
	return map[string]any{"source": source, "eventId": id, "at": time.Now().UTC().Format(nexus.TimeLayout), "delta": 1}
}

// checkIn reports events, and wants them all taken.
func (c caller) checkIn(t testing.TB, hall nexus.HallID, events ...map[string]any) nexus.CheckInResult {
	t.Helper()
	var r nexus.CheckInResult
	c.call(t, "POST", checkins(hall), map[string]any{"events": events}, 200, &r)
	return r
}

func checkins(hall nexus.HallID) string { return fmt.Sprintf("/mess/halls/%s/checkins", hall) }

// plusDays moves a date.
func plusDays(t testing.TB, date string, days int) string {
	t.Helper()
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		t.Fatal(err)
	}
	return d.AddDate(0, 0, days).Format(time.DateOnly)
}
