package live

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

func TestWhoMayComeIn(t *testing.T) {
	const in = ""
	for name, c := range map[string]struct {
		auth string // %s is a good token
		want map[string]string
	}{
		"a stranger":           {``, map[string]string{"/": "unauthenticated", "/security": "unauthenticated", "/academic": in, "/mess": in}},
		"an empty token":       {`{"token":""}`, map[string]string{"/": "unauthenticated", "/mess": in}},
		"no token at all":      {`{"token":null}`, map[string]string{"/": "unauthenticated", "/mess": in}},
		"a user":               {`{"token":"%s"}`, map[string]string{"/": in, "/security": in, "/academic": in, "/mess": in}},
		"a bad token":          {`{"token":"guess"}`, map[string]string{"/": "unauthenticated", "/security": "unauthenticated", "/academic": "unauthenticated", "/mess": "unauthenticated"}},
		"a token of no string": {`{"token":7}`, map[string]string{"/": "invalid", "/mess": "invalid"}},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(e *edge) {
				auth := strings.Replace(c.auth, "%s", e.tokens.issue("asha", "l1", time.Hour), 1)
				for namespace, want := range c.want {
					client := e.dial()
					client.Send("40" + namespace + "," + auth)
					got := client.NextText()
					switch {
					case want == in && !strings.HasPrefix(got, "40"+shown(namespace)):
						e.Errorf("%s: %s", namespace, got)
					case want != in && (!strings.HasPrefix(got, "44"+shown(namespace)) || codeOf(e.T, got) != want):
						e.Errorf("%s: %s, want %s", namespace, got, want)
					}
					client.Hangup()
				}
				e.empty()
			})
		})
	}
}

func TestARefusalNamesTheFieldAndHidesTheCause(t *testing.T) {
	live(t, func(e *edge) {
		c := e.dial()
		c.Send(`40/mess,{"token":7}`)
		c.Expect(`44/mess,{"message":"auth.token: must be a string","data":{"code":"invalid","message":"auth.token: must be a string",` +
			`"errors":[{"field":"auth.token","detail":"must be a string"}]}}`)
		e.tokens.fail(errors.New("password of the database"))
		c.Send(`40/mess,{"token":"x"}`)
		c.Expect(`44/mess,{"message":"internal error","data":{"code":"internal","message":"internal error"}}`)
		if !strings.Contains(e.log.String(), "password of the database") {
			e.Error("the cause is nowhere in the log")
		}
		if e.metric("nexus_sockets_refused_total") != 2 || e.metric("nexus_sockets") != 0 {
			e.Error("refusals are not counted")
		}
	})
}

// TestEveryNamespaceIsASocketOfItsOwn: one may leave while others stay, and the counts say so.
func TestEveryNamespaceIsASocketOfItsOwn(t *testing.T) {
	live(t, func(e *edge) {
		token := e.tokens.issue("asha", "l1", time.Hour)
		c := e.join("/", token)
		for _, ns := range []string{"/security", "/academic", "/mess"} {
			c.Send("40" + ns + "," + auth(token))
			c.NextText()
		}
		c.Send("41/mess,")
		c.Send(`42/academic,1["nothing"]`) // an answer says that what came before is done
		if got := c.NextText(); codeOf(e.T, got) != "not_found" {
			e.Error(got)
		}
		if n := e.metric("nexus_sockets"); n != 3 {
			e.Errorf("%v sockets are counted", n)
		}
		e.disconnect("asha", "", "logout")
		c.ExpectClose(engineio.Reason{Code: reasonCode, Name: "logout"})
		e.empty()
		if n := e.metric("nexus_sockets"); n != 0 {
			e.Errorf("%v sockets are left", n)
		}
	})
}

func TestEventsAreAnsweredAndCountedByName(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/", e.tokens.issue("asha", "l1", time.Hour))
		c.Send(`421["join-user",{"id":"somebody else"}]`)
		c.Expect(`431[{}]`)
		c.Send(`42["join-user"]`) // asks for no answer
		c.Send(`422["<script>"]`)
		c.Expect(`432[{"error":{"code":"not_found","message":"no such event"}}]`)
		for labels, want := range map[string]float64{"join-user / ok": 2, "other / not_found": 1} {
			if got := e.metric("nexus_socket_events_total", strings.Fields(labels)...); got != want {
				e.Errorf("%s: %v", labels, got)
			}
		}
	})
}

func TestAClientThatFloodsIsClosed(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		for range 9 {
			c.Send(`42/mess,["nothing"]`)
		}
		c.ExpectClose(socketio.TooManyEvents)
		e.empty()
	}, func(cfg *Config) { cfg.Limits = socketio.Config{EventsPerSecond: 1, EventBurst: 9} })
}

// TestARefusedSocketLeavesNothing: no timer of it may later close the connection, which serves others.
func TestARefusedSocketLeavesNothing(t *testing.T) {
	live(t, func(e *edge) {
		var p *peer
		e.io.Handle("/full", &namespace{name: "/full", server: e.Server, joined: func(_ context.Context, joining *peer) error {
			p = joining
			return nexus.Errorf(nexus.Conflict, "no room")
		}})
		c := e.join("/academic", "")
		c.Send("40/full," + auth(e.tokens.issue("asha", "l1", 2*time.Minute)))
		if got := c.NextText(); codeOf(e.T, got) != "conflict" {
			e.Error(got)
		}
		e.pass(time.Hour)
		c.Send(`42/academic,1["nothing"]`)
		if got := c.NextText(); codeOf(e.T, got) != "not_found" {
			e.Error(got)
		}
		if e.hub.here(p) {
			e.Error("the hub knows it")
		}
		c.Hangup()
		e.empty()
	})
}

// TestThousandsComeBackAtOnce: one question to the database answers all.
func TestThousandsComeBackAtOnce(t *testing.T) {
	live(t, func(e *edge) {
		const many = 1000
		for i := range many {
			status, body := enginetest.Poll(e.Engine(), "GET", "", "")
			var open struct{ SID string }
			if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &open); err != nil || status != 200 {
				e.Fatalf("%d: %d %s %v", i, status, body, err)
			}
			if status, _ := enginetest.Poll(e.Engine(), "POST", open.SID, "40/mess,"); status != 200 {
				e.Fatal(status)
			}
		}
		if n := e.metric("nexus_sockets"); n != many || e.halls.asked != 1 {
			e.Errorf("%v sockets, %d questions", n, e.halls.asked)
		}
	})
}
