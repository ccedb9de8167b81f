package rest_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// posted is a form as a provider posts it.
type posted map[string]string

// signedForm is one with a mail, signed so long ago.
func signedForm(key string, age time.Duration) posted {
	f := posted{
		"recipient": "asha@example.edu,nobody@example.edu", "body-mime": "Subject: x\r\n\r\nFees & more: 100%", "token": "0123456789",
		"timestamp": strconv.FormatInt(time.Now().Add(-age).Unix(), 10), "sender": "fees@example.org",
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(f["timestamp"] + f["token"]))
	f["signature"] = hex.EncodeToString(mac.Sum(nil))
	return f
}

// with is the form with a field changed, or without it.
func (f posted) with(name, value string) posted {
	c := posted{}
	for k, v := range f {
		c[k] = v
	}
	if c[name] = value; value == "" {
		delete(c, name)
	}
	return c
}

func (f posted) urlencoded() (body, media string) {
	v := url.Values{}
	for name, value := range f {
		v.Set(name, value)
	}
	return v.Encode(), "application/x-www-form-urlencoded"
}

func (f posted) multipart(t *testing.T) (body, media string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for name, value := range f {
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// TestAProviderPostsMails in both kinds of forms, and what is not signed with the webhook's key is refused whoever sends it.
func TestAProviderPostsMails(t *testing.T) {
	h := resttest.New(t)
	h.Mail.Address("asha@example.edu", h.People[nexus.Student].ID)
	in := rest.Base + rest.InboundPath
	good := signedForm(resttest.MailHookKey, time.Hour)
	body, media := good.urlencoded()
	if r := h.Call("POST", in, body, "Content-Type", media); r.Status != 200 || r.JSON()["delivered"] != 1.0 || r.JSON()["unknown"] != 1.0 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	body, media = good.multipart(t)
	if r := h.Call("POST", in, body, "Content-Type", media); r.Status != 200 {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	if want := []string{good["body-mime"], good["body-mime"]}; !slices.Equal(h.Mail.Raw, want) {
		t.Errorf("%q", h.Mail.Raw)
	}
	body, media = good.with("body-mime", strings.Repeat("ü", 2<<20)).urlencoded() // each byte is three
	if r := h.Call("POST", in, body, "Content-Type", media); r.Status != 200 {
		t.Errorf("four megabytes: %d %s", r.Status, r.Body)
	}
	for what, c := range map[string]struct {
		form   posted
		status int
		words  string
	}{
		"another key":     {signedForm("another key", 0), 401, "signature"},
		"another time":    {good.with("timestamp", "1"), 401, "signature"},
		"another token":   {good.with("token", "9876543210"), 401, "signature"},
		"no signature":    {good.with("signature", ""), 401, "signature"},
		"no token":        {good.with("token", ""), 401, "signature"},
		"old":             {signedForm(resttest.MailHookKey, 25*time.Hour), 401, "too old"},
		"of tomorrow":     {signedForm(resttest.MailHookKey, -25*time.Hour), 401, "too old"},
		"no mail":         {good.with("body-mime", ""), 422, "body-mime"},
		"nobody":          {good.with("recipient", ""), 422, "recipient"},
		"nobody's":        {good.with("recipient", "nobody@example.edu"), 404, "nobody"},
		"too many":        {good.with("recipient", strings.Repeat("a@example.edu,", 101)), 422, "recipient"},
		"a field of 1 MB": {good.with("subject", strings.Repeat("a", 1<<20)), 422, "body"},
		"too large":       {good.with("body-mime", strings.Repeat("a", 5<<20+1)), 413, "bytes"},
		"far too large":   {good.with("body-mime", strings.Repeat("ü", 3<<20)), 413, "bytes"},
	} {
		body, media := c.form.urlencoded()
		if r := h.Call("POST", in, body, "Content-Type", media); r.Status != c.status || !strings.Contains(string(r.Body), c.words) {
			t.Errorf("%s: %d %s", what, r.Status, r.Body)
		}
	}
	for what, body := range map[string]string{"no form": "--x\r\n", "nothing": "", "many fields": strings.Repeat("a=b&", 200)} {
		for _, media := range []string{"multipart/form-data; boundary=x", "multipart/form-data", "application/x-www-form-urlencoded"} {
			if r := h.Call("POST", in, body, "Content-Type", media); r.Status != 422 && r.Status != 401 {
				t.Errorf("%s as %s: %d %s", what, media, r.Status, r.Body)
			}
		}
	}
	if n := len(h.Mail.Raw); n != 3 {
		t.Errorf("%d mails", n)
	}
}
