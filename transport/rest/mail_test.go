package rest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// TestAMailIsHandedInAndRead by the people that it is for alone.
func TestAMailIsHandedInAndRead(t *testing.T) {
	h := resttest.New(t)
	h.Mail.Address("asha@example.edu", h.People[nexus.Student].ID)
	gateway := []string{"X-Api-Key", h.Key(nexus.ScopeMail), "Content-Type", "message/rfc822"}
	in := rest.Base + rest.InboundPath
	r := h.Call("POST", in+"?to=asha@example.edu,nobody@example.edu", "Subject: x\r\n\r\ny", gateway...)
	if r.Status != 200 || r.JSON()["delivered"] != 1.0 || r.JSON()["unknown"] != 1.0 || h.Mail.Raw[0] != "Subject: x\r\n\r\ny" {
		t.Fatalf("%d %s %q", r.Status, r.Body, h.Mail.Raw)
	}
	if r := h.Call("POST", in+"?to=asha@example.edu", strings.Repeat("a", 4<<20), gateway...); r.Status != 200 {
		t.Errorf("four megabytes: %d %s", r.Status, r.Body)
	}
	for what, c := range map[string]struct {
		query, body string
		headers     []string
		status      int
	}{
		"no address":         {"", "x", gateway, 422},
		"too many":           {"?to=" + strings.Repeat("a@example.edu,", 100) + "b@example.edu", "x", gateway, 422},
		"nobody's":           {"?to=nobody@example.edu", "x", gateway, 404},
		"no mail":            {"?to=asha@example.edu", "none", gateway, 422},
		"nothing":            {"?to=asha@example.edu", "", gateway, 422},
		"too large":          {"?to=asha@example.edu", strings.Repeat("a", 5<<20+1), gateway, 413},
		"another type":       {"?to=asha@example.edu", "x", []string{"X-Api-Key", h.Key(nexus.ScopeMail), "Content-Type", "text/plain"}, 415},
		"another's key":      {"?to=asha@example.edu", "x", []string{"X-Api-Key", h.Key(nexus.ScopeCheckins), "Content-Type", "message/rfc822"}, 403},
		"a key that is none": {"?to=asha@example.edu", strings.Repeat("a", 1<<20), []string{"X-Api-Key", "nxk_nonsense", "Content-Type", "message/rfc822"}, 401},
		"an administrator":   {"?to=asha@example.edu", "x", append(h.As(nexus.Admin), "Content-Type", "message/rfc822"), 403},
	} {
		if r := h.Call("POST", in+c.query, c.body, c.headers...); r.Status != c.status {
			t.Errorf("%s: %d %s", what, r.Status, r.Body)
		}
	}
	me, other := h.As(nexus.Student), h.As(nexus.Faculty)
	items, _ := h.Call("GET", rest.Base+"/mail?urgent=true", nil, me...).JSON()["items"].([]any)
	if len(items) != 2 {
		t.Fatalf("%v", items)
	}
	mail := items[1].(map[string]any)
	if s := mail["summary"].(map[string]any); mail["subject"] != "Fees" || s["engine"] != "local" || s["urgent"] != true || mail["text"] != nil {
		t.Errorf("%v", mail)
	}
	one := rest.Base + "/mail/" + mail["id"].(string)
	if r := h.Call("GET", one, nil, me...); r.Status != 200 || r.JSON()["text"] != "Subject: x\r\n\r\ny" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("POST", one+"/actions/1/done", nil, me...); r.Status != 200 || r.JSON()["doneAt"] == nil {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	for call, want := range map[string]int{"POST " + one + "/actions/2/done": 404, "POST " + one + "/actions/0/done": 422, "POST " + one + "/actions/x/done": 422, "GET " + rest.Base + "/mail/" + nexus.NewID(): 404} {
		method, path, _ := strings.Cut(call, " ")
		if r := h.Call(method, path, nil, me...); r.Status != want {
			t.Errorf("%s: %d", call, r.Status)
		}
	}
	for _, call := range []string{"GET " + one, "POST " + one + "/actions/1/done"} {
		method, path, _ := strings.Cut(call, " ")
		if r := h.Call(method, path, nil, other...); r.Status != 404 {
			t.Errorf("somebody else: %s: %d", call, r.Status)
		}
	}
}

// TestSummarizeIsAnsweredAsTheOriginalClientReadsIt, with our own fields.
func TestSummarizeIsAnsweredAsTheOriginalClientReadsIt(t *testing.T) {
	h := resttest.New(t, func(c *resttest.Config) { c.Limits.Summary = limit.Rule{Rate: 0.001, Burst: 2} })
	me := h.As(nexus.Student)
	path := rest.Base + "/ai/summarize"
	r := h.Call("POST", path, map[string]any{"subject": "Fees", "body": "Pay by Friday."}, me...)
	got := r.JSON()
	if r.Status != 200 || got["summary"] != "Fees in UTC" || got["urgent"] != false || got["category"] != "other" || got["engine"] != "local" || got["suspicious"] != false || got["actions"] == nil {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("POST", path, map[string]any{"subject": "Fees"}, me...); r.Status != 422 || !strings.Contains(string(r.Body), `"body"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	if r := h.Call("POST", path, map[string]any{"body": "x"}, me...); r.Status != http.StatusTooManyRequests {
		t.Errorf("the third within the limit of two: %d", r.Status)
	}
	if r := h.Call("GET", rest.Base+"/notifications", nil, me...); r.Status != 200 {
		t.Errorf("what else the person does: %d", r.Status)
	}
}

// TestTheCalendarIsStaffs, and everybody's to read.
func TestTheCalendarIsStaffs(t *testing.T) {
	h := resttest.New(t)
	path := rest.Base + "/mess/calendar"
	staff := h.As(nexus.MessStaff)
	if r := h.Call("PUT", path+"/2031-10-20", map[string]any{"kind": "EVENT", "name": "Festival dinner"}, staff...); r.Status != 200 || r.JSON()["day"] != "2031-10-20" {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	items := func(query string) []any {
		t.Helper()
		r := h.Call("GET", path+query, nil)
		list, ok := r.JSON()["items"].([]any)
		if r.Status != 200 || !ok {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		return list
	}
	if n := len(items("?from=2031-09-01")); n != 1 {
		t.Errorf("%d days", n)
	}
	if n := len(items("?from=2031-09-01&to=2031-10-01")) + len(items("")); n != 0 {
		t.Errorf("%d days", n)
	}
	for _, c := range []struct {
		method, path string
		body         any
		as           []string
		status       int
	}{
		{"PUT", "/2031-10-20", map[string]any{"kind": "PARTY", "name": "x"}, staff, 422},
		{"PUT", "/2031-10-20", map[string]any{"kind": "EVENT"}, staff, 422},
		{"PUT", "/tomorrow", map[string]any{"kind": "EVENT", "name": "x"}, staff, 422},
		{"PUT", "/2031-10-20", map[string]any{"kind": "EVENT", "name": "x"}, h.As(nexus.Student), 403},
		{"DELETE", "/2031-10-20", nil, nil, 401},
		{"DELETE", "/2031-10-20", nil, staff, 204},
		{"DELETE", "/2031-10-20", nil, staff, 204},
		{"GET", "?from=x", nil, nil, 422},
	} {
		if r := h.Call(c.method, path+c.path, c.body, c.as...); r.Status != c.status {
			t.Errorf("%s %s: %d %s", c.method, c.path, r.Status, r.Body)
		}
	}
}

func TestForecastsArePublic(t *testing.T) {
	h := campus(t)
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	r := h.Call("GET", hallURL+"/forecast", nil)
	if items, _ := r.JSON()["points"].([]any); r.Status != 200 || items == nil || len(items) != 0 {
		t.Errorf("before anything is known: %d %s", r.Status, r.Body)
	}
	h.Mess.Expected = nexus.Forecast{Model: "adaptive", MadeAt: at, Points: []nexus.ForecastPoint{{T: at, P10: 1, P50: 2, P90: 3.5}}}
	h.Mess.Scored = []nexus.ForecastScore{{Day: "2026-05-04", Model: "adaptive", HorizonMin: 60, N: 10, MASE: 0.5, Chosen: true}}
	r = h.Call("GET", hallURL+"/forecast", nil)
	if want := `"points":[{"t":"2026-05-04T12:00:00.000Z","p10":1,"p50":2,"p90":3.5}],"model":"adaptive","madeAt":"2026-05-04T12:00:00.000Z"`; !strings.Contains(string(r.Body), want) {
		t.Errorf("%s", r.Body)
	}
	r = h.Call("GET", hallURL+"/forecast/score", nil)
	if items, _ := r.JSON()["items"].([]any); len(items) != 1 || items[0].(map[string]any)["chosen"] != true {
		t.Errorf("%s", r.Body)
	}
	for _, path := range []string{"/forecast", "/forecast/score"} {
		wantStatus(t, h.Call("GET", nowhere+path, nil), 404)
	}
}

func TestSentimentIsForTheMess(t *testing.T) {
	h := campus(t)
	cook := h.As(nexus.MessStaff)
	path := rest.Base + "/mess/analytics/sentiment"
	r := h.Call("GET", path+"?by=dish&from=2026-05-01&to=2026-05-31", nil, cook...)
	if items, _ := r.JSON()["items"].([]any); len(items) != 1 || items[0].(map[string]any)["name"] != "2026-05-01 to 2026-05-31" {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	for query, field := range map[string]string{"?by=cook": "by", "?from=yesterday": "from", "?to=2026-02-30": "to", "?from=2026-06-01&to=2026-05-31": "from", "?from=2020-01-01": "from"} {
		wantField(t, h.Call("GET", path+query, nil, cook...), field)
	}
}

func TestTheOfficeSeesWhatAIDoes(t *testing.T) {
	h := resttest.New(t)
	r := h.Call("GET", rest.Base+"/admin/ai", nil, h.As(nexus.Admin)...)
	if jobs, _ := r.JSON()["jobs"].(map[string]any); r.Status != 200 || r.JSON()["pool"] != nil || jobs["available"] != 2.0 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}
