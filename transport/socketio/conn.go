package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"nexus/transport/engineio"
)

// conn is one client's connection and the sockets on it.
type conn struct {
	srv     *Server
	session *engineio.Session
	timer   *time.Timer // closes the connection unless a namespace is connected in time

	// These belong to the session's turn: packets come one at a time, whatever becomes of them then.
	events  bucket
	apart   bucket  // of the events in Config.Apart, when events is empty
	partial *Packet // a binary packet that lacks attachments
	parts   [][]byte
	size    int
	late    *time.Timer // closes the connection unless the attachments come in time

	mu      sync.Mutex
	ahead   lane               // of the events in Config.Ahead
	rest    lane               // of all other packets
	until   time.Time          // when the rest is no longer begun; zero until the connection ends
	sockets map[string]*Socket // by namespace, admitted or about to be
	left    map[string]bool    // namespaces that the server disconnected: packets may still be under way
}

// accept is the engine's introduction of a new session.
func (s *Server) accept(session *engineio.Session) engineio.Receiver {
	c := &conn{srv: s, session: session, sockets: make(map[string]*Socket, 1)}
	c.events = newBucket(s.cfg.EventsPerSecond, s.cfg.EventBurst)
	c.apart = c.events
	c.timer = time.AfterFunc(s.cfg.ConnectTimeout, func() { session.Close(ConnectTimeout) })
	return c
}

// Receive handles one message of the engine: a packet, or an attachment of one.
func (c *conn) Receive(data []byte, binary bool) {
	if binary != (c.partial != nil) {
		c.session.Close(InvalidPacket)
		return
	}
	// Before anything is computed for it, and whatever it is: an answer that nobody waits for costs as much as an event.
	now := time.Now()
	if !binary && !c.events.take(now) && !c.spared(data, now) {
		c.session.Close(TooManyEvents)
		return
	}
	if c.size += len(data); c.size > c.srv.cfg.MaxEventBytes {
		c.session.Close(EventTooLarge)
		return
	}
	if binary {
		c.parts = append(c.parts, bytes.Clone(data))
		if len(c.parts) == c.partial.Attachments {
			p, parts := *c.partial, c.parts
			c.late.Stop()
			size := c.size
			c.partial, c.parts, c.size = nil, nil, 0
			c.assign(p, parts, size, now)
		}
		return
	}
	p, err := Decode(data, Limits{MaxAttachments: c.srv.cfg.MaxAttachments, MaxDepth: c.srv.cfg.MaxDepth})
	switch {
	case errors.Is(err, ErrAttachments):
		c.session.Close(TooManyAttachments)
	case err != nil:
		c.session.Close(InvalidPacket)
	case p.binary():
		c.partial = &p
		c.late = time.AfterFunc(c.srv.cfg.PacketTimeout, func() { c.session.Close(UnfinishedPacket) })
	default:
		c.size = 0
		c.assign(p, nil, len(data), now)
	}
}

// spared reports whether a packet that is one too many is an event with a bucket of its own, which still holds.
func (c *conn) spared(data []byte, now time.Time) bool {
	if len(c.srv.cfg.Apart) == 0 {
		return false
	}
	p, err := Decode(data, Limits{MaxAttachments: c.srv.cfg.MaxAttachments, MaxDepth: c.srv.cfg.MaxDepth})
	if err != nil || p.Type != TypeEvent {
		return false
	}
	name, err := eventName(p.Data)
	return err == nil && slices.Contains(c.srv.cfg.Apart, name) && c.apart.take(now)
}

// assign finds out what a whole packet waits for. An answer waits for nothing, or a slow event would keep it from the call that it
// belongs to.
func (c *conn) assign(p Packet, attachments [][]byte, size int, now time.Time) {
	l, last := &c.rest, false
	switch p.Type {
	case TypeAck, TypeBinaryAck:
		if s, _ := c.socket(p.Namespace); s != nil {
			c.settle(s, p, attachments)
			return
		}
	case TypeEvent, TypeBinaryEvent:
		if len(c.srv.cfg.Ahead) > 0 && c.connected(p.Namespace) {
			if name, err := eventName(p.Data); err == nil && slices.Contains(c.srv.cfg.Ahead, name) {
				l, last = &c.ahead, true
			}
		}
	}
	c.handle(l, job{do: func() { c.dispatch(p, attachments, now) }, bytes: size, last: last})
}

// settle takes the client's answer to a call.
func (c *conn) settle(s *Socket, p Packet, attachments [][]byte) {
	args, err := parseArgs(p.Data, attachments)
	switch {
	case err != nil:
		c.session.Close(InvalidPacket)
	case s.settle(p.ID, args, nil):
		c.events.give() // we asked for it
	}
}

// connected reports whether a namespace's CONNECT has been answered.
func (c *conn) connected(namespace string) bool {
	s, _ := c.socket(namespace)
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == connected
}

// dispatch handles a packet that came at a time.
func (c *conn) dispatch(p Packet, attachments [][]byte, at time.Time) {
	if p.Type == TypeConnect {
		c.connect(p)
		return
	}
	s, left := c.socket(p.Namespace)
	switch {
	case left:
	case s == nil || p.Type == TypeConnectError:
		c.session.Close(InvalidState)
	case p.Type == TypeAck || p.Type == TypeBinaryAck: // of a socket before this one
	case p.Type == TypeDisconnect:
		s.leave(ClientDisconnect, false)
	default:
		args, err := parseArgs(p.Data, attachments)
		if err != nil {
			c.session.Close(InvalidPacket)
			return
		}
		s.event(p, args, at)
	}
}

// socket finds the socket of a namespace, and tells whether the server has disconnected it.
func (c *conn) socket(namespace string) (s *Socket, left bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sockets[namespace], c.left[namespace]
}

// connect handles a CONNECT packet.
func (c *conn) connect(p Packet) {
	ns := c.srv.namespace(p.Namespace)
	if ns == nil {
		c.refuse(p.Namespace, &ConnectError{Message: "Invalid namespace"})
		return
	}
	s := &Socket{conn: c, id: engineio.NewID(), namespace: p.Namespace, ns: ns}
	c.mu.Lock()
	taken, count := c.sockets[p.Namespace] != nil, len(c.sockets)
	if !taken && count < c.srv.cfg.MaxNamespaces {
		c.sockets[p.Namespace] = s
		delete(c.left, p.Namespace)
	}
	c.mu.Unlock()
	switch {
	case taken:
		c.session.Close(InvalidState)
		return
	case count >= c.srv.cfg.MaxNamespaces:
		c.session.Close(TooManyNamespaces)
		return
	}
	auth := p.Data
	if auth == nil {
		auth = json.RawMessage("{}")
	}
	if err := ns.Connect(s, auth); err != nil {
		s.refused()
		c.refuse(p.Namespace, err)
		return
	}
	c.timer.Stop()
	s.admit()
}

// refuse answers CONNECT with an error. What is not meant for clients is not shown to them.
func (c *conn) refuse(namespace string, err error) {
	var shown *ConnectError
	if !errors.As(err, &shown) {
		shown = &ConnectError{Message: "internal error"}
	}
	data, jsonErr := marshal(shown)
	if jsonErr != nil {
		data, _ = marshal(&ConnectError{Message: shown.Message}) // a string always encodes
	}
	c.session.Push(encodePacket(Packet{Type: TypeConnectError, Namespace: namespace, Data: data}))
}

// remove takes a socket off the connection; false if it was off already.
func (c *conn) remove(s *Socket, byServer bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sockets[s.namespace] != s {
		return false
	}
	delete(c.sockets, s.namespace)
	if byServer && len(c.left) < c.srv.cfg.MaxNamespaces {
		if c.left == nil {
			c.left = make(map[string]bool)
		}
		c.left[s.namespace] = true
	}
	return true
}

// Closed ends all sockets with the connection, when what came before its end is handled.
func (c *conn) Closed(reason Reason) {
	c.timer.Stop()
	if c.partial != nil {
		c.late.Stop()
	}
	c.partial, c.parts = nil, nil
	c.mu.Lock()
	c.until = time.Now().Add(lastWork)
	sockets := slices.Collect(maps.Values(c.sockets))
	c.mu.Unlock()
	for _, s := range sockets {
		s.gone()
	}
	c.mu.Lock()
	c.finish()
	sockets = slices.Collect(maps.Values(c.sockets))
	c.sockets = nil
	c.mu.Unlock()
	for _, s := range sockets {
		s.gone()
		s.ended(reason)
	}
}

// bucket is a token bucket. It is not safe for concurrent use.
type bucket struct {
	rate, burst, tokens float64
	last                time.Time
}

func newBucket(perSecond, burst int) bucket {
	return bucket{rate: float64(perSecond), burst: float64(burst), tokens: float64(burst), last: time.Now()}
}

func (b *bucket) take(now time.Time) bool {
	b.tokens = min(b.burst, b.tokens+b.rate*now.Sub(b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// give puts one back.
func (b *bucket) give() { b.tokens = min(b.burst, b.tokens+1) }
