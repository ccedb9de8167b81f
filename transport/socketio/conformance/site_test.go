package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fasthttp/websocket"
	"github.com/gofiber/fiber/v2"
)

// site is a served conformance application.
type site struct {
	t    *testing.T
	host string
	path string
}

func serve(t *testing.T, engine bool) site {
	t.Helper()
	app, err := newApp(engine)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	t.Cleanup(func() { stop(t, app, done) })
	path := "/socket.io/"
	if engine {
		path = "/engine.io/"
	}
	return site{t, listener.Addr().String(), path}
}

func stop(t *testing.T, app *fiber.App, done chan error) {
	http.DefaultClient.CloseIdleConnections()
	if err := app.ShutdownWithTimeout(5 * time.Second); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// do makes a request and gives status and body.
func (s site) do(method, query, body string) (int, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.host+s.path+query, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func polling(sid string) string { return "?EIO=4&transport=polling&sid=" + sid }

// want compares an answer; an empty body matches any.
func (s site) want(method, query, body string, status int, content string) {
	s.t.Helper()
	gotStatus, got := s.do(method, query, body)
	if gotStatus != status || content != "" && got != content {
		s.t.Fatalf("%s %s: %d %q, want %d %q", method, query, gotStatus, got, status, content)
	}
}

// session opens a polling session.
func (s site) session() string {
	s.t.Helper()
	status, body := s.do("GET", "?EIO=4&transport=polling", "")
	if status != 200 || !strings.HasPrefix(body, `0{"sid":"`) {
		s.t.Fatal(status, body)
	}
	return body[len(`0{"sid":"`):][:24]
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
	c.send(connect)
	c.next()
	c.next()
	return c
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
	if err := c.ws.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
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

// expect reads messages, pings aside.
func (c client) expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		got := c.next()
		for got == "2" && w != "2" {
			c.send("3")
			got = c.next()
		}
		if got != w {
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
