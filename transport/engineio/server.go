package engineio

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/netip"
	"runtime"
	"sync"
)

// Receiver is the upper layer's side of one session. Calls never overlap: the next message is handed over when the last one was
// handled, which is what slows a fast client down. Both may call any method of the session.
type Receiver interface {
	// Receive handles one message. data is only valid during the call.
	Receive(data []byte, binary bool)
	// Closed is called once, after the last Receive.
	Closed(Reason)
}

// Server holds the sessions of one endpoint. Its methods are safe for concurrent use.
type Server struct {
	cfg     Config
	accept  func(*Session) Receiver
	alarms  *alarms
	flusher *flusher

	mu        sync.Mutex
	sessions  map[string]*Session
	addresses map[string]int // how many of them each client address has
	closing   bool
	idle      chan struct{} // closed when a closing server has no session left; made by Shutdown
}

// NewServer makes a server whose new sessions are introduced by accept, before their first message. Accept may push.
func NewServer(cfg Config, accept func(*Session) Receiver) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if accept == nil {
		return nil, errors.New("engineio: accept is nil")
	}
	s := &Server{cfg: cfg, accept: accept, alarms: newAlarms(), sessions: make(map[string]*Session), addresses: make(map[string]int)}
	s.flusher = newFlusher(cfg.Workers)
	return s, nil
}

func defaultWorkers() int { return max(1, runtime.GOMAXPROCS(0)-1) }

// Config is what the server runs with, defaults filled in.
func (s *Server) Config() Config { return s.cfg }

// Len counts the sessions, those that wait for their last poll or close frame included.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Sessions is a snapshot, in no order.
func (s *Server) Sessions() []*Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*Session, 0, len(s.sessions))
	for _, session := range s.sessions {
		list = append(list, session)
	}
	return list
}

// Hurry says that something urgent is under way, until done is called: meanwhile, but for a fifth of a second at most, what is not urgent leaves
// more slowly, so that processors are free.
func (s *Server) Hurry() (done func()) { return s.flusher.hurry() }

// Refuse refuses new sessions from now on; those that are there go on.
func (s *Server) Refuse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
}

// Close refuses new sessions from now on, begins to close all there are, and counts those. It does not wait: see Shutdown.
func (s *Server) Close(reason Reason) int {
	s.Refuse()
	n := 0
	for _, session := range s.Sessions() {
		if session.close(reason) {
			n++
		}
	}
	return n
}

// Shutdown is Close that waits until every session is gone and its Receiver has heard of it: for CloseTimeout at most, unless
// a Receiver blocks. It ends early with ctx.
func (s *Server) Shutdown(ctx context.Context, reason Reason) (closed int, err error) {
	s.mu.Lock()
	s.closing = true // together with idle: remove looks at both, and the last session may end right now
	if s.idle == nil {
		s.idle = make(chan struct{})
		if len(s.sessions) == 0 {
			close(s.idle)
		}
	}
	idle := s.idle
	s.mu.Unlock()
	closed = s.Close(reason)
	select {
	case <-idle:
		return closed, nil
	case <-ctx.Done():
		return closed, ctx.Err()
	}
}

// full reports whether a handshake from an address must be turned away.
func (s *Server) full(address string) bool {
	at := network(address)
	s.mu.Lock()
	why := s.why(at)
	s.mu.Unlock()
	return s.turnedAway(why)
}

// add registers a new session, if there is room.
func (s *Server) add(session *Session) bool {
	at := network(session.remote)
	s.mu.Lock()
	why := s.why(at)
	if why == "" {
		s.sessions[session.id] = session
		s.addresses[at]++
	}
	s.mu.Unlock()
	return !s.turnedAway(why)
}

// why says why there is no room for one more of a network, "" if there is; s.mu is held.
func (s *Server) why(at string) Why {
	switch {
	case s.closing:
		return FullClosing
	case len(s.sessions) >= s.cfg.MaxSessions:
		return FullSessions
	case s.cfg.Pressed != nil && s.cfg.Pressed():
		return FullMemory
	case s.addresses[at] >= s.cfg.MaxPerAddress:
		return FullAddress
	}
	return ""
}

// turnedAway tells the hook, if there is a reason.
func (s *Server) turnedAway(why Why) bool {
	if why != "" && s.cfg.Hooks.Full != nil {
		s.cfg.Hooks.Full(why)
	}
	return why != ""
}

// network is whom an address is counted for: who has one IPv6 address has 2^64.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Is4() || a.Is4In6() {
		return address
	}
	return netip.PrefixFrom(a.WithZone(""), 64).Masked().String()
}

func (s *Server) lookup(id string) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[id]
}

// remove forgets a session whose connection is done and whose Receiver has been told.
func (s *Server) remove(session *Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[session.id] == session {
		delete(s.sessions, session.id)
		at := network(session.remote)
		if s.addresses[at]--; s.addresses[at] == 0 {
			delete(s.addresses, at)
		}
	}
	if len(s.sessions) == 0 && s.closing && s.idle != nil {
		select {
		case <-s.idle:
		default:
			close(s.idle)
		}
	}
}

// NewID makes the random part of a session id: 144 bits from crypto/rand in 24 URL-safe characters.
func NewID() string {
	var b [18]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}
