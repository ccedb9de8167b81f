package engineio

import (
	"encoding/json"
	"sync"
	"time"
)

// Transport names what a session lives on.
type Transport string

// The transports of the protocol that the server speaks.
const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// state of a session; see the package comment.
type state uint8

const (
	stateOpen state = iota
	stateClosing
	stateClosed
)

// Session is one client's connection, whatever it lives on. Its methods are safe for concurrent use and never block.
type Session struct {
	srv      *Server
	id       string
	origin   string
	remote   string
	receiver Receiver // set before the session is reachable
	turn     sync.Mutex

	mu        sync.Mutex // guards all below
	state     state
	transport Transport
	reason    Reason
	told      bool // the Receiver has heard Closed
	out       queue

	poll     chan Response // of the waiting GET, else nil
	latePoll bool          // it came after the claim of the candidate
	posting  bool          // a POST is being handled

	ws        *wsConn // since the session is on WebSocket
	candidate *Claim  // an upgrade under way
	probed    bool    // the candidate has sent its probe: polls are answered soon
	writing   bool    // somebody is in a write to ws
	queued    bool    // waiting for a worker
	hurried   bool    // waiting for a worker in the urgent lane
	blocked   bool    // writing, but the Link takes no more until it calls
	ready     bool    // the Link has called since the last write began
	together  int     // calls of Together under way
	slow      bool    // it was blocked, and what waited then has not all left

	pingDue    time.Duration // when the next ping leaves
	pongDue    time.Duration // 0 unless a pong is owed
	refreshed  bool          // the pong's deadline has been moved once
	messageDue time.Duration // when the message that comes in must be whole; 0 unless one does
	upgradeDue time.Duration // 0 unless a candidate is there
	noopDue    time.Duration // when the waiting poll is answered with a noop; 0 unless the candidate is probed
	closeDue   time.Duration // when a closing session is cut
	stallDue   time.Duration // when a blocked client is given up; 0 unless it is blocked

	alarmAt    time.Duration // both belong to alarms.mu
	alarmIndex int
}

func (s *Server) newSession(r Request, t Transport) *Session {
	return &Session{srv: s, id: s.cfg.SessionPrefix + NewID(), origin: r.Origin, remote: r.RemoteAddr, transport: t}
}

// open registers a session, starts its heartbeat and introduces it to the upper layer. It reports false if there was no room.
func (s *Session) open() bool {
	s.turn.Lock() // nobody may find the session before its Receiver is there
	defer s.turn.Unlock()
	if !s.srv.add(s) {
		return false
	}
	if s.srv.cfg.Hooks.Opened != nil {
		s.srv.cfg.Hooks.Opened(s.Transport())
	}
	s.mu.Lock()
	s.pingDue = s.srv.alarms.now() + s.srv.cfg.PingInterval
	s.setAlarm()
	if !s.out.empty() {
		s.kick(true)
	}
	s.mu.Unlock()
	defer func() {
		if s.receiver == nil { // accept panicked
			s.receiver = deaf{}
			s.Close(InternalError)
		}
	}()
	s.receiver = s.srv.accept(s)
	return true
}

// deaf stands in for a Receiver that could not be made.
type deaf struct{}

func (deaf) Receive([]byte, bool) {}
func (deaf) Closed(Reason)        {}

// openPacket is the first packet that a client gets.
func (s *Session) openPacket(upgrades ...string) []byte {
	cfg := s.srv.cfg
	body, err := json.Marshal(struct {
		SID          string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{s.id, append([]string{}, upgrades...), cfg.PingInterval.Milliseconds(), cfg.PingTimeout.Milliseconds(), cfg.MaxPayload})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return append([]byte{byte(PacketOpen)}, body...)
}

// ID is the session's secret name: who knows it can read and write the session.
func (s *Session) ID() string { return s.id }

// Origin is the Origin header of the handshake, "" for a native client.
func (s *Session) Origin() string { return s.origin }

// RemoteAddr is the client's address as the adapter saw it at the handshake.
func (s *Session) RemoteAddr() string { return s.remote }

// Transport is what the session lives on now.
func (s *Session) Transport() Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport
}

// Together runs f, and has what it sends leave in one write, where it fits. f must not block.
func (s *Session) Together(f func()) {
	s.mu.Lock()
	s.together++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.together--; s.together == 0 && s.state != stateClosed && !s.out.empty() {
			s.kick(s.out.urgent.len() > 0)
		}
	}()
	f()
}

// Waiting is the number of urgent and reliable bytes that have not left yet.
func (s *Session) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.bytes
}

// Push sends m after all reliable messages before it. It reports false if the session is closed, also by this very message when
// more than MaxQueueBytes wait (SlowClient).
func (s *Session) Push(m Message) bool { return s.push(&s.out.reliable, m, false) }

// PushUrgent sends m ahead of all that waits and is not urgent. It counts against the same bound as Push.
func (s *Session) PushUrgent(m Message) bool { return s.push(&s.out.urgent, m, true) }

func (s *Session) push(lane *fifo[Message], m Message, urgent bool) bool {
	if m.IsZero() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return false
	}
	if !s.out.push(lane, m, s.srv.cfg.MaxQueueBytes) {
		s.closeLocked(SlowClient)
		return false
	}
	s.noteQueued(m)
	s.kick(urgent)
	return true
}

// Offer sends m when the client can take it, unless a newer message under the same slot name comes first. It reports false if
// the session is closed or all slots are taken.
func (s *Session) Offer(slot string, m Message) bool {
	if m.IsZero() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen {
		return false
	}
	kept, replaced := s.out.offer(slot, m, s.srv.cfg.MaxSlots)
	if (replaced || !kept) && s.srv.cfg.Hooks.Dropped != nil {
		s.srv.cfg.Hooks.Dropped()
	}
	if kept {
		s.noteQueued(m)
		s.kick(false)
	}
	return kept
}

func (s *Session) noteQueued(m Message) {
	if s.srv.cfg.Hooks.Queued != nil {
		s.srv.cfg.Hooks.Queued(m.Len())
	}
}

// Later runs f on a goroutine of its own and never at the same time as a call to the session's Receiver, in no fixed order.
func (s *Session) Later(f func()) {
	go func() {
		s.turn.Lock()
		defer s.turn.Unlock()
		f()
	}()
}

// Close ends the session. What already waits is still sent, for as long as CloseTimeout, unless the reason is one of those that
// mean that nobody reads. Only the first Close counts.
func (s *Session) Close(reason Reason) { s.close(reason) }

func (s *Session) close(reason Reason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeLocked(reason)
}

// closeLocked leaves the open state; s.mu is held.
func (s *Session) closeLocked(reason Reason) bool {
	if s.state != stateOpen {
		return false
	}
	s.state, s.reason = stateClosing, reason
	transport := s.transport
	s.pingDue, s.pongDue, s.messageDue, s.upgradeDue, s.noopDue, s.stallDue = 0, 0, 0, 0, 0, 0
	s.closeDue = s.srv.alarms.now() + s.srv.cfg.CloseTimeout
	if s.candidate != nil {
		s.candidate.drop(reason)
		s.candidate = nil
	}
	if reason.abrupt() {
		s.out.clear()
	}
	if s.transport == Polling {
		s.closePolling()
	} else {
		s.closeWebSocket()
	}
	s.setAlarm()
	go s.tell(transport, reason)
	return true
}

// tell reports the end to the Receiver, in its turn. It has its own goroutine because whoever closed the session may hold
// locks that the Receiver wants, or be the Receiver.
func (s *Session) tell(t Transport, reason Reason) {
	s.turn.Lock()
	s.receiver.Closed(reason)
	s.turn.Unlock()
	if s.srv.cfg.Hooks.Closed != nil {
		s.srv.cfg.Hooks.Closed(t, reason)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = true
	s.forget()
}

// finish is the step from closing to closed; s.mu is held.
func (s *Session) finish() {
	s.state = stateClosed
	s.closeDue = 0
	s.out = queue{}
	s.setAlarm()
	s.forget()
}

// forget unregisters a session that is done in both senses; s.mu is held.
func (s *Session) forget() {
	if s.told && s.state == stateClosed {
		s.srv.remove(s)
	}
}

// kick sees to it that what waits leaves; s.mu is held.
func (s *Session) kick(urgent bool) {
	switch {
	case s.together > 0: // and then
	case s.transport == Polling:
		if s.poll != nil && !s.out.empty() {
			s.answer(text(s.drainPayload()))
		}
	case s.writing: // whoever writes looks again when done
	case urgent && !s.hurried:
		s.hurried = true
		s.srv.flusher.add(s, true)
	case !urgent && !s.queued:
		s.queued = true
		s.srv.flusher.add(s, false)
	}
}

// receive handles one packet of the client; s.turn is held. It reports whether the session is still open.
func (s *Session) receive(p Packet) bool {
	s.mu.Lock()
	if s.state != stateOpen {
		s.mu.Unlock()
		return false
	}
	s.heard(p.Type)
	switch p.Type {
	case PacketPing: // only servers ping in protocol 4
		s.closeLocked(TransportError)
	case PacketClose:
		s.closeLocked(TransportClosed)
	}
	open := s.state == stateOpen
	s.mu.Unlock()
	if p.Type == PacketMessage {
		if s.srv.cfg.Hooks.Received != nil {
			s.srv.cfg.Hooks.Received(len(p.Data))
		}
		s.deliver(p)
	}
	return open
}

// deliver calls the Receiver. A panic there ends the session before it goes on.
func (s *Session) deliver(p Packet) {
	returned := false
	defer func() {
		if !returned {
			s.Close(InternalError)
		}
	}()
	s.receiver.Receive(p.Data, p.Binary)
	returned = true
}
