package rest_test

import (
	"reflect"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

func TestTheOriginalClientReadsToday(t *testing.T) {
	h := campus(t)
	wantData := func(n int) []rest.TodaysMenu {
		t.Helper()
		r := h.Call("GET", "/api/v1/mess/today", nil)
		wantStatus(t, r, 200)
		got := body[struct {
			Success bool
			Data    []rest.TodaysMenu
		}](t, r)
		if !got.Success || got.Data == nil || len(got.Data) != n {
			t.Fatalf("today: %s", r.Body)
		}
		return got.Data
	}
	wantData(0)
	date, menu := lunch(t)
	wantStatus(t, h.Call("PUT", hallURL+"/menus/"+date+"/LUNCH", menu, h.As(nexus.MessStaff)...), 200)
	got := wantData(1)[0]
	if got.MealType != "LUNCH" || got.StartTime != "00:00" || got.EndTime != "02:30" || got.Hall != "Central" ||
		!reflect.DeepEqual(got.Items, []string{"Dal Tadka", "Chapati"}) || len(got.Dishes) != 2 {
		t.Errorf("today's lunch %+v", got)
	}
	wantStatus(t, h.Call("GET", "/api/v1/mess/today?hall="+hallID, nil), 200)
	wantField(t, h.Call("GET", "/api/v1/mess/today?hall=north", nil), "hall")
	wantStatus(t, h.Call("GET", "/api/v1/mess/today?hall="+strings.TrimPrefix(nowhere, "/api/v1/mess/halls/"), nil), 404)
	wantStatus(t, resttest.New(t).Call("GET", "/api/v1/mess/today", nil), 404)
}

func TestStaffReportByEye(t *testing.T) {
	h := campus(t)
	staff := h.As(nexus.MessStaff)
	for _, c := range []struct {
		body        string
		level, wait int    // as the hall is told
		wrong       string // the field, when it is refused
	}{
		{`{"level":75,"waitTime":"10 mins"}`, 75, 10, ""},
		{`{"level":0,"waitTime":0}`, 0, 0, ""},
		{`{"level":100}`, 100, -1, ""},
		{`{"level":"High","waitTime":"5"}`, 90, 5, ""},
		{`{"level":"moderate","waitTime":"1 minute"}`, 55, 1, ""},
		{`{"level":" Medium ","waitTime":240}`, 55, 240, ""},
		{`{"level":"LOW","waitTime":"240 Min."}`, 20, 240, ""},
		{`{"level":5.0}`, 5, -1, ""},
		{`{"level":101}`, 0, 0, "level"},
		{`{"level":-1}`, 0, 0, "level"},
		{`{"level":1.5}`, 0, 0, "level"},
		{`{"level":"packed"}`, 0, 0, "level"},
		{`{"level":null}`, 0, 0, "level"},
		{`{"level":{}}`, 0, 0, "level"},
		{`{"waitTime":5}`, 0, 0, "level"},
		{`{"level":5,"waitTime":"soon"}`, 0, 0, "waitTime"},
		{`{"level":5,"waitTime":"-5 mins"}`, 0, 0, "waitTime"},
		{`{"level":5,"waitTime":"241 mins"}`, 0, 0, "waitTime"},
		{`{"level":5,"waitTime":241}`, 0, 0, "waitTime"},
		{`{"level":5,"waitTime":""}`, 0, 0, "waitTime"},
		{`{"level":5,"status":"High"}`, 0, 0, "status"},
	} {
		t.Run(c.body, func(t *testing.T) {
			r := h.Call("POST", "/api/v1/mess/update", c.body, staff...)
			if c.wrong != "" {
				wantField(t, r, c.wrong)
				return
			}
			wantStatus(t, r, 200)
			live := body[nexus.Crowd](t, h.Call("GET", hallURL+"/live", nil))
			if live.Level != c.level || live.WaitMinutes != c.wait {
				t.Errorf("the hall is told %d%%, %d minutes", live.Level, live.WaitMinutes)
			}
			got := body[rest.Updated](t, r)
			if !got.Success || got.Stats.Level != c.level {
				t.Errorf("answer %s", r.Body)
			}
		})
	}
	status := h.Call("GET", "/api/v1/mess/live-status", nil).JSON()
	if len(status) != 3 || status["level"] != 5.0 || status["status"] != "Low" || status["waitTime"] != "0 mins" {
		t.Errorf("live status %v", status)
	}
}
