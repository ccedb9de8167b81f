package rest_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// hallURL is where the tests' default hall is.
const (
	hallID  = "0197f3a0-0000-7000-8000-000000000001"
	hallURL = "/api/v1/mess/halls/" + hallID
	nowhere = "/api/v1/mess/halls/0197f3a0-0000-7000-8000-0000000000ff"
)

// campus is a house with two halls, of which Central is the default.
func campus(t *testing.T) *resttest.House {
	t.Helper()
	h := resttest.New(t)
	h.Mess.Open(
		nexus.Hall{ID: hallID, Name: "Central", Capacity: 300, ServiceRatePerMin: 8, DwellMin: 25, TZ: "Asia/Kolkata", Default: true, Version: 1},
		nexus.Hall{ID: "0197f3a0-0000-7000-8000-000000000002", Name: "Annexe", Capacity: 100, ServiceRatePerMin: 4, DwellMin: 20, TZ: "UTC", Version: 1})
	return h
}

func wantStatus(t *testing.T, r resttest.Reply, want int) {
	t.Helper()
	if r.Status != want {
		t.Fatalf("status %d, want %d: %s", r.Status, want, r.Body)
	}
}

// wantField checks that the answer refuses exactly this field first.
func wantField(t *testing.T, r resttest.Reply, field string) {
	t.Helper()
	var p struct{ Errors []nexus.FieldError }
	if err := json.Unmarshal(r.Body, &p); err != nil || r.Status != http.StatusUnprocessableEntity || len(p.Errors) == 0 || p.Errors[0].Field != field {
		t.Errorf("status %d, want 422 that names %s: %s", r.Status, field, r.Body)
	}
}

func body[T any](t *testing.T, r resttest.Reply) (v T) {
	t.Helper()
	if err := json.Unmarshal(r.Body, &v); err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	return v
}

func TestWhoMayDoWhatInTheMess(t *testing.T) {
	all := []string{"STUDENT", "FACULTY", "MESS_STAFF", "SECURITY", "ADMIN"}
	want := map[string][]string{
		"GET /mess/halls": nil, "GET /mess/halls/{id}": nil, "GET /mess/halls/{id}/menus": nil, "GET /mess/dishes": nil,
		"GET /mess/menus/{id}/ratings/summary": nil, "GET /mess/halls/{id}/live": nil, "GET /mess/halls/{id}/history": nil,
		"GET /mess/halls/{id}/forecast": nil, "GET /mess/halls/{id}/forecast/score": nil, "GET /mess/calendar": nil,
		"GET /mess/today": nil, "GET /mess/live-status": nil,
		"POST /mess/halls":                         {"ADMIN"},
		"GET /mess/analytics/sentiment":            {"MESS_STAFF", "ADMIN"},
		"PUT /mess/halls/{id}":                     {"MESS_STAFF", "ADMIN"},
		"PUT /mess/calendar/{day}":                 {"MESS_STAFF", "ADMIN"},
		"DELETE /mess/calendar/{day}":              {"MESS_STAFF", "ADMIN"},
		"PUT /mess/halls/{id}/menus/{date}/{meal}": {"MESS_STAFF", "ADMIN"},
		"POST /mess/halls/{id}/checkins":           {"MESS_STAFF", "ADMIN", "mess:checkins"},
		"POST /mess/menus/{id}/ratings":            all,
		"POST /mess/rate":                          all,
		"POST /mess/update":                        {"MESS_STAFF"},
	}
	h := resttest.New(t)
	for _, op := range h.API.Operations() {
		if !strings.HasPrefix(op.Path, "/mess") {
			continue
		}
		name := op.Method + " " + op.Path
		allowed, known := want[name]
		delete(want, name)
		if !known {
			t.Errorf("%s is missing in this table", name)
			continue
		}
		if stranger := op.Access.Check(nexus.Caller{}) == nil; stranger != (allowed == nil) {
			t.Errorf("%s: a stranger may: %v", name, stranger)
		}
		got := map[string]bool{}
		for _, role := range nexus.Roles() {
			got[string(role)] = op.Access.Check(nexus.Caller{User: "u", Roles: []nexus.Role{role}}) == nil
		}
		for _, scope := range nexus.Scopes() {
			got[string(scope)] = op.Access.Check(nexus.Caller{Key: "k", Scopes: []nexus.Scope{scope}}) == nil
		}
		for who, may := range got {
			if should := allowed == nil || strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+who+" "); may != should {
				t.Errorf("%s: %s may: %v", name, who, may)
			}
		}
	}
	for name := range want {
		t.Errorf("%s is not served", name)
	}
}

func TestHallsAreListedAndChanged(t *testing.T) {
	h := campus(t)
	list := body[nexus.List[nexus.Hall]](t, h.Call("GET", "/api/v1/mess/halls", nil))
	if len(list.Items) != 2 || list.Items[0].Name != "Annexe" || !list.Items[1].Default {
		t.Errorf("halls %+v", list.Items)
	}
	r := h.Call("GET", hallURL, nil)
	if r.Header.Get("ETag") != `"1"` {
		t.Errorf("ETag %s", r.Header.Get("ETag"))
	}
	wantStatus(t, h.Call("GET", nowhere, nil), 404)

	staff := h.As(nexus.MessStaff)
	change := map[string]any{"name": "Central", "capacity": 350, "serviceRatePerMin": 9.5, "dwellMin": 20, "tz": "Asia/Kolkata"}
	r = h.Call("PUT", hallURL, change, append(staff, "If-Match", `"1"`)...)
	wantStatus(t, r, 200)
	want := nexus.Hall{ID: hallID, Name: "Central", Capacity: 350, ServiceRatePerMin: 9.5, DwellMin: 20, TZ: "Asia/Kolkata", Default: true, Version: 2}
	if d := cmp.Diff(want, body[nexus.Hall](t, r)); d != "" || r.Header.Get("ETag") != `"2"` {
		t.Errorf("ETag %s, hall %s", r.Header.Get("ETag"), d)
	}
	if len(h.Mess.Told) != 1 || h.Mess.Told[0] != hallID {
		t.Errorf("halls told: %v", h.Mess.Told)
	}
	wantStatus(t, h.Call("PUT", hallURL, change, append(staff, "If-Match", `"1"`)...), 412)
	wantStatus(t, h.Call("PUT", nowhere, change, staff...), 404)
	if len(h.Mess.Told) != 1 {
		t.Errorf("a hall was told of a change that was not made: %v", h.Mess.Told)
	}
	for field, value := range map[string]any{
		"name": "", "capacity": 0, "serviceRatePerMin": 0, "dwellMin": 1441, "tz": "Mars/Olympus", "default": true, "version": 9,
	} {
		wrong := map[string]any{}
		for k, v := range change {
			wrong[k] = v
		}
		wrong[field] = value
		wantField(t, h.Call("PUT", hallURL, wrong, staff...), field)
	}
	change["tz"] = "Local" // what that means depends on the node
	wantField(t, h.Call("PUT", hallURL, change, staff...), "tz")
}

// lunch is a menu that is open now, on today's date in the hall's zone.
func lunch(t *testing.T) (date string, menu map[string]any) {
	t.Helper()
	kolkata, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().In(kolkata)
	opens := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, kolkata)
	return now.Format(time.DateOnly), map[string]any{
		"opensAt": opens.Format(time.RFC3339), "closesAt": opens.Add(150 * time.Minute).Format(time.RFC3339),
		"items": []map[string]any{
			{"name": "Dal Tadka", "diet": "VEG", "servingG": 180, "nutrition": map[string]any{"kcal": 210}, "allergens": []string{"milk"}, "station": "Counter 1"},
			{"name": "Chapati", "diet": "VEGAN", "nutrition": map[string]any{"kcal": 240, "sodiumMg": 220}, "allergens": []string{"gluten"}},
		},
	}
}

func TestMenusArePutAndRead(t *testing.T) {
	h := campus(t)
	staff := h.As(nexus.MessStaff)
	date, menu := lunch(t)
	url := hallURL + "/menus/" + date + "/LUNCH"
	r := h.Call("PUT", url, menu, staff...)
	wantStatus(t, r, 200)
	made := body[nexus.Menu](t, r)
	if made.Diet != "VEG" || *made.Totals.KCal != 450 || made.Totals.SodiumMg != nil || len(made.Items) != 2 {
		t.Errorf("menu %+v", made)
	}
	want := []resttest.Published{{
		Topic: "mess/" + hallID, Namespace: "/mess", Event: "MENU_UPDATE",
		Payload: rest.MenuUpdate{HallID: hallID, Date: date, Meal: nexus.Lunch, Version: 1},
	}}
	if d := cmp.Diff(want, h.Mess.Published); d != "" {
		t.Errorf("published %s", d)
	}
	list := body[nexus.List[nexus.Menu]](t, h.Call("GET", hallURL+"/menus", nil))
	if len(list.Items) != 1 || list.Items[0].ID != made.ID {
		t.Errorf("menus %+v", list)
	}
	dishes := body[nexus.List[nexus.Dish]](t, h.Call("GET", "/api/v1/mess/dishes?q=DAL&limit=1", nil))
	if len(dishes.Items) != 1 || dishes.Items[0].Name != "Dal Tadka" {
		t.Errorf("dishes %+v", dishes)
	}
	h.Mess.Fail(errors.New("disk on fire"))
	wantStatus(t, h.Call("PUT", url, menu, staff...), 500)
	if len(h.Mess.Published) != 1 {
		t.Error("a menu that was not kept was published")
	}
}

func TestWrongMenusAreRefused(t *testing.T) {
	h := campus(t)
	staff := h.As(nexus.MessStaff)
	date, _ := lunch(t)
	url := hallURL + "/menus/" + date + "/LUNCH"
	dish := func(change map[string]any) map[string]any {
		d := map[string]any{"name": "Poha", "diet": "VEG"}
		for k, v := range change {
			d[k] = v
		}
		return d
	}
	long := strings.Repeat("x", 2001)
	for field, change := range map[string]map[string]any{
		"opensAt":                  {"opensAt": "2020-01-01T12:00:00Z"},
		"closesAt":                 {"closesAt": "2020-01-01T12:00:00Z"},
		"items":                    {"items": []any{}},
		"items[1].name":            {"items": []any{dish(nil), dish(map[string]any{"name": " poha "})}},
		"items[0].name":            {"items": []any{dish(map[string]any{"name": long})}},
		"items[0].diet":            {"items": []any{dish(map[string]any{"diet": "KETO"})}},
		"items[0].servingG":        {"items": []any{dish(map[string]any{"servingG": -1})}},
		"items[0].nutrition.kcal":  {"items": []any{dish(map[string]any{"nutrition": map[string]any{"kcal": 20001}})}},
		"items[0].nutrition.carbs": {"items": []any{dish(map[string]any{"nutrition": map[string]any{"carbs": 1}})}},
		"items[0].station":         {"items": []any{dish(map[string]any{"station": long})}},
		"items[0].allergens[1]":    {"items": []any{dish(map[string]any{"allergens": []string{"milk", long}})}},
		"items[0].allergens[0]":    {"items": []any{dish(map[string]any{"allergens": []string{""}})}},
		"items[0].id":              {"items": []any{dish(map[string]any{"id": hallID})}},
		"hallId":                   {"hallId": hallID},
	} {
		_, menu := lunch(t)
		for k, v := range change {
			menu[k] = v
		}
		t.Run(field, func(t *testing.T) { wantField(t, h.Call("PUT", url, menu, staff...), field) })
	}
	_, menu := lunch(t)
	wantField(t, h.Call("PUT", hallURL+"/menus/2026-02-30/LUNCH", menu, staff...), "date")
	wantField(t, h.Call("PUT", hallURL+"/menus/1026-02-03/LUNCH", menu, staff...), "date")
	wantField(t, h.Call("PUT", hallURL+"/menus/"+date+"/BRUNCH", menu, staff...), "meal")
	wantStatus(t, h.Call("PUT", nowhere+"/menus/"+date+"/LUNCH", menu, staff...), 404)
	for query, field := range map[string]string{
		"from=x": "from", "from=1899-01-01": "from", "from=2026-01-02&to=2026-01-01": "to", "from=2026-01-01&to=2026-02-02": "to",
	} {
		wantField(t, h.Call("GET", hallURL+"/menus?"+query, nil), field)
	}
	wantStatus(t, h.Call("GET", hallURL+"/menus?from=2026-01-01&to=2026-02-01", nil), 200)
	wantField(t, h.Call("GET", "/api/v1/mess/dishes?limit=201", nil), "limit")
}

func TestMenusAreRated(t *testing.T) {
	h := campus(t)
	date, menu := lunch(t)
	id := string(body[nexus.Menu](t, h.Call("PUT", hallURL+"/menus/"+date+"/LUNCH", menu, h.As(nexus.Admin)...)).ID)
	student := h.As(nexus.Student)
	url := "/api/v1/mess/menus/" + id + "/ratings"
	r := h.Call("POST", url, map[string]any{"stars": 2, "comment": "Too salty.\nAgain."}, student...)
	wantStatus(t, r, 200)
	if got := body[nexus.Rating](t, r); got.Stars != 2 || got.Comment != "Too salty.\nAgain." {
		t.Errorf("rating %+v", got)
	}
	r = h.Call("POST", "/api/v1/mess/rate", map[string]any{"menuId": strings.ToUpper(id), "rating": 4, "comment": ""}, student...)
	wantStatus(t, r, 200)
	if got := r.JSON(); got["success"] != true || got["message"] == "" {
		t.Errorf("original answer %s", r.Body)
	}
	wantStatus(t, h.Call("POST", url, map[string]any{"stars": 5}, h.As(nexus.Faculty)...), 200)
	want := nexus.RatingSummary{MenuID: nexus.MenuID(id), Count: 2, Average: 4.5, Stars: [5]int{0, 0, 0, 1, 1}}
	if d := cmp.Diff(want, body[nexus.RatingSummary](t, h.Call("GET", url+"/summary", nil))); d != "" {
		t.Error(d)
	}
	for field, wrong := range map[string]any{"stars": map[string]any{"stars": 6}, "comment": map[string]any{"stars": 1, "comment": strings.Repeat("x", 2001)}} {
		wantField(t, h.Call("POST", url, wrong, student...), field)
	}
	wantField(t, h.Call("POST", "/api/v1/mess/rate", map[string]any{"menuId": "7", "rating": 4}, student...), "menuId")
	wantField(t, h.Call("POST", "/api/v1/mess/rate", map[string]any{"menuId": id, "rating": 0}, student...), "rating")
	wantStatus(t, h.Call("POST", "/api/v1/mess/rate", map[string]any{"menuId": hallID, "rating": 4}, student...), 404)
	wantStatus(t, h.Call("GET", "/api/v1/mess/menus/"+hallID+"/ratings/summary", nil), 404)
}

func TestTheDocumentTellsOfBothFormsOfALevel(t *testing.T) {
	doc := string(resttest.New(t).Call("GET", "/openapi.json", nil).Body)
	for _, want := range []string{`"oneOf"`, `"/mess/halls/{id}/checkins"`, `source@`} {
		if !strings.Contains(doc, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
}

func TestTheMessWhileTheDatabaseIsAway(t *testing.T) {
	h := campus(t)
	key := []string{"X-Api-Key", h.Key(nexus.ScopeCheckins)}
	wantStatus(t, h.Call("GET", hallURL+"/live", nil), 200)
	h.Mess.Fail(&nexus.Error{Code: nexus.Unavailable, Message: "the database is away", RetryAfter: time.Second})
	for _, path := range []string{
		"/api/v1/mess/halls", hallURL, hallURL + "/menus", "/api/v1/mess/dishes", hallURL + "/live", hallURL + "/history",
		"/api/v1/mess/today", "/api/v1/mess/live-status", "/api/v1/mess/menus/" + hallID + "/ratings/summary",
	} {
		r := h.Call("GET", path, nil)
		if r.Status != 503 || r.Header.Get("Retry-After") != "1" {
			t.Errorf("GET %s: %d, Retry-After %q", path, r.Status, r.Header.Get("Retry-After"))
		}
	}
	wantStatus(t, h.Call("POST", hallURL+"/checkins", events(gate(nil)), key...), 503)
}

func TestANewHallIsOpened(t *testing.T) {
	h := campus(t)
	plan := map[string]any{"name": "Lakeside", "capacity": 120, "serviceRatePerMin": 5, "dwellMin": 20, "tz": "Asia/Kolkata"}
	made := h.Call("POST", "/api/v1/mess/halls", plan, h.As(nexus.Admin)...)
	wantStatus(t, made, http.StatusCreated)
	hall := body[nexus.Hall](t, made)
	if hall.Name != "Lakeside" || hall.Capacity != 120 || hall.Default || !nexus.ValidID(string(hall.ID)) {
		t.Fatalf("made %+v", hall)
	}
	wantStatus(t, h.Call("GET", "/api/v1/mess/halls/"+string(hall.ID), nil, h.As(nexus.Admin)...), http.StatusOK)
	wantStatus(t, h.Call("POST", "/api/v1/mess/halls", plan, h.As(nexus.Admin)...), http.StatusConflict)
	plan["tz"] = "Nowhere/Atall"
	wantField(t, h.Call("POST", "/api/v1/mess/halls", plan, h.As(nexus.Admin)...), "tz")
}
