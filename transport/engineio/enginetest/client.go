// Package enginetest is a bare Engine.IO client for tests, over an in-memory connection, so that it also runs under testing/synctest.
package enginetest

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"nexus/transport/engineio"
)

// patience bounds every wait of a test.
const patience = 30 * time.Minute

// The opcodes that tests speak of.
const (
	Text   = 0x1
	Binary = 0x2
	Close  = 0x8
	Ping   = 0x9
	Pong   = 0xa
)

// Frame is one frame of the server.
type Frame struct {
	Op      byte
	Payload string
}

// Client is the client's end of a WebSocket. It reads only when asked to, so a test that does not ask is a slow client.
type Client struct {
	t      testing.TB
	conn   net.Conn
	r      *bufio.Reader
	Served chan struct{} // closed when the server has done with the connection
}

// Request is a valid request; tests change what they need.
func Request(method, transport, sid string) engineio.Request {
	return engineio.Request{Method: method, EIO: "4", Transport: transport, SID: sid, RemoteAddr: "192.0.2.1"}
}

// Dial opens a WebSocket: a session of its own, or with a sid the upgrade of a polling session.
func Dial(t testing.TB, srv *engineio.Server, sid string, via Via) *Client {
	t.Helper()
	claim, refusal := srv.ClaimWebSocket(Request("GET", "websocket", sid))
	if claim == nil {
		t.Fatalf("upgrade refused: %d %s", refusal.Status, refusal.Body)
	}
	return Serve(t, srv, claim, via)
}

// Serve connects a client to a claim.
func Serve(t testing.TB, srv *engineio.Server, claim *engineio.Claim, via Via) *Client {
	here, there := net.Pipe()
	c := &Client{t: t, conn: here, r: bufio.NewReader(here), Served: make(chan struct{})}
	go func() {
		defer close(c.Served)
		if via == Goroutine {
			srv.ServeWebSocket(claim, there, nil)
			return
		}
		d := &detacher{Conn: there}
		srv.ServeWebSocket(claim, d, nil)
		if d.link != nil && d.link.started() {
			d.link.wait()
		}
	}()
	t.Cleanup(func() { c.Hangup() })
	return c
}

// Hangup drops the connection and waits until the server has noticed.
func (c *Client) Hangup() {
	_ = c.conn.Close() // a pipe's Close never fails
	<-c.Served
}

// Send writes a text message.
func (c *Client) Send(text string) { c.t.Helper(); c.Write(AppendFrame(nil, Text, []byte(text))) }

// SendBinary writes a binary message.
func (c *Client) SendBinary(data []byte) { c.t.Helper(); c.Write(AppendFrame(nil, Binary, data)) }

// Write writes bytes as they are.
func (c *Client) Write(p []byte) {
	c.t.Helper()
	if err := c.conn.SetWriteDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.conn.Write(p); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

// TryWrite is Write for a connection that may end meanwhile.
func (c *Client) TryWrite(p []byte) {
	_, _ = c.conn.Write(p) // it has ended
}

// Drain reads and drops frames until the connection ends, whatever they are.
func (c *Client) Drain() {
	_, _ = io.Copy(io.Discard, c.r) // it has ended
}

// Next reads the server's next frame; ok is false at the end of the connection.
func (c *Client) Next() (f Frame, ok bool) {
	c.t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return Frame{}, false
	}
	f, err := ReadFrame(c.r)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		c.t.Fatalf("read: %v", err)
	}
	return f, err == nil
}

// Expect reads data frames and compares them; binary ones are written "b:" and their bytes.
func (c *Client) Expect(want ...string) {
	c.t.Helper()
	for _, w := range want {
		if got := c.NextText(); got != w {
			c.t.Fatalf("got %q, want %q", got, w)
		}
	}
}

// NextText reads the next data frame.
func (c *Client) NextText() string {
	c.t.Helper()
	f, ok := c.Next()
	switch {
	case !ok:
		c.t.Fatal("the connection has ended")
	case f.Op == Close:
		c.t.Fatalf("closed: %d %s", binary.BigEndian.Uint16([]byte(f.Payload)), f.Payload[2:])
	case f.Op == Binary:
		return "b:" + f.Payload
	}
	return f.Payload
}

// ExpectClose reads up to a close frame with the reason, then to the end.
func (c *Client) ExpectClose(want engineio.Reason) {
	c.t.Helper()
	for {
		f, ok := c.Next()
		if !ok {
			c.t.Fatalf("ended without a close frame, want %v", want)
		}
		if f.Op != Close {
			continue
		}
		got := engineio.Reason{Code: binary.BigEndian.Uint16([]byte(f.Payload)), Name: f.Payload[2:]}
		if got != want {
			c.t.Fatalf("closed with %d %q, want %d %q", got.Code, got.Name, want.Code, want.Name)
		}
		c.Hangup()
		return
	}
}

// AppendFrame appends a whole masked frame.
func AppendFrame(dst []byte, op byte, payload []byte) []byte {
	return AppendPart(dst, op, true, payload)
}

// AppendPart appends a masked frame that may be one of several.
func AppendPart(dst []byte, op byte, final bool, payload []byte) []byte {
	if final {
		op |= 0x80
	}
	dst = append(dst, op)
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, 0x80|byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, 4}
	dst = append(dst, key[:]...)
	for i, b := range payload {
		dst = append(dst, b^key[i&3])
	}
	return dst
}

// ReadFrame reads one frame of a server.
func ReadFrame(r *bufio.Reader) (Frame, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Frame{}, err
	}
	n := uint64(head[1])
	if n >= 126 {
		long := make([]byte, map[uint64]int{126: 2, 127: 8}[n])
		if _, err := io.ReadFull(r, long); err != nil {
			return Frame{}, err
		}
		n = binary.BigEndian.Uint64(append(make([]byte, 8-len(long)), long...))
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(r, payload)
	return Frame{head[0] & 0x0f, string(payload)}, err
}

// Poll makes a polling request and gives its status and body.
func Poll(srv *engineio.Server, method, sid, body string) (int, string) {
	r := Request(method, "polling", sid)
	r.Body = []byte(body)
	answer := srv.ServePoll(context.Background(), r)
	return answer.Status, string(answer.Body)
}
