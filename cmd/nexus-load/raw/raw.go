// Package raw is a server that does as little as possible: it answers the WebSocket handshake and the minimum of Engine.IO and Socket.IO,
// and writes prebuilt frames in a plain loop, one write for each message. What it costs is what the kernel costs: the floor.
package raw

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"nexus"
	"nexus/cmd/nexus-load/wire"
)

// pingEvery is how often clients are pinged, as by default everywhere.
const pingEvery = 25 * time.Second

// Server is the raw server.
type Server struct {
	listener net.Listener
	halls    []string
	joined   sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]bool // true: hears all halls
	order []*conn        // as they came; nil for those that left
}

type conn struct {
	net.Conn
	raw   syscallConn
	all   bool
	place int
}

// syscallConn writes to the descriptor without what a net.Conn does for deadlines.
type syscallConn interface {
	Write(f func(fd uintptr) bool) error
}

// Listen opens the port. Halls are numbered from 1.
func Listen(addr string, halls int) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, conns: make(map[*conn]bool)}
	for i := range halls {
		s.halls = append(s.halls, HallID(i))
	}
	return s, nil
}

// HallID is the id of a hall.
func HallID(i int) string { return fmt.Sprintf("00000000-0000-7000-8000-%012d", i+1) }

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Serve serves until ctx ends.
func (s *Server) Serve(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.close)()
	s.joined.Go(func() { s.tick(ctx) })
	for {
		c, err := s.listener.Accept()
		if err != nil {
			s.close()
			s.joined.Wait()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		s.joined.Go(func() { s.serve(c) })
	}
}

func (s *Server) close() {
	_ = s.listener.Close() // a second time, as a rule
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close() // nothing is left to write
	}
}

// serve reads one client until it ends.
func (s *Server) serve(n net.Conn) {
	defer n.Close() //nolint:errcheck // nothing is left to write
	raw, err := n.(*net.TCPConn).SyscallConn()
	if err != nil {
		return
	}
	c := &conn{Conn: n, raw: raw, place: -1}
	s.mu.Lock()
	s.conns[c] = true
	s.mu.Unlock()
	defer s.leave(c)
	r := reader{conn: n}
	if err := r.head(); err != nil {
		return
	}
	hello := append([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+wire.Accept+"\r\n\r\n"),
		wire.AppendServer(nil, wire.Text, []byte(`0{"sid":"raw","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}`))...)
	if _, err := n.Write(hello); err != nil {
		return
	}
	for {
		m, err := r.next()
		if err != nil {
			return
		}
		if err := s.message(c, m); err != nil {
			return
		}
	}
}

// message answers what a client says before it listens.
func (s *Server) message(c *conn, m string) error {
	switch {
	case strings.HasPrefix(m, "40"):
		if _, err := c.Write(wire.AppendServer(nil, wire.Text, []byte(`40/mess,{"sid":"raw"}`))); err != nil {
			return err
		}
		s.join(c)
	case strings.HasPrefix(m, "42/mess,"):
		id, _, _ := strings.Cut(strings.TrimPrefix(m, "42/mess,"), "[")
		s.mu.Lock()
		c.all = true
		s.mu.Unlock()
		_, err := c.Write(wire.AppendServer(nil, wire.Text, []byte("43/mess,"+id+`[{"snapshots":[]}]`)))
		return err
	}
	return nil // a pong
}

func (s *Server) join(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.place < 0 {
		c.place = len(s.order)
		s.order = append(s.order, c)
	}
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if c.place < 0 {
		return
	}
	last := len(s.order) - 1
	s.order[c.place] = s.order[last]
	s.order[c.place].place = c.place
	s.order[last] = nil
	s.order = s.order[:last]
}

// tick writes to everybody on the edge of every second.
func (s *Server) tick(ctx context.Context) {
	edge := time.NewTimer(0)
	defer edge.Stop()
	<-edge.C
	pinged := time.Now()
	for seq := int64(1); ; seq++ {
		now := time.Now()
		edge.Reset(now.Truncate(time.Second).Add(time.Second).Sub(now))
		select {
		case <-edge.C:
		case <-ctx.Done():
			return
		}
		now = time.Now()
		frames := make([][]byte, len(s.halls))
		for i := range frames {
			frames[i] = wire.AppendServer(nil, wire.Text, append([]byte("42/mess,"), Update(i, seq, now)...))
		}
		s.write(frames)
		if now.Sub(pinged) >= pingEvery {
			pinged = now
			s.write([][]byte{wire.AppendServer(nil, wire.Text, []byte("2"))})
		}
	}
}

// write is the plain loop. A client that is full misses a message.
func (s *Server) write(frames [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, frame := range frames {
		for _, c := range s.order {
			if i > 0 && !c.all {
				continue
			}
			err := c.raw.Write(func(fd uintptr) bool {
				n, err := unix.Write(int(fd), frame)
				if err == nil && n < len(frame) {
					_ = c.Close() // half a frame: the rest would have to be kept
				}
				return true
			})
			if err != nil && !errors.Is(err, net.ErrClosed) {
				_ = c.Close() // as above
			}
		}
	}
}

// Update is the array of a CROWD_UPDATE as NEXUS sends it.
func Update(hall int, seq int64, now time.Time) []byte {
	data, err := json.Marshal(struct {
		nexus.Crowd
		AsOf      *string `json:"asOf"`
		Hall      string  `json:"hall"`
		Seq       int64   `json:"seq"`
		Timestamp string  `json:"timestamp"`
	}{
		Crowd: nexus.Crowd{HallID: nexus.HallID(HallID(hall)), Occupancy: 84, Capacity: 400, Level: 21, Status: nexus.Low, WaitMinutes: 2, WaitTime: "2 mins", Source: "none", Stale: true},
		Hall:  fmt.Sprintf("Hall %d", hall+1), Seq: seq, Timestamp: now.UTC().Format(nexus.TimeLayout),
	})
	if err != nil {
		panic(err) // plain numbers and strings always marshal
	}
	return append(append([]byte(`["CROWD_UPDATE",`), data...), ']')
}
