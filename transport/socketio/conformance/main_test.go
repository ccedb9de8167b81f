package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// behaviour is one line of the protocols' public suites, by its names there. Most of the suite of Engine.IO is in that of Socket.IO too.
type behaviour struct {
	group  string
	engine string // its name in the suite of Engine.IO, "" if it is not there
	socket string // and in that of Socket.IO
	cfg    engineio.Config
	shows  func(s site)
}

// beating pings as the suites want, and waits an hour for the pong; dying waits as long as the suites want.
var (
	beating = heartbeat(time.Hour)
	dying   = heartbeat(suite.PingTimeout)
)

func heartbeat(timeout time.Duration) engineio.Config {
	cfg := quiet
	cfg.PingInterval, cfg.PingTimeout = suite.PingInterval, timeout
	return cfg
}

var behaviours = []behaviour{
	{"handshake/HTTP long-polling", "successfully opens a session", "should successfully open a session", suite, opensByPolling},
	{"handshake/HTTP long-polling", "fails with an invalid 'EIO' query parameter", "should fail with an invalid 'EIO' query parameter", quiet, wrongVersion},
	{"handshake/HTTP long-polling", "fails with an invalid 'transport' query parameter", "should fail with an invalid 'transport' query parameter", quiet, wrongTransport},
	{"handshake/HTTP long-polling", "fails with an invalid request method", "should fail with an invalid request method", quiet, wrongMethod},
	{"handshake/WebSocket", "successfully opens a session", "should successfully open a session", suite, opensByWebSocket},
	{"handshake/WebSocket", "fails with an invalid 'EIO' query parameter", "should fail with an invalid 'EIO' query parameter", quiet, wrongVersionOfUpgrade},
	{"handshake/WebSocket", "fails with an invalid 'transport' query parameter", "should fail with an invalid 'transport' query parameter", quiet, wrongTransportOfUpgrade},

	{"message/HTTP long-polling", "sends and receives a payload containing one plain text packet", "", quiet, echoes("4hello")},
	{"message/HTTP long-polling", "sends and receives a payload containing several plain text packets", "", quiet, echoes("4test1\x1e4test2\x1e4test3")},
	{"message/HTTP long-polling", "sends and receives a payload containing plain text and binary packets", "", quiet, echoes("4hello\x1ebAQIDBA==")},
	{"message/HTTP long-polling", "closes the session upon invalid packet format", "", quiet, wrongPayload},
	{"message/HTTP long-polling", "closes the session upon duplicate poll requests", "", quiet, duplicatePolls},
	{"message/HTTP long-polling", "closes the session upon cancelled polling request", "", quiet, cancelledPoll},
	{"message/WebSocket", "sends and receives a plain text packet", "", quiet, echoesFrame("4hello")},
	{"message/WebSocket", "sends and receives a binary packet", "", quiet, echoesFrame("b:\x01\x02\x03\x04")},
	{"message/WebSocket", "closes the session upon invalid packet format", "", quiet, closesOn("abc", engineio.ParseError)},

	{"heartbeat/HTTP long-polling", "sends ping/pong packets", "should send ping/pong packets", beating, pingsByPolling},
	{"heartbeat/HTTP long-polling", "closes the session upon ping timeout", "should close the session upon ping timeout", dying, missedByPolling},
	{"heartbeat/WebSocket", "sends ping/pong packets", "should send ping/pong packets", beating, pingsByWebSocket},
	{"heartbeat/WebSocket", "closes the session upon ping timeout", "should close the session upon ping timeout", dying, missedByWebSocket},

	{"close/HTTP long-polling", "forcefully closes the session", "should forcefully close the session", quiet, closedByPolling},
	{"close/WebSocket", "forcefully closes the session", "should forcefully close the session", quiet, closesOn("1", engineio.TransportClosed)},

	{"upgrade", "successfully upgrades from HTTP long-polling to WebSocket", "should successfully upgrade from HTTP long-polling to WebSocket", quiet, upgrades},
	{"upgrade", "ignores HTTP requests with same sid after upgrade", "should ignore HTTP requests with same sid after upgrade", quiet, pollsNoMore},
	{"upgrade", "ignores WebSocket connection with same sid after upgrade", "should ignore WebSocket connection with same sid after upgrade", quiet, upgradesNoMore},

	{"connect", "", "should allow connection to the main namespace", quiet, connects("40", `40{"sid":"`, `42["auth",{}]`)},
	{"connect", "", "should allow connection to the main namespace with a payload", quiet, connects(`40{"token":"123"}`, `40{"sid":"`, `42["auth",{"token":"123"}]`)},
	{"connect", "", "should allow connection to a custom namespace", quiet, connects("40/custom,", `40/custom,{"sid":"`, `42/custom,["auth",{}]`)},
	{"connect", "", "should allow connection to a custom namespace with a payload", quiet, connects(`40/custom,{"token":"abc"}`, `40/custom,{"sid":"`, `42/custom,["auth",{"token":"abc"}]`)},
	{"connect", "", "should disallow connection to an unknown namespace", quiet, unknownNamespace},
	{"connect", "", "should disallow connection with an invalid handshake", quiet, closesOn("4abc", invalidPacket)},
	{"connect", "", "should close the connection if no handshake is received", quiet, neverConnects},

	{"disconnect", "", "should disconnect from the main namespace", beating, disconnects},
	{"disconnect", "", "should connect then disconnect from a custom namespace", quiet, disconnectsFromCustom},

	{"message", "", "should send a plain-text packet", quiet, answers(`42["message",1,"2",{"3":[true]}]`)(`42["message-back",1,"2",{"3":[true]}]`)},
	{"message", "", "should send a packet with binary attachments", quiet, answers(`452-["message",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")(`452-["message-back",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")},
	{"message", "", "should send a plain-text packet with an ack", quiet, answers(`42456["message-with-ack",1,"2",{"3":[false]}]`)(`43456[1,"2",{"3":[false]}]`)},
	{"message", "", "should send a packet with binary attachments and an ack", quiet, answers(`452-789["message-with-ack",`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")(`462-789[`+two, "b:\x01\x02\x03", "b:\x04\x05\x06")},
	{"message", "", "should close the connection upon invalid format (unknown packet type)", quiet, closesJoined("4abc")},
	{"message", "", "should close the connection upon invalid format (invalid payload format)", quiet, closesJoined("42{}")},
	{"message", "", "should close the connection upon invalid format (invalid ack id)", quiet, closesJoined(`42abc["message-with-ack",1,"2",{"3":[false]}]`)},
}

// two are the arguments of a packet with two attachments.
const two = `{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`

// TestEngineIOSuite is the public suite of Engine.IO 4, line by line.
func TestEngineIOSuite(t *testing.T) {
	conforms(t, true, 25, func(b behaviour) string { return b.engine })
}

// TestSocketIOSuite is the public suite of Socket.IO 5, line by line.
func TestSocketIOSuite(t *testing.T) {
	conforms(t, false, 32, func(b behaviour) string { return b.socket })
}

// conforms shows as many behaviours as a suite has: with sockets on epoll, where there is one, and with a goroutine for each.
func conforms(t *testing.T, engine bool, count int, name func(behaviour) string) {
	shown := 0
	for _, b := range behaviours {
		if name(b) == "" {
			continue
		}
		shown++
		for way, options := range map[string][]onfiber.Option{"epoll": nil, "goroutines": {onfiber.Goroutines()}} {
			t.Run(fmt.Sprintf("%s/%s/%s", b.group, name(b), way), func(t *testing.T) {
				t.Parallel()
				connect := time.Hour
				if strings.Contains(b.socket, "no handshake") {
					connect = 100 * time.Millisecond
				}
				b.shows(serve(t, engine, b.cfg, connect, options...))
			})
		}
	}
	if shown != count {
		t.Errorf("%d behaviours of %d", shown, count)
	}
}
