package socketio

import (
	"bytes"
	"container/list"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"nexus/transport/engineio"
)

// conn is one client's connection and the sockets on it.
type conn struct {
	srv     *Server
	session *engineio.Session
	waits   *list.Element // among the newcomers, whose lock guards it

	// These belong to the session's turn: packets come one at a time, whatever becomes of them then.
	events  bucket
	apart   bucket   // of the events in Config.Apart, when events is empty
	partial *partial // a binary packet that lacks attachments; nil if there is none

	mu      sync.Mutex
	lanes   [2]*lane      // nil while nothing is in them
	until   time.Duration // when no more of the rest is begun; 0 until the connection ends
	sockets []*Socket     // one for each namespace, admitted or about to be
	left    []string      // namespaces that the server disconnected: packets may still be under way
}

// partial is a binary packet of which attachments are yet to come.
type partial struct {
	Packet
	parts [][]byte
	size  int
	late  *time.Timer // closes the connection unless they come in time
}

// accept is the engine's introduction of a new session.
func (s *Server) accept(session *engineio.Session) engineio.Receiver {
	c := &conn{srv: s, session: session}
	c.events = bucket{tokens: float64(s.cfg.EventBurst), last: s.instant(time.Now())}
	c.apart = c.events
	s.newcomers.add(c)
	return c
}

// Receive handles one message of the engine: a packet, or an attachment of one.
func (c *conn) Receive(data []byte, binary bool) {
	cfg := &c.srv.cfg
	if binary != (c.partial != nil) {
		c.session.Close(InvalidPacket)
		return
	}
	// Before anything is computed for it, and whatever it is: an answer that nobody waits for costs as much as an event.
	now := time.Now()
	if !binary && !c.events.take(c.srv.instant(now), cfg) && !c.spared(data, now) {
		c.session.Close(TooManyEvents)
		return
	}
	size := len(data)
	if binary {
		size += c.partial.size
	}
	if size > cfg.MaxEventBytes {
		c.session.Close(EventTooLarge)
		return
	}
	if binary {
		p := c.partial
		p.parts, p.size = append(p.parts, bytes.Clone(data)), size
		if len(p.parts) == p.Attachments {
			p.late.Stop()
			c.partial = nil
			c.assign(p.Packet, p.parts, size, now)
		}
		return
	}
	p, err := Decode(data, cfg.limits())
	switch {
	case errors.Is(err, ErrAttachments):
		c.session.Close(TooManyAttachments)
	case err != nil:
		c.session.Close(InvalidPacket)
	case p.binary():
		late := time.AfterFunc(cfg.PacketTimeout, func() { c.session.Close(UnfinishedPacket) })
		c.partial = &partial{Packet: p, size: size, late: late}
	default:
		c.assign(p, nil, size, now)
	}
}

// spared reports whether a packet that is one too many is an event with a bucket of its own, which still holds.
func (c *conn) spared(data []byte, now time.Time) bool {
	if len(c.srv.cfg.Apart) == 0 {
		return false
	}
	p, err := Decode(data, c.srv.cfg.limits())
	if err != nil || p.Type != TypeEvent {
		return false
	}
	name, err := eventName(p.Data)
	return err == nil && slices.Contains(c.srv.cfg.Apart, name) && c.apart.take(c.srv.instant(now), &c.srv.cfg)
}

// assign finds out what a whole packet waits for. An answer waits for nothing, or a slow event would keep it from the call that it
// belongs to.
func (c *conn) assign(p Packet, attachments [][]byte, size int, now time.Time) {
	lane, last := rest, false
	switch p.Type {
	case TypeAck, TypeBinaryAck:
		if s, _ := c.socket(p.Namespace); s != nil {
			c.settle(s, p, attachments)
			return
		}
	case TypeEvent, TypeBinaryEvent:
		if len(c.srv.cfg.Ahead) > 0 && c.connected(p.Namespace) {
			if name, err := eventName(p.Data); err == nil && slices.Contains(c.srv.cfg.Ahead, name) {
				lane, last = ahead, true
			}
		}
	}
	c.handle(lane, job{do: func() { c.dispatch(p, attachments, now) }, bytes: size, last: last})
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
	return c.find(namespace), slices.Contains(c.left, namespace)
}

// find needs the lock.
func (c *conn) find(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.home.name == namespace {
			return s
		}
	}
	return nil
}

// connect handles a CONNECT packet.
func (c *conn) connect(p Packet) {
	home := c.srv.namespace(p.Namespace)
	if home == nil {
		c.refuse(p.Namespace, &ConnectError{Message: "Invalid namespace"})
		return
	}
	s := &Socket{conn: c, id: engineio.NewID(), home: home, joining: new(joining)}
	c.mu.Lock()
	taken, count := c.find(p.Namespace) != nil, len(c.sockets)
	if !taken && count < c.srv.cfg.MaxNamespaces {
		c.sockets = append(c.sockets, s)
		c.left = slices.DeleteFunc(c.left, func(left string) bool { return left == p.Namespace })
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
	if err := home.Connect(s, auth); err != nil {
		s.refused()
		c.refuse(p.Namespace, err)
		return
	}
	c.srv.newcomers.remove(c)
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
	i := slices.Index(c.sockets, s)
	if i < 0 {
		return false
	}
	c.sockets = slices.Delete(c.sockets, i, i+1)
	if byServer && len(c.left) < c.srv.cfg.MaxNamespaces {
		c.left = append(c.left, s.home.name)
	}
	return true
}

// Closed ends all sockets with the connection, when what came before its end is handled.
func (c *conn) Closed(reason Reason) {
	c.srv.newcomers.remove(c)
	if c.partial != nil {
		c.partial.late.Stop()
		c.partial = nil
	}
	c.mu.Lock()
	c.until = c.srv.instant(time.Now()) + lastWork
	sockets := slices.Clone(c.sockets)
	c.mu.Unlock()
	for _, s := range sockets {
		s.gone()
	}
	c.mu.Lock()
	c.finish()
	sockets, c.sockets = c.sockets, nil
	c.mu.Unlock()
	for _, s := range sockets {
		s.gone()
		s.ended(reason)
	}
}

// bucket is a token bucket of a rate that all share. It is not safe for concurrent use.
type bucket struct {
	tokens float64
	last   time.Duration
}

func (b *bucket) take(now time.Duration, cfg *Config) bool {
	b.tokens = min(float64(cfg.EventBurst), b.tokens+float64(cfg.EventsPerSecond)*(now-b.last).Seconds())
	b.last = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// give hands a token back, which never makes more than a burst: take sees to that.
func (b *bucket) give() { b.tokens++ }
