package relay

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds every wait.
const patience = time.Minute

// campus is who is a member.
type campus struct {
	t     *testing.T
	mu    sync.Mutex
	homes map[string]string
}

func newCampus(t *testing.T) *campus { return &campus{t: t, homes: make(map[string]string)} }

// Home implements Members.
func (c *campus) Home(tag string) (string, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	base, ok := c.homes[tag]
	return base, ok
}

func (c *campus) set(tag, base string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.homes[tag] = base
}

func (c *campus) remove(tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.homes, tag)
}

// site is one node: its sockets echo what they get.
type site struct {
	t      *testing.T
	addr   string
	relay  *Relay
	engine *engineio.Server
	opened chan *engineio.Session
	closed chan engineio.Reason
	app    *fiber.App
	seen   atomic.Pointer[chan string] // hears the address of each request's client
}

type echo struct {
	site    *site
	session *engineio.Session
}

func (e echo) Receive(data []byte, _ bool) { e.session.Push(engineio.NewMessage(data)) }

func (e echo) Closed(reason engineio.Reason) { e.site.closed <- reason }

var secret = []byte("0123456789abcdef0123456789abcdef")

// start runs a node at a loopback address.
func (c *campus) start(tag, host string, edit func(*Config)) *site {
	c.t.Helper()
	s := &site{t: c.t, opened: make(chan *engineio.Session, 100), closed: make(chan engineio.Reason, 100)}
	var err error
	s.engine, err = engineio.NewServer(engineio.Config{ // no deadline that a machine which stands still could miss
		SessionPrefix: tag + ".", PingInterval: time.Hour, UpgradeTimeout: time.Hour, WriteTimeout: time.Hour, CloseTimeout: time.Hour,
	}, func(session *engineio.Session) engineio.Receiver {
		s.opened <- session
		return echo{s, session}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	cfg := Config{
		Tag: tag, Members: c, Keys: [][]byte{secret}, Path: "/engine.io/",
		DialTimeout: patience, HandshakeTimeout: patience, PollTimeout: time.Hour, IdleTimeout: time.Hour,
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}
	clientIP := func(ctx *fiber.Ctx) netip.Addr {
		if ip, ok := s.relay.Relayed(ctx); ok {
			return ip
		}
		if ip, err := netip.ParseAddr(ctx.Get("X-Real-Client")); err == nil { // as a trusted proxy would tell
			return ip
		}
		return netip.MustParseAddr(ctx.IP())
	}
	cfg.ClientIP = clientIP
	if edit != nil {
		edit(&cfg)
	}
	if s.relay, err = New(cfg); err != nil {
		c.t.Fatal(err)
	}
	s.app = fiber.New(fiber.Config{DisableStartupMessage: true, ReadTimeout: patience, StrictRouting: true, BodyLimit: 2 << 20})
	s.app.Use("/engine.io", s.relay.Handle)
	onfiber.Mount(s.app, "/engine.io/", s.engine, onfiber.ClientAddr(func(ctx *fiber.Ctx) string {
		ip := clientIP(ctx).String()
		if seen := s.seen.Load(); seen != nil {
			*seen <- ip
		}
		return ip
	}))
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		c.t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	c.set(tag, "http://"+s.addr)
	done := make(chan error, 1)
	go func() { done <- s.app.Listener(listener) }()
	c.t.Cleanup(func() {
		s.relay.Close()
		s.engine.Close(engineio.ShuttingDown) // the application waits for polls
		if err := s.app.ShutdownWithTimeout(patience); err != nil {
			c.t.Error(err)
		}
		if err := <-done; err != nil {
			c.t.Error(err)
		}
	})
	s.ask("GET", "nobody", "", 400, unknown) // the library forgets a shutdown that comes before it serves
	return s
}

// wire is a bare connection to a node.
type wire struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (s *site) dial() wire {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() }) // may be closed already
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	return wire{s.t, c, bufio.NewReader(c)}
}

// send writes a request; header lines end with \r\n.
func (w wire) send(method, transport, sid, headers, body string) {
	w.t.Helper()
	target := "/engine.io/?EIO=4&transport=" + transport
	if sid != "" {
		target += "&sid=" + sid
	}
	if method == http.MethodPost {
		headers += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	w.write(method + " " + target + " HTTP/1.1\r\nHost: campus.example\r\n" + headers + "\r\n" + body)
}

func (w wire) write(p string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, p); err != nil {
		w.t.Fatal(err)
	}
}

func (w wire) answer() (int, string, http.Header) {
	w.t.Helper()
	response, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response.StatusCode, "", response.Header
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(body), response.Header
}

// ask makes one request at a node.
func (s *site) ask(method, sid, body string, status int, want string) {
	s.t.Helper()
	w := s.dial()
	w.send(method, "polling", sid, "", body)
	if got, text, _ := w.answer(); got != status || text != want {
		s.t.Fatalf("%s %q: %d %.200q, want %d %q", method, body, got, text, status, want)
	}
}

// handshake opens a polling session.
func (s *site) handshake() (string, *engineio.Session) {
	s.t.Helper()
	w := s.dial()
	w.send("GET", "polling", "", "", "")
	if status, body, _ := w.answer(); status != 200 || !strings.HasPrefix(body, "0{") {
		s.t.Fatal(status, body)
	}
	session := <-s.opened
	return session.ID(), session
}

const upgradeHeaders = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// upgrade moves a session to a WebSocket through a node.
func (s *site) upgrade(sid string) wire {
	s.t.Helper()
	w := s.dial()
	w.send("GET", "websocket", sid, upgradeHeaders, frame("2probe"))
	if status, body, h := w.answer(); status != 101 || h.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		s.t.Fatal(status, body, h)
	}
	if got := w.frame(); got.Payload != "3probe" {
		s.t.Fatal(got)
	}
	w.write(frame("5"))
	return w
}

func (w wire) frame() enginetest.Frame {
	w.t.Helper()
	f, err := enginetest.ReadFrame(w.r)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// ended waits for the end of the connection.
func (w wire) ended() {
	w.t.Helper()
	if _, err := io.Copy(io.Discard, w.r); err != nil && !strings.Contains(err.Error(), "reset") {
		w.t.Fatalf("not closed: %v", err)
	}
}

func frame(text string) string {
	return string(enginetest.AppendFrame(nil, enginetest.Text, []byte(text)))
}

func (s *site) reason() engineio.Reason {
	s.t.Helper()
	select {
	case r := <-s.closed:
		return r
	case <-time.After(patience):
		s.t.Fatal("the session does not end")
		panic("unreachable")
	}
}

// under waits until so many passages are under way.
func (s *site) under(n int) {
	s.t.Helper()
	deadline := time.After(patience)
	for {
		s.relay.mu.Lock()
		now := len(s.relay.passages)
		s.relay.mu.Unlock()
		if now == n {
			return
		}
		select {
		case <-deadline:
			s.t.Fatalf("%d passages, want %d", now, n)
		case <-time.After(time.Millisecond):
		}
	}
}
