package engineio_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// upper is an upper layer that writes down what it hears.
type upper struct {
	via      enginetest.Via
	mu       sync.Mutex
	sessions []*engineio.Session
	got      []string
	closed   []engineio.Reason
	receive  func(s *engineio.Session, data []byte, binary bool) // if set
}

type receiver struct {
	upper   *upper
	session *engineio.Session
}

func (u *upper) accept(s *engineio.Session) engineio.Receiver {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sessions = append(u.sessions, s)
	return receiver{u, s}
}

func (r receiver) Receive(data []byte, binary bool) {
	text := string(data)
	if binary {
		text = "b:" + text
	}
	r.upper.mu.Lock()
	r.upper.got = append(r.upper.got, text)
	r.upper.mu.Unlock()
	if r.upper.receive != nil {
		r.upper.receive(r.session, data, binary)
	}
}

func (r receiver) Closed(reason engineio.Reason) {
	r.upper.mu.Lock()
	defer r.upper.mu.Unlock()
	r.upper.closed = append(r.upper.closed, reason)
}

func (u *upper) session() *engineio.Session {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.sessions[len(u.sessions)-1]
}

// heard is everything received, and the reasons.
func (u *upper) heard() string {
	synctest.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	return fmt.Sprint(u.got, u.closed)
}

// world runs a test of a server in a bubble of its own time, and shuts the server down at the end: once with a goroutine for each
// WebSocket, and once with Links.
func world(t *testing.T, cfg engineio.Config, test func(t *testing.T, srv *engineio.Server, u *upper)) {
	t.Helper()
	for _, via := range []enginetest.Via{enginetest.Goroutine, enginetest.Linked} {
		t.Run(string(via), func(t *testing.T) { worldVia(t, via, cfg, test) })
	}
}

func worldVia(t *testing.T, via enginetest.Via, cfg engineio.Config, test func(t *testing.T, srv *engineio.Server, u *upper)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		u := &upper{via: via}
		srv, err := engineio.NewServer(cfg, u.accept)
		if err != nil {
			t.Fatal(err)
		}
		test(t, srv, u)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := srv.Shutdown(ctx, engineio.ShuttingDown); err != nil {
			t.Errorf("shutdown: %v, %d sessions left", err, srv.Len())
		}
	})
}

// poll is a polling client's request in the background.
type poll struct {
	status int
	body   string
	done   chan struct{}
}

func get(ctx context.Context, srv *engineio.Server, sid string) *poll {
	p := &poll{done: make(chan struct{})}
	go func() {
		defer close(p.done)
		answer := srv.ServePoll(ctx, enginetest.Request("GET", "polling", sid))
		p.status, p.body = answer.Status, string(answer.Body)
	}()
	synctest.Wait()
	return p
}

// expect waits for the answer.
func (p *poll) expect(t *testing.T, status int, body string) {
	t.Helper()
	<-p.done
	if p.status != status || p.body != body {
		t.Fatalf("poll answered %d %q, want %d %q", p.status, p.body, status, body)
	}
}

const (
	unknownSID = `{"code":1,"message":"Session ID unknown"}`
	badRequest = `{"code":3,"message":"Bad request"}`
)

// ask makes a request in the foreground and compares the answer.
func ask(t *testing.T, srv *engineio.Server, method, sid, body string, status int, want string) {
	t.Helper()
	gotStatus, got := enginetest.Poll(srv, method, sid, body)
	if gotStatus != status || got != want {
		t.Fatalf("%s %q: %d %q, want %d %q", method, body, gotStatus, got, status, want)
	}
}

// handshake opens a polling session and gives its id.
func handshake(t *testing.T, srv *engineio.Server, u *upper) string {
	t.Helper()
	if status, body := enginetest.Poll(srv, "GET", "", ""); status != 200 {
		t.Fatalf("handshake: %d %s", status, body)
	}
	return u.session().ID()
}

// upgraded is a session that moved to WebSocket.
func upgraded(t *testing.T, srv *engineio.Server, u *upper) (*enginetest.Client, *engineio.Session) {
	t.Helper()
	sid := handshake(t, srv, u)
	c := enginetest.Dial(t, srv, sid, u.via)
	c.Send("2probe")
	c.Expect("3probe")
	c.Send("5")
	synctest.Wait()
	return c, u.session()
}

// dialed is a session that began on WebSocket, its open packet read.
func dialed(t *testing.T, srv *engineio.Server, u *upper) (*enginetest.Client, *engineio.Session) {
	t.Helper()
	c := enginetest.Dial(t, srv, "", u.via)
	if open := c.NextText(); open[0] != '0' {
		t.Fatalf("got %q for an open packet", open)
	}
	synctest.Wait()
	return c, u.session()
}

func text(s string) engineio.Message { return engineio.NewMessage([]byte(s)) }
