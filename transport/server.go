package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/problem"
)

const (
	bodyLimit     = 1 << 20
	photoLimit    = 6 << 20 // a 5 MB picture in its form
	readTimeout   = 5 * time.Second
	photoTimeout  = 30 * time.Second // a picture over a bad network
	idleTimeout   = 75 * time.Second // longer than the balancer's own 60 s, so that it closes first
	writeTimeout  = 30 * time.Second // one answer to a client that reads slowly, or not at all
	connections   = 20_000           // at once, sockets included; past it new ones are refused, for each may bring a body
	handleTimeout = 15 * time.Second // what a handler may take: databases and grains are asked under it
	headerLimit   = 8 << 10          // also what each connection keeps as its buffer
	uploadTimeout = 10 * time.Minute // a term's file over a slow line
)

// Options is what a Server works with.
type Options struct {
	Addr           string         // host:port; port 0 takes a free one
	Origins        []string       // allowed by CORS, such as https://campus.example
	AnyLocalhost   bool           // CORS also allows localhost on any port: development
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Flood          limit.Rule     // per client address, whatever it asks for, and per known device; zero: 2000 a second, 4000 at once
	Limiter        limit.Limiter
	Log            *slog.Logger
	Metrics        *prometheus.Registry
	Ready          func(context.Context) Readiness

	// Awake says whether the node may serve, from memory alone; see cluster.Node. Nil: it always may.
	Awake func() bool

	// Relayed returns the address of the client for whom another node passed this request on, having counted it. Nil: none does.
	Relayed func(*fiber.Ctx) (ip netip.Addr, ok bool)

	// Signed says, from memory alone, whether an access token is ours and has not run out: others may send no more to the route
	// of pictures than elsewhere. Nil: they may.
	Signed func(token string) bool

	// Device says whose API key this is, from memory alone: a device does not pay for what others do at
	// its address. Nil: there are no devices.
	Device func(key string) (nexus.KeyID, bool)
}

// Server is the HTTP side of a node. Open and Close are idempotent.
type Server struct {
	Options
	app     *fiber.App
	metrics metrics

	mu       sync.Mutex
	listener net.Listener
	served   chan struct{} // closed when the listener has ended
	closed   bool
}

// New returns a server with its middleware, health and metrics; mount the rest on App, then Open.
func New(o Options) *Server {
	if o.Flood == (limit.Rule{}) {
		o.Flood = limit.Rule{Rate: 2000, Burst: 4000}
	}
	s := &Server{Options: o, metrics: newMetrics(o.Metrics)}
	s.app = fiber.New(fiber.Config{
		AppName: "nexus", DisableStartupMessage: true, CaseSensitive: true,
		Immutable:   true, // strings outlive their request in grains and logs
		BodyLimit:   bodyLimit,
		Concurrency: connections,
		ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, ReadBufferSize: headerLimit,
		// Forms are read by the one route that takes them, which answers for broken ones.
		DisablePreParseMultipartForm: true,
		// The library streams all bodies or none; all but uploads are read before anything looks at them.
		StreamRequestBody: true,
		ErrorHandler:      s.answer,
	})
	s.app.Server().HeaderReceived = s.perRoute
	s.app.Server().Handler = s.knownMethods(s.bodies(s.app.Server().Handler))
	s.app.Server().NoDefaultServerHeader = true
	s.app.Use(s.origin, s.observe, s.recover, headers, s.cors, s.awake, encodings, s.flood)
	s.app.Get("/healthz", s.healthz)
	s.app.Get("/readyz", s.readyz)
	s.app.Get("/metrics", s.metrics.handler)
	return s
}

// App is where routes are mounted before Open.
func (s *Server) App() *fiber.App { return s.app }

// perRoute gives pictures and uploads more room and time, before their body is read: those of people alone whom we gave a token, for the
// room is taken before anybody is asked who that is. Mails stay on the wire until that is known.
func (s *Server) perRoute(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	path, _, _ := strings.Cut(string(h.RequestURI()), "?")
	picture, upload := path == rest.Base+"/profile/photo", h.IsPost() && strings.HasPrefix(path, rest.Base+rest.ImportsPath+"/")
	if h.IsPost() && path == rest.Base+rest.InboundPath && (len(h.Peek(rest.KeyHeader)) > 0 || rest.IsMailHook(string(h.ContentType()))) {
		return fasthttp.RequestConfig{MaxRequestBodySize: onTheWire, ReadTimeout: photoTimeout}
	}
	if !picture && !upload {
		return fasthttp.RequestConfig{}
	}
	_, token, _ := strings.Cut(string(h.Peek(fiber.HeaderAuthorization)), " ")
	switch {
	case s.Signed != nil && !s.Signed(strings.TrimSpace(token)):
		return fasthttp.RequestConfig{}
	case picture:
		return fasthttp.RequestConfig{MaxRequestBodySize: photoLimit, ReadTimeout: photoTimeout}
	default:
		return fasthttp.RequestConfig{MaxRequestBodySize: onTheWire, ReadTimeout: uploadTimeout}
	}
}

// onTheWire is the bound of bodies that are left to their route. It is no bound: the route has one.
const onTheWire = 1

// bodies reads what comes with a request before anybody looks at it, within the bound of its route. An upload stays on the wire: its route
// reads it when it knows who sends it, and the connection ends with it, for nobody knows how much of it is still under way.
func (s *Server) bodies(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		stream := ctx.RequestBodyStream()
		if stream == nil {
			next(ctx)
			return
		}
		limit := s.perRoute(&ctx.Request.Header).MaxRequestBodySize
		if limit == onTheWire {
			next(ctx)
			ctx.SetConnectionClose()
			return
		}
		body, err := whole(stream, ctx.Request.Header.ContentLength(), cmp.Or(limit, bodyLimit))
		if err != nil {
			ctx.SetConnectionClose()
			s.app.Server().ErrorHandler(ctx, err)
			return
		}
		ctx.Request.SetBodyRaw(body)
		next(ctx)
	}
}

// whole reads a body of length bytes, or, where that is below 0, to its end.
func whole(stream io.Reader, length, limit int) ([]byte, error) {
	if length > limit {
		return nil, fasthttp.ErrBodyTooLarge
	}
	if length >= 0 {
		body := make([]byte, length)
		_, err := io.ReadFull(stream, body)
		return body, err
	}
	body, err := io.ReadAll(io.LimitReader(stream, int64(limit)+1))
	if err == nil && len(body) > limit {
		err = fasthttp.ErrBodyTooLarge
	}
	return body, err
}

// knownMethods refuses methods that HTTP does not have, which Fiber would answer in plain text.
func (s *Server) knownMethods(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if slices.Contains(fiber.DefaultMethods, string(ctx.Method())) {
			next(ctx)
			return
		}
		c := s.app.AcquireCtx(ctx)
		defer s.app.ReleaseCtx(c)
		if err := s.answer(c, fiber.ErrMethodNotAllowed); err != nil {
			s.Log.Error("answer an unknown method", "err", err)
		}
	}
}

// Open listens and serves. A second call changes nothing.
func (s *Server) Open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("the server is closed")
	}
	if s.listener != nil {
		return nil
	}
	// Whoever is silent for long is closed anyway, request or socket: there is no need for the kernel to ask, nor for four calls to have it ask.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(context.Background(), "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.Addr, err)
	}
	s.listener, s.served = &closeOnce{Listener: l}, make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.app.Listener(s.listener); err != nil {
			s.Log.Error("http server ended", "err", err)
		}
	}()
	return nil
}

// URL is where the server listens, such as http://127.0.0.1:4000. Empty before Open.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	addr := s.listener.Addr().(*net.TCPAddr)
	if addr.IP.IsUnspecified() {
		addr.IP = net.IPv4(127, 0, 0, 1)
	}
	return "http://" + addr.String()
}

// Close stops listening and waits for the requests under way until ctx ends. Sockets are not
// among them: their owner closes them first.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.listener == nil {
		s.closed = true
		return nil
	}
	s.closed = true
	// The listener first: fasthttp forgets a shutdown that comes before it serves.
	err := errors.Join(s.listener.Close(), s.app.ShutdownWithContext(ctx))
	select {
	case <-s.served:
	case <-ctx.Done():
		err = errors.Join(err, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("shut down http: %w", err)
	}
	return nil
}

// closeOnce is a listener that may be closed again: fasthttp closes it too.
type closeOnce struct {
	net.Listener
	once sync.Once
	err  error
}

func (l *closeOnce) Close() error {
	l.once.Do(func() { l.err = l.Listener.Close() })
	return l.err
}

// answer turns whatever a route returned, and what fasthttp refused before any route, into a problem.
func (s *Server) answer(c *fiber.Ctx, err error) error {
	o := rest.OriginOf(c.UserContext())
	if o.RequestID == "" {
		o.RequestID = requestID(c)
		c.Set(fiber.HeaderXRequestID, o.RequestID)
	}
	p := *problem.From(err)
	if p.Code == nexus.Internal {
		s.Log.Error("request failed", "requestId", o.RequestID, "err", err)
	}
	return p.Send(c, o.RequestID)
}
