package engineio

import (
	"context"
	"math"
	"net/http"
	"strings"
)

// servePoll is a GET: it takes what waits, or waits for it.
func (s *Session) servePoll(ctx context.Context) Response {
	s.mu.Lock()
	now := s.srv.alarms.now()
	switch { // what is due is done, though its alarm may ring a moment later
	case s.state == stateOpen && s.pongDue != 0 && now >= s.pongDue:
		s.closeLocked(PingTimeout)
	case s.state == stateClosing && now >= s.closeDue:
		s.cut()
	}
	switch {
	case s.transport != Polling:
		s.mu.Unlock()
		return refusal(codeBadRequest)
	case s.state == stateClosing: // the last poll
		body := s.drainPayload()
		s.finish()
		s.mu.Unlock()
		return text(body)
	case s.state == stateClosed:
		s.mu.Unlock()
		return refusal(codeUnknownSession)
	case s.poll != nil: // two polls at once
		s.closeLocked(TransportError)
		s.mu.Unlock()
		return refusal(codeBadRequest)
	case !s.out.empty():
		body := s.drainPayload()
		s.mu.Unlock()
		return text(body)
	}
	wait := make(chan Response, 1)
	s.poll, s.latePoll = wait, s.candidate != nil
	if s.probed {
		s.noopDue = now + noopDelay
		s.setAlarm()
	}
	s.mu.Unlock()

	select {
	case answer := <-wait:
		return answer
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poll != wait { // answered at the same moment
		return <-wait
	}
	s.poll, s.noopDue = nil, 0
	s.closeLocked(TransportError)
	return refusal(codeBadRequest)
}

// answer ends the waiting GET; s.mu is held and s.poll is set.
func (s *Session) answer(r Response) {
	s.poll <- r // has room for one, and is answered once
	s.poll, s.noopDue = nil, 0
}

// answerNoop ends the waiting GET, so that the client can move on to its WebSocket; s.mu is held.
func (s *Session) answerNoop() { s.answer(text(noopPacket.AppendPayload(nil))) }

// drainPayload takes what waits, up to one chunk, as a polling body; s.mu is held. When the session is closing, it takes it all: there is
// no other poll to come.
func (s *Session) drainPayload() []byte {
	limit := s.srv.cfg.ChunkBytes
	if s.state == stateClosing {
		limit = math.MaxInt
	}
	list, _ := s.out.take(nil, limit)
	size := 0
	for _, m := range list {
		size += m.Len()
	}
	body := make([]byte, 0, size)
	for i, m := range list {
		if i > 0 {
			body = append(body, separator)
		}
		body = m.AppendPayload(body)
	}
	s.out.advance(list, size)
	return body
}

// closePolling says good-bye to a polling client; s.mu is held. A waiting poll gets the rest and the close packet. Without one, the session
// stays for one last poll if the close was orderly: the client's own close and the server's decision are, errors are not.
func (s *Session) closePolling() {
	clean := s.reason == TransportClosed
	s.out.final = closePacket
	if clean {
		s.out.final = noopPacket
	}
	switch {
	case s.poll != nil:
		s.answer(text(s.drainPayload()))
		s.finish()
	case !clean && s.reason.abrupt():
		s.finish()
	}
}

// servePost is a POST: the client's packets, handled in order before the answer.
func (s *Session) servePost(r Request) Response {
	s.mu.Lock()
	switch {
	case s.transport != Polling:
		s.mu.Unlock()
		return refusal(codeBadRequest)
	case s.state != stateOpen:
		s.mu.Unlock()
		return refusal(codeUnknownSession)
	case s.posting:
		s.closeLocked(TransportError)
		s.mu.Unlock()
		return refusal(codeBadRequest)
	case r.ContentEncoding != "" && r.ContentEncoding != "identity":
		s.mu.Unlock()
		return errorResponse(http.StatusUnsupportedMediaType, codeBadRequest, "Content-Encoding is not accepted")
	case strings.HasPrefix(r.ContentType, "application/octet-stream"):
		s.closeLocked(TransportError)
		s.mu.Unlock()
		return refusal(codeBadRequest)
	case len(r.Body) > s.srv.cfg.MaxPayload:
		s.closeLocked(PayloadTooLarge)
		s.mu.Unlock()
		return errorResponse(http.StatusRequestEntityTooLarge, codeBadRequest, "Payload too large")
	}
	s.posting = true
	s.mu.Unlock()
	ok := s.receivePayload(r.Body)
	s.mu.Lock()
	s.posting = false
	s.mu.Unlock()
	if !ok {
		return refusal(codeBadRequest)
	}
	return Response{Status: http.StatusOK, ContentType: "text/html", Body: []byte("ok")}
}

// receivePayload handles the packets of a body in one turn. It reports whether the body was well-formed and no error of the
// client closed the session.
func (s *Session) receivePayload(body []byte) bool {
	s.turn.Lock()
	defer s.turn.Unlock()
	for p, err := range DecodePayload(body) {
		if err != nil {
			s.Close(ParseError)
			return false
		}
		if !s.receive(p) {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateOpen || s.reason == TransportClosed || !s.reason.abrupt()
}
