package transport_test

import (
	"fmt"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/rest/resttest"
)

// TestAStrangerGetsNoRoomForAPicture: more than a megabyte is read of those alone who show a token of ours.
func TestAStrangerGetsNoRoomForAPicture(t *testing.T) {
	var signed func(string) bool
	h := open(t, func(c *resttest.Config) { c.Server.Signed = func(token string) bool { return signed(token) } })
	signed = h.Auth.Signed
	mine := h.Login(nexus.Student).Access
	for name, c := range map[string]struct {
		authorization string
		status        int
	}{
		"a stranger":        {"", 413},
		"an invented token": {"Authorization: Bearer x" + mine + "\r\n", 413},
		"a student":         {"Authorization: Bearer " + mine + "\r\n", 422}, // a form without a picture, but read
	} {
		body := "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n" + strings.Repeat(" ", 2<<20) + "\r\n--x--\r\n"
		request := fmt.Sprintf("POST /api/v1/profile/photo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n%s",
			c.authorization, len(body), body)
		if res, answer := raw(t, h, request); res.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d", name, res.StatusCode, answer, c.status)
		}
	}
}
