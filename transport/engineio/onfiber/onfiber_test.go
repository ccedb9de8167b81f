package onfiber_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// patience bounds every wait.
const patience = time.Minute

// upper echoes messages and reports ends.
type upper struct {
	opened chan *engineio.Session
	closed chan engineio.Reason
}

type echo struct {
	upper
	session *engineio.Session
}

func (e echo) Receive(data []byte, _ bool) {
	if string(data) == "panic" {
		panic("asked for")
	}
	e.session.Push(engineio.NewMessage(data))
}

func (e echo) Closed(reason engineio.Reason) { e.closed <- reason }

// way is how a test's sockets are served.
type way struct {
	options []onfiber.Option
	tls     bool // ended in this process
}

// ways runs a test with sockets on epoll, where there is one, and with a goroutine for each, which under TLS there is anyway.
func ways(t *testing.T, test func(t *testing.T, w way)) {
	t.Run("epoll", func(t *testing.T) { test(t, way{}) })
	t.Run("goroutines", func(t *testing.T) { test(t, way{options: []onfiber.Option{onfiber.Goroutines()}}) })
	t.Run("tls", func(t *testing.T) { test(t, way{tls: true}) })
}

// host is where a server listens.
type host struct {
	addr string
	tls  *tls.Config // of its clients; nil: plain TCP
}

// serve mounts a server on a real port.
func serve(t testing.TB, cfg engineio.Config, w way) (h host, u upper) {
	t.Helper()
	u = upper{make(chan *engineio.Session, 100), make(chan engineio.Reason, 100)}
	srv, err := engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver {
		u.opened <- s
		return echo{u, s}
	})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ReadTimeout: patience, StrictRouting: true})
	onfiber.Mount(app, "/engine.io/", srv, w.options...)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = listener.Addr().String()
	if w.tls {
		var own *tls.Config
		own, h.tls = certified(t)
		listener = tls.NewListener(listener, own)
	}
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	t.Cleanup(func() {
		srv.Close(engineio.ShuttingDown) // the application waits for polls
		if err := app.ShutdownWithTimeout(patience); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return h, u
}

// certified makes a certificate for this machine, and a client that trusts it.
func certified(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

// wire is a bare connection.
type wire struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, h host) wire {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	if h.tls != nil {
		own := h.tls.Clone()
		own.ServerName = "127.0.0.1"
		c = tls.Client(c, own)
	}
	t.Cleanup(func() { _ = c.Close() }) // may be closed already
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return wire{t, c, bufio.NewReader(c)}
}

func (w wire) write(p string) {
	w.t.Helper()
	if _, err := io.WriteString(w.Conn, p); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads a response and its body.
func (w wire) answer() (*http.Response, string) {
	w.t.Helper()
	response, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.StatusCode == http.StatusSwitchingProtocols {
		return response, ""
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response, string(body)
}

func (w wire) frame() enginetest.Frame {
	w.t.Helper()
	f, err := enginetest.ReadFrame(w.r)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

const (
	head    = " HTTP/1.1\r\nHost: campus.example\r\n"
	upgrade = "GET /engine.io/?EIO=4&transport=websocket" + head + "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
	key     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	poll    = "GET /engine.io/?EIO=4&transport=polling"
)

func frame(text string) string {
	return string(enginetest.AppendFrame(nil, enginetest.Text, []byte(text)))
}

func TestBothSpellingsOfThePath(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, _ := serve(t, engineio.Config{}, w)
		for _, path := range []string{"/engine.io/", "/engine.io"} {
			c := dial(t, h)
			c.write("GET " + path + "?EIO=4&transport=polling" + head + "\r\n")
			if r, body := c.answer(); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d %s", path, r.StatusCode, body)
			}
		}
	})
}

// Frames that follow the handshake in the same packet must not be lost.
func TestFramesBehindTheHandshake(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, _ := serve(t, engineio.Config{}, w)
		c := dial(t, h)
		c.write(upgrade + key + "\r\n" + frame("4one") + frame("4two"))
		if r, _ := c.answer(); r.StatusCode != 101 {
			t.Fatal(r.Status)
		}
		if open := c.frame(); open.Payload[0] != '0' {
			t.Fatal(open)
		}
		for _, want := range []string{"4one", "4two"} {
			if got := c.frame(); got.Payload != want {
				t.Fatalf("got %q, want %q", got.Payload, want)
			}
		}
	})
}

func TestBadHandshakeFreesTheClaim(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{}, w)
		c := dial(t, h)
		c.write(poll + head + "\r\n")
		c.answer()
		sid := (<-u.opened).ID()
		with := strings.Replace(upgrade, "websocket ", "websocket&sid="+sid+" ", 1)
		c.write(with + "\r\n") // no key
		if r, _ := c.answer(); r.StatusCode != 400 {
			t.Fatal(r.Status)
		}
		c = dial(t, h)
		c.write(with + key + "\r\n" + frame("2probe"))
		c.answer()
		if got := c.frame(); got.Payload != "3probe" {
			t.Fatal(got)
		}
	})
}

// A WebSocket for which there is no place gets an answer that says so, as a poll does, and may use its connection for something else.
func TestAFullServerAnswersAnUpgrade(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  engineio.Config
	}{
		{"address", engineio.Config{MaxPerAddress: 1}},
		{"node", engineio.Config{MaxSessions: 1}},
		{"memory", engineio.Config{Pressed: func() bool { return true }}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ways(t, func(t *testing.T, w way) {
				h, u := serve(t, test.cfg, w)
				first := dial(t, h)
				if test.cfg.Pressed == nil {
					first.write(upgrade + key + "\r\n")
					first.answer()
					first.frame()
				}
				c := dial(t, h)
				for _, request := range []string{upgrade + key, poll + head} {
					c.write(request + "\r\n")
					r, body := c.answer()
					if r.StatusCode != 503 || r.Header.Get("Retry-After") != "5" || r.Header.Get("Content-Type") != "application/json" || body != `{"code":3,"message":"Too many sessions"}` {
						t.Errorf("%.40q: %s %v %s", request, r.Status, r.Header, body)
					}
				}
				if test.cfg.Pressed != nil {
					return
				}
				(<-u.opened).Close(engineio.Forced)
				if f := first.frame(); f.Op != enginetest.Close {
					t.Fatal(f)
				}
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
				for r, deadline := (*http.Response)(nil), time.Now().Add(patience); ; { // the session ends a moment after its socket
					c.write(upgrade + key + "\r\n")
					if r, _ = c.answer(); r.StatusCode == 101 {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("the place is not free again: %s", r.Status)
					}
				}
			})
		})
	}
}

// Compression is not spoken: a client that offers it goes on without, and one that compresses all the same is closed, unheard.
func TestCompressionIsDeclined(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{}, w)
		c := dial(t, h)
		c.write(upgrade + key + "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits, x-webkit-deflate-frame\r\n\r\n" + frame("4plain"))
		if r, _ := c.answer(); r.StatusCode != 101 || r.Header.Get("Sec-WebSocket-Extensions") != "" {
			t.Fatal(r.Status, r.Header)
		}
		c.frame()
		if got := c.frame(); got.Payload != "4plain" {
			t.Fatal(got)
		}
		bomb := []byte(frame(strings.Repeat("\x00", 1000)))
		bomb[0] |= 0x40 // compressed
		c.write(string(bomb))
		if got := c.frame(); got.Op != enginetest.Close || got.Payload != "\x03\xeatransport error" {
			t.Errorf("%q", got)
		}
		if reason := <-u.closed; reason != engineio.TransportError {
			t.Error(reason)
		}
	})
}

// A client of another version is told which one is spoken.
func TestTheVersionIsNamed(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, _ := serve(t, engineio.Config{}, w)
		c := dial(t, h)
		c.write(strings.Replace(upgrade, "Version: 13", "Version: 12", 1) + key + "\r\n")
		if r, _ := c.answer(); r.StatusCode != 400 || r.Header.Get("Sec-WebSocket-Version") != "13" {
			t.Error(r.Status, r.Header)
		}
	})
}

func TestOrigins(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, _ := serve(t, engineio.Config{AllowOrigin: func(o string) bool { return o == "https://good.example" }}, w)
		c := dial(t, h)
		c.write(poll + head + "Origin: https://good.example\r\n\r\n")
		r, _ := c.answer()
		if r.StatusCode != 200 || r.Header.Get("Access-Control-Allow-Origin") != "https://good.example" || r.Header.Get("Access-Control-Allow-Credentials") != "true" || r.Header.Get("Vary") != "Origin" {
			t.Error(r.Status, r.Header)
		}
		c.write("OPTIONS /engine.io/?EIO=4&transport=polling" + head + "Origin: https://good.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n")
		r, _ = c.answer()
		if r.StatusCode != 204 || r.Header.Get("Access-Control-Allow-Methods") != "GET,POST" || r.Header.Get("Access-Control-Allow-Headers") != "content-type" {
			t.Error(r.Status, r.Header)
		}
		c.write(poll + head + "Origin: https://evil.example\r\n\r\n")
		if r, _ = c.answer(); r.StatusCode != 403 || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Error(r.Status, r.Header)
		}
		c.write(upgrade + key + "Origin: https://evil.example\r\n\r\n")
		if r, _ = c.answer(); r.StatusCode != 403 {
			t.Error(r.Status)
		}
	})
}

func TestCompressedBodyIsRefused(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{}, w)
		c := dial(t, h)
		c.write(poll + head + "\r\n")
		c.answer()
		c.write("POST /engine.io/?EIO=4&transport=polling&sid=" + (<-u.opened).ID() + head + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08")
		if r, body := c.answer(); r.StatusCode != 415 {
			t.Error(r.Status, body)
		}
	})
}

// A client that hangs up during its poll is found at once, not by the heartbeat; but for TLS, where nobody can look without taking
// what is there.
func TestHangupDuringAPoll(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		cfg, want := engineio.Config{}, engineio.TransportError
		if w.tls {
			cfg.PingInterval, cfg.PingTimeout, want = 100*time.Millisecond, 100*time.Millisecond, engineio.PingTimeout
		}
		h, u := serve(t, cfg, w)
		c := dial(t, h)
		c.write(poll + head + "\r\n")
		c.answer()
		c.write(poll + "&sid=" + (<-u.opened).ID() + head + "\r\n")
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case reason := <-u.closed:
			if reason != want {
				t.Error(reason)
			}
		case <-time.After(patience):
			t.Error("nobody noticed")
		}
	})
}

// A request that is sent while the poll before it still waits is answered after it.
func TestRequestBehindAPoll(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{PingInterval: 300 * time.Millisecond, PingTimeout: time.Hour}, w)
		c := dial(t, h)
		c.write(poll + head + "\r\n")
		c.answer()
		sid := (<-u.opened).ID()
		post := "POST /engine.io/?EIO=4&transport=polling&sid=" + sid + head + "Content-Length: 2\r\n\r\n4x"
		c.write(poll + "&sid=" + sid + head + "\r\n" + post)
		if _, body := c.answer(); body != "2" {
			t.Fatalf("the poll got %q", body)
		}
		if _, body := c.answer(); body != "ok" {
			t.Fatalf("the post got %q", body)
		}
		c.write(poll + "&sid=" + sid + head + "\r\n")
		if _, body := c.answer(); body != "4x" {
			t.Fatalf("the second poll got %q", body)
		}
	})
}

// The urgent lane and whole frames hold on a socket whose client reads slowly.
func TestSlowReader(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{MaxQueueBytes: 64 << 20, WriteTimeout: patience}, w)
		c := dial(t, h)
		inner := c.Conn
		if w.tls {
			inner = inner.(*tls.Conn).NetConn()
		}
		if err := inner.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil { // all but a little waits in the server
			t.Fatal(err)
		}
		c.write(upgrade + key + "\r\n")
		c.answer()
		c.frame()
		s := <-u.opened
		filler := strings.Repeat("x", 100_000)
		const count = 100
		for i := range count {
			s.Push(engineio.NewMessage(fmt.Appendf(nil, "%d %s", i, filler)))
		}
		s.PushUrgent(engineio.NewMessage([]byte("urgent")))
		for i, urgentAt := 0, -1; i < count; {
			f := c.frame()
			if f.Payload == "4urgent" {
				urgentAt = i
				continue
			}
			if want := fmt.Sprintf("4%d %s", i, filler); f.Payload != want {
				t.Fatalf("message %d is %.20q", i, f.Payload)
			}
			if i++; i == count && (urgentAt < 0 || urgentAt > count/2) {
				t.Errorf("urgent came behind %d of %d", urgentAt, count)
			}
		}
	})
}

// A client that never reads is cut, and what it left unread is dropped.
func TestStalledReaderIsCut(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{MaxQueueBytes: 1 << 20, CloseTimeout: 100 * time.Millisecond}, w)
		c := dial(t, h)
		c.write(upgrade + key + "\r\n")
		c.answer()
		s := <-u.opened
		m := engineio.NewMessage(make([]byte, 10_000))
		pushed := 0
		for s.Push(m) {
			pushed++
		}
		if reason := <-u.closed; reason != engineio.SlowClient {
			t.Error(reason)
		}
		t.Logf("%d KB taken before the cut", pushed*m.Len()>>10)
	})
}

func TestPanicIsContained(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{}, w)
		c := dial(t, h)
		c.write(upgrade + key + "\r\n" + frame("4panic"))
		if reason := <-u.closed; reason != engineio.InternalError {
			t.Error(reason)
		}
		c = dial(t, h)
		c.write(upgrade + key + "\r\n" + frame("4x"))
		c.answer()
		c.frame()
		if got := c.frame(); got.Payload != "4x" {
			t.Error(got)
		}
	})
}

// The close frame comes through, then the end of the connection, without waiting for CloseTimeout.
func TestCloseFrameArrives(t *testing.T) {
	ways(t, func(t *testing.T, w way) {
		h, u := serve(t, engineio.Config{CloseTimeout: time.Hour}, w)
		c := dial(t, h)
		c.write(upgrade + key + "\r\n")
		c.answer()
		c.frame()
		(<-u.opened).Close(engineio.Forced)
		if got := c.frame(); got.Op != enginetest.Close || got.Payload != "\x0f\xa2forced close" {
			t.Errorf("%q", got)
		}
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Error(err)
		}
	})
}
