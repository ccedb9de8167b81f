package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"nexus/cmd/nexus-chaos/history"
)

// Radio is a device on /security. It writes down every line of its owner's stream, acknowledges it, and comes back whenever its
// connection ends, from where it was.
type Radio struct {
	Web       *Web
	Name      string // of the device
	User      string // whose it is, such as officer1
	Header    http.Header
	From      int64 // the offset that it begins after
	Scattered bool
	Forgetful bool // every other time that it comes back it leaves it to the server to know the offset

	hear func(history.Delivery) // of what is new; may be nil

	mu          sync.Mutex
	conn        *websocket.Conn // nil while it is away
	calls       map[int]chan json.RawMessage
	number      int // of the last call
	offset      int64
	connections int
}

// callLimit bounds a call of a radio; a connection that does not answer in that time is given up.
const callLimit = 2 * time.Second

var errAway = errors.New("not connected")

// Run listens until ctx ends.
func (r *Radio) Run(ctx context.Context) {
	r.mu.Lock()
	r.offset = r.From
	r.mu.Unlock()
	for ctx.Err() == nil {
		r.connect(ctx)
		sleep(ctx, comeBackLeast+rand.N(comeBackMost-comeBackLeast))
	}
}

// Offset is how far it has come in its owner's stream.
func (r *Radio) Offset() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.offset
}

// Drop breaks the connection, if there is one.
func (r *Radio) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		_ = r.conn.Close() // its reader tells
	}
}

// Call emits an event and returns the first argument of the answer.
func (r *Radio) Call(ctx context.Context, event string, arg any) (json.RawMessage, error) {
	args, err := json.Marshal([]any{event, arg})
	if err != nil {
		return nil, err
	}
	answer := make(chan json.RawMessage, 1)
	r.mu.Lock()
	if r.conn == nil {
		r.mu.Unlock()
		return nil, errAway
	}
	conn := r.conn
	r.number++
	id := r.number
	r.calls[id] = answer
	err = conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, "42/security,%d%s", id, args))
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	limit := time.NewTimer(callLimit)
	defer limit.Stop()
	select {
	case a, ok := <-answer:
		if !ok {
			return nil, errors.New("disconnected before the answer: EOF")
		}
		return a, nil
	case <-limit.C:
		_ = conn.Close() // and look for another node
		return nil, errors.New("no answer in time")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect listens on one connection.
func (r *Radio) connect(ctx context.Context) {
	targets := r.Web.targets(r.Scattered)
	to := targets[rand.IntN(len(targets))]
	//nolint:bodyclose // a handshake's answer has a copy of what was read of its body, and nothing to close
	conn, _, err := dialer.DialContext(ctx, strings.Replace(to.URL, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", http.Header{"X-Forwarded-For": {someAddress()}})
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // which ends the reading below
	defer func() {
		stop()
		_ = conn.Close() // closed or broken already, as a rule
		r.mu.Lock()
		for _, answer := range r.calls {
			close(answer)
		}
		r.conn, r.calls = nil, nil
		r.mu.Unlock()
	}()
	auth := map[string]any{"token": strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}
	r.mu.Lock()
	r.connections++
	if !r.Forgetful || r.connections%2 == 1 {
		auth["offset"] = r.offset
	}
	r.mu.Unlock()
	hello, err := json.Marshal(auth)
	if err != nil {
		return
	}
	if err := conn.WriteMessage(websocket.TextMessage, append([]byte("40/security,"), hello...)); err != nil {
		return
	}
	for {
		if err := conn.SetReadDeadline(time.Now().Add(45 * time.Second)); err != nil {
			return
		}
		_, data, err := conn.ReadMessage()
		if err != nil || !r.packet(conn, data) {
			return
		}
	}
}

// packet takes one message, and reports whether the connection goes on.
func (r *Radio) packet(conn *websocket.Conn, data []byte) bool {
	if string(data) == "2" {
		return r.write(conn, []byte("3")) == nil
	}
	kind, rest, ours := bytes.Cut(data, []byte("/security,"))
	if !ours {
		return true
	}
	switch string(kind) {
	case "40":
		r.mu.Lock()
		r.conn, r.calls = conn, make(map[int]chan json.RawMessage)
		r.mu.Unlock()
	case "43":
		r.answered(rest)
	case "42":
		return r.event(conn, rest) == nil
	case "41", "44":
		return false
	}
	return true
}

func (r *Radio) write(conn *websocket.Conn, data []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return conn.WriteMessage(websocket.TextMessage, data)
}

// numbered parts the id of a call from its arguments.
func numbered(data []byte) (id string, args []json.RawMessage, err error) {
	n := bytes.IndexByte(data, '[')
	if n < 0 {
		return "", nil, errors.New("no arguments")
	}
	err = json.Unmarshal(data[n:], &args)
	return string(data[:n]), args, err
}

func (r *Radio) answered(data []byte) {
	text, args, err := numbered(data)
	if err != nil || len(args) == 0 {
		return // the call runs into its limit
	}
	id, err := strconv.Atoi(text)
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if answer, waits := r.calls[id]; waits {
		delete(r.calls, id)
		answer <- args[0]
	}
}

// event writes a line down and acknowledges it, in this order.
func (r *Radio) event(conn *websocket.Conn, data []byte) error {
	id, args, err := numbered(data)
	if err != nil {
		return err
	}
	var name string
	if len(args) < 2 || json.Unmarshal(args[0], &name) != nil {
		return nil // nothing of ours has no argument
	}
	switch name {
	case "CRITICAL_ALERT", "INCIDENT_EVENT", "stream:reset":
		var line struct {
			IncidentID, DeliveryID string
			Seq, Offset            int64
		}
		if err := json.Unmarshal(args[1], &line); err != nil {
			return err
		}
		r.mu.Lock()
		d := history.Delivery{
			Client: r.Name, Connection: r.connections, Name: name, ID: line.DeliveryID, Offset: line.Offset,
			Incident: line.IncidentID, Seq: line.Seq, At: r.Web.Log.Now(),
		}
		fresh := d.ID != "" && d.Offset > r.offset
		if fresh {
			r.offset = d.Offset
		}
		r.mu.Unlock()
		r.Web.Log.Take(d)
		if fresh && r.hear != nil {
			r.hear(d)
		}
	}
	if id == "" {
		return nil
	}
	return r.write(conn, []byte("43/security,"+id+"[]"))
}
