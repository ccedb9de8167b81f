package e2e_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// edge is a place in the transaction that gives back a seat.
type edge string

const (
	beforeWrites edge = "before its writes" // nothing is written
	beforeCommit edge = "before the commit" // all is written, and nothing kept
	beforeAnswer edge = "before the answer" // all is kept, and the server does not know
)

// wire is the way of a server to its database, which can be cut at an edge.
type wire struct {
	url    string
	target string // network address of the database
	unix   bool

	mu     sync.Mutex
	edge   edge          // "" for none
	struck chan struct{} // closed once it is cut there
	dead   bool          // nothing passes until it is healed
	conns  []net.Conn
}

// tap puts a wire before a database. It ends with the test.
func tap(t *testing.T, database string) *wire {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{target: u.Host}
	if dir := u.Query().Get("host"); dir != "" {
		w.target, w.unix = dir+"/.s.PGSQL.5432", true
		if port := u.Query().Get("port"); port != "" {
			w.target = dir + "/.s.PGSQL." + port
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Del("host")
	q.Del("port")
	q.Set("sslmode", "disable")
	q.Set("default_query_exec_mode", "describe_exec") // each statement is sent whole, and can be read on the way
	u.Host, u.RawQuery = listener.Addr().String(), q.Encode()
	w.url = u.String()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var all sync.WaitGroup
		defer all.Wait()
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { w.carry(client) })
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		w.heal()
		<-ended
	})
	return w
}

// strike has the wire cut at an edge, and says when.
func (w *wire) strike(e edge) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edge, w.struck = e, make(chan struct{})
	return w.struck
}

// heal ends what was cut; new connections pass.
func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.edge, w.dead = "", false
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

// cut is called at an edge: from then on nothing passes.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead, w.edge = true, ""
	close(w.struck)
}

func (w *wire) at() (e edge, dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.edge, w.dead
}

func (w *wire) carry(client net.Conn) {
	network := "tcp"
	if w.unix {
		network = "unix"
	}
	server, err := net.Dial(network, w.target)
	if err != nil {
		_ = client.Close()
		return
	}
	w.mu.Lock()
	w.conns = append(w.conns, client, server)
	w.mu.Unlock()
	seen, sent := false, false // the connection's: vacating seats, and committing that
	var both sync.WaitGroup
	var mu sync.Mutex
	both.Go(func() {
		w.copy(server, client, func(data []byte) bool {
			e, _ := w.at()
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(data, []byte("VacateSeats")) {
				if e == beforeWrites {
					return true
				}
				seen = e != ""
			}
			if seen && bytes.Contains(bytes.ToLower(data), []byte("commit")) {
				if e == beforeCommit {
					return true
				}
				sent = true
			}
			return false
		})
	})
	both.Go(func() {
		w.copy(client, server, func(data []byte) bool {
			e, _ := w.at()
			mu.Lock()
			defer mu.Unlock()
			return e == beforeAnswer && sent && bytes.Contains(data, []byte("COMMIT"))
		})
	})
	both.Wait()
}

// copy passes data on until it is to be cut.
func (w *wire) copy(to, from net.Conn, cut func([]byte) bool) {
	defer func() { _ = to.Close() }() // it may be closed already
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if cut(buf[:n]) {
				w.cut()
			}
			if _, dead := w.at(); dead {
				_, _ = io.Copy(io.Discard, from) // until it is healed
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
