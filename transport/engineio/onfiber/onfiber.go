// Package onfiber serves an engineio.Server on a Fiber router.
package onfiber

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // as RFC 6455 has it; nothing is kept secret by it
	"encoding/base64"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"

	"nexus/transport/engineio"
	"nexus/transport/engineio/epoll"
)

// Option changes how a server is mounted.
type Option func(*adapter)

// ClientAddr says how a client's address is found; without it, it is the other end of the connection.
func ClientAddr(of func(*fiber.Ctx) string) Option { return func(a *adapter) { a.clientAddr = of } }

// Goroutines has every WebSocket served by a goroutine of its own, as those are that cannot be served otherwise: where there is no
// epoll, and under TLS. It costs some ten times the memory.
func Goroutines() Option { return func(a *adapter) { a.poller = nil } }

// adapter serves one mounted server.
type adapter struct {
	srv        *engineio.Server
	clientAddr func(*fiber.Ctx) string
	poller     *epoll.Poller // nil: there is none, or none is wanted
}

// Mount serves srv at path, with and without its trailing slash: polling, its CORS preflight, and the WebSocket upgrade. The application's
// BodyLimit must be above the server's MaxPayload for larger bodies to be answered by the server. A graceful end is srv.Shutdown
// first, then the application's: Fiber knows nothing of upgraded connections.
func Mount(app fiber.Router, path string, srv *engineio.Server, options ...Option) {
	a := &adapter{srv: srv, clientAddr: (*fiber.Ctx).IP, poller: epoll.New()}
	for _, o := range options {
		o(a)
	}
	bare := strings.TrimRight(path, "/")
	app.All(bare+"/", a.serve)
	app.All(bare, a.serve)
}

func (a *adapter) serve(c *fiber.Ctx) error {
	if websocket.IsWebSocketUpgrade(c) {
		return a.serveUpgrade(c)
	}
	return a.servePoll(c)
}

// request copies what Fiber only lends.
func (a *adapter) request(c *fiber.Ctx) engineio.Request {
	query := func(name string) string { return utils.CopyString(c.Query(name)) }
	header := func(name string) string { return utils.CopyString(c.Get(name)) }
	return engineio.Request{
		Method:          utils.CopyString(c.Method()),
		EIO:             query("EIO"),
		Transport:       query("transport"),
		SID:             query("sid"),
		Origin:          header(fiber.HeaderOrigin),
		ContentType:     header(fiber.HeaderContentType),
		ContentEncoding: header(fiber.HeaderContentEncoding),
		RemoteAddr:      utils.CopyString(a.clientAddr(c)),
		Body:            c.Request().Body(), // raw, and only until the handler returns
	}
}

// servePoll answers a polling request. A poll whose client hangs up ends at once.
func (a *adapter) servePoll(c *fiber.Ctx) error {
	r := a.request(c)
	if r.Method != http.MethodGet || r.SID == "" {
		return write(c, a.srv.ServePoll(context.Background(), r))
	}
	ctx, stop := Watch(c.Context().Conn())
	defer stop()
	return write(c, a.srv.ServePoll(ctx, r))
}

// write sends an answer with its CORS headers.
func write(c *fiber.Ctx, r engineio.Response) error {
	c.Set(fiber.HeaderCacheControl, "no-store")
	if r.AllowOrigin != "" {
		c.Set(fiber.HeaderAccessControlAllowOrigin, r.AllowOrigin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		c.Vary(fiber.HeaderOrigin)
	}
	if r.Status == http.StatusNoContent {
		c.Set(fiber.HeaderAccessControlAllowMethods, "GET,POST")
		c.Set(fiber.HeaderAccessControlAllowHeaders, c.Get(fiber.HeaderAccessControlRequestHeaders))
		c.Set(fiber.HeaderAccessControlMaxAge, "600")
	}
	if r.RetryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(r.RetryAfter))
	}
	if r.ContentType != "" {
		c.Set(fiber.HeaderContentType, r.ContentType)
	}
	return c.Status(r.Status).Send(r.Body)
}

// serveUpgrade claims the session first, so that nothing is left to decide once 101 is answered.
func (a *adapter) serveUpgrade(c *fiber.Ctx) error {
	claim, refusal := a.srv.ClaimWebSocket(a.request(c))
	if claim == nil {
		return write(c, refusal)
	}
	key := c.Get("Sec-WebSocket-Key")
	if c.Method() != http.MethodGet || c.Get("Sec-WebSocket-Version") != "13" || key == "" {
		claim.Abandon()
		c.Set(fiber.HeaderSecWebSocketVersion, "13")
		return write(c, engineio.Response{Status: http.StatusBadRequest})
	}
	c.Set(fiber.HeaderUpgrade, "websocket")
	c.Set(fiber.HeaderConnection, "Upgrade")
	c.Set("Sec-WebSocket-Accept", accept(key))
	c.Status(http.StatusSwitchingProtocols)
	// The engine writes the answer, together with what it has to say.
	greeting := bytes.Clone(c.Response().Header.Header())
	c.Context().HijackSetNoResponse(true)
	c.Context().Hijack(func(hijacked net.Conn) { a.serveWebSocket(claim, hijacked, greeting) })
	return nil
}

// accept shows a client that its handshake was understood as one: RFC 6455, 4.2.2.
func accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// serveWebSocket hands the connection to the engine for good. A panic of the upper layer, which has ended its session, does not end the process.
func (a *adapter) serveWebSocket(claim *engineio.Claim, hijacked net.Conn, greeting []byte) {
	defer func() {
		if cause := recover(); cause != nil {
			engineio.LogPanic(cause)
		}
	}()
	conn := Hijacked(hijacked)
	if tcp, plain := conn.(tcpConn); plain && a.poller != nil {
		conn = &detachable{tcpConn: tcp, poller: a.poller}
	}
	a.srv.ServeWebSocket(claim, conn, greeting)
}
