package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/session"
	"nexus/transport/engineio"
	"nexus/transport/socketio"
)

// Verifier says who access tokens speak for.
type Verifier interface {
	// Verify returns the owner of a token and when it runs out. Unauthenticated for one that is not good, or whose login
	// has ended: at once on this node, within five seconds on the others.
	Verify(ctx context.Context, token string) (nexus.Caller, time.Time, error)
	// Stands looks again at the login that a caller came by: Unauthenticated if it has ended, for the same reasons. What it does not
	// find out now is no reason.
	Stands(ctx context.Context, c nexus.Caller) error
}

// Sessions are the users' session grains.
type Sessions interface {
	// Attach makes a socket that ends at hub known, and returns the activation to watch.
	Attach(ctx context.Context, user nexus.UserID, hub *actor.PID, s session.Socket) (*actor.PID, error)
	// Detach makes a closed socket forgotten.
	Detach(session, hub *actor.PID, socket string)
}

// Halls lists the mess halls.
type Halls interface {
	Halls(ctx context.Context) ([]nexus.Hall, error)
}

// Config is what the edge needs.
type Config struct {
	Engine   engineio.Config // origins, limits; its Hooks are set by New
	Limits   socketio.Config
	System   *actor.ActorSystem // where the hub lives
	Auth     Verifier
	Sessions Sessions
	Halls    Halls
	Safety   *Safety  // nil: /security only lets people in
	Outbox   Streams  // of / and /academic; nil: they only let people in
	Teachers Teachers // nil: nobody hears what a staff hears
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Server is the real-time edge of one node.
type Server struct {
	io      *socketio.Server
	hub     *Hub
	auth    Verifier
	log     *slog.Logger
	metrics *metrics
	closed  sync.Once
}

// New makes the edge. Mount its Engine and give its hub's Broadcast to the bus.
func New(cfg Config) (*Server, error) {
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	cfg.Engine.Hooks = m.hooks()
	if cfg.Safety != nil || cfg.Outbox != nil {
		if m.delivery, err = newDeliveryMetrics(cfg.Registry); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
		cfg.Limits.MaxPendingAcks = max(cfg.Limits.MaxPendingAcks, socketAcks)
	}
	if cfg.Safety != nil {
		cfg.Limits.Apart, cfg.Limits.Ahead = []string{sosRaise, sosCancel}, []string{sosRaise}
	}
	io, err := socketio.NewServer(cfg.Limits, cfg.Engine)
	if err != nil {
		return nil, err
	}
	hub, err := newHub(cfg, m, io.Engine().Hurry)
	if err != nil {
		return nil, err
	}
	s := &Server{io: io, hub: hub, auth: cfg.Auth, log: cfg.Log, metrics: m}
	mess := &messNamespace{halls: newCatalog(cfg.Halls, cfg.Log), hub: hub}
	for _, ns := range []*namespace{
		rootOf(hub),
		securityOf(cfg.Safety, hub),
		academicOf(hub),
		{name: "/mess", anonymous: true, joined: mess.joined, events: map[string]handler{"subscribe": mess.subscribe}},
	} {
		ns.server = s
		io.Handle(ns.name, ns)
	}
	return s, nil
}

// Engine is what the HTTP server mounts.
func (s *Server) Engine() *engineio.Server { return s.io.Engine() }

// Hurry says that something urgent is under way, until done is called; see package engineio.
func (s *Server) Hurry() (done func()) { return s.Engine().Hurry() }

// Broadcast sends an event to whoever listens on this node. It never blocks.
func (s *Server) Broadcast(b *grain.Broadcast) { s.hub.Broadcast(b) }

// Close ends every socket with a reason that tells clients to come back, then the hub. A second call does nothing.
func (s *Server) Close(ctx context.Context) (err error) {
	s.closed.Do(func() {
		_, err = s.io.Engine().Shutdown(ctx, engineio.ShuttingDown)
		s.hub.close()
	})
	return err
}

// handler handles one event of an admitted peer. What it returns answers the client's callback, if there is one.
type handler func(ctx context.Context, p *peer, e socketio.Event) (any, error)

// ignored accepts an event and does nothing: the server alone decides what a socket hears.
func ignored(context.Context, *peer, socketio.Event) (any, error) { return struct{}{}, nil }

// namespace is a socketio.Namespace whose sockets are peers.
type namespace struct {
	name      string
	anonymous bool // strangers may come in, and hear what is public
	joined    func(ctx context.Context, p *peer) error
	admitted  func(p *peer) // once nothing can refuse it any more
	events    map[string]handler
	server    *Server
}

// eventTimeout bounds what one event of a client may wait for.
const eventTimeout = 5 * time.Second

// Connect implements socketio.Namespace.
func (n *namespace) Connect(s *socketio.Socket, auth json.RawMessage) error {
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	p, err := n.admit(ctx, s, auth)
	if err != nil {
		return n.server.refusal(n.name, err)
	}
	s.Value = p
	hub, admitted := n.server.hub, false
	defer func() {
		if !admitted { // also by a panic: nobody else will clear it away
			hub.remove(p)
		}
	}()
	hub.add(p)
	if n.joined != nil {
		if err := n.joined(ctx, p); err != nil {
			// A client does not come back by itself after a refusal, but it does after a lost connection.
			if nexus.CodeOf(err) == nexus.Unavailable {
				p.close(reasonUnavailable)
			}
			return n.server.refusal(n.name, err)
		}
	}
	if !p.anonymous() {
		hub.attach(ctx, p)
	}
	admitted = true
	if n.admitted != nil {
		n.admitted(p)
	}
	n.server.metrics.joined(n.name)
	return nil
}

// admit finds out who connects. A token that is no good is refused everywhere: its owner would
// wonder why he hears less than he should.
func (n *namespace) admit(ctx context.Context, s *socketio.Socket, auth json.RawMessage) (*peer, error) {
	var credentials struct {
		Token        string `json:"token"`
		PID          string `json:"pid"`
		Offset       *int64 `json:"offset"`
		CampusOffset *int64 `json:"campusOffset"`
	}
	if err := json.Unmarshal(auth, &credentials); err != nil {
		var at *json.UnmarshalTypeError
		if errors.As(err, &at) && at.Field == "pid" {
			return nil, nexus.InvalidField("auth.pid", "must be a string")
		}
		if errors.As(err, &at) && at.Field != "token" {
			return nil, nexus.InvalidField("auth."+at.Field, "must be a number from 0")
		}
		return nil, nexus.InvalidField("auth.token", "must be a string")
	}
	for field, n := range map[string]*int64{"auth.offset": credentials.Offset, "auth.campusOffset": credentials.CampusOffset} {
		if n != nil && *n < 0 {
			return nil, nexus.InvalidField(field, "must be a number from 0")
		}
	}
	p := &peer{socket: s}
	switch {
	case credentials.Token != "":
		caller, expires, err := n.server.auth.Verify(ctx, credentials.Token)
		if err != nil {
			return nil, err
		}
		p.member = &member{user: caller.User, begin: &begin{own: credentials.Offset, campus: credentials.CampusOffset, pid: credentials.PID}}
		p.identify(caller, expires, n.server.hub.clock)
	case !n.anonymous:
		return nil, nexus.Errorf(nexus.Unauthenticated, "this namespace needs a token")
	}
	return p, nil
}

// Event implements socketio.Namespace.
func (n *namespace) Event(s *socketio.Socket, e socketio.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), eventTimeout)
	defer cancel()
	p := s.Value.(*peer)
	handle := n.events[e.Name]
	if e.Name == "auth:refresh" && !p.anonymous() {
		handle = n.server.refresh
	}
	known := handle != nil
	if !known {
		handle = func(context.Context, *peer, socketio.Event) (any, error) {
			return nil, nexus.Errorf(nexus.NotFound, "no such event")
		}
	}
	answer, err := handle(ctx, p, e)
	n.server.metrics.event(n.name, e.Name, known, err)
	if e.Ack == nil {
		return
	}
	if err != nil {
		answer = failure(n.server.shown(n.name, err))
	}
	if err := e.Ack(answer); err != nil {
		n.server.log.Debug("acknowledgement not sent", "namespace", n.name, "event", e.Name, "err", err)
	}
}

// Disconnect implements socketio.Namespace.
func (n *namespace) Disconnect(s *socketio.Socket, reason socketio.Reason) {
	p := s.Value.(*peer)
	n.server.hub.remove(p)
	n.server.metrics.left(n.name, reason.Name)
}

// shown is what a client gets to see of an error: the cause of an internal one stays in the log.
func (s *Server) shown(namespace string, err error) *nexus.Failure {
	f := nexus.FailureOf(err)
	if f.Code == nexus.Internal {
		s.log.Error("socket event failed", "namespace", namespace, "err", err)
	}
	return f
}

// refusal is the CONNECT_ERROR of an error.
func (s *Server) refusal(namespace string, err error) error {
	f := s.shown(namespace, err)
	s.metrics.refused(namespace, string(f.Code))
	return &socketio.ConnectError{Message: f.Message, Data: f}
}

// failure is how an acknowledgement carries an error.
func failure(f *nexus.Failure) any {
	return struct {
		Error *nexus.Failure `json:"error"`
	}{f}
}
