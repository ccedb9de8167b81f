package socketio

import (
	"context"
	"errors"
	"time"
)

// DefaultCallTimeout is how long a Call without a Timeout waits.
const DefaultCallTimeout = 30 * time.Second

// How a Call fails, beside ErrDisconnected and errors of encoding.
var (
	ErrTimeout     = errors.New("socketio: no acknowledgement in time")
	ErrTooManyAcks = errors.New("socketio: too many pending acknowledgements")
)

// Call is an event that the client is to acknowledge.
type Call struct {
	Event   string
	Args    []any
	Lane    Lane
	Timeout time.Duration // for the acknowledgement to come; DefaultCallTimeout if zero
}

// pending is a Call that waits for its acknowledgement.
type pending struct {
	done  func(Args, error)
	timer *time.Timer
}

// Call emits an event and calls done exactly once: with the client's arguments, or with an error. done runs on any goroutine, also
// before Call returns, and must not block. A client with MaxPendingAcks calls open is closed with TooManyAcks.
func (s *Socket) Call(c Call, done func(Args, error)) { s.call(c, done) }

// call returns the acknowledgement's id.
func (s *Socket) call(c Call, done func(Args, error)) uint64 {
	if c.Timeout == 0 {
		c.Timeout = DefaultCallTimeout
	}
	s.mu.Lock()
	id := s.nextAck // never used again, whatever comes of this call
	s.nextAck++
	var err error
	switch {
	case s.state == disconnected:
		err = ErrDisconnected
	case len(s.acks) >= s.conn.srv.cfg.MaxPendingAcks:
		err = ErrTooManyAcks
	default:
		if s.acks == nil {
			s.acks = make(map[uint64]*pending)
		}
		s.acks[id] = &pending{done, time.AfterFunc(c.Timeout, func() { s.settle(id, Args{}, ErrTimeout) })}
	}
	s.mu.Unlock()
	if err != nil {
		if errors.Is(err, ErrTooManyAcks) {
			s.conn.session.Close(TooManyAcks)
		}
		done(Args{}, err)
		return id
	}
	m, err := encode(Packet{Type: TypeEvent, Namespace: s.home.name, ID: id, HasID: true}, c.Event, c.Args)
	if err == nil && !s.send(held{message: m, lane: c.Lane}) {
		err = ErrDisconnected
	}
	if err != nil {
		s.settle(id, Args{}, err)
	}
	return id
}

// EmitWithAck emits an event and waits for the client's acknowledgement, until ctx ends or DefaultCallTimeout has passed. Methods of
// Namespace better use Call: the connection's next packet waits for them.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	type outcome struct {
		args Args
		err  error
	}
	answer := make(chan outcome, 1)
	id := s.call(Call{Event: event, Args: args}, func(a Args, err error) { answer <- outcome{a, err} })
	select {
	case o := <-answer:
		return o.args, o.err
	case <-ctx.Done():
		s.settle(id, Args{}, ctx.Err())
		o := <-answer
		return o.args, o.err
	}
}

// settle ends the wait for an acknowledgement, and reports whether anybody waited. One that nobody waits for is ignored, as the
// reference does.
func (s *Socket) settle(id uint64, args Args, err error) bool {
	s.mu.Lock()
	p := s.acks[id]
	delete(s.acks, id)
	s.mu.Unlock()
	if p != nil {
		p.timer.Stop()
		p.done(args, err)
	}
	return p != nil
}
