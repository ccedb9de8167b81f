package live

import (
	"context"
	"slices"
	"sync"
	"time"

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
	reasonRoles       = "roles changed"
	reasonUnavailable = "unavailable" // what the client came for cannot be served now
)

// peer is one socket in one namespace. Most are strangers, so that what concerns members alone is kept apart.
type peer struct {
	socket *socketio.Socket
	member *member // nil for a stranger; for good

	// What follows belongs to the Hub, under its lock.
	here   bool
	topics []listening // that it listens to
}

// member is who a peer is.
type member struct {
	user nexus.UserID // for good: a token of somebody else is refused

	mu       sync.Mutex
	login    nexus.SessionID
	roles    []nexus.Role
	epoch    int
	expires  time.Time
	token    tokenStage
	ended    bool
	lookAt   time.Time               // when login and session are looked at next; zero: not yet known
	pressed  time.Time               // when the last press of the button came
	withdraw context.CancelCauseFunc // ends the cancel that is under way; nil while there is none
	begin    *begin                  // until the courier has it

	at    time.Duration // both belong to the clock
	index int

	session address // of the activation attached to, zero while there is none; belongs to the Hub, under its lock
}

// tokenStage is what was done about a token.
type tokenStage uint8

const (
	tokenFresh tokenStage = iota
	tokenWarned
	tokenOver
)

// begin is where a client is to begin in the streams of class A.
type begin struct {
	own, campus *int64          // how far it has come, as it says itself or is known; nil: as its login has
	pid         string          // what it says that it was, "" for nothing
	tab         nexus.SessionID // the id of this connection, by which it may come back; "" if it cannot
}

func (p *peer) anonymous() bool { return p.member == nil }

// user is whose socket it is, "" for a stranger.
func (p *peer) user() nexus.UserID {
	if p.member == nil {
		return ""
	}
	return p.member.user
}

// mayHear reports whether a peer is not of the user who must not hear something.
func (p *peer) mayHear(except nexus.UserID) bool { return except == "" || p.user() != except }

// who is whoever the newest token speaks for.
func (p *peer) who() nexus.Caller {
	m := p.member
	if m == nil {
		return nexus.Caller{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return nexus.Caller{User: m.user, Session: m.login, Roles: m.roles, Epoch: m.epoch}
}

// identify takes the owner of a token, and sees to it that the socket is warned before that runs out.
func (p *peer) identify(c nexus.Caller, expires time.Time, clock *clock) {
	m := p.member
	m.mu.Lock()
	defer m.mu.Unlock()
	m.login, m.roles, m.epoch, m.expires, m.token = c.Session, c.Roles, c.Epoch, expires, tokenFresh
	clock.set(p)
}

// due is when something is to be done next; it needs the lock.
func (m *member) due() (next time.Time, any bool) {
	if m.ended {
		return time.Time{}, false
	}
	switch m.token {
	case tokenFresh:
		next, any = m.expires.Add(-warnBefore), true
	case tokenWarned:
		next, any = m.expires, true
	}
	if !m.lookAt.IsZero() && (!any || m.lookAt.Before(next)) {
		next, any = m.lookAt, true
	}
	return next, any
}

// warn tells the client that its token runs out. A socket that cannot be told is about to be closed for that.
func (p *peer) warn(expires time.Time) {
	_ = p.socket.Emit("auth:expiring", expiry{expires.UTC().Format(nexus.TimeLayout)})
}

// expiry says when a token runs out.
type expiry struct {
	ExpiresAt string `json:"expiresAt"`
}

// lookIn has a peer looked after once after d, or a little later, in place of an earlier time that is still to come.
func (c *clock) lookIn(p *peer, d time.Duration) {
	m := p.member
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookAt = time.Now().Add(spread(d))
	c.set(p)
}

// close ends the whole connection, with a reason that the client sees. An official client comes back by
// itself, and is refused until it has a good token.
func (p *peer) close(reason string) {
	p.socket.CloseConnection(socketio.Reason{Code: reasonCode, Name: reason})
}

// forget is for a socket that is no more: nothing is due any more.
func (c *clock) forget(p *peer) {
	if p.member == nil {
		return
	}
	p.member.mu.Lock()
	defer p.member.mu.Unlock()
	p.member.ended = true
	c.set(p)
}

// described is the socket as its session knows it.
func (p *peer) described() session.Socket {
	return session.Socket{ID: p.socket.ID(), Namespace: p.socket.Namespace(), Login: p.who().Session}
}

// refresh takes a new token for a live socket: auth:refresh {token}, answered with {expiresAt}. What a socket hears was granted by the roles that
// its user had when it came: a token of others closes it, and the client comes back by that.
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
	if !slices.Equal(caller.Roles, before.Roles) {
		p.close(reasonRoles)
		return nil, nexus.Errorf(nexus.Unauthenticated, "the token is of other roles")
	}
	p.identify(caller, expires, s.hub.clock)
	if caller.Session != before.Session {
		s.hub.attach(ctx, p)
	}
	return expiry{expires.UTC().Format(nexus.TimeLayout)}, nil
}
