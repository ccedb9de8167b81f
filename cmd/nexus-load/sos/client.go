package sos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"nexus/cmd/nexus-load/wire"
)

// client is one socket on /security: an officer, if its number is below how many there are, or a student.
type client struct {
	probe  *Probe
	number int
	conn   net.Conn
	ids    atomic.Int64
	closed atomic.Bool

	writing sync.Mutex
	in      []byte // read, but not handled yet; belongs to the reader
	buffer  []byte
}

// join returns a client that is connected to the namespace.
func join(ctx context.Context, p *Probe, number int, token string) (_ *client, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.options.Addr)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // which ends what is under way
	c := &client{probe: p, number: number, conn: conn, buffer: make([]byte, 16<<10)}
	defer func() {
		if err != nil {
			err = fmt.Errorf("connect client %d: %w", number, errors.Join(err, conn.Close()))
		}
	}()
	if _, err = conn.Write(wire.Handshake(p.options.Addr, p.options.Path)); err != nil {
		return nil, err
	}
	if err = c.upgraded(); err != nil {
		return nil, err
	}
	for _, step := range []struct {
		kind wire.Kind
		say  string
	}{{wire.Open, wire.Join(Namespace, token)}, {wire.Connected, ""}} {
		m, err := c.message()
		if err != nil {
			return nil, err
		}
		if got := wire.Read(m); got.Kind != step.kind {
			return nil, fmt.Errorf("the server says %.200q", m)
		}
		if step.say == "" {
			break
		}
		if err := c.write(wire.Text, step.say); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *client) upgraded() error {
	for {
		n, err := wire.Upgraded(c.in)
		if err != nil {
			return err
		}
		if n > 0 {
			c.in = c.in[n:]
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

// fill reads once more.
func (c *client) fill() error {
	n, err := c.conn.Read(c.buffer)
	c.in = append(c.in, c.buffer[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// message returns the next text message, whose bytes are good until the next call.
func (c *client) message() ([]byte, error) {
	for {
		f, n, err := wire.Next(c.in)
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			if err := c.fill(); err != nil {
				return nil, err
			}
			continue
		}
		c.in = c.in[n:]
		switch f.Op {
		case wire.Text:
			return f.Payload, nil
		case wire.Close:
			return nil, errors.New("closed by the server: " + wire.CloseReason(f.Payload))
		case wire.Ping:
			if err := c.write(wire.Pong, string(f.Payload)); err != nil {
				return nil, err
			}
		}
	}
}

// run handles what comes until the connection ends.
func (c *client) run() {
	for {
		m, err := c.message()
		at := time.Now()
		if err == nil {
			err = c.handle(wire.Read(m), at)
		}
		if err == nil {
			continue
		}
		if !c.closed.Load() {
			c.probe.mu.Lock()
			c.probe.fail(fmt.Errorf("client %d: %w", c.number, err))
			c.probe.mu.Unlock()
		}
		return
	}
}

func (c *client) handle(p wire.Packet, at time.Time) error {
	switch p.Kind {
	case wire.Beat:
		return c.write(wire.Text, wire.Pulse)
	case wire.Ack:
		c.probe.answered(c, p.ID, p.Data, at)
	case wire.Event:
		if err := c.event(p.Data, at); err != nil {
			return err
		}
		if p.ID >= 0 { // without which it comes again
			return c.write(wire.Text, wire.Answer(Namespace, p.ID))
		}
	case wire.Ended, wire.Left:
		return errors.New("disconnected by the server")
	}
	return nil
}

func (c *client) event(data []byte, at time.Time) error {
	var event []json.RawMessage
	var name string
	if err := json.Unmarshal(data, &event); err != nil || len(event) == 0 {
		return fmt.Errorf("an event of another form: %.200q", data)
	}
	if err := json.Unmarshal(event[0], &name); err != nil {
		return err
	}
	if name != "CRITICAL_ALERT" || len(event) < 2 || c.number >= c.probe.officers {
		return nil
	}
	var alert struct {
		IncidentID string `json:"incidentId"`
	}
	if err := json.Unmarshal(event[1], &alert); err != nil {
		return err
	}
	c.probe.heard(c.number, alert.IncidentID, at)
	return nil
}

// next is the id of the client's next packet.
func (c *client) next() int64 { return c.ids.Add(1) }

// key tells a packet from those of other clients.
func (c *client) key(id int64) int64 { return id<<20 | int64(c.number) }

func (c *client) emit(id int64, args string) error {
	return c.write(wire.Text, wire.Emit(Namespace, id, args))
}

func (c *client) write(op byte, text string) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.conn.Write(wire.AppendClient(nil, op, text))
	return err
}

func (c *client) close() {
	c.closed.Store(true)
	_ = c.conn.Close() // nothing is left to say
}
