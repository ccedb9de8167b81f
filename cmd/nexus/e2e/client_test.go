package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// A client is the official socket.io-client, in a Node process of its own. What it tells waits here until it is expected.
type client struct {
	t    testing.TB
	in   io.WriteCloser
	acks int

	mu     sync.Mutex
	events []event
	more   chan struct{} // closed when there is more
	gone   bool
}

// An event is what the driver tells; see driver.mjs.
type event struct {
	Kind      string
	Name      string
	Args      []json.RawMessage
	At        float64 // ms
	Transport string
	Ack       int
	Error     string // of ack: none came in time
	Recovered bool   // of connect: the client takes itself for what it was before
}

// options are those of the official client's io().
type options map[string]any

// with returns options that carry a token.
func with(token string) options { return options{"auth": map[string]string{"token": token}} }

// dial opens a socket in a namespace. It does not wait for anything.
func dial(t testing.TB, s *server, namespace string, o options) *client {
	t.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		t.Fatal("Node 18 or newer is needed; type: sudo apt-get install -y nodejs npm")
	}
	if _, err := os.Stat("node_modules/socket.io-client"); err != nil {
		t.Fatal("the official client is needed; type: npm ci --prefix cmd/nexus/e2e")
	}
	cmd := exec.Command("node", "driver.mjs")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, in: in, more: make(chan struct{})}
	read := make(chan error, 1)
	go func() { read <- c.read(out) }()
	t.Cleanup(func() {
		err := in.Close() // which ends the driver
		if e := <-read; err == nil {
			err = e
		}
		if e := cmd.Wait(); err == nil {
			err = e
		}
		if err != nil {
			t.Errorf("the client's end: %v", err)
		}
	})
	if o == nil {
		o = options{}
	}
	c.command(map[string]any{"op": "dial", "url": s.url, "ns": namespace, "options": o})
	return c
}

// connect dials and waits until the namespace is joined.
func connect(t testing.TB, s *server, namespace string, o options) *client {
	t.Helper()
	c := dial(t, s, namespace, o)
	c.expect("connect")
	return c
}

func (c *client) read(out io.Reader) error {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
		c.mu.Lock()
		c.events = append(c.events, e)
		c.notify()
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.gone = true
	c.notify()
	c.mu.Unlock()
	return lines.Err()
}

// notify needs the lock.
func (c *client) notify() {
	close(c.more)
	c.more = make(chan struct{})
}

func (c *client) command(m map[string]any) {
	c.t.Helper()
	line, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(line, '\n')); err != nil {
		c.t.Fatalf("tell the client: %v", err)
	}
}

// emit sends an event and forgets it.
func (c *client) emit(name string, args ...any) {
	c.t.Helper()
	c.command(map[string]any{"op": "emit", "event": name, "args": list(args)})
}

// call sends an event, waits for its callback and reads the callback's argument.
func (c *client) call(answer any, name string, args ...any) {
	c.t.Helper()
	c.acks++
	n := c.acks
	c.command(map[string]any{"op": "emit", "event": name, "args": list(args), "ack": n})
	e := c.await("the callback of "+name, func(e event) bool { return e.Kind == "ack" && e.Ack == n })
	if len(e.Args) != 1 {
		c.t.Fatalf("%s answered with %d arguments, want 1: %s", name, len(e.Args), e.Args)
	}
	decode(c.t, e.Args[0], answer)
}

func list(args []any) []any { return append([]any{}, args...) }

// expect waits for the next thing of a kind: open, upgrade, connect, connect_error or disconnect.
func (c *client) expect(kind string) event {
	c.t.Helper()
	return c.await(kind, func(e event) bool { return e.Kind == kind })
}

// await waits for an event and takes it out of what has come.
func (c *client) await(what string, match func(event) bool) event {
	c.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		for i, e := range c.events {
			if match(e) {
				c.events = append(c.events[:i:i], c.events[i+1:]...)
				c.mu.Unlock()
				return e
			}
		}
		gone, more, seen := c.gone, c.more, len(c.events)
		c.mu.Unlock()
		if gone {
			c.t.Fatalf("the client ended before %s", what)
		}
		select {
		case <-more:
		case <-timeout.C:
			c.t.Fatalf("no %s within %v; came: %s", what, patience, c.shown(seen))
		}
	}
}

func (c *client) shown(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	for _, e := range c.events[max(0, n-8):] {
		text += fmt.Sprintf("\n%s %s %s", e.Kind, e.Name, e.Args)
	}
	return text
}

// forget drops what has come by now.
func (c *client) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = nil
}

// none fails if something that matches has come by now.
func (c *client) none(what string, match func(event) bool) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if match(e) {
			c.t.Errorf("%s: %s %s %s", what, e.Kind, e.Name, e.Args)
		}
	}
}

// crowd is a CROWD_UPDATE.
type crowd struct {
	HallID, Hall, Status, WaitTime, Source, Timestamp string
	Level, WaitMinutes, Occupancy, Capacity           int
	AsOf                                              *string
	Stale                                             bool
	Seq                                               int64

	At  float64         // when the client had it, in ms since the Unix epoch
	Raw json.RawMessage // as it came
}

// crowd waits for the next CROWD_UPDATE that fits; nil takes any.
func (c *client) crowd(what string, fits func(crowd) bool) crowd {
	c.t.Helper()
	var u crowd
	c.await(what, func(e event) bool {
		if e.Kind != "event" || e.Name != "CROWD_UPDATE" {
			return false
		}
		u = crowd{At: e.At, Raw: e.Args[0]}
		decode(c.t, e.Args[0], &u)
		return fits == nil || fits(u)
	})
	return u
}

// follows reports whether no tick came between the two. A hall whose claim was renewed, as after a write whose outcome nobody knows, goes on
// above all that was.
func (u crowd) follows(was crowd) bool {
	const activation = 30 // bits for the ticks of one claim
	return u.Seq == was.Seq+1 || u.Seq>>activation > was.Seq>>activation
}

func decode(t testing.TB, raw []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatalf("read %.300s: %v", raw, err)
	}
}
