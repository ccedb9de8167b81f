package live

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

var expired = engineio.Reason{Code: reasonCode, Name: reasonExpired}

// expiring reads auth:expiring and returns the moment that it names.
func (e *edge) expiring(c *enginetest.Client, namespace string) time.Time {
	e.Helper()
	got := c.NextText()
	var event []json.RawMessage
	var at struct{ ExpiresAt time.Time }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "42"+shown(namespace))), &event); err != nil || len(event) != 2 || string(event[0]) != `"auth:expiring"` {
		e.Fatalf("%s: %v", got, err)
	}
	if err := json.Unmarshal(event[1], &at); err != nil {
		e.Fatal(got, err)
	}
	return at.ExpiresAt
}

func TestATokenThatRunsOutIsToldOfAMinuteBefore(t *testing.T) {
	for name, c := range map[string]struct{ life, warned time.Duration }{
		"a usual one": {15 * time.Minute, 14 * time.Minute},
		"a short one": {20 * time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(e *edge) {
				start := time.Now()
				client := e.join("/", e.tokens.issue("asha", "l1", c.life))
				if at := e.expiring(client, "/"); !at.Equal(start.Add(c.life).Truncate(time.Millisecond)) || time.Since(start) != c.warned {
					e.Errorf("after %v: it runs out at %v", time.Since(start), at.Sub(start))
				}
				client.ExpectClose(expired)
				if time.Since(start) != c.life {
					e.Errorf("closed after %v", time.Since(start))
				}
				e.empty()
			})
		})
	}
}

func TestARefreshedSocketLivesOn(t *testing.T) {
	live(t, func(e *edge) {
		start := time.Now()
		c := e.join("/mess", e.tokens.issue("asha", "l1", 10*time.Minute))
		e.expiring(c, "/mess")
		next := e.tokens.issue("asha", "l1", 10*time.Minute)
		c.Send(`42/mess,1["auth:refresh",{"token":"` + next + `"}]`)
		want := time.Now().Add(10 * time.Minute)
		c.Expect(`43/mess,1[{"expiresAt":"` + want.UTC().Format(nexus.TimeLayout) + `"}]`)
		if at := e.expiring(c, "/mess"); !at.Equal(want.Truncate(time.Millisecond)) || time.Since(start) != 18*time.Minute {
			e.Errorf("warned again after %v", time.Since(start))
		}
		c.ExpectClose(expired)
		if time.Since(start) != 19*time.Minute {
			e.Errorf("closed after %v", time.Since(start))
		}
		if n := e.metric("nexus_socket_events_total", "auth:refresh", "/mess", "ok"); n != 1 {
			e.Errorf("counted %v times by its name", n)
		}
	})
}

// TestARefreshIsRefused, and then the token from before counts on.
func TestARefreshIsRefused(t *testing.T) {
	live(t, func(e *edge) {
		start := time.Now()
		c := e.join("/mess", e.tokens.issue("asha", "l1", 10*time.Minute))
		old := e.tokens.issue("asha", "l1", time.Minute)
		other := e.tokens.issue("ravi", "l2", time.Hour)
		e.pass(2 * time.Minute)
		for args, want := range map[string]string{
			`{"token":"` + other + `"}`: "forbidden",
			`{"token":"` + old + `"}`:   "unauthenticated",
			`{"token":"guess"}`:         "unauthenticated",
			`{"token":""}`:              "invalid",
			`{"token":["x"]}`:           "invalid",
			`{}`:                        "invalid",
			`null`:                      "invalid",
			`"` + other + `"`:           "invalid",
		} {
			c.Send(`42/mess,1["auth:refresh",` + args + `]`)
			if got := c.NextText(); codeOf(e.T, got) != want {
				e.Errorf("%s: %s, want %s", args, got, want)
			}
		}
		e.expiring(c, "/mess")
		c.ExpectClose(expired)
		if time.Since(start) != 10*time.Minute {
			e.Errorf("closed after %v", time.Since(start))
		}
	})
}

func TestAStrangerHasNothingToRefresh(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		c.Send(`42/mess,1["auth:refresh",{"token":"` + e.tokens.issue("asha", "l1", time.Hour) + `"}]`)
		if got := c.NextText(); codeOf(e.T, got) != "not_found" {
			e.Error(got)
		}
		e.pass(24 * time.Hour)
		e.quiet(c)
	})
}

// TestAnotherLoginsTokenMovesTheSocket to that login: the end of the old one no longer concerns it.
func TestAnotherLoginsTokenMovesTheSocket(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", e.tokens.issue("asha", "l1", time.Hour))
		c.Send(`42/mess,1["auth:refresh",{"token":"` + e.tokens.issue("asha", "l2", time.Hour) + `"}]`)
		c.NextText()
		e.tokens.end("l1")
		e.disconnect("asha", "l1", "logout")
		e.pass(5 * time.Minute)
		e.quiet(c)
		e.disconnect("asha", "l2", "logout")
		c.ExpectClose(engineio.Reason{Code: reasonCode, Name: "logout"})
	})
}
