package engineio

import (
	"net"
	"net/http"
	"time"
)

// upgradeTimeout and claimRefused close candidates, never sessions.
var (
	upgradeTimeout = Reason{4004, "upgrade timeout"}
	claimRefused   = Reason{4005, "session is not open for upgrade"}
	badProbe       = Reason{4006, "invalid upgrade"}
)

// Claim is the right to become a session's WebSocket, taken before the handshake is answered so that of two upgrades at once only
// one can win. It lapses after UpgradeTimeout.
type Claim struct {
	srv     *Server
	request Request
	session *Session // nil for a new session
	refused bool     // to be answered and closed, as the reference does

	ws      *wsConn // guarded by session.mu
	dropped Reason  // why the claim was lost, guarded by session.mu
}

// ClaimWebSocket checks an upgrade request. Either the claim is not nil, and the handshake may be answered and the connection
// handed to ServeWebSocket (or the claim to Abandon), or the response says why not.
func (s *Server) ClaimWebSocket(r Request) (*Claim, Response) {
	refuse := func(answer Response) (*Claim, Response) { return nil, s.refused(answer) }
	if r.Transport != string(Polling) && r.Transport != string(WebSocket) {
		return refuse(refusal(codeUnknownTransport))
	}
	if !s.originAllowed(r.Origin) {
		return refuse(refusal(codeForbidden))
	}
	claim := &Claim{srv: s, request: r}
	if r.SID != "" {
		claim.session = s.lookup(r.SID)
		if claim.session == nil {
			return refuse(refusal(codeUnknownSession))
		}
	}
	switch {
	case r.Method != http.MethodGet:
		return refuse(refusal(codeHandshakeMethod))
	case r.Transport != string(WebSocket):
		return refuse(refusal(codeBadRequest))
	case r.EIO != "4" && r.SID != "":
		return refuse(refusal(codeBadRequest))
	case r.EIO != "4":
		return refuse(refusal(codeProtocolVersion))
	case claim.session == nil && s.full(r.RemoteAddr):
		return refuse(overloaded())
	case claim.session != nil:
		claim.refused = !claim.session.claim(claim)
	}
	return claim, Response{}
}

// claim makes c the session's candidate unless it has one or is past upgrading.
func (s *Session) claim(c *Claim) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.srv.alarms.now()
	s.lapse(now)
	if s.state != stateOpen || s.transport != Polling || s.candidate != nil {
		return false
	}
	s.candidate = c
	s.upgradeDue = now + s.srv.cfg.UpgradeTimeout
	s.setAlarm()
	return true
}

// Abandon gives a claim up whose handshake failed.
func (c *Claim) Abandon() {
	if c.session == nil {
		return
	}
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	if c.session.candidate == c {
		c.session.dropCandidate()
	}
}

// drop takes the claim away; session.mu is held. The candidate's reader wakes up and says good-bye.
func (c *Claim) drop(reason Reason) {
	c.dropped = reason
	if c.ws != nil {
		_ = c.ws.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
}

// lapse drops a candidate whose time is over; s.mu is held.
func (s *Session) lapse(now time.Duration) {
	if s.upgradeDue != 0 && now >= s.upgradeDue {
		s.candidate.drop(upgradeTimeout)
		s.dropCandidate()
	}
}

// dropCandidate goes on with polling alone; s.mu is held.
func (s *Session) dropCandidate() {
	s.candidate, s.probed, s.upgradeDue, s.noopDue = nil, false, 0, 0
	s.setAlarm()
}

// ServeWebSocket serves a claimed connection, and closes it. It returns when the connection has ended, or, if that is a Detacher, has become
// a Link. Bytes that the client sent right after its handshake must still come out of conn. Writes go around conn.Write where conn has a
// descriptor (syscall.Conn). The greeting is the answer to the handshake, if that has not gone out yet: with the first packet it is one write.
func (s *Server) ServeWebSocket(c *Claim, conn net.Conn, greeting []byte) {
	r := &reader{session: c.session, ws: newWSConn(conn), decoder: frameDecoder{limit: s.cfg.MaxPayload}}
	hello := Message{&encoded{greeting}}
	greet := func() {
		if len(greeting) > 0 {
			_ = r.ws.writeAll(hello, s.cfg.WriteTimeout) // a connection that is gone is found so by whatever comes next
		}
	}
	defer conn.Close() //nolint:errcheck // nothing is owed to the client any more
	switch {
	case c.refused:
		greet()
		r.farewell(claimRefused)
		return
	case c.session != nil:
		greet()
		if !c.attach(r.ws) {
			r.farewell(c.dropped)
			return
		}
		r.claim = c
	default:
		r.session = s.newSession(c.request, WebSocket)
		plain := r.ws
		r.ws, r.ahead = detach(plain)
		r.session.ws = r.ws
		if len(greeting) > 0 {
			r.session.out.add(&r.session.out.urgent, hello)
		}
		r.session.out.add(&r.session.out.urgent, frameMessage(opText, r.session.openPacket()))
		if !r.session.open() {
			if r.ws != plain {
				r.ws.close()
				r.ws = plain
			}
			greet()
			r.farewell(TooManySessions)
			return
		}
	}
	r.run()
}

// attach lets the session reach the candidate's connection; false if the claim has lapsed meanwhile.
func (c *Claim) attach(ws *wsConn) bool {
	c.session.mu.Lock()
	defer c.session.mu.Unlock()
	c.ws = ws
	return c.session.candidate == c
}

// probeSeen starts to end polls early: the client waits for the last one to end before it upgrades.
func (s *Session) probeSeen(c *Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.candidate != c {
		return
	}
	s.probed = true
	switch {
	case s.poll == nil:
	case s.latePoll:
		s.noopDue = s.srv.alarms.now() + noopDelay
		s.setAlarm()
	default:
		s.answerNoop()
	}
}

// upgrade moves the session to a candidate's WebSocket, with all that waits. It reports false if the claim is lost.
func (s *Session) upgrade(c *Claim, ws *wsConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != stateOpen || s.candidate != c {
		return false
	}
	s.dropCandidate()
	switch {
	case s.poll == nil:
	case s.latePoll:
		s.answer(refusal(codeBadRequest))
	default:
		s.answerNoop()
	}
	s.transport, s.ws = WebSocket, ws
	if s.srv.cfg.Hooks.Upgraded != nil {
		s.srv.cfg.Hooks.Upgraded()
	}
	if !s.out.empty() {
		s.kick(true)
	}
	return true
}

// closeWebSocket says good-bye to a WebSocket client; s.mu is held.
func (s *Session) closeWebSocket() {
	if s.ws.broken {
		s.cut()
		return
	}
	code, name := s.reason.Code, s.reason.Name
	if s.ws.peerClosed {
		code, name = s.ws.peerCode, ""
	}
	s.out.final = closeFrame(code, name)
	s.kick(true)
}

// farewellSent waits for the client to hang up, if it did not begin; s.mu is held.
func (s *Session) farewellSent() {
	if s.ws.peerClosed {
		s.cut()
		return
	}
	s.ws.halfClose()
}

// cut closes what is left of a closing session; s.mu is held.
func (s *Session) cut() {
	if s.ws != nil {
		s.ws.close()
	}
	s.finish()
}
