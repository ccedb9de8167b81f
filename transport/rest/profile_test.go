package rest_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

func TestProfileInTheOriginalShape(t *testing.T) {
	h := resttest.New(t)
	me := h.As(nexus.Student)
	r := h.Call("GET", rest.Base+"/profile", nil, me...)
	data, _ := r.JSON()["data"].(map[string]any)
	if r.Status != 200 || r.JSON()["success"] != true || r.Header.Get("ETag") != `"1"` {
		t.Fatalf("%d %v %s", r.Status, r.Header, r.Body)
	}
	for _, name := range []string{"id", "userId", "dob", "phone", "address", "bio", "avatarUrl", "hostelName", "roomNumber", "wardenName", "department", "course", "semester", "user"} {
		if _, ok := data[name]; !ok {
			t.Errorf("%s is missing", name)
		}
	}
	u, _ := data["user"].(map[string]any)
	if u["name"] != "The student" || u["email"] != "student@example.edu" || u["regNo"] != "REG-STUDENT" || u["role"] != "STUDENT" {
		t.Errorf("user %v", u)
	}
}

func TestProfileChanges(t *testing.T) {
	h := resttest.New(t)
	me := h.As(nexus.Student)
	for _, c := range []struct {
		name, method, path, match string
		body                      map[string]any
		status                    int
		field                     string
	}{
		{"as the original client", "PATCH", "/profile/update", "", map[string]any{"phone": "+91 98765 43210", "bio": "two\r\nlines", "dob": "2004-02-29", "address": ""}, 200, ""},
		{"under its version", "PATCH", "/profile", `"2"`, map[string]any{"locale": "en-IN", "tz": "Asia/Kolkata"}, 200, ""},
		{"weakened by a proxy", "PATCH", "/profile", `W/"3"`, map[string]any{"bio": "x"}, 200, ""},
		{"stale", "PATCH", "/profile", `"1"`, map[string]any{"bio": "y"}, 412, ""},
		{"never given out", "PATCH", "/profile", `"abc"`, map[string]any{"bio": "y"}, 412, ""},
		{"not an ETag", "PATCH", "/profile", `3`, map[string]any{"bio": "y"}, 422, "If-Match"},
		{"a day as JavaScript writes it", "PATCH", "/profile", "", map[string]any{"dob": "2004-02-28T00:00:00.000Z"}, 200, ""},
		{"no such time", "PATCH", "/profile", "", map[string]any{"dob": "2004-02-28T99:00:00.000Z"}, 422, "dob"},
		{"no such day", "PATCH", "/profile", "", map[string]any{"dob": "2023-02-29"}, 422, "dob"},
		{"a day to come", "PATCH", "/profile", "", map[string]any{"dob": "2999-01-01"}, 422, "dob"},
		{"no such zone", "PATCH", "/profile", "", map[string]any{"tz": "Mars/Base"}, 422, "tz"},
		{"somebody's zone file", "PATCH", "/profile", "", map[string]any{"tz": "../../etc/passwd"}, 422, "tz"},
		{"name is the office's", "PATCH", "/profile", "", map[string]any{"name": "X"}, 422, "name"},
		{"line feed in one line", "PATCH", "/profile", "", map[string]any{"phone": "12\n34567"}, 422, "phone"},
		{"twice in two cases", "PATCH", "/profile", "", map[string]any{"bio": "x", "Bio": strings.Repeat("y", 2000)}, 400, "twice"},
	} {
		headers := me
		if c.match != "" {
			headers = append([]string{"If-Match", c.match}, me...)
		}
		r := h.Call(c.method, rest.Base+c.path, c.body, headers...)
		if r.Status != c.status || !strings.Contains(string(r.Body), c.field) {
			t.Errorf("%s: %d %s", c.name, r.Status, r.Body)
		}
	}
	p, err := h.Profile(t.Context(), h.People[nexus.Student].ID)
	if err != nil || p.Bio != "x" || p.DOB != "2004-02-28" || p.Locale != "en-IN" || p.TZ != "Asia/Kolkata" {
		t.Errorf("kept %+v %v", p, err)
	}
}

func TestContacts(t *testing.T) {
	h := resttest.New(t)
	me := h.As(nexus.Student)
	put := func(channel, address string) resttest.Reply {
		return h.Call("PUT", rest.Base+"/profile/contacts", map[string]any{"items": []any{
			map[string]any{"name": "Ma", "channel": channel, "address": address},
		}}, me...)
	}
	for _, c := range []struct {
		channel, address string
		status           int
	}{
		{"sms", "+91 98765 43210", 200},
		{"sms", "ma@example.org", 422},
		{"email", "ma@example.org", 200},
		{"email", "Ma <ma@example.org>", 422},
		{"user", string(h.People[nexus.Faculty].ID), 200},
		{"user", string(h.People[nexus.Student].ID), 422},
		{"user", "somebody", 422},
		{"fax", "123456789", 422},
	} {
		if r := put(c.channel, c.address); r.Status != c.status {
			t.Errorf("%s %s: %d %s", c.channel, c.address, r.Status, r.Body)
		}
	}
	if r := h.Call("GET", rest.Base+"/profile/contacts", nil, me...); !strings.Contains(string(r.Body), string(h.People[nexus.Faculty].ID)) {
		t.Errorf("kept: %s", r.Body)
	}
	if r := h.Call("PUT", rest.Base+"/profile/contacts", map[string]any{"items": []any{}}, me...); string(r.Body) != "{\"items\":[]}\n" {
		t.Errorf("cleared: %s", r.Body)
	}
}

// upload sends a form with one file.
func upload(t *testing.T, h *resttest.House, field string, data []byte) resttest.Reply {
	t.Helper()
	var form bytes.Buffer
	w := multipart.NewWriter(&form)
	f, err := w.CreateFormFile(field, "../../me.php")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, rest.Base+"/profile/photo", &form)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Authorization", h.As(nexus.Student)[1])
	res, err := h.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resttest.Reply{Status: res.StatusCode, Header: res.Header, Body: body}
}

func picture(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 900, 700))
	img.Set(450, 350, color.Black)
	var out bytes.Buffer
	if err := png.Encode(&out, img); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPhotoIsReencodedAndReplacesTheOldOne(t *testing.T) {
	h := resttest.New(t)
	first := upload(t, h, "avatar", picture(t))
	url, _ := first.JSON()["avatarUrl"].(string)
	if first.Status != 200 || first.JSON()["success"] != true || !strings.HasPrefix(url, rest.AvatarPath) {
		t.Fatalf("%d %s", first.Status, first.Body)
	}
	got := h.Call("GET", url, nil)
	img, err := jpeg.Decode(bytes.NewReader(got.Body))
	if err != nil || img.Bounds().Dx() != 512 || img.Bounds().Dy() != 512 {
		t.Errorf("served %v: %v", got.Header, err)
	}
	if got.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("headers %v", got.Header)
	}
	second := upload(t, h, "avatar", picture(t))
	if second.Status != 200 || second.JSON()["avatarUrl"] == url {
		t.Fatalf("%d %s", second.Status, second.Body)
	}
	if old := h.Call("GET", url, nil); old.Status != 404 || old.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("the old picture: %d %v", old.Status, old.Header)
	}
}

func TestWrongPhotos(t *testing.T) {
	h := resttest.New(t)
	for _, c := range []struct {
		name, field string
		data        []byte
		status      int
	}{
		{"a script", "avatar", []byte("<?php echo 1;"), 415},
		{"an SVG", "avatar", []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 415},
		{"a broken JPEG", "avatar", []byte("\xff\xd8\xff\xe0 nothing"), 422},
		{"another field", "photo", picture(t), 422},
		{"no bytes", "avatar", nil, 415},
		{"6 MB minus the form", "avatar", make([]byte, 6<<20-1000), 413},
	} {
		if r := upload(t, h, c.field, c.data); r.Status != c.status || r.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", c.name, r.Status, r.Body)
		}
	}
	if r := h.Call("POST", rest.Base+"/profile/photo", "{}", h.As(nexus.Student)...); r.Status != 415 {
		t.Errorf("JSON: %d %s", r.Status, r.Body)
	}
	r := h.Call("POST", rest.Base+"/profile/photo", "nonsense", append(h.As(nexus.Student), "Content-Type", "multipart/form-data; boundary=x")...)
	if r.Status != 422 {
		t.Errorf("a broken form: %d %s", r.Status, r.Body)
	}
	for _, name := range []string{"..%2f..%2fetc%2fpasswd", "x.jpg", strings.Repeat("A", 26) + ".jpg", "%00"} {
		if r := h.Call("GET", rest.AvatarPath+name, nil); r.Status != 404 {
			t.Errorf("%s: %d", name, r.Status)
		}
	}
}
