package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/fasthttp/websocket"

	"nexus/transport/engineio"
	"nexus/transport/socketio"
)

const openPacket = `,"upgrades":[%s],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}`

var invalidPacket = socketio.InvalidPacket

func opensByPolling(s site) {
	if got := s.do("GET", "?EIO=4&transport=polling", ""); got.status != 200 || !strings.HasPrefix(got.body, `0{"sid":"`) || !strings.HasSuffix(got.body, fmt.Sprintf(openPacket, `"websocket"`)) {
		s.t.Error(got)
	}
}

func opensByWebSocket(s site) {
	if got := s.dial("?EIO=4&transport=websocket").next(); !strings.HasPrefix(got, `0{"sid":"`) || !strings.HasSuffix(got, fmt.Sprintf(openPacket, "")) {
		s.t.Error(got)
	}
}

func wrongVersion(s site) {
	s.want("GET", "?transport=polling", "", 400, "")
	s.want("GET", "?EIO=abc&transport=polling", "", 400, "")
}

func wrongTransport(s site) {
	s.want("GET", "?EIO=4", "", 400, "")
	s.want("GET", "?EIO=4&transport=abc", "", 400, "")
}

func wrongMethod(s site) {
	s.want("POST", "?EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`)
	s.want("PUT", "?EIO=4&transport=polling", "", 400, `{"code":2,"message":"Bad handshake method"}`)
}

func wrongVersionOfUpgrade(s site) {
	s.noUpgrade("?transport=websocket")
	s.noUpgrade("?EIO=abc&transport=websocket")
}

func wrongTransportOfUpgrade(s site) {
	s.noUpgrade("?EIO=4")
	s.noUpgrade("?EIO=4&transport=abc")
}

func (s site) noUpgrade(query string) {
	s.t.Helper()
	_, response, err := websocket.DefaultDialer.DialContext(s.t.Context(), "ws://"+s.host+s.path+query, nil)
	if err == nil || response == nil || response.StatusCode != 400 {
		s.t.Errorf("upgrade %s: %v", query, err)
	}
}

func echoes(body string) func(site) {
	return func(s site) {
		sid := s.session()
		s.want("POST", polling(sid), body, 200, "ok")
		s.want("GET", polling(sid), "", 200, body)
	}
}

func wrongPayload(s site) {
	sid := s.session()
	s.want("POST", polling(sid), "abc", 400, "")
	s.want("GET", polling(sid), "", 400, "")
}

func duplicatePolls(s site) {
	sid := s.session()
	first, second := s.ask("GET", polling(sid), ""), s.ask("GET", polling(sid), "") // in any order
	got := []answer{<-first, <-second}
	if !slices.Contains(got, answer{200, "1"}) || !slices.Contains(got, answer{400, `{"code":3,"message":"Bad request"}`}) {
		s.t.Error(got)
	}
	s.want("GET", polling(sid), "", 400, "")
}

func cancelledPoll(s site) {
	sid := s.session()
	conn, err := net.Dial("tcp", s.host)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s%s HTTP/1.1\r\nHost: x\r\n\r\n", s.path, polling(sid)); err != nil {
		s.t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		s.t.Fatal(err)
	}
	// The next poll must not overtake this one, which would make it the second of two at once.
	if r := s.reason(); r != engineio.TransportError {
		s.t.Error(r)
	}
	s.want("GET", polling(sid), "", 400, "")
}

func echoesFrame(message string) func(site) {
	return func(s site) {
		c := s.open()
		c.send(message)
		c.expect(message)
	}
}

// closesOn is a session that a message closes before anything else was sent.
func closesOn(message string, reason engineio.Reason) func(site) {
	return func(s site) {
		c := s.open()
		c.send(message)
		if code := c.closed(); code != int(reason.Code) {
			s.t.Errorf("closed with %d", code)
		}
		if r := s.reason(); r != reason {
			s.t.Error(r)
		}
	}
}

func pingsByPolling(s site) {
	sid := s.session()
	for range 3 {
		s.want("GET", polling(sid), "", 200, "2")
		s.want("POST", polling(sid), "3", 200, "ok")
	}
}

func pingsByWebSocket(s site) {
	c := s.open()
	for range 3 {
		c.expect("2")
		c.send("3")
	}
}

func missedByPolling(s site) {
	sid := s.session()
	if r := s.reason(); r != engineio.PingTimeout { // half a second from now
		s.t.Error(r)
	}
	s.want("GET", polling(sid), "", 400, "")
}

func missedByWebSocket(s site) {
	if code := s.open().closed(); code != int(engineio.PingTimeout.Code) {
		s.t.Errorf("closed with %d", code)
	}
}

func closedByPolling(s site) {
	sid := s.session()
	poll := s.ask("GET", polling(sid), "") // may come behind the POST, as the last poll
	s.want("POST", polling(sid), "1", 200, "ok")
	if got := <-poll; got != (answer{200, "6"}) {
		s.t.Errorf("the poll got %v", got)
	}
	s.want("GET", polling(sid), "", 400, "")
}

// probed is a session with a WebSocket that has sent its probe.
func (s site) probed() (sid string, c client) {
	s.t.Helper()
	sid = s.session()
	c = s.dial("?EIO=4&transport=websocket&sid=" + sid)
	c.send("2probe")
	c.expect("3probe")
	return sid, c
}

// works shows that a session lives on its WebSocket; an answer says that the upgrade is done.
func (s site) works(c client) {
	s.t.Helper()
	if s.path == "/engine.io/" {
		c.send("4hello")
		c.expect("4hello")
	} else {
		c.join("40")
	}
}

func upgrades(s site) {
	sid, c := s.probed()
	s.want("GET", polling(sid), "", 200, "6") // so that the client ends its polling
	c.send("5")
	s.works(c)
}

func pollsNoMore(s site) {
	sid, c := s.probed()
	c.send("5")
	s.want("GET", polling(sid), "", 400, "")
	s.works(c)
}

func upgradesNoMore(s site) {
	sid, c := s.probed()
	c.send("5")
	s.dial("?EIO=4&transport=websocket&sid=" + sid).closed()
	s.works(c)
}

func connects(packet, answer, auth string) func(site) {
	return func(s site) {
		c := s.open()
		c.send(packet)
		if got := c.next(); !strings.HasPrefix(got, answer) || strings.Count(got, ":") != 1 { // a sid, and nothing else
			s.t.Error(got)
		}
		c.expect(auth)
	}
}

func unknownNamespace(s site) {
	c := s.open()
	c.send("40/random")
	c.expect(`44/random,{"message":"Invalid namespace"}`)
}

func neverConnects(s site) {
	if code := s.open().closed(); code != int(socketio.ConnectTimeout.Code) {
		s.t.Errorf("closed with %d", code)
	}
}

// disconnects leaves the connection, which goes on with its pings, and the namespace may be joined again.
func disconnects(s site) {
	c := s.joined("40")
	c.send("41")
	c.expect("2")
	c.join("40")
}

func disconnectsFromCustom(s site) {
	c := s.joined("40")
	c.join("40/custom")
	c.send("41/custom", `42["message","message to main namespace"]`)
	c.expect(`42["message-back","message to main namespace"]`)
}

// answers sends to the main namespace and waits for what comes back.
func answers(packets ...string) func(want ...string) func(site) {
	return func(want ...string) func(site) {
		return func(s site) {
			c := s.joined("40")
			c.send(packets...)
			c.expect(want...)
		}
	}
}

func closesJoined(packet string) func(site) {
	return func(s site) {
		c := s.joined("40")
		c.send(packet)
		if code := c.closed(); code != int(invalidPacket.Code) {
			s.t.Errorf("closed with %d", code)
		}
	}
}
