package engineio

import (
	"encoding/binary"
	"errors"
	"time"
)

// readBuffer is what a WebSocket reader holds while its client is silent, in bytes.
const readBuffer = 512

// reader is the goroutine that reads one WebSocket.
type reader struct {
	claim   *Claim
	ws      *wsConn
	decoder frameDecoder
	probing bool // not yet the session's transport
	begun   bool // a message has begun to come in, and the session knows
}

var (
	errProbe   = errors.New("engineio: not a probe")
	errGoodbye = errors.New("engineio: the client closes")
)

func (r *reader) run() {
	defer r.end()
	buf := make([]byte, readBuffer)
	for {
		n, err := r.ws.Read(buf)
		if n > 0 {
			if frameErr := r.decoder.feed(buf[:n], r.frame); frameErr != nil {
				r.fail(frameErr)
				return
			}
			r.mark()
		}
		if err != nil {
			if r.probing {
				r.fail(err)
			}
			return
		}
	}
}

// mark tells the session when a message begins to come in and when it is whole: half of one must not be held for ever. Most come in
// one piece, and cost nothing here. A candidate has its own deadline.
func (r *reader) mark() {
	if begun := !r.probing && r.decoder.unfinished(); begun != r.begun {
		r.begun = begun
		r.claim.session.expect(begun)
	}
}

// frame handles one data message or control frame.
func (r *reader) frame(op byte, payload []byte) error {
	if r.begun && r.decoder.msgOp == 0 { // what has begun is whole; what comes behind it has time of its own
		r.begun = false
		r.claim.session.expect(false)
	}
	if r.probing {
		return r.probe(op, payload)
	}
	s := r.claim.session
	switch op {
	case opText, opBinary:
		p := Packet{Type: PacketMessage, Binary: true, Data: payload}
		if op == opText {
			var err error
			if p, err = DecodePacket(payload); err != nil {
				return errFrame(ParseError)
			}
		}
		s.turn.Lock()
		defer s.turn.Unlock()
		s.receive(p)
	case opPing:
		s.PushUrgent(frameMessage(opPong, payload))
	case opClose:
		r.goodbye(payload)
		return errGoodbye
	}
	return nil
}

// probe handles the frames of a candidate: the probe, then the upgrade. Nobody else writes to it yet.
func (r *reader) probe(op byte, payload []byte) error {
	timeout := r.claim.srv.cfg.WriteTimeout
	switch {
	case op == opPing:
		return r.ws.writeAll(frameMessage(opPong, payload), timeout)
	case op == opPong:
		return nil
	case op == opText && string(payload) == "2probe":
		if err := r.ws.writeAll(frameMessage(opText, []byte("3probe")), timeout); err != nil {
			return err
		}
		r.claim.session.probeSeen(r.claim)
		return nil
	case op == opText && string(payload) == "5" && r.claim.session.upgrade(r.claim):
		r.probing = false
		return nil
	}
	return errProbe
}

// goodbye answers the client's close frame with its own code, or only notes it if ours has gone out.
func (r *reader) goodbye(payload []byte) {
	s := r.claim.session
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ws.peerClosed, r.ws.peerCode = true, 1005
	if len(payload) > 0 {
		r.ws.peerCode = echoCode(payload)
	}
	if !s.closeLocked(TransportClosed) && s.state == stateClosing && s.out.empty() && !s.writing {
		s.cut()
	}
}

// echoCode is the code to answer a close frame with: its own, or 1002 if no client may send that.
func echoCode(payload []byte) uint16 {
	if len(payload) >= 2 {
		code := binary.BigEndian.Uint16(payload)
		if code >= 1000 && code < 1015 && (code < 1004 || code > 1006) || code >= 3000 && code < 5000 {
			return code
		}
	}
	return TransportError.Code
}

// fail ends things after an error: a candidate leaves the session alone, a session's connection is closed with the reason. What the client
// still sends is read and dropped, or the kernel would reset the connection and the close frame with it.
func (r *reader) fail(err error) {
	s := r.claim.session
	if r.probing {
		s.mu.Lock()
		reason := r.claim.dropped
		s.mu.Unlock()
		if reason == (Reason{}) {
			reason = badProbe
		}
		r.farewell(reason)
		return
	}
	var broken errFrame
	if errors.As(err, &broken) {
		s.Close(Reason(broken))
	}
	r.discard()
}

// discard reads until the connection ends; the session's alarm sees to it that it does.
func (r *reader) discard() {
	for buf := make([]byte, readBuffer); ; {
		if _, err := r.ws.Read(buf); err != nil {
			return
		}
	}
}

// farewell closes a connection that never became a session's.
func (r *reader) farewell(reason Reason) {
	if r.ws.writeAll(closeFrame(reason.Code, reason.Name), time.Second) == nil {
		r.ws.halfClose()
		_ = r.ws.SetReadDeadline(time.Now().Add(time.Second)) // fails only on a closed connection
		r.discard()
	}
}

// end is the reader's last act: the connection is gone.
func (r *reader) end() {
	s := r.claim.session
	if r.probing {
		r.claim.Abandon()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ws.broken = true
	if !s.closeLocked(TransportClosed) && s.state == stateClosing {
		s.cut()
	}
}
