package engineio

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

const (
	// readBuffer is what a WebSocket reader holds while its client is silent, in bytes.
	readBuffer = 512
	// linkBuffer is what is read from a Link at once. It is lent for as long as the client has something to say.
	linkBuffer = 8 << 10
)

// reader reads one WebSocket: on a goroutine of its own, which waits for the client, or on a Link, where it is a goroutine for as long as
// there is something to read.
type reader struct {
	session *Session
	ws      *wsConn
	decoder frameDecoder
	claim   *Claim // of a candidate that is not yet the session's transport, else nil
	begun   bool   // a message has begun to come in, and the session knows

	ahead []byte       // what the connection had read before it became a Link
	deaf  bool         // what comes is dropped
	turns atomic.Int32 // on a Link: idle, running or again
}

// The turns of a reader on a Link.
const (
	idle    int32 = iota
	running       // a goroutine reads
	again         // and is to look once more
)

var (
	errProbe   = errors.New("engineio: not a probe")
	errGoodbye = errors.New("engineio: the client closes")
)

// run reads until the connection ends, or has become a Link.
func (r *reader) run() {
	returned := false
	defer func() {
		if r.ws.link == nil || !returned {
			r.end()
		}
	}()
	var buf []byte
	if r.ws.link == nil {
		buf = make([]byte, readBuffer)
	}
	for r.ws.link == nil {
		n, err := r.ws.Read(buf)
		if n > 0 && !r.feed(buf[:n]) {
			r.deaf = true
			break
		}
		if err != nil {
			if r.claim != nil {
				r.fail(err)
			}
			break
		}
	}
	returned = true
	if r.ws.link != nil {
		r.start()
	}
}

// feed decodes what came in, and reports whether there is to be more.
func (r *reader) feed(p []byte) bool {
	if err := r.decoder.feed(p, r.frame); err != nil {
		r.fail(err)
		return false
	}
	r.mark()
	return true
}

// start begins to read a Link.
func (r *reader) start() {
	if err := r.ws.link.Start(r); err != nil {
		r.end()
		return
	}
	if r.ahead != nil {
		r.Ready(true, false) // the Link knows nothing of it
	}
}

// Ready implements Readier.
func (r *reader) Ready(read, write bool) {
	if write {
		r.session.writable()
	}
	for read {
		switch turn := r.turns.Load(); {
		case turn == idle && r.turns.CompareAndSwap(idle, running):
			go r.turn()
			return
		case turn == again, turn == running && r.turns.CompareAndSwap(running, again):
			return
		}
	}
}

var linkBuffers = sync.Pool{New: func() any { b := make([]byte, linkBuffer); return &b }}

// turn reads a Link until it has no more, on a goroutine that ends then.
func (r *reader) turn() {
	buf := linkBuffers.Get().(*[]byte)
	defer linkBuffers.Put(buf)
	returned := false
	defer func() {
		if !returned { // by a panic of the upper layer
			r.end()
		}
		if cause := recover(); cause != nil {
			LogPanic(cause)
		}
	}()
	if ahead := r.ahead; ahead != nil {
		r.ahead = nil
		r.deaf = !r.feed(ahead)
	}
	for {
		n, err := r.ws.link.Read(*buf)
		if n > 0 && !r.deaf {
			r.deaf = !r.feed((*buf)[:n])
		}
		if err != nil {
			r.end()
			break
		}
		if n < len(*buf) {
			if r.turns.CompareAndSwap(running, idle) {
				break
			}
			r.turns.Store(running)
		}
	}
	returned = true
}

// mark tells the session when a message begins to come in and when it is whole: half of one must not be held for ever. Most come in
// one piece, and cost nothing here. A candidate has its own deadline.
func (r *reader) mark() {
	if begun := r.claim == nil && r.decoder.unfinished(); begun != r.begun {
		r.begun = begun
		r.session.expect(begun)
	}
}

// frame handles one data message or control frame.
func (r *reader) frame(op byte, payload []byte) error {
	if r.begun && r.decoder.msgOp == 0 { // what has begun is whole; what comes behind it has time of its own
		r.begun = false
		r.session.expect(false)
	}
	if r.claim != nil {
		return r.probe(op, payload)
	}
	s := r.session
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
	timeout := r.session.srv.cfg.WriteTimeout
	switch {
	case op == opPing:
		return r.ws.writeAll(frameMessage(opPong, payload), timeout)
	case op == opPong:
		return nil
	case op == opText && string(payload) == "2probe":
		if err := r.ws.writeAll(frameMessage(opText, []byte("3probe")), timeout); err != nil {
			return err
		}
		r.session.probeSeen(r.claim)
		return nil
	case op == opText && string(payload) == "5":
		return r.upgrade()
	}
	return errProbe
}

// upgrade makes the candidate the session's transport, on a Link where the connection can be one.
func (r *reader) upgrade() error {
	ws, ahead := detach(r.ws)
	if !r.session.upgrade(r.claim, ws) {
		if ws != r.ws {
			ws.close()
		}
		return errProbe
	}
	r.claim, r.ws, r.ahead = nil, ws, ahead
	return nil
}

// detach turns a connection into a Link if it can be one, and returns it as it is otherwise: then it keeps its goroutine.
func detach(ws *wsConn) (_ *wsConn, ahead []byte) {
	d, ok := ws.Conn.(Detacher)
	if !ok {
		return ws, nil
	}
	l, ahead, err := d.Detach()
	if err != nil {
		return ws, nil
	}
	return &wsConn{link: l}, ahead
}

// goodbye answers the client's close frame with its own code, or only notes it if ours has gone out.
func (r *reader) goodbye(payload []byte) {
	s := r.session
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

// echoCode is the code to answer a close frame with: its own, or 1002 if no client may send that, or 1007 if its text is none.
func echoCode(payload []byte) uint16 {
	if len(payload) < 2 {
		return TransportError.Code
	}
	code := binary.BigEndian.Uint16(payload)
	switch {
	case (code < 1000 || code >= 1015 || code >= 1004 && code <= 1006) && (code < 3000 || code >= 5000):
		return TransportError.Code
	case !utf8.Valid(payload[2:]):
		return InvalidText.Code
	}
	return code
}

// fail ends things after an error: a candidate leaves the session alone, a session's connection is closed with the reason. What the client
// still sends is read and dropped, or the kernel would reset the connection and the close frame with it.
func (r *reader) fail(err error) {
	s := r.session
	if r.claim != nil {
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
	if r.ws.link == nil {
		r.discard()
	}
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
	s := r.session
	if r.claim != nil {
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
