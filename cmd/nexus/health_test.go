package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestHealth asks what a node, a sick one, something else and nobody answer, as a container's health check does.
func TestHealth(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body)) // who does not read it fails the test
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/healthz", answer(200, `{"status":"ok"}`))
	mux.Handle("/readyz", answer(503, `{"ready":false,"checks":{"database":"does not answer"}}`))
	node := httptest.NewServer(mux)
	t.Cleanup(node.Close)
	asleep := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(asleep.Close)
	page := httptest.NewServer(answer(200, "<html>"))
	t.Cleanup(page.Close)
	elsewhere := httptest.NewServer(http.RedirectHandler(node.URL+"/healthz", http.StatusFound))
	t.Cleanup(elsewhere.Close)
	gone := httptest.NewServer(mux)
	gone.Close()

	at := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	everywhere := func(s *httptest.Server) string { return strings.TrimPrefix(at(s), "127.0.0.1") }
	for _, c := range []struct {
		name, addr string
		args       []string
		status     int
		says       string
	}{
		{"a node that lives", at(node), nil, 0, `{"status":"ok"}`},
		{"that listens everywhere", everywhere(node), nil, 0, `{"status":"ok"}`},
		{"likewise", "0.0.0.0" + everywhere(node), nil, 0, `{"status":"ok"}`},
		{"but is not ready", at(node), []string{"--ready"}, 1, `"database":"does not answer"`},
		{"one that does not answer", at(asleep), []string{"--timeout=50ms"}, 1, "deadline exceeded"},
		{"something else at its port", at(page), nil, 1, "something else"},
		{"something that leads elsewhere", at(elsewhere), nil, 1, "302"},
		{"nobody", at(gone), nil, 1, "refused"},
		{"no address", "4000", nil, 2, "NEXUS_ADDR: takes host:port"},
		{"no time", at(node), []string{"--timeout=0s"}, 2, "--timeout: takes a time up to 1m"},
	} {
		status, said := ended(t, []string{"NEXUS_ADDR=" + c.addr, "HTTP_PROXY=" + page.URL}, append([]string{"health"}, c.args...)...)
		if status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s: status %d, said %q; want %d and %q", c.name, status, said, c.status, c.says)
		}
	}
}
