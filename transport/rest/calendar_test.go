package rest_test

import (
	"bytes"
	"strings"
	"testing"

	goical "github.com/emersion/go-ical"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// share makes the student's calendar readable and returns the path.
func share(t *testing.T, h *resttest.House) string {
	t.Helper()
	r := h.Call("POST", rest.Base+"/me/calendar", nil, h.As(nexus.Student)...)
	path, _ := r.JSON()["url"].(string)
	if r.Status != 201 || !strings.HasPrefix(path, rest.Base+"/calendar/") || !strings.HasSuffix(path, ".ics") {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	return path
}

func inCalendar(t *testing.T, body []byte) int {
	t.Helper()
	cal, err := goical.NewDecoder(bytes.NewReader(body)).Decode()
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return len(cal.Events())
}

func TestTheTimetableIsExported(t *testing.T) {
	w := newWeek(t)
	r := w.Call("GET", rest.Base+"/academic/timetable/export", nil, w.As(nexus.Student)...)
	if r.Status != 200 || r.Header.Get("Content-Type") != "text/calendar; charset=utf-8" ||
		r.Header.Get("Content-Disposition") != `attachment; filename="timetable.ics"` || !strings.Contains(r.Header.Get("Cache-Control"), "private") {
		t.Errorf("%d %v", r.Status, r.Header)
	}
	if n := inCalendar(t, r.Body); n != 3 {
		t.Errorf("%d events", n)
	}
	if r := w.Call("GET", rest.Base+"/academic/timetable/export", nil); r.Status != 401 {
		t.Errorf("a stranger: %d", r.Status)
	}
}

// TestACalendarIsReadByItsSecretAddress, without a login, until another takes its place or it is ended.
func TestACalendarIsReadByItsSecretAddress(t *testing.T) {
	w := newWeek(t)
	student := w.As(nexus.Student)
	if r := w.Call("GET", rest.Base+"/me/calendar", nil, student...); r.Status != 404 {
		t.Errorf("before: %d", r.Status)
	}
	path := share(t, w.House)
	token := strings.TrimSuffix(strings.TrimPrefix(path, rest.Base+"/calendar/"), ".ics")
	if len(token) != 43 { // 32 bytes
		t.Errorf("the token has %d characters", len(token))
	}
	if r := w.Call("GET", rest.Base+"/me/calendar", nil, student...); r.Status != 200 || strings.Contains(string(r.Body), token) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	r := w.Call("GET", path, nil)
	tag := r.Header.Get("ETag")
	if r.Status != 200 || inCalendar(t, r.Body) != 3 || tag == "" || r.Header.Get("Cache-Control") != "private, max-age=0" || r.Header.Get("RateLimit-Limit") == "" {
		t.Fatalf("%d %v", r.Status, r.Header)
	}
	for _, has := range []string{tag, "W/" + tag, `"other", ` + tag} {
		if r := w.Call("GET", path, nil, "If-None-Match", has); r.Status != 304 || len(r.Body) != 0 || r.Header.Get("ETag") != tag {
			t.Errorf("unchanged: %d %s", r.Status, r.Body)
		}
	}
	if r := w.Call("DELETE", w.path+"/enrollments/me", nil, student...); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if r := w.Call("GET", path, nil, "If-None-Match", tag); r.Status != 200 || inCalendar(t, r.Body) != 0 {
		t.Errorf("changed: %d %s", r.Status, r.Body)
	}

	other := share(t, w.House)
	revoked := w.Call("GET", path, nil)
	if r := w.Call("GET", other, nil); revoked.Status != 404 || r.Status != 200 {
		t.Errorf("the old %d, the new %d", revoked.Status, r.Status)
	}
	for range 2 {
		if r := w.Call("DELETE", rest.Base+"/me/calendar", nil, student...); r.Status != 200 {
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	for _, wrong := range []string{other, rest.Base + "/calendar/" + strings.Repeat("A", 43) + ".ics", rest.Base + "/calendar/" + token, rest.Base + "/calendar/.ics"} {
		r, like := w.Call("GET", wrong, nil), revoked.JSON()
		for _, field := range []string{"status", "title", "detail", "code", "error"} {
			if r.JSON()[field] != like[field] {
				t.Errorf("%s: %s, and the revoked %s", wrong, r.Body, revoked.Body)
			}
		}
	}
	if log := w.Log.String(); strings.Contains(log, token) || !strings.Contains(log, "/calendar/") {
		t.Error("the log holds the token, or nothing of its requests")
	}
}

// TestGuessesAtCalendarsAreFew: a stranger's address has its limit.
func TestGuessesAtCalendarsAreFew(t *testing.T) {
	h := resttest.New(t, func(c *resttest.Config) { c.Limits.Stranger = limit.Rule{Rate: 0.001, Burst: 3} })
	for i := range 4 {
		r := h.Call("GET", rest.Base+"/calendar/"+strings.Repeat("A", 43)+".ics", nil)
		if want := []int{404, 404, 404, 429}[i]; r.Status != want || want == 429 && r.Header.Get("Retry-After") == "" {
			t.Errorf("guess %d: %d %v", i+1, r.Status, r.Header)
		}
	}
}
