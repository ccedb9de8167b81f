package main

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"

	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/leaktest"
	"nexus/transport/socketio"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

const openPacket = `,"upgrades":[%s],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`

// ways runs a test with sockets on epoll, where there is one, and with a goroutine for each.
func ways(t *testing.T, test func(t *testing.T, way ...onfiber.Option)) {
	t.Run("epoll", func(t *testing.T) { test(t) })
	t.Run("goroutines", func(t *testing.T) { test(t, onfiber.Goroutines()) })
}

// both runs the cases that the two protocols' suites share.
func both(t *testing.T, cfg engineio.Config, test func(t *testing.T, s site)) {
	t.Helper()
	for _, engine := range []bool{true, false} {
		s := site{path: "/socket.io/"}
		if engine {
			s.path = "/engine.io/"
		}
		t.Run(strings.Trim(s.path, "/"), func(t *testing.T) {
			ways(t, func(t *testing.T, way ...onfiber.Option) { test(t, serve(t, engine, cfg, way...)) })
		})
	}
}

func TestHandshakes(t *testing.T) {
	both(t, suite, func(t *testing.T, s site) {
		if got := s.do("GET", "?EIO=4&transport=polling", ""); got.status != 200 || !strings.HasSuffix(got.body, fmt.Sprintf(openPacket, `"websocket"`)) {
			t.Error(got)
		}
		if got := s.dial("?EIO=4&transport=websocket").next(); !strings.HasSuffix(got, fmt.Sprintf(openPacket, "")) {
			t.Error(got)
		}
		for _, query := range []string{"?transport=polling", "?EIO=abc&transport=polling", "?EIO=4", "?EIO=4&transport=abc"} {
			s.want("GET", query, "", 400, "")
			if _, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws://"+s.host+s.path+strings.Replace(query, "polling", "websocket", 1), nil); err == nil || response.StatusCode != 400 {
				t.Errorf("upgrade %s: %v", query, err)
			}
		}
		s.want("POST", "?EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`)
		s.want("PUT", "?EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`)
	})
}

func TestHeartbeats(t *testing.T) {
	beating := quiet
	beating.PingInterval = suite.PingInterval // and a pong may take an hour
	both(t, beating, func(t *testing.T, s site) {
		sid := s.session()
		for range 3 {
			s.want("GET", polling(sid), "", 200, "2")
			s.want("POST", polling(sid), "3", 200, "ok")
		}
		c := s.open()
		for range 3 {
			c.expect("2")
			c.send("3")
		}
	})
}

func TestPingTimeouts(t *testing.T) {
	dying := quiet
	dying.PingInterval, dying.PingTimeout = suite.PingInterval, suite.PingTimeout
	both(t, dying, func(t *testing.T, s site) {
		sid := s.session()
		if code := s.open().closed(); code != 4000 { // half a second from now
			t.Errorf("closed with %d", code)
		}
		for range 2 {
			if r := s.reason(); r != engineio.PingTimeout {
				t.Error(r)
			}
		}
		s.want("GET", polling(sid), "", 400, "")
	})
}

func TestClientCloses(t *testing.T) {
	both(t, quiet, func(t *testing.T, s site) {
		sid := s.session()
		poll := s.ask("GET", polling(sid), "") // may come behind the POST, as the last poll
		s.want("POST", polling(sid), "1", 200, "ok")
		if got := <-poll; got.body != "6" {
			t.Errorf("the poll got %v", got)
		}
		s.want("GET", polling(sid), "", 400, "")
		c := s.open()
		c.send("1")
		c.closed()
	})
}

func TestUpgrades(t *testing.T) {
	both(t, quiet, func(t *testing.T, s site) {
		sid := s.session()
		c := s.dial("?EIO=4&transport=websocket&sid=" + sid)
		c.send("2probe")
		c.expect("3probe")
		s.want("GET", polling(sid), "", 200, "6")
		c.send("5")
		if s.path == "/engine.io/" { // an answer says that the upgrade is done
			c.send("4hello")
			c.expect("4hello")
		} else {
			c.join("40")
		}
		s.want("GET", polling(sid), "", 400, "")
		s.dial("?EIO=4&transport=websocket&sid=" + sid).closed()
	})
}

func TestEngineMessages(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serve(t, true, quiet, way...)
		for _, body := range []string{"4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="} {
			sid := s.session()
			s.want("POST", polling(sid), body, 200, "ok")
			s.want("GET", polling(sid), "", 200, body)
		}
		c := s.open()
		c.send("4hello", "b:\x01\x02\x03\x04")
		c.expect("4hello", "b:\x01\x02\x03\x04")
		c.send("abc")
		c.closed()
		sid := s.session()
		s.want("POST", polling(sid), "abc", 400, "")
		s.want("GET", polling(sid), "", 400, "")
	})
}

func TestDuplicatePolls(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serve(t, true, quiet, way...)
		sid := s.session()
		first, second := s.ask("GET", polling(sid), ""), s.ask("GET", polling(sid), "") // in any order
		got := []answer{<-first, <-second}
		if !slices.Contains(got, answer{200, "1"}) || !slices.Contains(got, answer{400, `{"code":3,"message":"Bad request"}`}) {
			t.Error(got)
		}
		s.want("GET", polling(sid), "", 400, "")
	})
}

func TestCancelledPoll(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serve(t, true, quiet, way...)
		sid := s.session()
		conn, err := net.Dial("tcp", s.host)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: x\r\n\r\n", s.path, polling(sid)); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		// The next poll must not overtake this one, which would make it the second of two at once.
		if r := s.reason(); r != engineio.TransportError {
			t.Error(r)
		}
		s.want("GET", polling(sid), "", 400, "")
	})
}

func TestNamespaces(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serve(t, false, quiet, way...)
		for _, test := range []struct{ connect, prefix, auth string }{
			{"40", `40{"sid":"`, `42["auth",{}]`},
			{`40{"token":"123"}`, `40{"sid":"`, `42["auth",{"token":"123"}]`},
			{"40/custom,", `40/custom,{"sid":"`, `42/custom,["auth",{}]`},
			{`40/custom,{"token":"abc"}`, `40/custom,{"sid":"`, `42/custom,["auth",{"token":"abc"}]`},
		} {
			c := s.open()
			c.send(test.connect)
			if got := c.next(); !strings.HasPrefix(got, test.prefix) || strings.Count(got, ":") != 1 {
				t.Errorf("%s: %s", test.connect, got)
			}
			c.expect(test.auth)
		}
		c := s.open()
		c.send("40/random")
		c.expect(`44/random,{"message":"Invalid namespace"}`)
		c = s.open()
		c.send("4abc")
		c.closed()
	})
}

func TestNoConnect(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serveConnecting(t, false, quiet, 100*time.Millisecond, way...)
		if code := s.open().closed(); code != int(socketio.ConnectTimeout.Code) {
			t.Errorf("closed with %d", code)
		}
	})
}

func TestDisconnects(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serve(t, false, quiet, way...)
		c := s.joined("40")
		c.send("41")
		c.join("40") // the connection goes on
		c.join("40/custom")
		c.send("41/custom", `42["message","message to main namespace"]`)
		c.expect(`42["message-back","message to main namespace"]`)
	})
}

func TestMessages(t *testing.T) {
	ways(t, func(t *testing.T, way ...onfiber.Option) {
		s := serve(t, false, quiet, way...)
		c := s.joined("40")
		const two = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`
		c.send(`42["message",1,"2",{"3":[true]}]`)
		c.expect(`42["message-back",1,"2",{"3":[true]}]`)
		c.send(`452-["message",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		c.expect(`452-["message-back",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		c.send(`42456["message-with-ack",1,"2",{"3":[false]}]`)
		c.expect(`43456[1,"2",{"3":[false]}]`)
		c.send(`452-789["message-with-ack",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		c.expect(`462-789[`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")
		for _, text := range []string{"4abc", "42{}", `42abc["message-with-ack",1,"2",{"3":[false]}]`} {
			c := s.joined("40")
			c.send(text)
			if code := c.closed(); code != 4011 {
				t.Errorf("%s: closed with %d", text, code)
			}
		}
	})
}
