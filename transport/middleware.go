package transport

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest"
	"nexus/transport/rest/problem"
)

// origin finds out where a request came from, and gives its handler a context that ends.
func (s *Server) origin(c *fiber.Ctx) error {
	o := rest.Origin{RequestID: requestID(c)}
	if s.Options.Relayed != nil {
		o.IP, o.Relayed = s.Options.Relayed(c)
	}
	if !o.Relayed {
		o.IP = s.ClientIP(c)
	}
	ctx, cancel := context.WithTimeout(rest.WithOrigin(c.UserContext(), o), handleTimeout)
	defer cancel()
	c.SetUserContext(ctx)
	c.Set(fiber.HeaderXRequestID, o.RequestID)
	return c.Next()
}

// requestID takes the proxy's id if it is a plain word, else makes one.
func requestID(c *fiber.Ctx) string {
	id := c.Get(fiber.HeaderXRequestID)
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' || r == '.'
	}
	if len(id) < 8 || len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return !plain(r) }) {
		return nexus.NewID()
	}
	return id
}

// ClientIP is the address of the client: that of the connection, or, behind trusted proxies, the last in
// X-Forwarded-For that is not one of them. What stands before it anybody may have written.
func (s *Server) ClientIP(c *fiber.Ctx) netip.Addr {
	ip, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	ip = ip.Unmap()
	hops := strings.Split(string(bytes.Join(c.Request().Header.PeekAll(fiber.HeaderXForwardedFor), []byte(","))), ",")
	for i := len(hops) - 1; i >= 0 && s.trusted(ip); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		ip = hop.Unmap().WithZone("")
	}
	return ip
}

func (s *Server) trusted(ip netip.Addr) bool {
	return slices.ContainsFunc(s.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// recover turns a panic into an internal error; the stack goes to the log.
func (s *Server) recover(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
			c.Response().ResetBody()
		}
	}()
	return c.Next()
}

// headers are those of every answer. A route may set a stricter policy of its own.
func headers(c *fiber.Ctx) error {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Resource-Policy", "cross-origin") // pictures are shown by the client's own origin
	return c.Next()
}

// exposed are the headers that a page of another origin may read.
const exposed = "ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id"

// cors lets pages of the allowed origins in, with credentials. Others get no
// header, and their browser refuses them.
func (s *Server) cors(c *fiber.Ctx) error {
	origin := c.Get(fiber.HeaderOrigin)
	c.Vary(fiber.HeaderOrigin)
	preflight := c.Method() == fiber.MethodOptions && c.Get(fiber.HeaderAccessControlRequestMethod) != ""
	if origin != "" && s.AllowedOrigin(origin) {
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		c.Set(fiber.HeaderAccessControlExposeHeaders, exposed)
		if preflight {
			c.Set(fiber.HeaderAccessControlAllowMethods, "GET, POST, PUT, PATCH, DELETE")
			c.Set(fiber.HeaderAccessControlAllowHeaders, "Authorization, Content-Type, Idempotency-Key, If-Match, X-Request-Id, Accept-Version")
			c.Set(fiber.HeaderAccessControlMaxAge, "600")
		}
	}
	if preflight {
		return c.SendStatus(fiber.StatusNoContent)
	}
	return c.Next()
}

// AllowedOrigin reports whether pages of the origin may call: for CORS, and for sockets.
func (s *Server) AllowedOrigin(origin string) bool {
	if slices.Contains(s.Origins, origin) {
		return true
	}
	if !s.AnyLocalhost {
		return false
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Path == "" &&
		slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

// awake refuses what a process finds when it has stood still for long: whoever sent it has given up since and asked another
// node, and a refresh token, say, that was exchanged here once more would end its login.
func (s *Server) awake(c *fiber.Ctx) error {
	if s.Awake != nil && !s.Awake() {
		return nexus.Errorf(nexus.Unavailable, "this node has stood still, ask another one")
	}
	return c.Next()
}

// encodings refuses compressed bodies: 58 KB of gzip unpack to 60 MB, past every bound.
func encodings(c *fiber.Ctx) error {
	// Every value counts: the library decodes by another one than it shows when a header comes twice.
	switch values := c.Request().Header.PeekAll(fiber.HeaderContentEncoding); {
	case len(values) == 0:
	case len(values) > 1, len(values[0]) > 0 && !strings.EqualFold(string(values[0]), "identity"):
		return problem.New(fiber.StatusUnsupportedMediaType, nexus.Unsupported, "compressed bodies are not taken")
	}
	return c.Next()
}

// flood holds each address to what a whole campus behind one of them may ask, before anything is
// computed for it. Health is for the balancer and costs nothing: it stays open.
func (s *Server) flood(c *fiber.Ctx) error {
	var d limit.Decision
	switch o := rest.OriginOf(c.UserContext()); {
	case c.Path() == "/healthz", c.Path() == "/readyz":
		return c.Next()
	case c.Path() == "/metrics":
		if o.IP.IsLoopback() { // this machine's own
			return c.Next()
		}
		d = s.Limiter.Allow(c.UserContext(), "metrics:"+limit.Household(o.IP), scrapes)
	case o.Relayed:
		return c.Next() // the node where it came in has counted it
	case c.Method() == fiber.MethodPost && c.Path() == rest.Base+rest.SOSPath:
		d = s.Limiter.Allow(c.UserContext(), "flood:sos:"+limit.Household(o.IP), emergencies)
	default:
		d = s.admit(c)
	}
	for name, value := range d.Headers() {
		c.Set(name, value)
	}
	if err := d.Err(); err != nil {
		return err
	}
	return c.Next()
}

// scrapes is how often one address may read the metrics, each time of which costs milliseconds and 100 KB: some Prometheus servers
// behind one address, and nobody who does nothing else.
var scrapes = limit.Rule{Rate: 2, Burst: 20}

// emergencies is how often the button may be pressed from one address, which a campus may share, whatever else comes from there.
var emergencies = limit.Rule{Rate: 200, Burst: 1000}

// newDevices is how often an address that is over its bound may still show API keys not seen before: few enough to
// be looked up without harm, so that guessing is worth nothing, and enough for every gate of a campus to become known.
var newDevices = limit.Rule{Rate: 20, Burst: 100}

// admit counts a request: for its device if that is known, so that gates go on while a thousand phones share their
// address, else for its address.
func (s *Server) admit(c *fiber.Ctx) limit.Decision {
	ctx := c.UserContext()
	where := limit.Household(rest.OriginOf(ctx).IP)
	key := c.Get(rest.KeyHeader)
	if s.Device == nil || key == "" {
		return s.Limiter.Allow(ctx, "flood:"+where, s.Flood)
	}
	if id, known := s.Device(key); known {
		return s.Limiter.Allow(ctx, "flood:key:"+string(id), s.Flood)
	}
	d := s.Limiter.Allow(ctx, "flood:"+where, s.Flood)
	if !d.Allowed {
		d = s.Limiter.Allow(ctx, "flood:new:"+where, newDevices)
	}
	return d
}

// observe counts and logs each request, by its route's template: a path or query may hold a
// token or a position, and whatever else a client wrote there.
func (s *Server) observe(c *fiber.Ctx) error {
	start := time.Now()
	err := c.Next()
	if err != nil {
		err = c.App().ErrorHandler(c, err) // so that the status is known here
	}
	took := time.Since(start)
	status, route := c.Response().StatusCode(), routeOf(c)
	s.metrics.observe(c.Method(), route, status, took)
	o := rest.OriginOf(c.UserContext())
	level := slog.LevelInfo
	if status < fiber.StatusBadRequest && strings.HasPrefix(c.Path(), "/socket.io/") {
		level = slog.LevelDebug // the edge counts them, and with thousands that come back at once nobody would read them
	}
	if !s.Log.Enabled(c.UserContext(), level) {
		return err
	}
	s.Log.Log(c.UserContext(), level, "request",
		"requestId", o.RequestID, "method", c.Method(), "route", route, "status", status,
		"ms", float64(took.Microseconds())/1000, "bytes", len(c.Response().Body()), "ip", o.IP.String())
	return err
}
