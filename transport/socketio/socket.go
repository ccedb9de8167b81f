package socketio

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"nexus/transport/engineio"
)

// maxHeld bounds the messages that wait for the answer to CONNECT.
const maxHeld = 256

// ErrDisconnected is returned for a socket that is no longer connected.
var ErrDisconnected = errors.New("socketio: disconnected")

// Lane is how a message waits for its turn on the connection; see package engineio.
type Lane uint8

// The two lanes of messages that are never dropped.
const (
	Reliable Lane = iota // in order
	Urgent               // ahead of all that is not urgent
)

// Socket is one client in one namespace. Its methods are safe for concurrent use and, but for EmitWithAck, never block.
type Socket struct {
	// Value is the upper layer's. It is best set in Namespace.Connect and left alone.
	Value any

	conn *conn
	id   string
	home *home

	mu       sync.Mutex
	state    socketState
	admitted bool     // Connect has said yes: Disconnect will be called
	joining  *joining // nil once the client was told that it is connected
	acks     map[uint64]*pending
	nextAck  uint64
}

// joining is what a socket needs until its client was told that it is connected.
type joining struct {
	held []held
	pid  string
}

type socketState uint8

const (
	connecting socketState = iota
	connected
	disconnected
)

// held is a message pushed before the client was told that it is connected.
type held struct {
	message engineio.Message
	slot    string // of a lossy one
	lane    Lane
	lossy   bool
}

// ID is the socket's public name, which its client knows too. It gives no access to the connection.
func (s *Socket) ID() string { return s.id }

// Namespace is the name of the socket's namespace.
func (s *Socket) Namespace() string { return s.home.name }

// RemoteAddr is the client's address as the adapter saw it.
func (s *Socket) RemoteAddr() string { return s.conn.session.RemoteAddr() }

// Origin is the Origin header of the connection's first request, "" for native clients.
func (s *Socket) Origin() string { return s.conn.session.Origin() }

// Transport is what the connection lives on now.
func (s *Socket) Transport() engineio.Transport { return s.conn.session.Transport() }

// ConnectionID names the connection that the socket shares with others of its client. It is a secret: see engineio.
func (s *Socket) ConnectionID() string { return s.conn.session.ID() }

// SetPID names the socket to its client, which names it in turn, as pid, in the CONNECT by which it comes back. A client that is named by the name
// that it came with takes itself for recovered. It is for Namespace.Connect; later it does nothing.
func (s *Socket) SetPID(pid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joining != nil {
		s.joining.pid = pid
	}
}

// Emit sends an event, reliably and in order.
func (s *Socket) Emit(event string, args ...any) error {
	m, err := EncodeEvent(s.home.name, event, args...)
	if err != nil {
		return err
	}
	if !s.Push(m) {
		return ErrDisconnected
	}
	return nil
}

// Push sends a message made by EncodeEvent for this namespace, reliably and in order. It reports false if the socket is
// disconnected, also because this message was too much for its queue.
func (s *Socket) Push(m engineio.Message) bool { return s.send(held{message: m}) }

// PushUrgent is Push past all that is not urgent.
func (s *Socket) PushUrgent(m engineio.Message) bool { return s.send(held{message: m, lane: Urgent}) }

// Offer sends a message made by EncodeEvent for this namespace when the client can take it, unless a newer one in the same slot
// comes first. Slot names are shared by the sockets of a connection. It reports false if nothing will be sent.
func (s *Socket) Offer(slot string, m engineio.Message) bool {
	return s.send(held{message: m, slot: slot, lossy: true})
}

func (s *Socket) send(h held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state == connected:
		return s.deliver(h)
	case s.state == disconnected:
		return false
	case len(s.joining.held) >= maxHeld:
		s.conn.session.Close(engineio.SlowClient)
		return false
	}
	s.joining.held = append(s.joining.held, h)
	return true
}

// deliver hands a message to the session; s.mu is held, which keeps messages in order around the answer to CONNECT.
func (s *Socket) deliver(h held) bool {
	switch {
	case h.lossy:
		return s.conn.session.Offer(h.slot, h.message)
	case h.lane == Urgent:
		return s.conn.session.PushUrgent(h.message)
	}
	return s.conn.session.Push(h.message)
}

// Disconnect takes the socket out of its namespace; the connection and its other sockets go on. The client is told and does not come
// back by itself. ServerDisconnect is the usual reason.
func (s *Socket) Disconnect(reason Reason) { s.leave(reason, true) }

// CloseConnection closes the connection with all its sockets. An official client connects again by itself.
func (s *Socket) CloseConnection(reason Reason) { s.conn.session.Close(reason) }

// leave disconnects the socket, by the client's or the server's wish.
func (s *Socket) leave(reason Reason, byServer bool) {
	if byServer {
		s.send(held{message: encodePacket(Packet{Type: TypeDisconnect, Namespace: s.home.name})})
	}
	if s.conn.remove(s, byServer) {
		s.gone()
		s.conn.later(func() { s.ended(reason) })
	}
}

// connectAnswer is the payload of a CONNECT answer.
type connectAnswer struct {
	SID string `json:"sid"`
	PID string `json:"pid,omitempty"`
}

// admit answers CONNECT and lets go what was held. The answer is urgent, or an urgent message could overtake it.
func (s *Socket) admit() {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := marshal(connectAnswer{SID: s.id, PID: s.joining.pid})
	if err != nil {
		panic(err) // strings always encode
	}
	s.admitted = true
	answer := Packet{Type: TypeConnect, Namespace: s.home.name, Data: data}
	s.conn.session.Together(func() {
		s.deliver(held{message: encodePacket(answer), lane: Urgent})
		for _, h := range s.joining.held {
			s.deliver(h)
		}
	})
	s.joining = nil
	if s.state == connecting {
		s.state = connected
	}
}

// refused is the end of a socket that Connect turned away.
func (s *Socket) refused() {
	s.conn.remove(s, false)
	s.gone()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joining = nil
}

// gone refuses all further output and fails what waits for acknowledgements.
func (s *Socket) gone() {
	s.mu.Lock()
	s.state = disconnected
	acks := s.acks
	s.acks = nil
	s.mu.Unlock()
	for _, p := range acks {
		p.timer.Stop()
		p.done(Args{}, ErrDisconnected)
	}
}

// ended tells the namespace, after the last event but one of Config.Ahead.
func (s *Socket) ended(reason Reason) {
	s.mu.Lock()
	admitted := s.admitted
	s.mu.Unlock()
	if admitted {
		s.home.Disconnect(s, reason)
	}
}

// event hands an event to the namespace.
func (s *Socket) event(p Packet, args Args, at time.Time) {
	name, err := eventName(p.Data)
	if err != nil {
		panic(err) // Decode has checked it
	}
	e := Event{Name: name, Args: Args{Raw: args.Raw[1:], Attachments: args.Attachments}, At: at}
	if p.HasID {
		e.Ack = s.acker(p.ID, slices.Contains(s.conn.srv.cfg.Apart, name))
	}
	s.home.Event(s, e)
}

// acker is the Ack of one event. An urgent one does not wait behind what is queued.
func (s *Socket) acker(id uint64, urgent bool) func(args ...any) error {
	var once sync.Once
	return func(args ...any) (err error) {
		once.Do(func() {
			var m engineio.Message
			if m, err = encode(Packet{Type: TypeAck, Namespace: s.home.name, ID: id, HasID: true}, "", args); err != nil {
				return
			}
			push := s.Push
			if urgent {
				push = s.PushUrgent
			}
			if !push(m) {
				err = ErrDisconnected
			}
		})
		return err
	}
}

// encodePacket makes the message of a packet without attachments.
func encodePacket(p Packet) engineio.Message { return engineio.NewMessage(p.AppendTo(nil)) }

// marshal is json.Marshal without escaping HTML.
func marshal(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	err := appendJSON(&b, v)
	return b.Bytes(), err
}
