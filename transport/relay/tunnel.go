package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"nexus/transport/engineio/onfiber"
)

const (
	// writeTimeout is how long an end of a tunnel may take no byte.
	writeTimeout = 10 * time.Second
	// partTimeout is how long the second end may go on when the first has ended.
	partTimeout = 5 * time.Second
	// tunnelBuffer is what each direction carries at once.
	tunnelBuffer = 4 << 10
	// homeBuffer bounds what the kernel takes from the home for a client that reads slowly: a slow client should be the home's to see.
	homeBuffer = 64 << 10
)

// homeConn is a connection to the home, with what came right behind its answer.
type homeConn struct {
	net.Conn
	buffered *bufio.Reader
}

// Read implements net.Conn.
func (h homeConn) Read(p []byte) (int, error) { return h.buffered.Read(p) }

// tunnel asks the home for the upgrade; if it answers 101, so does this node, and bytes go both ways.
func (r *Relay) tunnel(c *fiber.Ctx, p *passage, q *http.Request) error {
	for _, name := range []string{
		"Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
	} {
		if v := c.Get(name); v != "" {
			q.Header.Set(name, utils.CopyString(v))
		}
	}
	var t tube
	if err := r.begin(p, t.close); err != nil {
		return r.failed(c, "tunnel", err)
	}
	answer, err := r.upgrade(&t, q)
	if err != nil {
		t.close()
		r.end(p)
		return r.failed(c, "tunnel", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		defer r.end(p)
		defer t.close()
		r.metrics.requests.WithLabelValues("tunnel", "refused").Inc()
		return r.write(c, answer)
	}
	for _, name := range []string{"Connection", "Upgrade", "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		if v := answer.Header.Get(name); v != "" {
			c.Set(name, v)
		}
	}
	r.metrics.requests.WithLabelValues("tunnel", "ok").Inc()
	// If the client is gone before its answer is out, nobody calls the hijacker.
	var once sync.Once
	lost := time.AfterFunc(r.cfg.HandshakeTimeout, func() { once.Do(func() { t.close(); r.end(p) }) })
	c.Context().Hijack(func(client net.Conn) {
		once.Do(func() {
			lost.Stop()
			defer r.end(p)
			r.metrics.tunnels.Inc()
			defer r.metrics.tunnels.Dec()
			t.run(onfiber.Hijacked(client), r.cfg.IdleTimeout)
		})
	})
	c.Status(http.StatusSwitchingProtocols)
	return nil
}

// upgrade connects the tube to the home and returns its answer to the upgrade.
func (r *Relay) upgrade(t *tube, q *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.DialTimeout)
	defer cancel()
	conn, err := r.dial(ctx, q)
	if err != nil {
		return nil, err
	}
	home := homeConn{conn, bufio.NewReaderSize(conn, tunnelBuffer)}
	if !t.attach(home) {
		return nil, errors.New("the home has left")
	}
	if err := conn.SetDeadline(time.Now().Add(r.cfg.HandshakeTimeout)); err != nil {
		return nil, err
	}
	if err := q.Write(conn); err != nil {
		return nil, err
	}
	return http.ReadResponse(home.buffered, q)
}

func (r *Relay) dial(ctx context.Context, q *http.Request) (net.Conn, error) {
	host, port := q.URL.Hostname(), q.URL.Port()
	if q.URL.Scheme == "https" {
		if port == "" {
			port = "443"
		}
		return (&tls.Dialer{NetDialer: &r.dialer, Config: r.cfg.TLS}).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	}
	if port == "" {
		port = "80"
	}
	conn, err := r.dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetReadBuffer(homeBuffer) // best effort: without it slow clients are found later
	}
	return conn, err
}

// tube is the pair of connections of a tunnel.
type tube struct {
	mu           sync.Mutex
	home, client net.Conn
	closed       bool
}

// attach gives the tube its home; false, and the connection is closed, if the tube is closed already.
func (t *tube) attach(home net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = home.Close() // nothing was sent
		return false
	}
	t.home = home
	return true
}

// close ends both connections. It may be called at any time, and again.
func (t *tube) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, c := range []net.Conn{t.home, t.client} {
		if c != nil {
			_ = c.Close() // all that matters is that readers and writers wake up
		}
	}
}

// run carries bytes both ways until both ends have closed, one has failed, or one has been silent for idle.
func (t *tube) run(client net.Conn, idle time.Duration) {
	defer t.close()
	t.mu.Lock()
	t.client = client
	closed := t.closed
	t.mu.Unlock()
	if closed {
		return
	}
	ended := make(chan error, 2)
	go func() { ended <- pump(client, t.home, idle) }()
	go func() { ended <- pump(t.home, client, idle) }()
	if err := <-ended; err != nil {
		t.close()
	}
	part := time.AfterFunc(partTimeout, t.close)
	defer part.Stop()
	if err := <-ended; err != nil {
		t.close()
	}
}

// pump copies until from ends, which it tells to.
func pump(to, from net.Conn, idle time.Duration) error {
	buf := make([]byte, tunnelBuffer)
	for {
		if err := from.SetReadDeadline(time.Now().Add(idle)); err != nil {
			return err
		}
		n, err := from.Read(buf)
		if n > 0 {
			if err := to.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
				return err
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return halfClose(to)
		}
		if err != nil {
			return err
		}
	}
}

var errNoHalfClose = errors.New("the connection closes in both directions at once")

// halfClose says that nothing more will come, where the connection can.
func halfClose(c net.Conn) error {
	if h, ok := c.(homeConn); ok {
		c = h.Conn
	}
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errNoHalfClose
}
