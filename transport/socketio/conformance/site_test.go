package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"

	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
)

// patience bounds every wait of a test that has failed anyway.
const patience = time.Minute

// quiet has no deadline that a machine which stands still could miss, and sends nothing by itself.
var quiet = engineio.Config{
	PingInterval: time.Hour, PingTimeout: time.Hour, UpgradeTimeout: time.Hour, MessageTimeout: time.Hour,
	WriteTimeout: time.Hour, CloseTimeout: time.Hour,
}

// site is a served conformance application.
type site struct {
	t     *testing.T
	host  string
	path  string
	ended chan engineio.Reason // of each session
}

// serve runs the application on a free port; connect is how long a Socket.IO client may take to its CONNECT.
func serve(t *testing.T, engine bool, cfg engineio.Config, connect time.Duration, way ...onfiber.Option) site {
	t.Helper()
	ended := make(chan engineio.Reason, 100)
	cfg.Hooks.Closed = func(_ engineio.Transport, r engineio.Reason) { ended <- r }
	app, srv, err := newApp(engine, cfg, connect, way...)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	t.Cleanup(func() { stop(t, app, srv, done) })
	path := "/socket.io/"
	if engine {
		path = "/engine.io/"
	}
	return site{t, listener.Addr().String(), path, ended}
}

// stop ends the sessions first: the application waits for polls, and the library forgets a shutdown that comes before it serves, which
// it does once a test has made a request.
func stop(t *testing.T, app *fiber.App, srv *engineio.Server, done chan error) {
	srv.Close(engineio.ShuttingDown)
	http.DefaultClient.CloseIdleConnections()
	if err := app.ShutdownWithTimeout(patience); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// reason waits for the end of a session.
func (s site) reason() engineio.Reason {
	s.t.Helper()
	select {
	case r := <-s.ended:
		return r
	case <-time.After(patience):
		s.t.Fatal("no session ends")
		panic("unreachable")
	}
}

// answer is status and body.
type answer struct {
	status int
	body   string
}

// do makes a request.
func (s site) do(method, query, body string) answer {
	s.t.Helper()
	select {
	case got := <-s.ask(method, query, body):
		return got
	case <-time.After(patience):
		s.t.Fatalf("%s %s is not answered", method, query)
		panic("unreachable")
	}
}

// ask makes a request in the background. What it failed with takes the place of a body.
func (s site) ask(method, query, body string) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		status, text, err := send(s.t.Context(), method, "http://"+s.host+s.path+query, body)
		if err != nil {
			text = err.Error()
		}
		got <- answer{status, text}
	}()
	return got
}

func send(ctx context.Context, method, url, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}

func polling(sid string) string { return "?EIO=4&transport=polling&sid=" + sid }

// want compares an answer; an empty body matches any.
func (s site) want(method, query, body string, status int, content string) {
	s.t.Helper()
	if got := s.do(method, query, body); got.status != status || content != "" && got.body != content {
		s.t.Fatalf("%s %s: %d %q, want %d %q", method, query, got.status, got.body, status, content)
	}
}

// session opens a polling session.
func (s site) session() string {
	s.t.Helper()
	got := s.do("GET", "?EIO=4&transport=polling", "")
	if got.status != 200 || !strings.HasPrefix(got.body, `0{"sid":"`) {
		s.t.Fatal(got)
	}
	return got.body[len(`0{"sid":"`):][:24]
}

// client is a WebSocket with patience.
type client struct {
	t  *testing.T
	ws *websocket.Conn
}

func (s site) dial(query string) client {
	s.t.Helper()
	ws, response, err := websocket.DefaultDialer.DialContext(s.t.Context(), "ws://"+s.host+s.path+query, nil)
	if err != nil {
		s.t.Fatalf("dial %s: %v %v", query, err, response)
	}
	s.t.Cleanup(func() { _ = ws.Close() }) // closed already, mostly
	return client{s.t, ws}
}

// open dials a session of its own and reads its open packet.
func (s site) open() client {
	s.t.Helper()
	c := s.dial("?EIO=4&transport=websocket")
	if got := c.next(); got[0] != '0' {
		s.t.Fatal(got)
	}
	return c
}

// joined is a client connected to a namespace, its auth event read.
func (s site) joined(connect string) client {
	s.t.Helper()
	c := s.open()
	c.join(connect)
	return c
}

// join connects to a namespace: an answer and the auth event.
func (c client) join(connect string) {
	c.t.Helper()
	c.send(connect)
	if got := c.next(); !strings.HasPrefix(got, connect) {
		c.t.Fatal(got)
	}
	c.next()
}

func (c client) send(texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		kind := websocket.TextMessage
		data, binary := strings.CutPrefix(text, "b:")
		if binary {
			kind = websocket.BinaryMessage
		}
		if err := c.ws.WriteMessage(kind, []byte(data)); err != nil {
			c.t.Fatal(err)
		}
	}
}

// read gives the next message; binary ones begin with "b:".
func (c client) read() (string, error) {
	if err := c.ws.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	kind, data, err := c.ws.ReadMessage()
	if kind == websocket.BinaryMessage {
		return "b:" + string(data), err
	}
	return string(data), err
}

func (c client) next() string {
	c.t.Helper()
	text, err := c.read()
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

func (c client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.next(); got != w {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// closed reads to the end, which must be an orderly close by the server.
func (c client) closed() (code int) {
	c.t.Helper()
	for {
		_, err := c.read()
		if closeErr, ok := err.(*websocket.CloseError); ok {
			return closeErr.Code
		}
		if err != nil {
			c.t.Fatalf("ended by %v", err)
		}
	}
}
