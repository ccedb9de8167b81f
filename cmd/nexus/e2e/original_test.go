package e2e_test

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"maps"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nexus"
)

// The calls of the original web client, with the shapes that it reads.

// object is a JSON object whose fields tests look at by name.
type object map[string]any

// in returns an object within.
func (o object) in(name string) object {
	m, _ := o[name].(map[string]any)
	return m
}

// only fails unless the object has exactly these fields.
func (o object) only(t *testing.T, what string, fields ...string) {
	t.Helper()
	got := slices.Sorted(maps.Keys(o))
	slices.Sort(fields)
	if !slices.Equal(got, fields) {
		t.Errorf("%s has %v, want %v", what, got, fields)
	}
}

// refusal wants an answer that the original client can show: {error} in words.
func refusal(t *testing.T, a answer) {
	t.Helper()
	var o object
	decode(t, a.body, &o)
	if words, _ := o["error"].(string); words == "" {
		t.Errorf("a refusal without error: %s", a.body)
	}
}

func TestOriginalLogin(t *testing.T) {
	t.Parallel()
	s := campus(t)
	for _, identifier := range []string{"student11@demo.nexus", "DEMO011"} {
		var o object
		s.stranger().call(t, "POST", "/auth/login/student", object{"identifier": identifier, "password": password, "rememberMe": true}, 200, &o)
		o.only(t, "login", "token", "user")
		o.in("user").only(t, "user", "id", "name", "role", "avatar")
		if o.in("user")["role"] != "STUDENT" || !nexus.ValidID(o.in("user")["id"].(string)) {
			t.Errorf("user: %v", o["user"])
		}
		s.bearer(o["token"].(string)).call(t, "GET", "/profile", nil, 200, nil)
	}
	for name, role := range map[string]string{"admin": "ADMIN", "mess1": "MESS_STAFF", "faculty1": "FACULTY", "officer1": "SECURITY"} {
		var o object
		s.stranger().call(t, "POST", "/auth/login/admin", object{"email": name + "@demo.nexus", "password": password}, 200, &o)
		o.only(t, "login", "token", "user")
		o.in("user").only(t, "user", "id", "name", "role", "avatar", "department")
		if o.in("user")["role"] != role {
			t.Errorf("%s: %v", name, o["user"])
		}
	}
	refusal(t, s.stranger().call(t, "POST", "/auth/login/admin", object{"email": "student12@demo.nexus", "password": password}, 403, nil))
	refusal(t, s.stranger().call(t, "POST", "/auth/login/student", object{"identifier": "student12@demo.nexus", "password": "wrong"}, 401, nil))
	refusal(t, s.stranger().call(t, "POST", "/auth/login/student", object{"identifier": "student12@demo.nexus"}, 422, nil))

	me := s.as(t, "student12")
	var out object
	me.call(t, "POST", "/auth/logout", nil, 200, &out)
	out.only(t, "logout", "success")
	me.call(t, "GET", "/profile", nil, 401, nil)
}

// profileFields are those of data in an original profile.
var profileFields = []string{
	"id", "userId", "dob", "phone", "address", "bio", "avatarUrl", "hostelName", "roomNumber", "wardenName", "department", "course", "semester", "user",
}

func TestOriginalProfile(t *testing.T) {
	t.Parallel()
	s := campus(t)
	me := s.as(t, "student13")
	var got object
	me.call(t, "GET", "/profile", nil, 200, &got)
	got.only(t, "profile", "success", "data")
	got.in("data").only(t, "data", profileFields...)
	got.in("data").in("user").only(t, "data.user", "name", "email", "regNo", "role")
	if got["success"] != true || got.in("data").in("user")["regNo"] != "DEMO013" {
		t.Errorf("profile: %v", got)
	}

	change := object{"phone": "+91 55501 12345", "address": "12 Lake Road\nKolkata", "bio": "Chai ☕ नमस्ते", "dob": "2005-02-28"}
	var changed object
	me.call(t, "PATCH", "/profile/update", change, 200, &changed)
	changed.only(t, "answer", "success", "message", "data")
	changed.in("data").only(t, "data", profileFields...)
	for field, want := range change {
		if changed.in("data")[field] != want {
			t.Errorf("%s is %q, want %q", field, changed.in("data")[field], want)
		}
	}
	var after object
	me.call(t, "GET", "/profile", nil, 200, &after)
	if a, b := after.in("data")["bio"], change["bio"]; a != b {
		t.Errorf("bio is %q afterwards, want %q", a, b)
	}
	refusal(t, me.call(t, "PATCH", "/profile/update", object{"dob": "yesterday"}, 422, nil))
	refusal(t, s.stranger().call(t, "GET", "/profile", nil, 401, nil))
}

func TestOriginalPhoto(t *testing.T) {
	t.Parallel()
	s := campus(t)
	me := s.as(t, "student14")
	var picture bytes.Buffer
	img := image.NewRGBA(image.Rect(0, 0, 300, 200))
	for i := range img.Pix {
		img.Pix[i] = 0xff
	}
	img.Set(10, 10, color.Black)
	if err := png.Encode(&picture, img); err != nil {
		t.Fatal(err)
	}
	first := me.upload(t, "avatar", picture.Bytes(), 200)
	if ok, _ := regexp.MatchString(`^/uploads/avatars/[^/]+$`, first); !ok {
		t.Fatalf("avatarUrl %q", first)
	}
	shown := s.stranger().call(t, "GET", "/"+first, nil, 200, nil)
	if _, err := jpeg.Decode(bytes.NewReader(shown.body)); err != nil || shown.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("the picture comes back as %q: %v", shown.header.Get("Content-Type"), err)
	}
	var profile object
	me.call(t, "GET", "/profile", nil, 200, &profile)
	if profile.in("data")["avatarUrl"] != first {
		t.Errorf("the profile shows %v", profile.in("data")["avatarUrl"])
	}
	second := me.upload(t, "avatar", picture.Bytes(), 200)
	s.stranger().call(t, "GET", "/"+second, nil, 200, nil)
	s.stranger().call(t, "GET", "/"+first, nil, 404, nil)

	me.upload(t, "photo", picture.Bytes(), 422)
	me.upload(t, "avatar", []byte("<svg onload=alert(1)>"), 415)
	me.upload(t, "avatar", nil, 415)
	me.upload(t, "avatar", append(picture.Bytes(), make([]byte, 5<<20)...), 413)
	// Past that the server does not read on, so that a client may find its own writing cut off before the answer.
	huge := me.form(t, "avatar", make([]byte, 7<<20))
	if a, err := me.do(t.Context(), "POST", "/profile/photo", huge); err == nil && a.status != 413 {
		t.Errorf("7 MB: %d %s", a.status, a.body)
	}
}

// form is a form with one file in it; the caller's Content-Type is set to match.
func (c caller) form(t *testing.T, field string, data []byte) []byte {
	t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile(field, "me.png")
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	c.header.Set("Content-Type", form.FormDataContentType())
	return body.Bytes()
}

// upload sends a picture and returns its URL.
func (c caller) upload(t *testing.T, field string, data []byte, status int) string {
	t.Helper()
	c.header = c.header.Clone()
	var o object
	a := c.call(t, "POST", "/profile/photo", c.form(t, field, data), status, &o)
	if status != 200 {
		refusal(t, a)
		return ""
	}
	o.only(t, "answer", "success", "avatarUrl")
	return o["avatarUrl"].(string)
}

func TestOriginalMess(t *testing.T) {
	t.Parallel()
	s := campus(t)
	staff, student := s.as(t, "mess1"), s.as(t, "student15")
	var today struct {
		Success bool
		Data    []object
	}
	s.stranger().call(t, "GET", "/mess/today", nil, 200, &today)
	if !today.Success || len(today.Data) == 0 {
		t.Fatalf("today: %+v", today)
	}
	clock := regexp.MustCompile(`^\d\d:\d\d$`)
	for _, menu := range today.Data {
		items, _ := menu["items"].([]any)
		if len(items) == 0 || menu["mealType"] == "" || !clock.MatchString(menu["startTime"].(string)) || !clock.MatchString(menu["endTime"].(string)) {
			t.Errorf("menu: %v", menu)
		}
	}

	var updated object
	staff.call(t, "POST", "/mess/update", object{"level": 60, "waitTime": "12 mins"}, 200, &updated)
	updated.only(t, "answer", "success", "stats")
	updated.in("stats").only(t, "stats", "level", "status", "waitTime")
	var live object
	s.stranger().call(t, "GET", "/mess/live-status", nil, 200, &live)
	live.only(t, "live status", "level", "status", "waitTime")
	if live["level"] != 60.0 || live["status"] != "Moderate" || live["waitTime"] != "12 mins" {
		t.Errorf("live status: %v", live)
	}
	refusal(t, student.call(t, "POST", "/mess/update", object{"level": 60}, 403, nil))
	staff.call(t, "POST", "/mess/update", object{"level": 0, "waitTime": "0 mins"}, 200, nil) // as it was

	opened, later := s.menus(t)
	var rated object
	student.call(t, "POST", "/mess/rate", object{"menuId": opened, "rating": 4, "comment": "More salt,\nless oil"}, 200, &rated)
	rated.only(t, "answer", "success", "message")
	refusal(t, student.call(t, "POST", "/mess/rate", object{"menuId": later, "rating": 4}, 409, nil))
	refusal(t, student.call(t, "POST", "/mess/rate", object{"menuId": opened, "rating": 6}, 422, nil))
	refusal(t, student.call(t, "POST", "/mess/rate", object{"menuId": nexus.NewID(), "rating": 4}, 404, nil))
	refusal(t, s.stranger().call(t, "POST", "/mess/rate", object{"menuId": opened, "rating": 4}, 401, nil))
}

// menus returns a menu of some days ago and one of some days ahead.
func (s *server) menus(t *testing.T) (opened, later nexus.MenuID) {
	t.Helper()
	hall := s.halls(t)[0]
	var today struct{ Data []struct{ Date string } }
	s.stranger().call(t, "GET", "/mess/today", nil, 200, &today)
	var list struct {
		Items []struct {
			ID   nexus.MenuID
			Date string
		}
	}
	day := func(shift int) string { return plusDays(t, today.Data[0].Date, shift) }
	s.stranger().call(t, "GET", "/mess/halls/"+string(hall.ID)+"/menus?from="+day(-3)+"&to="+day(3), nil, 200, &list)
	for _, m := range list.Items {
		if m.Date < today.Data[0].Date {
			opened = m.ID
		}
		if m.Date > today.Data[0].Date && later == "" {
			later = m.ID
		}
	}
	if opened == "" || later == "" {
		t.Fatalf("no menus around today: %+v", list.Items)
	}
	return opened, later
}

// TestOriginalClientFromItsOwnOrigin is what a browser asks before it lets the page speak.
func TestOriginalClientFromItsOwnOrigin(t *testing.T) {
	t.Parallel()
	s := campus(t)
	page := caller{s, http.Header{
		"Origin": {"http://localhost:3000"}, "Access-Control-Request-Method": {"PATCH"}, "Access-Control-Request-Headers": {"authorization,content-type"},
	}}
	a := page.call(t, "OPTIONS", "/profile/update", nil, 204, nil)
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "http://localhost:3000", "Access-Control-Allow-Credentials": "true",
		"Access-Control-Allow-Methods": "PATCH", "Access-Control-Allow-Headers": "Authorization",
	} {
		if got := a.header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q lacks %q", name, got, want)
		}
	}
	page.header.Set("Origin", "https://elsewhere.example")
	if a := page.call(t, "OPTIONS", "/profile/update", nil, 204, nil); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign page is allowed: %v", a.header)
	}
	// A refusal can be read by the page too.
	mine := caller{s, http.Header{"Origin": {"http://localhost:3000"}}}
	if a := mine.call(t, "GET", "/profile", nil, 401, &json.RawMessage{}); a.header.Get("Access-Control-Allow-Origin") == "" {
		t.Error("the page cannot read why it is refused")
	}
}
