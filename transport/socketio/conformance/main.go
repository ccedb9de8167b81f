// Command conformance serves the bare protocol layers the way that the protocols' public test suites want them: Socket.IO at
// /socket.io/, or with -engine Engine.IO at /engine.io/.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"log"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/socketio"
)

func main() {
	addr := flag.String("addr", ":3000", "where to listen")
	engine := flag.Bool("engine", false, "serve Engine.IO alone")
	goroutines := flag.Bool("goroutines", false, "serve each WebSocket by a goroutine of its own")
	flag.Parse()
	var way []onfiber.Option
	if *goroutines {
		way = append(way, onfiber.Goroutines())
	}
	app, _, err := newApp(*engine, suite, time.Second, way...)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(app.Listen(*addr))
}

// suite is what the suites expect.
var suite = engineio.Config{
	PingInterval: 300 * time.Millisecond,
	PingTimeout:  200 * time.Millisecond,
	MaxPayload:   1_000_000,
	AllowOrigin:  func(string) bool { return true },
}

// newApp serves one protocol; connect is how long a Socket.IO client may take to its CONNECT.
func newApp(engine bool, cfg engineio.Config, connect time.Duration, way ...onfiber.Option) (*fiber.App, *engineio.Server, error) {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	if engine {
		srv, err := engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver { return echo{s} })
		if err != nil {
			return nil, nil, err
		}
		onfiber.Mount(app, "/engine.io/", srv, way...)
		return app, srv, nil
	}
	srv, err := socketio.NewServer(socketio.Config{ConnectTimeout: connect}, cfg)
	if err != nil {
		return nil, nil, err
	}
	srv.Handle("/", mirror{})
	srv.Handle("/custom", mirror{})
	onfiber.Mount(app, "/socket.io/", srv.Engine(), way...)
	return app, srv.Engine(), nil
}

// echo sends every message back.
type echo struct{ session *engineio.Session }

func (e echo) Receive(data []byte, binary bool) {
	if binary {
		e.session.Push(engineio.BinaryMessage(data))
	} else {
		e.session.Push(engineio.NewMessage(data))
	}
}

func (echo) Closed(engineio.Reason) {}

// apart keeps what follows the answer to CONNECT out of its write. The suite's client listens for one message at a time, and would miss a
// second one that it reads together with the first; other clients are served best by one write.
const apart = 20 * time.Millisecond

// mirror shows a client what it sent.
type mirror struct{}

func (mirror) Connect(s *socketio.Socket, auth json.RawMessage) error {
	time.AfterFunc(apart, func() {
		if err := s.Emit("auth", auth); err != nil && !errors.Is(err, socketio.ErrDisconnected) {
			log.Printf("say what was sent: %v", err)
		}
	})
	return nil
}

func (mirror) Event(s *socketio.Socket, e socketio.Event) {
	var err error
	switch {
	case e.Name == "message":
		err = s.Emit("message-back", e.Args.Values()...)
	case e.Name == "message-with-ack" && e.Ack != nil:
		err = e.Ack(e.Args.Values()...)
	}
	if err != nil {
		log.Printf("answer %s: %v", e.Name, err)
	}
}

func (mirror) Disconnect(*socketio.Socket, socketio.Reason) {}
