package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/rest/resttest"
)

// chunked writes a body in chunks of 10,000 bytes.
func chunked(body string) string {
	var b strings.Builder
	for len(body) > 0 {
		n := min(len(body), 10_000)
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, body[:n])
		body = body[n:]
	}
	return b.String() + "0\r\n\r\n"
}

func TestUploadsAreReadAsTheyCome(t *testing.T) {
	h := open(t)
	head := func(who nexus.Role, length string) string {
		return "POST /api/v1/imports/users HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nAuthorization: " + h.As(who)[1] + "\r\n" + length + "\r\n\r\n"
	}
	long, large := strings.Repeat("0123456789", 200_000), strings.Repeat("x", resttest.ImportBytes+1)
	const unknown = "Transfer-Encoding: chunked"
	const boundary = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"users.csv\"\r\n\r\n"
	parts := boundary + long + "\r\n--b--\r\n"
	form := func(length string) string {
		return strings.Replace(head(nexus.Admin, length), "text/csv", "multipart/form-data; boundary=b", 1)
	}
	for _, c := range []struct {
		name, request string
		status        int
		code          nexus.Code
	}{
		{"of known length", head(nexus.Admin, fmt.Sprintf("Content-Length: %d", len(long))) + long, 202, ""},
		{"of unknown length", head(nexus.Admin, unknown) + chunked(long), 411, nexus.Invalid},
		{"a form of unknown length", form(unknown) + chunked(parts), 202, ""},
		{"a form, broken off between chunks", form(unknown) + chunked(parts[:500_000]), 422, nexus.Invalid},
		{"too large", head(nexus.Admin, fmt.Sprintf("Content-Length: %d", len(large))) + large, 413, nexus.TooLarge},
		{"a form that is too large", form(unknown) + chunked(boundary+large), 413, nexus.TooLarge},
		{"broken off", head(nexus.Admin, "Content-Length: 100") + "email", 422, nexus.Invalid},
		{"a form, broken off within a chunk", form(unknown) + chunked(parts)[:15_000], 422, nexus.Invalid},
		{"of a student", head(nexus.Student, fmt.Sprintf("Content-Length: %d", len(long))) + long, 403, nexus.Forbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := half(t, h, c.request)
			if res.StatusCode != c.status {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			if c.status == 202 {
				if got := h.Imports.Files[len(h.Imports.Files)-1]; got != long {
					t.Errorf("%d bytes came in, of %d", len(got), len(long))
				}
				h.Imports.End()
			} else if code := problemCode(t, res, body); code != c.code {
				t.Errorf("%s", body)
			}
			if !res.Close {
				t.Error("the connection is kept, with who knows what under way")
			}
		})
	}
}

// half sends bytes, says that no more come, and reads one answer.
func half(t *testing.T, h *resttest.House, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.Server.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer was read
	go func() {
		_, _ = io.WriteString(conn, request) // the server may answer and hang up before it has read all
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// TestWhatARefusedUploadHoldsIsNoRequest: its bytes stand where the next request would.
func TestWhatARefusedUploadHoldsIsNoRequest(t *testing.T) {
	h := open(t)
	const hidden = "GET /api/v1/mess/halls HTTP/1.1\r\nHost: x\r\n\r\n"
	request := fmt.Sprintf("POST /api/v1/imports/users HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		h.As(nexus.Student)[1], len(hidden), hidden)
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.Server.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer was read
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(conn)
	if n := strings.Count(string(answers), "HTTP/1.1 "); n != 1 || !strings.Contains(string(answers), " 403 ") {
		t.Errorf("%d answers (%v): %s", n, err, answers)
	}
}
