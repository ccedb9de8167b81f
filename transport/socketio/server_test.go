package socketio_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is a namespace that writes down what it hears.
type app struct {
	mu      sync.Mutex
	log     []string
	sockets []*socketio.Socket
	connect func(s *socketio.Socket, auth json.RawMessage) error // if set
	event   func(s *socketio.Socket, e socketio.Event)           // if set
}

func (a *app) say(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, fmt.Sprintf(format, args...))
}

func (a *app) Connect(s *socketio.Socket, auth json.RawMessage) error {
	a.say("connect %s", auth)
	a.mu.Lock()
	a.sockets = append(a.sockets, s)
	a.mu.Unlock()
	if a.connect != nil {
		return a.connect(s, auth)
	}
	return nil
}

func (a *app) Event(s *socketio.Socket, e socketio.Event) {
	a.say("%s %s", e.Name, fmt.Sprint(e.Args.Values()...))
	if a.event != nil {
		a.event(s, e)
	}
}

func (a *app) Disconnect(_ *socketio.Socket, reason socketio.Reason) { a.say("disconnect %s", reason) }

func (a *app) heard() string {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.log, "|")
}

func (a *app) socket() *socketio.Socket {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sockets[len(a.sockets)-1]
}

// world runs a test with a client whose open packet is read. Namespaces "/" and "/mess" belong to a and b.
func world(t *testing.T, cfg socketio.Config, test func(t *testing.T, c *enginetest.Client, a, b *app)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv, err := socketio.NewServer(cfg, engineio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		a, b := new(app), new(app)
		srv.Handle("/", a)
		srv.Handle("/mess", b)
		c := enginetest.Dial(t, srv.Engine(), "", enginetest.Goroutine)
		c.NextText()
		test(t, c, a, b)
		c.Hangup()
		if _, err := srv.Engine().Shutdown(t.Context(), engineio.ShuttingDown); err != nil {
			t.Error(err)
		}
	})
}

// join connects to "/".
func join(t *testing.T, c *enginetest.Client, a *app) *socketio.Socket {
	t.Helper()
	c.Send("40")
	c.NextText()
	return a.socket()
}

func TestConnect(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, b *app) {
		c.Send(`40{"token":"x"}`)
		got := c.NextText()
		if want := fmt.Sprintf(`40{"sid":"%s"}`, a.socket().ID()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		c.Send("40/mess,")
		got = c.NextText()
		if want := fmt.Sprintf(`40/mess,{"sid":"%s"}`, b.socket().ID()); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if a.heard() != `connect {"token":"x"}` || b.heard() != "connect {}" {
			t.Error(a.heard(), b.heard())
		}
		s := b.socket()
		if s.Namespace() != "/mess" || s.RemoteAddr() != "192.0.2.1" || s.Transport() != engineio.WebSocket || s.ID() == s.ConnectionID() {
			t.Error(s.Namespace(), s.RemoteAddr(), s.Transport())
		}
	})
}

func TestConnectErrors(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"message and data", &socketio.ConnectError{Message: "no", Data: map[string]string{"code": "forbidden"}}, `44{"message":"no","data":{"code":"forbidden"}}`},
		{"wrapped", fmt.Errorf("check: %w", &socketio.ConnectError{Message: "no"}), `44{"message":"no"}`},
		{"not for strangers", errors.New("password of the database"), `44{"message":"internal error"}`},
		{"data that does not encode", &socketio.ConnectError{Message: "no", Data: func() {}}, `44{"message":"no"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
				a.connect = func(s *socketio.Socket, _ json.RawMessage) error {
					if err := s.Emit("never"); err != nil {
						t.Error(err)
					}
					return test.err
				}
				c.Send("40")
				c.Expect(test.want)
				a.connect = nil
				if s := a.socket(); s.Push(engineio.NewMessage([]byte("2[]"))) || !errors.Is(s.Emit("x"), socketio.ErrDisconnected) {
					t.Error("a refused socket takes messages")
				}
				c.Send("40") // and may try again
				c.NextText()
				c.Hangup()
				if got := a.heard(); got != "connect {}|connect {}|disconnect transport close" {
					t.Error(got)
				}
			})
		})
	}
}

func TestUnknownNamespace(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, _, _ *app) {
		c.Send(`40/random,{"a":1}`)
		c.Expect(`44/random,{"message":"Invalid namespace"}`)
	})
}

// What Connect itself sends follows the answer, in every lane.
func TestEmitInsideConnect(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.connect = func(s *socketio.Socket, _ json.RawMessage) error {
			tick, err := socketio.EncodeEvent("/", "tick")
			s.Offer("tick", tick)
			s.PushUrgent(tick)
			return errors.Join(err, s.Emit("welcome"))
		}
		c.Send("40")
		if got := c.NextText(); !strings.HasPrefix(got, `40{"sid"`) {
			t.Fatal(got)
		}
		c.Expect(`42["tick"]`, `42["welcome"]`, `42["tick"]`)
	})
}

func TestEvents(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, b *app) {
		a.event = func(s *socketio.Socket, e socketio.Event) {
			if e.Ack == nil {
				if err := s.Emit("back", e.Args.Values()...); err != nil {
					t.Error(err)
				}
				return
			}
			if err := errors.Join(e.Ack(e.Args.Values()...), e.Ack("twice")); err != nil {
				t.Error(err)
			}
		}
		join(t, c, a)
		c.Send(`42["message",1,"2",{"3":[true]}]`)
		c.Expect(`42["back",1,"2",{"3":[true]}]`)
		c.Send(`42456["message",1]`)
		c.Expect(`43456[1]`)
		c.Send(`451-7["message",{"a":{"_placeholder":true,"num":0}}]`)
		c.SendBinary([]byte{1})
		c.Expect(`461-7[{"a":{"_placeholder":true,"num":0}}]`, "b:\x01")
		c.Send(`42["no arguments"]`)
		c.Expect(`42["back"]`)
		if got := a.heard(); !strings.Contains(got, "no arguments ") {
			t.Error(got)
		}
	})
}

func TestDisconnectByClient(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, b *app) {
		s := join(t, c, a)
		c.Send("40/mess,")
		c.NextText()
		c.Send("41")
		if a.heard() != "connect {}|disconnect client namespace disconnect" || s.Emit("x") == nil {
			t.Error(a.heard())
		}
		c.Send(`42/mess,["still"]`)
		if got := b.heard(); got != "connect {}|still " {
			t.Error(got)
		}
		c.Send("40")
		c.NextText()
		c.Send("41/mess,")
		c.Send(`42/mess,["gone"]`)
		c.ExpectClose(socketio.InvalidState)
	})
}

func TestDisconnectByServer(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, b *app) {
		c.Send("40/mess,")
		c.NextText()
		s := b.socket()
		s.Disconnect(socketio.ServerDisconnect)
		s.Disconnect(socketio.ServerDisconnect)
		c.Send(`42/mess,["was under way"]`) // does not cost the connection
		c.Expect("41/mess,")
		if got := b.heard(); got != "connect {}|disconnect server namespace disconnect" {
			t.Error(got)
		}
		c.Send("40/mess,")
		c.NextText()
		b.socket().CloseConnection(engineio.Forced)
		c.ExpectClose(engineio.Forced)
		if got := b.heard(); !strings.HasSuffix(got, "|connect {}|disconnect forced close") {
			t.Error(got)
		}
	})
}

func TestDisconnectInsideConnect(t *testing.T) {
	world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		a.connect = func(s *socketio.Socket, _ json.RawMessage) error {
			s.Disconnect(socketio.ServerDisconnect)
			return nil
		}
		c.Send("40")
		c.NextText()
		c.Expect("41")
		if got := a.heard(); got != "connect {}|disconnect server namespace disconnect" {
			t.Error(got)
		}
	})
}

func TestConnectTimeout(t *testing.T) {
	world(t, socketio.Config{ConnectTimeout: 10 * time.Second}, func(t *testing.T, c *enginetest.Client, _, _ *app) {
		start := time.Now()
		c.ExpectClose(socketio.ConnectTimeout)
		if after := time.Since(start); after != 10*time.Second {
			t.Error(after)
		}
	})
	world(t, socketio.Config{ConnectTimeout: 10 * time.Second}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
		join(t, c, a)
		c.Expect("2") // the first ping, after 25 s
	})
}

func TestProtocolErrorsClose(t *testing.T) {
	for _, test := range []struct {
		name string
		send []string // "b:" is binary
		want socketio.Reason
	}{
		{"unknown type", []string{"4abc"}, socketio.InvalidPacket},
		{"malformed payload", []string{"42{}"}, socketio.InvalidPacket},
		{"wrong id", []string{`42abc["x"]`}, socketio.InvalidPacket},
		{"event elsewhere", []string{`42/mess,["x"]`}, socketio.InvalidState},
		{"disconnect elsewhere", []string{`41/mess,`}, socketio.InvalidState},
		{"ack elsewhere", []string{`43/mess,1[]`}, socketio.InvalidState},
		{"connected already", []string{"40"}, socketio.InvalidState},
		{"client's connect error", []string{`44{"message":"x"}`}, socketio.InvalidState},
		{"attachment of nothing", []string{"b:x"}, socketio.InvalidPacket},
		{"text before the attachment", []string{`451-["x",{"_placeholder":true,"num":0}]`, `42["y"]`}, socketio.InvalidPacket},
		{"illegal placeholder", []string{`451-["x",{"_placeholder":true,"num":3}]`, "b:x"}, socketio.InvalidPacket},
		{"too many attachments", []string{`4511-["x"]`}, socketio.TooManyAttachments},
		{"event too large", []string{`452-["x"]`, "b:" + strings.Repeat("x", 600), "b:" + strings.Repeat("x", 600)}, socketio.EventTooLarge},
	} {
		t.Run(test.name, func(t *testing.T) {
			world(t, socketio.Config{MaxEventBytes: 1000}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
				join(t, c, a)
				for _, text := range test.send {
					if data, binary := strings.CutPrefix(text, "b:"); binary {
						c.SendBinary([]byte(data))
					} else {
						c.Send(text)
					}
				}
				c.ExpectClose(test.want)
				if got := a.heard(); got != "connect {}|disconnect "+test.want.Name {
					t.Error(got)
				}
			})
		})
	}
}

func TestLimits(t *testing.T) {
	t.Run("namespaces", func(t *testing.T) {
		world(t, socketio.Config{MaxNamespaces: 1}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
			join(t, c, a)
			c.Send("40/mess,")
			c.ExpectClose(socketio.TooManyNamespaces)
		})
	})
	t.Run("events", func(t *testing.T) {
		world(t, socketio.Config{EventsPerSecond: 10, EventBurst: 20}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
			join(t, c, a)
			for range 19 {
				c.Send(`42["x"]`)
			}
			time.Sleep(time.Second)
			for range 11 {
				c.Send(`42["x"]`)
			}
			c.ExpectClose(socketio.TooManyEvents)
			if got := strings.Count(a.heard(), "x "); got != 29 {
				t.Errorf("%d events", got)
			}
		})
	})
	t.Run("held messages", func(t *testing.T) {
		world(t, socketio.Config{}, func(t *testing.T, c *enginetest.Client, a, _ *app) {
			a.connect = func(s *socketio.Socket, _ json.RawMessage) error {
				var err error
				for err == nil {
					err = s.Emit("x")
				}
				return nil
			}
			c.Send("40")
			c.ExpectClose(engineio.SlowClient)
		})
	})
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []socketio.Config{{MaxDepth: -1}, {ConnectTimeout: -1}, {EventsPerSecond: -1}} {
		if _, err := socketio.NewServer(cfg, engineio.Config{}); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
	if _, err := socketio.NewServer(socketio.Config{}, engineio.Config{MaxPayload: 1}); err == nil {
		t.Error("the engine's limits are not checked")
	}
}

func TestHandlePanics(t *testing.T) {
	srv, err := socketio.NewServer(socketio.Config{}, engineio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	srv.Handle("/", new(app))
	for _, name := range []string{"/", "mess", "/a,b"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is handled", name)
				}
			}()
			srv.Handle(name, new(app))
		}()
	}
}
