package simulate

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"nexus"
)

// server is a campus in memory that a client reaches without a network, so that it works in synctest's bubble.
type server struct {
	t *testing.T
	sync.Mutex
	halls    []nexus.Hall
	keys     map[string]bool // key ids that live
	logins   int             // logins without a logout
	seen     map[string]bool // source/event id
	people   map[nexus.HallID]int
	peak     map[nexus.HallID]int
	absolute []int       // counts in the order of their arrival
	at       []time.Time // when each event says that it happened
	late     time.Duration
	largest  int                      // batch
	trouble  func(n int) (status int) // what befalls the nth batch; 0 is nothing, lost is an answer that never comes
	batches  int
}

// lost is the trouble of a batch that was counted although its sender hears nothing.
const lost = -1

func newServer(t *testing.T, halls ...nexus.Hall) *server {
	for i := range halls {
		halls[i].ID = nexus.HallID(fmt.Sprintf("hall-%d", i))
	}
	return &server{
		t: t, halls: halls, keys: map[string]bool{}, seen: map[string]bool{},
		people: map[nexus.HallID]int{}, peak: map[nexus.HallID]int{}, trouble: func(int) int { return 0 },
	}
}

func campusOfThree(t *testing.T) *server {
	return newServer(t,
		nexus.Hall{Name: "Central", Capacity: 420, DwellMin: 26, TZ: "Asia/Kolkata", Default: true},
		nexus.Hall{Name: "North", Capacity: 300, DwellMin: 25, TZ: "Asia/Kolkata"},
		nexus.Hall{Name: "South", Capacity: 240, DwellMin: 24, TZ: "Asia/Kolkata"})
}

// RoundTrip answers a request.
func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.Lock()
	defer s.Unlock()
	w := httptest.NewRecorder()
	path := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1")
	switch {
	case path == "GET /mess/halls":
		s.answer(w, 200, nexus.List[nexus.Hall]{Items: s.halls})
	case path == "POST /auth/login/admin":
		var who map[string]string
		s.read(r, &who)
		if who["email"] != "admin@demo.nexus" || who["password"] != "campus-demo" {
			s.answer(w, 401, map[string]any{"code": "unauthenticated", "detail": "wrong e-mail address or password"})
			break
		}
		s.logins++
		s.answer(w, 200, map[string]string{"token": "admin"})
	case strings.HasSuffix(path, "/checkins"):
		if err := s.checkIn(w, r, nexus.HallID(strings.Split(path, "/")[3])); err != nil {
			return nil, err
		}
	case r.Header.Get("Authorization") != "Bearer admin":
		s.answer(w, 401, map[string]any{"code": "unauthenticated", "detail": "please log in"})
	case path == "POST /auth/logout":
		s.logins--
		s.answer(w, 200, map[string]bool{"success": true})
	case path == "POST /admin/api-keys":
		s.keys["key-1"] = true
		s.answer(w, 201, map[string]any{"key": map[string]string{"id": "key-1"}, "secret": "secret"})
	case path == "DELETE /admin/api-keys/key-1" && s.keys["key-1"]:
		delete(s.keys, "key-1")
		s.answer(w, 200, map[string]bool{"success": true})
	default:
		s.answer(w, 404, map[string]any{"code": "not_found", "detail": "no such route " + path})
	}
	return w.Result(), nil
}

func (s *server) checkIn(w *httptest.ResponseRecorder, r *http.Request, hall nexus.HallID) error {
	var body struct{ Events []event }
	s.read(r, &body)
	s.batches++
	s.largest = max(s.largest, len(body.Events))
	trouble := s.trouble(s.batches)
	switch {
	case r.Header.Get("X-Api-Key") != "secret":
		s.answer(w, 401, map[string]any{"code": "unauthenticated", "detail": "unknown key"})
		return nil
	case trouble > 0:
		w.Header().Set("Retry-After", "1")
		s.answer(w, trouble, map[string]any{"code": "unavailable", "detail": "in trouble"})
		return nil
	}
	var t tally
	for _, e := range body.Events {
		if s.seen[e.Source+"/"+e.EventID] {
			t.Duplicates++
			continue
		}
		s.seen[e.Source+"/"+e.EventID] = true
		t.Accepted++
		s.count(hall, e)
	}
	if trouble == lost {
		return errors.New("connection reset")
	}
	s.answer(w, 200, t)
	return nil
}

func (s *server) count(hall nexus.HallID, e event) {
	at, err := time.Parse(time.RFC3339, e.At)
	if err != nil {
		s.t.Error(err)
	}
	s.at = append(s.at, at)
	s.late = max(s.late, time.Since(at))
	if (e.Delta == nil) == (e.Absolute == nil) {
		s.t.Errorf("event %s has not exactly one of delta and absolute", e.EventID)
		return
	}
	if e.Absolute != nil {
		s.people[hall] = *e.Absolute
		s.absolute = append(s.absolute, *e.Absolute)
		return
	}
	s.people[hall] += *e.Delta
	s.peak[hall] = max(s.peak[hall], s.people[hall])
}

func (s *server) read(r *http.Request, v any) {
	if err := json.NewDecoder(r.Body).Decode(v); err != nil {
		s.t.Error(err)
	}
}

func (s *server) answer(w *httptest.ResponseRecorder, status int, v any) {
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.t.Error(err)
	}
}
