package engineio

import "time"

// noopDelay is how long a poll that came after an upgrade's claim is held before a noop ends it. The upgrade packet may have been
// sent before the poll, on another connection; then the poll is a mistake, and the client is to hear so.
const noopDelay = 20 * time.Millisecond

// heard notes a packet of the client; s.mu is held. A pong settles the debt. Anything else moves the pong's deadline, once per
// ping, as the reference does: a long upload may hold the pong up.
func (s *Session) heard(t PacketType) {
	if s.pongDue == 0 {
		return
	}
	switch {
	case t == PacketPong:
		s.pongDue = 0
	case !s.refreshed:
		s.refreshed = true
		s.pongDue = s.srv.alarms.now() + s.srv.cfg.PingTimeout
	default:
		return
	}
	s.setAlarm()
}

// expect notes that a message of the client has begun to come in, or that none has.
func (s *Session) expect(message bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.messageDue = 0; {
	case s.state != stateOpen:
		return
	case message:
		s.messageDue = s.srv.alarms.now() + s.srv.cfg.MessageTimeout
	}
	s.setAlarm()
}

// wake does what is due. Deadlines are absolute: a ping's pong is owed PingTimeout after the ping was due, however late this runs.
func (s *Session) wake(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case stateOpen:
		s.beat(now)
	case stateClosing:
		if now >= s.closeDue {
			s.cut()
		}
	}
	s.setAlarm()
}

// beat handles the deadlines of an open session; s.mu is held.
func (s *Session) beat(now time.Duration) {
	if s.pongDue != 0 && now >= s.pongDue {
		s.closeLocked(PingTimeout)
		return
	}
	if s.messageDue != 0 && now >= s.messageDue {
		s.closeLocked(UnfinishedMessage)
		return
	}
	if s.stallDue != 0 && now >= s.stallDue {
		if s.stalled(now); s.state != stateOpen {
			return
		}
	}
	if s.pingDue != 0 && now >= s.pingDue && s.pongDue == 0 {
		cfg := s.srv.cfg
		if now-s.pingDue >= min(cfg.PingInterval, cfg.PingTimeout) { // a late pong, or a frozen process: no catching up
			s.pingDue = now
		}
		s.pongDue, s.refreshed = s.pingDue+cfg.PingTimeout, false
		s.pingDue += cfg.PingInterval
		s.out.add(&s.out.urgent, pingPacket)
		s.kick(true)
	}
	s.lapse(now)
	if s.noopDue != 0 && now >= s.noopDue {
		s.answerNoop()
	}
}

// setAlarm asks to be woken at the next deadline; s.mu is held.
func (s *Session) setAlarm() {
	next := never
	due := func(at time.Duration) {
		if at != 0 && at < next {
			next = at
		}
	}
	switch s.state {
	case stateOpen:
		due(s.pongDue)
		if s.pongDue == 0 {
			due(s.pingDue)
		}
		due(s.messageDue)
		due(s.stallDue)
		due(s.upgradeDue)
		due(s.noopDue)
	case stateClosing:
		due(s.closeDue)
	}
	s.srv.alarms.set(s, next)
}
