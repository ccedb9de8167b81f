package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/utils"
	"github.com/prometheus/client_golang/prometheus"
)

// Members says where the other nodes are.
type Members interface {
	// Home returns the base URL of the living node with the tag, such as http://10.0.0.7:4000, else "" and false. It is asked for
	// every request that is passed on, and must not block.
	Home(tag string) (base string, ok bool)
}

// Config is what a Relay works with. Zero fields take the default beside them.
type Config struct {
	Tag      string // of this node: what its session ids begin with, up to the first dot
	Members  Members
	Keys     [][]byte // secrets that all nodes share: the first seals, each opens
	Path     string   // where sockets are served, such as /socket.io
	ClientIP func(*fiber.Ctx) netip.Addr
	TLS      *tls.Config // for homes at https addresses

	MaxPassages      int           // 10,000: requests and tunnels under way at once; past it 503
	DialTimeout      time.Duration // 1 s: to reach a home
	HandshakeTimeout time.Duration // 5 s: for a home's answer to an upgrade, and for this node's to be out
	PollTimeout      time.Duration // 45 s: for the answer to a poll, which may wait for as long as the engine's PingInterval
	IdleTimeout      time.Duration // 60 s: for the next byte of a tunnel's end; heartbeats come more often

	Log      *slog.Logger
	Registry prometheus.Registerer
}

const (
	// maxAnswer bounds the answer to a poll: all that may wait for a session, in base64, with room to spare.
	maxAnswer = 4 << 20
	// lookEvery is how often passages are held against the members: a frozen home keeps its connections.
	lookEvery = time.Second
)

// Relay passes requests on. Its methods are safe for concurrent use.
type Relay struct {
	cfg     Config
	keys    [][]byte
	dialer  net.Dialer
	polls   *http.Transport
	metrics metrics

	mu       sync.Mutex
	passages map[*passage]struct{}
	draining bool
	done     chan struct{} // closed by Close
	under    sync.WaitGroup
}

// passage is a request or tunnel under way.
type passage struct {
	tag, base string
	tunnel    bool
	cancel    func()
}

// New returns a relay that must be closed.
func New(cfg Config) (*Relay, error) {
	if cfg.MaxPassages == 0 {
		cfg.MaxPassages = 10_000
	}
	if cfg.DialTimeout == 0 {
		cfg.DialTimeout = time.Second
	}
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = 5 * time.Second
	}
	if cfg.PollTimeout == 0 {
		cfg.PollTimeout = 45 * time.Second
	}
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = time.Minute
	}
	cfg.Path = strings.TrimRight(cfg.Path, "/")
	r := &Relay{
		cfg: cfg, dialer: net.Dialer{Timeout: cfg.DialTimeout},
		passages: make(map[*passage]struct{}), done: make(chan struct{}),
	}
	r.polls = &http.Transport{
		DialContext: r.dialer.DialContext, TLSClientConfig: cfg.TLS, TLSHandshakeTimeout: cfg.DialTimeout,
		DisableCompression: true, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
		MaxResponseHeaderBytes: 16 << 10,
	}
	var err error
	if r.keys, err = derive(cfg.Keys); err != nil {
		return nil, err
	}
	if r.metrics, err = newMetrics(cfg.Registry); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	r.under.Go(r.look)
	return r, nil
}

// Drain ends the tunnels one after the other, evenly over a time, so that their clients do not all come back at once. It takes no new
// ones from then on, and returns when all have been ended or with ctx.
func (r *Relay) Drain(ctx context.Context, over time.Duration) {
	r.mu.Lock()
	r.draining = true
	tunnels := make([]*passage, 0, len(r.passages))
	for p := range r.passages {
		if p.tunnel {
			tunnels = append(tunnels, p)
		}
	}
	r.mu.Unlock()
	for _, p := range tunnels {
		p.cancel()
		select {
		case <-time.After(over / time.Duration(len(tunnels))):
		case <-ctx.Done():
			return
		}
	}
}

// Close ends what is under way and refuses what comes. A second call does nothing.
func (r *Relay) Close() {
	r.mu.Lock()
	select {
	case <-r.done:
	default:
		close(r.done)
	}
	for p := range r.passages {
		p.cancel()
	}
	r.mu.Unlock()
	r.under.Wait()
	r.polls.CloseIdleConnections()
}

// Handle passes a request of another node's session on, and leaves all others to the next handler: so also the ones whose home is
// not known, for which the engine has the protocol's answer.
func (r *Relay) Handle(c *fiber.Ctx) error {
	tag, _, found := strings.Cut(c.Query("sid"), ".")
	if !found || tag == r.cfg.Tag || c.Get(Header) != "" || strings.TrimRight(c.Path(), "/") != r.cfg.Path {
		return c.Next()
	}
	base, ok := r.cfg.Members.Home(tag)
	if !ok {
		return c.Next()
	}
	q, err := r.request(c, base)
	if err != nil {
		return r.failed(c, "request", err)
	}
	p := &passage{tag: utils.CopyString(tag), base: base, tunnel: websocket.IsWebSocketUpgrade(c)}
	if p.tunnel {
		return r.tunnel(c, p, q)
	}
	return r.poll(c, p, q)
}

// request is the client's request as the home gets it: what the engine reads and no more, sealed.
func (r *Relay) request(c *fiber.Ctx, base string) (*http.Request, error) {
	query := url.Values{}
	for _, name := range []string{"EIO", "transport", "sid"} {
		query.Set(name, c.Query(name))
	}
	q, err := http.NewRequest(utils.CopyString(c.Method()), base+r.cfg.Path+"/?"+query.Encode(), nil) //nolint:noctx // set by whoever sends it
	if err != nil {
		return nil, fmt.Errorf("home %q: %w", base, err)
	}
	for _, name := range []string{
		fiber.HeaderOrigin, fiber.HeaderContentType, fiber.HeaderContentEncoding,
		fiber.HeaderUserAgent, fiber.HeaderAccessControlRequestHeaders,
	} {
		if v := c.Get(name); v != "" {
			q.Header.Set(name, utils.CopyString(v))
		}
	}
	if id := c.GetRespHeader(fiber.HeaderXRequestID); id != "" { // so that both nodes log the same
		q.Header.Set(fiber.HeaderXRequestID, utils.CopyString(id))
	}
	q.Header.Set(Header, r.seal(time.Now(), r.cfg.ClientIP(c), query.Get("sid"), q.Method))
	return q, nil
}

var errFull = errors.New("too many requests for other nodes are under way")

// begin notes a passage, which cancel ends early; end must follow.
func (r *Relay) begin(p *passage, cancel func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.done:
		return errFull
	default:
	}
	if len(r.passages) >= r.cfg.MaxPassages || r.draining && p.tunnel {
		return errFull
	}
	p.cancel = cancel
	r.passages[p] = struct{}{}
	r.under.Add(1) // under the lock: nobody begins after Close
	return nil
}

func (r *Relay) end(p *passage) {
	r.mu.Lock()
	delete(r.passages, p)
	r.mu.Unlock()
	r.under.Done()
}

// look ends the passages whose home is no member any more.
func (r *Relay) look() {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-tick.C:
		}
		homes := make(map[string]string) // "" for a node that is gone
		r.mu.Lock()
		for p := range r.passages {
			if _, asked := homes[p.tag]; !asked {
				homes[p.tag], _ = r.cfg.Members.Home(p.tag)
			}
			if homes[p.tag] != p.base {
				p.cancel()
			}
		}
		r.mu.Unlock()
	}
}

// failed answers a request that could not be passed on. Clients take it for the end of their transport and come back.
func (r *Relay) failed(c *fiber.Ctx, kind string, err error) error {
	r.metrics.requests.WithLabelValues(kind, "failed").Inc()
	r.cfg.Log.Debug("relay", "kind", kind, "err", err)
	status, text := http.StatusBadGateway, "The node of this session does not answer"
	if errors.Is(err, errFull) {
		status, text = http.StatusServiceUnavailable, "Too many sessions"
		c.Set(fiber.HeaderRetryAfter, "5")
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.Status(status).JSON(fiber.Map{"code": codeBadRequest, "message": text})
}

// codeBadRequest is the protocol's error code for what has none of its own.
const codeBadRequest = 3
