package e2e_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"nexus"
)

// account is somebody who was registered for one test.
type account struct {
	caller
	id    nexus.UserID
	name  string // before @demo.nexus
	token string
}

// register makes an account and logs it in.
func (s *server) register(t testing.TB) account {
	t.Helper()
	a := account{name: nexus.NewID()}
	var made struct{ User nexus.User }
	s.stranger().call(t, "POST", "/auth/register",
		map[string]any{"email": a.name + "@demo.nexus", "password": password, "name": t.Name()}, 201, &made)
	a.id, a.token = made.User.ID, s.login(t, a.name, password)
	a.caller = s.bearer(a.token)
	return a
}

// again logs the same account in once more.
func (a account) again(t testing.TB) account {
	t.Helper()
	a.token = a.s.login(t, a.name, password)
	a.caller = a.s.bearer(a.token)
	return a
}

// refused waits for a CONNECT_ERROR and returns the code in its data.
func (c *client) refused() nexus.Code {
	c.t.Helper()
	e := c.expect("connect_error")
	var data struct{ Code nexus.Code }
	decode(c.t, e.Args[0], &data)
	if e.Name == "" {
		c.t.Error("a refusal without words")
	}
	return data.Code
}

// closed waits for the end of the connection, and wants the server's reason for it.
func (c *client) closed(reason string) {
	c.t.Helper()
	e := c.expect("disconnect")
	var said struct {
		Code   int
		Reason string
	}
	decode(c.t, e.Args[0], &said)
	if said.Reason != reason || said.Code < 1001 {
		c.t.Errorf("closed with %d %q (%s), want %q", said.Code, said.Reason, e.Name, reason)
	}
}

// alive makes sure that the socket still answers.
func (c *client) alive() {
	c.t.Helper()
	c.call(&json.RawMessage{}, "join-user")
}

func TestWhoIsLetIntoANamespace(t *testing.T) {
	t.Parallel()
	s := campus(t)
	token := s.login(t, "student7", password)
	for _, ns := range []string{"/", "/security", "/mess", "/academic"} {
		private := ns == "/" || ns == "/security"
		t.Run(ns, func(t *testing.T) {
			c := dial(t, s, ns, nil)
			if !private {
				c.expect("connect")
				return
			}
			if code := c.refused(); code != nexus.Unauthenticated {
				t.Errorf("a stranger is refused with %q", code)
			}
			c.command(map[string]any{"op": "auth", "auth": map[string]string{"token": token}})
			c.command(map[string]any{"op": "connect"})
			c.expect("connect")
			c.alive()
		})
		t.Run(ns+" with a bad token", func(t *testing.T) {
			c := dial(t, s, ns, with(token+"x"))
			if code := c.refused(); code != nexus.Unauthenticated {
				t.Errorf("a bad token is refused with %q", code)
			}
		})
	}
}

func TestJoinUserIsAcceptedAndIgnored(t *testing.T) {
	t.Parallel()
	s := campus(t)
	c := connect(t, s, "/", with(s.login(t, "student8", password)))
	c.emit("join-user", nexus.NewID())
	var got map[string]json.RawMessage
	c.call(&got, "join-user", nexus.NewID())
	if _, failed := got["error"]; failed {
		t.Errorf("join-user: %s", got)
	}
}

func TestATokenIsRefreshedOnALiveSocket(t *testing.T) {
	t.Parallel()
	s := campus(t)
	me := s.register(t)
	c := connect(t, s, "/", with(me.token))
	var got struct {
		ExpiresAt string
		Error     nexus.Failure
	}
	c.call(&got, "auth:refresh", map[string]string{"token": me.again(t).token})
	if got.Error.Code != "" || got.ExpiresAt == "" {
		t.Errorf("refresh: %+v", got)
	}
	for token, want := range map[string]nexus.Code{
		s.login(t, "student9", password): nexus.Forbidden,
		me.token + "x":                   nexus.Unauthenticated,
		"":                               nexus.Invalid,
	} {
		got.Error = nexus.Failure{}
		c.call(&got, "auth:refresh", map[string]string{"token": token})
		if got.Error.Code != want {
			t.Errorf("refresh with a wrong token: %+v, want %s", got, want)
		}
	}
	// The socket now belongs to the second login: the end of the first does not concern it.
	me.call(t, "POST", "/auth/logout", nil, 200, nil)
	c.alive()
}

func TestAnEndedLoginClosesItsSockets(t *testing.T) {
	t.Parallel()
	s := campus(t)
	admin := s.as(t, "admin")
	for reason, end := range map[string]func(*testing.T, account){
		"logout": func(t *testing.T, me account) { me.call(t, "POST", "/auth/logout", nil, 200, nil) },
		"login revoked": func(t *testing.T, me account) {
			var of struct{ SessionID string }
			me.call(t, "GET", "/auth/session", nil, 200, &of)
			me.again(t).call(t, "DELETE", "/auth/sessions/"+of.SessionID, nil, 200, nil)
		},
		"password changed": func(t *testing.T, me account) {
			me.call(t, "POST", "/auth/password", map[string]string{"currentPassword": password, "newPassword": "another-campus-9"}, 200, nil)
		},
		"roles changed": func(t *testing.T, me account) {
			admin.call(t, "PUT", "/admin/users/"+string(me.id)+"/roles", map[string]any{"roles": []string{"FACULTY"}}, 200, nil)
		},
		"account changed": func(t *testing.T, me account) {
			admin.call(t, "PATCH", "/admin/users/"+string(me.id), map[string]any{"status": "suspended"}, 200, nil)
			body := map[string]any{"identifier": me.name + "@demo.nexus", "password": password}
			s.stranger().call(t, "POST", "/auth/login", body, 403, nil)
		},
	} {
		t.Run(reason, func(t *testing.T) {
			me := s.register(t)
			mine := connect(t, s, "/", options{"auth": map[string]string{"token": me.token}, "transports": []string{"websocket"}})
			polling := connect(t, s, "/security", options{"auth": map[string]string{"token": me.token}, "transports": []string{"polling"}})
			others := connect(t, s, "/", with(s.login(t, "student10", password)))
			end(t, me)
			mine.closed(reason)
			polling.expect("disconnect")
			for _, c := range []*client{mine, polling} { // which come back by themselves
				if code := c.refused(); code != nexus.Unauthenticated {
					t.Errorf("refused with %q afterwards", code)
				}
			}
			me.call(t, "GET", "/auth/session", nil, 401, nil)
			others.alive()
		})
	}
}

func TestOtherLoginsStayOpen(t *testing.T) {
	t.Parallel()
	s := campus(t)
	me := s.register(t)
	first, second := connect(t, s, "/", with(me.token)), connect(t, s, "/", with(me.again(t).token))
	me.call(t, "POST", "/auth/logout", nil, 200, nil)
	first.closed("logout")
	second.alive()
}

func TestForeignPagesAreRefused(t *testing.T) {
	t.Parallel()
	s := campus(t)
	for _, transport := range []string{"polling", "websocket"} {
		for origin, welcome := range map[string]bool{
			"http://localhost:3000": true, "http://127.0.0.1:5173": true,
			"https://elsewhere.example": false, "http://localhost.elsewhere.example": false, "null": false,
		} {
			t.Run(transport+" "+origin, func(t *testing.T) {
				c := dial(t, s, "/mess", options{
					"transports": []string{transport}, "extraHeaders": map[string]string{"Origin": origin}, "reconnection": false,
				})
				if welcome {
					c.expect("connect")
					return
				}
				c.expect("connect_error")
				c.none("let in", func(e event) bool { return e.Kind == "open" || e.Kind == "connect" })
			})
		}
	}
}

// TestAForeignPageCannotUpgradeASession: with a sid that it has got hold of.
func TestAForeignPageCannotUpgradeASession(t *testing.T) {
	t.Parallel()
	s := campus(t)
	var session struct{ SID string }
	a := s.stranger().call(t, "GET", "//socket.io/?EIO=4&transport=polling", nil, 200, nil)
	decode(t, a.body[1:], &session)
	foreign := caller{s, http.Header{
		"Origin": {"https://elsewhere.example"}, "Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-WebSocket-Version": {"13"}, "Sec-WebSocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}
	foreign.call(t, "GET", "//socket.io/?EIO=4&transport=websocket&sid="+session.SID, nil, 403, nil)
	delete(foreign.header, "Upgrade")
	delete(foreign.header, "Connection")
	foreign.call(t, "GET", "//socket.io/?EIO=4&transport=polling&sid="+session.SID, nil, 403, nil)
}
