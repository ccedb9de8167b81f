package live

import (
	"context"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/session"
	"nexus/transport/socketio"
)

// warnBefore is how long before a token runs out its socket hears auth:expiring: time for a phone on a slow
// network to fetch another.
const warnBefore = time.Minute

// reasonCode is the WebSocket close code of a socket that NEXUS itself ends; the reason's name says why.
const reasonCode = 4100

// Why sockets end, beside the reasons that package auth gives when a login ends.
const (
	reasonExpired     = "token expired"
	reasonEnded       = "login ended" // noticed late, so that nobody says why
	reasonUnavailable = "unavailable" // what the client came for cannot be served now
)

// peer is one socket in one namespace.
type peer struct {
	socket *socketio.Socket
	offset offsets

	mu      sync.Mutex
	caller  nexus.Caller // zero for a stranger
	token   string
	expires time.Time
	timer   *time.Timer // of the warning, then of the end
	check   *time.Timer // of the next look at login and session
	ended   bool

	pressed  time.Time               // when the last press of the button came
	withdraw context.CancelCauseFunc // ends the cancel that is under way; nil while there is none

	// What follows belongs to the Hub, under its lock.
	session *actor.PID          // the activation attached to; nil while there is none
	topics  map[string]struct{} // that it listens to
}

// offsets are how far a client says that it has come in the streams of class A; nil where it does not say.
type offsets struct{ own, campus *int64 }

func (p *peer) anonymous() bool { return p.who().User == "" }

// mayHear reports whether a peer is not of the user who must not hear something.
func (p *peer) mayHear(except nexus.UserID) bool { return except == "" || p.who().User != except }

func (p *peer) who() nexus.Caller {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.caller
}

// credential is the newest token, and when it runs out.
func (p *peer) credential() (token string, expires time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.token, p.expires
}

// identify takes a token and its owner, and arms the warning before it runs out.
func (p *peer) identify(token string, c nexus.Caller, expires time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token, p.caller, p.expires = token, c, expires
	p.arm(time.Until(expires)-warnBefore, func() { p.warn(expires) })
}

// arm replaces the timer of the token. It needs the lock.
func (p *peer) arm(d time.Duration, f func()) {
	if p.timer != nil {
		p.timer.Stop()
	}
	if !p.ended {
		p.timer = time.AfterFunc(d, f)
	}
}

// warn tells the client that its token runs out, and ends the socket when it has, unless a newer one came.
func (p *peer) warn(expires time.Time) {
	p.mu.Lock()
	current := p.expires.Equal(expires)
	if current {
		p.arm(time.Until(expires), func() { p.expire(expires) })
	}
	p.mu.Unlock()
	if !current {
		return
	}
	// A socket that cannot be told is about to be closed for that.
	_ = p.socket.Emit("auth:expiring", expiry{expires.UTC().Format(nexus.TimeLayout)})
}

// expiry says when a token runs out.
type expiry struct {
	ExpiresAt string `json:"expiresAt"`
}

func (p *peer) expire(expires time.Time) {
	p.mu.Lock()
	current := !p.ended && p.expires.Equal(expires)
	p.mu.Unlock()
	if current {
		p.close(reasonExpired)
	}
}

// checkIn calls look once after d, or a little later, in place of an earlier one that is still to come.
func (p *peer) checkIn(d time.Duration, look func(*peer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.check != nil {
		p.check.Stop()
	}
	if !p.ended {
		p.check = time.AfterFunc(spread(d), func() { look(p) })
	}
}

// close ends the whole connection, with a reason that the client sees. An official client comes back by
// itself, and is refused until it has a good token.
func (p *peer) close(reason string) {
	p.socket.CloseConnection(socketio.Reason{Code: reasonCode, Name: reason})
}

// end stops the timers of a socket that is no more.
func (p *peer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, t := range []*time.Timer{p.timer, p.check} {
		if t != nil {
			t.Stop()
		}
	}
}

// described is the socket as its session knows it.
func (p *peer) described() session.Socket {
	return session.Socket{ID: p.socket.ID(), Namespace: p.socket.Namespace(), Login: p.who().Session}
}

// refused reports whether a Verifier says that a token is not good, and not only that it cannot tell.
func refused(err error) bool { return nexus.CodeOf(err) == nexus.Unauthenticated }

// over reports whether a token has run out.
func over(expires time.Time) bool { return !time.Now().Before(expires) }

// refresh takes a new token for a live socket: auth:refresh {token}, answered with {expiresAt}.
func (s *Server) refresh(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	var in struct {
		Token string `json:"token"`
	}
	if err := e.Args.Decode(0, &in); err != nil || in.Token == "" {
		return nil, nexus.InvalidField("token", "must be an access token")
	}
	caller, expires, err := s.auth.Verify(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	before := p.who()
	if caller.User != before.User {
		return nil, nexus.Errorf(nexus.Forbidden, "the token is another user's")
	}
	p.identify(in.Token, caller, expires)
	if caller.Session != before.Session {
		s.hub.attach(ctx, p)
	}
	return expiry{expires.UTC().Format(nexus.TimeLayout)}, nil
}
