package engineio_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestHandshake(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		status, body := enginetest.Poll(srv, "GET", "", "")
		if status != 200 || body[0] != '0' {
			t.Fatal(status, body)
		}
		var open map[string]any
		if err := json.Unmarshal([]byte(body[1:]), &open); err != nil {
			t.Fatal(err)
		}
		if sid, ok := open["sid"].(string); !ok || len(sid) != 24 || sid != u.session().ID() {
			t.Errorf("sid %v", open["sid"])
		}
		delete(open, "sid")
		want := `{"maxPayload":1000000,"pingInterval":25000,"pingTimeout":20000,"upgrades":["websocket"]}`
		if got, err := json.Marshal(open); err != nil || string(got) != want {
			t.Errorf("open packet %s %v, want %s", got, err, want)
		}
	})
}

func TestRefusals(t *testing.T) {
	world(t, engineio.Config{AllowOrigin: func(o string) bool { return o == "https://campus.example" }}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		for _, test := range []struct {
			name   string
			change func(r *engineio.Request)
			status int
			body   string
		}{
			{"no transport", func(r *engineio.Request) { r.Transport = "" }, 400, `{"code":0,"message":"Transport unknown"}`},
			{"unknown transport", func(r *engineio.Request) { r.Transport = "abc" }, 400, `{"code":0,"message":"Transport unknown"}`},
			{"no EIO", func(r *engineio.Request) { r.EIO = "" }, 400, `{"code":5,"message":"Unsupported protocol version"}`},
			{"wrong EIO", func(r *engineio.Request) { r.EIO = "3" }, 400, `{"code":5,"message":"Unsupported protocol version"}`},
			{"other EIO later", func(r *engineio.Request) { r.EIO = "3"; r.SID = sid }, 400, badRequest},
			{"unknown sid", func(r *engineio.Request) { r.SID = "x" }, 400, unknownSID},
			{"POST handshake", func(r *engineio.Request) { r.Method = "POST" }, 400, `{"code":2,"message":"Bad handshake method"}`},
			{"PUT handshake", func(r *engineio.Request) { r.Method = "PUT" }, 400, `{"code":2,"message":"Bad handshake method"}`},
			{"PUT", func(r *engineio.Request) { r.Method = "PUT"; r.SID = sid }, 400, badRequest},
			{"websocket without upgrade", func(r *engineio.Request) { r.Transport = "websocket" }, 400, badRequest},
			{"websocket for a polling session", func(r *engineio.Request) { r.Transport = "websocket"; r.SID = sid }, 400, badRequest},
			{"foreign origin", func(r *engineio.Request) { r.Origin = "https://evil.example" }, 403, `{"code":4,"message":"Forbidden"}`},
			{"compressed body", func(r *engineio.Request) { r.Method = "POST"; r.SID = sid; r.ContentEncoding = "gzip" }, 415, `{"code":3,"message":"Content-Encoding is not accepted"}`},
		} {
			r := enginetest.Request("GET", "polling", "")
			test.change(&r)
			answer := srv.ServePoll(context.Background(), r)
			if answer.Status != test.status || string(answer.Body) != test.body {
				t.Errorf("%s: %d %s, want %d %s", test.name, answer.Status, answer.Body, test.status, test.body)
			}
		}
	})
}

func TestUpgradeRefusals(t *testing.T) {
	world(t, engineio.Config{MaxSessions: 1}, func(t *testing.T, srv *engineio.Server, u *upper) {
		sid := handshake(t, srv, u)
		for _, test := range []struct {
			name   string
			change func(r *engineio.Request)
			status int
		}{
			{"unknown transport", func(r *engineio.Request) { r.Transport = "abc" }, 400},
			{"polling", func(r *engineio.Request) { r.Transport = "polling" }, 400},
			{"no EIO", func(r *engineio.Request) { r.EIO = "" }, 400},
			{"other EIO", func(r *engineio.Request) { r.EIO = "3"; r.SID = sid }, 400},
			{"unknown sid", func(r *engineio.Request) { r.SID = "x" }, 400},
			{"POST", func(r *engineio.Request) { r.Method = "POST" }, 400},
			{"origin", func(r *engineio.Request) { r.Origin = "https://evil.example" }, 403},
			{"full", func(*engineio.Request) {}, 503},
		} {
			r := enginetest.Request("GET", "websocket", "")
			test.change(&r)
			claim, answer := srv.ClaimWebSocket(r)
			if claim != nil || answer.Status != test.status {
				t.Errorf("%s: claim %v, %d %s, want %d", test.name, claim, answer.Status, answer.Body, test.status)
			}
		}
	})
}

func TestAllowedOriginIsAnswered(t *testing.T) {
	world(t, engineio.Config{AllowOrigin: func(string) bool { return true }}, func(t *testing.T, srv *engineio.Server, u *upper) {
		r := enginetest.Request("GET", "polling", "")
		r.Origin = "https://campus.example"
		answer := srv.ServePoll(context.Background(), r)
		if answer.Status != 200 || answer.AllowOrigin != r.Origin || u.session().Origin() != r.Origin || u.session().RemoteAddr() != r.RemoteAddr {
			t.Errorf("%+v", answer)
		}
		r.Method = "OPTIONS"
		if answer = srv.ServePoll(context.Background(), r); answer.Status != 204 || answer.AllowOrigin != r.Origin {
			t.Errorf("%+v", answer)
		}
	})
}

func TestFullServerTurnsHandshakesAway(t *testing.T) {
	world(t, engineio.Config{MaxSessions: 2}, func(t *testing.T, srv *engineio.Server, u *upper) {
		handshake(t, srv, u)
		dialed(t, srv, u)
		answer := srv.ServePoll(context.Background(), enginetest.Request("GET", "polling", ""))
		if answer.Status != 503 || answer.RetryAfter == 0 {
			t.Fatalf("%+v", answer)
		}
	})
}

func TestConfigCheck(t *testing.T) {
	for _, test := range []struct {
		cfg  engineio.Config
		want string
	}{
		{engineio.Config{}, ""},
		{engineio.Config{PingInterval: -time.Second}, "PingInterval"},
		{engineio.Config{MaxPayload: 5}, "MaxPayload"},
		{engineio.Config{Workers: -1}, "Workers"},
		{engineio.Config{SessionPrefix: "0a1b2c3d4e5f."}, ""},
		{engineio.Config{SessionPrefix: "a&b"}, "SessionPrefix"},
		{engineio.Config{SessionPrefix: strings.Repeat("a", 33)}, "SessionPrefix"},
	} {
		err := test.cfg.Check()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test.cfg, err, test.want)
		}
	}
	if _, err := engineio.NewServer(engineio.Config{}, nil); err == nil {
		t.Error("a server without an upper layer")
	}
}
