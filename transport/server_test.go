package transport_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport"
	"nexus/transport/limit"
	"nexus/transport/rest/resttest"
)

// open serves a house on a free port.
func open(t *testing.T, change ...func(*resttest.Config)) *resttest.House {
	t.Helper()
	h := resttest.New(t, change...)
	serve(t, h)
	return h
}

func serve(t *testing.T, h *resttest.House) {
	t.Helper()
	if err := h.Server.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// raw sends bytes over a connection of its own and reads one answer.
func raw(t *testing.T, h *resttest.House, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.Server.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the answer was read
	// The server may answer and hang up before it has read all.
	go io.WriteString(conn, request) //nolint:errcheck // see above
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

func problemCode(t *testing.T, res *http.Response, body string) nexus.Code {
	t.Helper()
	var p struct {
		Code      nexus.Code
		Status    int
		RequestID string
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("not a problem: %d %v %s", res.StatusCode, res.Header, body)
	}
	if p.Status != res.StatusCode || p.RequestID == "" || res.Header.Get("X-Request-Id") != p.RequestID {
		t.Errorf("problem and answer differ: %d %v %s", res.StatusCode, res.Header, body)
	}
	return p.Code
}

func TestOpenAndCloseAreIdempotent(t *testing.T) {
	h := open(t)
	url := h.Server.URL()
	if err := h.Server.Open(); err != nil || h.Server.URL() != url {
		t.Errorf("second Open: %v, %s", err, h.Server.URL())
	}
	for range 2 {
		if err := h.Server.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := h.Server.Open(); err == nil {
		t.Error("a closed server opens again")
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("the port is still open")
	}
}

func TestRefusalsAreProblems(t *testing.T) {
	h := open(t)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 10<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	post := func(path, headers, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), headers, body)
	}
	const login = "/api/v1/auth/login"
	for _, c := range []struct {
		name, request string
		status        int
		code          nexus.Code
	}{
		{"no route", "GET /nowhere?token=secret HTTP/1.1\r\nHost: x\r\n\r\n", 404, nexus.NotFound},
		{"no route of the base", "GET /api/v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404, nexus.NotFound},
		{"other case", "GET /API/v1/mess/halls HTTP/1.1\r\nHost: x\r\n\r\n", 404, nexus.NotFound},
		{"method", "GET " + login + " HTTP/1.1\r\nHost: x\r\n\r\n", 405, nexus.Unsupported},
		{"no such method", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 405, nexus.Unsupported},
		{"gzip bomb", post(login, "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", bomb.String()), 415, nexus.Unsupported},
		{"gzip bomb behind another encoding", post(login, "Content-Type: application/json\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n", bomb.String()), 415, nexus.Unsupported},
		{"two encodings", post(login, "Content-Type: application/json\r\nContent-Encoding: br, gzip\r\n", "{}"), 415, nexus.Unsupported},
		{"text", post(login, "Content-Type: text/plain\r\n", "{}"), 415, nexus.Unsupported},
		{"form", post(login, "Content-Type: application/x-www-form-urlencoded\r\n", "a=b"), 415, nexus.Unsupported},
		{"not JSON", post(login, "Content-Type: application/json\r\n", "{"), 400, nexus.Invalid},
		{"2 MB", post(login, "Content-Type: application/json\r\n", strings.Repeat(" ", 2<<20)), 413, nexus.TooLarge},
		{"says 2 GB", "POST " + login + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n" + strings.Repeat(" ", 10<<10), 413, nexus.TooLarge},
		{"7 MB picture", post("/api/v1/profile/photo", "Content-Type: multipart/form-data; boundary=x\r\n", strings.Repeat(" ", 7<<20)), 413, nexus.TooLarge},
		{"long headers", "GET / HTTP/1.1\r\nHost: x\r\nX-A: " + strings.Repeat("a", 20_000) + "\r\n\r\n", 431, nexus.TooLarge},
		{"garbage", "\x16\x03\x01\x02 hello\r\n\r\n", 400, nexus.Invalid},
		{"slow body", "POST " + login + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", 408, nexus.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			res, body := raw(t, h, c.request)
			if code := problemCode(t, res, body); res.StatusCode != c.status || code != c.code {
				t.Errorf("%d %s: %s", res.StatusCode, code, body)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("the answer repeats the request: %s", body)
			}
		})
	}
}

func TestPanicIsAnInternalErrorAndIsLogged(t *testing.T) {
	h := resttest.New(t)
	h.Server.App().Get("/panic", func(*fiber.Ctx) error { panic("the cause") })
	h.Server.App().Get("/fail", func(*fiber.Ctx) error { return fmt.Errorf("the cause") })
	for _, path := range []string{"/panic", "/fail"} {
		r := h.Call("GET", path, nil, "X-Request-Id", "find-me-"+path[1:])
		if r.Status != 500 || strings.Contains(string(r.Body), "cause") || r.JSON()["requestId"] != "find-me-"+path[1:] {
			t.Errorf("%s: %d %s", path, r.Status, r.Body)
		}
		found := false
		for line := range strings.Lines(h.Log.String()) {
			found = found || strings.Contains(line, "the cause") && strings.Contains(line, "find-me-"+path[1:])
		}
		if !found {
			t.Errorf("%s: the log does not tell the cause", path)
		}
	}
}

func TestRequestIDAndLogHoldNothingHostile(t *testing.T) {
	h := resttest.New(t)
	for id, kept := range map[string]bool{
		"abcd-1234.x_Y": true, "short": false, strings.Repeat("a", 65): false, `evil"} {"x":"y"`: false, "white space id": false,
	} {
		r := h.Call("GET", "/api/v1/mess/halls?token=topsecret&lat=12.97", nil, "X-Request-Id", id, "User-Agent", "a\tb")
		if got := r.Header.Get("X-Request-Id"); (got == id) != kept || got == "" {
			t.Errorf("%q became %q", id, got)
		}
	}
	log := h.Log.String()
	for _, secret := range []string{"topsecret", "12.97", "evil"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	if !strings.Contains(log, `"route":"/api/v1/mess/halls"`) {
		t.Errorf("the log does not name the route: %.500s", log)
	}
}

func TestHeadersAndOrigins(t *testing.T) {
	for _, c := range []struct {
		origin    string
		localhost bool
		allowed   bool
	}{
		{"https://campus.example", false, true},
		{"https://campus.example.evil.org", false, false},
		{"http://campus.example", false, false},
		{"http://localhost:5173", false, false},
		{"http://localhost:5173", true, true},
		{"http://127.0.0.1:3000", true, true},
		{"http://localhost.evil.org", true, false},
		{"http://localhost:5173/path", true, false},
		{"null", true, false},
	} {
		h := resttest.New(t, func(o *resttest.Config) {
			o.Server.Origins, o.Server.AnyLocalhost = []string{"https://campus.example"}, c.localhost
		})
		r := h.Call("GET", "/healthz", nil, "Origin", c.origin)
		if got := r.Header.Get("Access-Control-Allow-Origin") == c.origin; got != c.allowed {
			t.Errorf("%s: allowed %v", c.origin, got)
		}
		if r.Header.Get("Access-Control-Allow-Credentials") == "true" != c.allowed || !strings.Contains(r.Header.Get("Vary"), "Origin") {
			t.Errorf("%s: %v", c.origin, r.Header)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
			t.Errorf("%v", r.Header)
		}
		r = h.Call("OPTIONS", "/api/v1/profile", nil, "Origin", c.origin, "Access-Control-Request-Method", "PATCH")
		if got := strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "If-Match"); r.Status != 204 || got != c.allowed {
			t.Errorf("preflight of %s: %d %v", c.origin, r.Status, r.Header)
		}
	}
}

func TestForwardedForIsBelievedFromTrustedProxiesAlone(t *testing.T) {
	for _, c := range []struct{ name, trusted, header, want string }{
		{"no proxy", "10.0.0.0/8", "1.2.3.4", "127.0.0.1"},
		{"one proxy", "127.0.0.0/8", "1.2.3.4", "1.2.3.4"},
		{"spoofed before it", "127.0.0.0/8", "6.6.6.6, 1.2.3.4", "1.2.3.4"},
		{"two proxies", "127.0.0.0/8,10.0.0.0/8", "6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4"},
		{"garbage", "127.0.0.0/8", "6.6.6.6, x", "127.0.0.1"},
		{"nothing", "127.0.0.0/8", "", "127.0.0.1"},
		{"IPv6", "127.0.0.0/8", "2001:db8::1", "2001:db8::1"},
		{"mapped", "127.0.0.0/8", "::ffff:1.2.3.4", "1.2.3.4"},
	} {
		h := resttest.New(t, func(o *resttest.Config) {
			for _, p := range strings.Split(c.trusted, ",") {
				o.Server.TrustedProxies = append(o.Server.TrustedProxies, netip.MustParsePrefix(p))
			}
		})
		h.Server.App().Get("/ip", func(f *fiber.Ctx) error { return f.SendString(h.Server.ClientIP(f).String()) })
		serve(t, h)
		_, body := raw(t, h, "GET /ip HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: "+c.header+"\r\n\r\n")
		if body != c.want {
			t.Errorf("%s: %s, want %s", c.name, body, c.want)
		}
	}
}

func TestLimitsHoldStrangersUsersAndFloods(t *testing.T) {
	two := limit.Rule{Rate: 0.0001, Burst: 2} // one more in hours
	for name, c := range map[string]struct {
		path   string
		change func(*resttest.Config)
		role   nexus.Role
	}{
		"flood":    {"/docs", func(o *resttest.Config) { o.Server.Flood = two }, ""},
		"stranger": {"/api/v1/mess/halls", func(o *resttest.Config) { o.Limits.Stranger = two }, ""},
		"user":     {"/api/v1/mess/halls", func(o *resttest.Config) { o.Limits.User = two }, nexus.Student},
	} {
		h := resttest.New(t, c.change)
		var headers []string
		if c.role != "" {
			headers = h.As(c.role)
		}
		for i, want := range []int{200, 200, 429} {
			r := h.Call("GET", c.path, nil, headers...)
			if r.Status != want || r.Header.Get("RateLimit-Limit") != "2" || r.Header.Get("RateLimit-Remaining") != fmt.Sprint(max(0, 1-i)) {
				t.Errorf("%s %d: %d %v", name, i, r.Status, r.Header)
			}
			after, _ := strconv.Atoi(r.Header.Get("Retry-After")) // less what the calls took
			if want == 429 && (after < 9000 || after > 10_000 || r.JSON()["code"] != "rate_limited") {
				t.Errorf("%s: %v %s", name, r.Header, r.Body)
			}
		}
		if r := h.Call("GET", "/healthz", nil); r.Status != 200 {
			t.Errorf("%s: health is limited too: %d", name, r.Status)
		}
	}
}

// TestADeviceDoesNotPayForItsAddress: a campus may share one address, and its gates must go on when phones use up what that may ask.
func TestADeviceDoesNotPayForItsAddress(t *testing.T) {
	h := resttest.New(t, func(o *resttest.Config) {
		o.Server.Flood, o.Server.Limiter = limit.Rule{Rate: 1, Burst: 3}, still{limit.NewMemory(1000)}
	})
	gate, late := h.Key(nexus.ScopeCheckins), h.Key(nexus.ScopeCheckins)
	call := func(key string, want ...int) {
		t.Helper()
		for i, status := range want {
			var headers []string
			if key != "" {
				headers = []string{"X-Api-Key", key}
			}
			if r := h.Call("GET", "/api/v1/mess/halls", nil, headers...); r.Status != status {
				t.Errorf("%d: %d, want %d", i, r.Status, status)
			}
		}
	}
	call(gate, 200)
	call("", 200, 200, 429)
	call(gate, 200, 200, 200, 429) // it is known, and held to a bucket of its own
	call(late, 200, 200)           // not seen before: let in to be looked up
	call("", 429)
	for range 200 {
		h.Call("GET", "/api/v1/mess/halls", nil, "X-Api-Key", "nxk_guess")
	}
	call("nxk_guess", 429) // what guesses may ask is used up too
	call(late, 200)        // and costs nobody who is known anything
	if r := h.Call("GET", "/socket.io/", nil, "X-Api-Key", "nxk_guess"); r.Status != 429 {
		t.Errorf("another path: %d", r.Status)
	}
}

// still is a Limiter at which nothing comes back while a test runs, however long that takes.
type still struct{ limit.Limiter }

func (s still) Allow(ctx context.Context, key string, r limit.Rule) limit.Decision {
	r.Rate /= 1e5
	return s.Limiter.Allow(ctx, key, r)
}

func TestGuessedTokensCountAsAStrangers(t *testing.T) {
	h := resttest.New(t, func(o *resttest.Config) { o.Limits.Stranger = limit.Rule{Rate: 0.001, Burst: 2} })
	for _, want := range []int{401, 401, 429} {
		if r := h.Call("GET", "/api/v1/auth/session", nil, "X-Api-Key", "nxk_guess"); r.Status != want {
			t.Errorf("%d, want %d", r.Status, want)
		}
	}
	if r := h.Call("GET", "/api/v1/auth/session", nil, h.As(nexus.Student)...); r.Status != 200 {
		t.Errorf("a user of the same address: %d", r.Status)
	}
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	state := transport.Readiness{Ready: true, Checks: map[string]string{"database": "ok"}}
	h := resttest.New(t, func(o *resttest.Config) {
		o.Server.Ready = func(context.Context) transport.Readiness { return state }
	})
	if r := h.Call("GET", "/readyz", nil); r.Status != 200 || !strings.Contains(string(r.Body), `"database":"ok"`) {
		t.Errorf("%d %s", r.Status, r.Body)
	}
	state = transport.Readiness{Checks: map[string]string{"draining": "yes"}}
	if r := h.Call("GET", "/readyz", nil); r.Status != 503 {
		t.Errorf("not ready: %d", r.Status)
	}
	if r := h.Call("GET", "/healthz", nil); r.Status != 200 {
		t.Errorf("%d", r.Status)
	}
	h.Call("GET", "/api/v1/mess/halls/"+nexus.NewID(), nil)
	h.Call("GET", "/nowhere/"+nexus.NewID(), nil)
	metrics := string(h.Call("GET", "/metrics", nil).Body)
	for _, want := range []string{
		`nexus_http_request_seconds_count{method="GET",route="/api/v1/mess/halls/:id",status="4xx"} 1`,
		`nexus_http_request_seconds_count{method="GET",route="unmatched",status="4xx"} 1`,
		`nexus_http_request_seconds_count{method="GET",route="/readyz",status="5xx"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestDocumentsNeedNoOtherServer(t *testing.T) {
	h := resttest.New(t)
	for path, kind := range map[string]string{
		"/docs": "text/html", "/docs/docs.js": "text/javascript", "/docs/docs.css": "text/css", "/openapi.json": "application/vnd.oai.openapi+json",
	} {
		r := h.Call("GET", path, nil)
		if r.Status != 200 || !strings.HasPrefix(r.Header.Get("Content-Type"), kind) {
			t.Errorf("%s: %d %v", path, r.Status, r.Header)
		}
		if strings.Contains(string(r.Body), "https://") {
			t.Errorf("%s reaches out", path)
		}
	}
	doc := h.Call("GET", "/openapi.json", nil).JSON()
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", doc["openapi"])
	}
}

// TestNothingUsesUpTheButton: neither what its address nor what its owner did before keeps an SOS out; only too many of them do.
func TestNothingUsesUpTheButton(t *testing.T) {
	h := resttest.New(t, func(o *resttest.Config) {
		one := limit.Rule{Rate: 0.0001, Burst: 1}
		o.Server.Flood, o.Limits.Stranger, o.Limits.User = limit.Rule{Rate: 0.0001, Burst: 2}, one, one
		o.Limits.SOS = limit.Rule{Rate: 0.0001, Burst: 3}
	})
	student := h.As(nexus.Student)
	for _, want := range []int{200, 429, 429} {
		if r := h.Call("GET", "/api/v1/mess/halls", nil, student...); r.Status != want {
			t.Errorf("%d, want %d", r.Status, want)
		}
	}
	for i, want := range []int{200, 200, 200, 429} {
		if r := h.Call("POST", "/api/v1/safety/sos", map[string]any{"clientKey": fmt.Sprint(i)}, student...); r.Status != want {
			t.Errorf("press %d: %d, want %d: %s", i, r.Status, want, r.Body)
		}
	}
}
