package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fasthttp/websocket"

	"nexus/cmd/nexus-chaos/history"
)

// The official client comes back after a second, give or take a half.
const (
	comeBackLeast = 500 * time.Millisecond
	comeBackMost  = 1500 * time.Millisecond
)

// longGap is a silence worth a line of its own.
const longGap = 2500 * time.Millisecond

// Socket is a client of /mess that comes back whenever its connection ends.
type Socket struct {
	Web  *Web
	Name string
	All  bool // hears every hall and records each tick; else it hears the default hall, and counts

	ready func() // called once, with the first tick

	mu    sync.Mutex
	heard Heard
	last  time.Time        // of the last tick of any hall
	seqs  map[string]int64 // the last one by hall
	conn  int
}

// Heard sums up what a socket heard.
type Heard struct {
	Ticks    int
	Connects int
	Refused  int            // attempts to connect that failed
	Back     int            // ticks older than one heard before
	Repeated int            // ticks heard before
	Longest  time.Duration  // without a tick, reconnecting included
	Gaps     []Gap          // those that are long
	Ends     map[string]int // connections by how they ended
}

// Gap is a silence between two ticks.
type Gap struct {
	Socket string
	From   time.Duration // on the log's clock
	Took   time.Duration
}

var (
	dialer     = &websocket.Dialer{HandshakeTimeout: 5 * time.Second, ReadBufferSize: 1024, WriteBufferSize: 256}
	tickPrefix = []byte(`42/mess,["CROWD_UPDATE",`)
)

// Run listens until ctx ends.
func (s *Socket) Run(ctx, _ context.Context) {
	s.seqs, s.heard.Ends = make(map[string]int64), make(map[string]int)
	defer s.finish()
	for ctx.Err() == nil {
		end := s.connect(ctx)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.heard.Ends[end]++
		s.mu.Unlock()
		sleep(ctx, comeBackLeast+rand.N(comeBackMost-comeBackLeast))
	}
}

// Heard is what was heard so far, the silence of now included.
func (s *Socket) Heard() Heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// finish counts the silence at the end.
func (s *Socket) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() {
		s.silence(time.Now())
	}
}

// connect listens on one connection and says how it ended.
func (s *Socket) connect(ctx context.Context) string {
	targets := s.Web.targets(false)
	to := targets[rand.IntN(len(targets))]
	header := http.Header{"X-Forwarded-For": {someAddress()}}
	//nolint:bodyclose // a handshake's answer has a copy of what was read of its body, and nothing to close
	conn, res, err := dialer.DialContext(ctx, strings.Replace(to.URL, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", header)
	if err != nil {
		s.mu.Lock()
		s.heard.Refused++
		s.mu.Unlock()
		if res != nil {
			return fmt.Sprintf("refused %d", res.StatusCode)
		}
		return "refused"
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // which ends the reading below
	defer func() {
		stop()
		_ = conn.Close() // closed or broken already, as a rule
	}()
	join := []string{"40/mess,"}
	if s.All {
		join = append(join, `42/mess,0["subscribe",{"halls":["*"]}]`)
	}
	for _, text := range join {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			return ending(err)
		}
	}
	s.mu.Lock()
	s.heard.Connects++
	s.conn++
	s.mu.Unlock()
	return s.listen(conn)
}

func (s *Socket) listen(conn *websocket.Conn) string {
	for {
		// A server that says nothing for longer than its ping interval and time-out is gone.
		if err := conn.SetReadDeadline(time.Now().Add(45 * time.Second)); err != nil {
			return ending(err)
		}
		_, data, err := conn.ReadMessage()
		if err != nil {
			return ending(err)
		}
		switch {
		case len(data) == 1 && data[0] == '2':
			if err := conn.WriteMessage(websocket.TextMessage, []byte("3")); err != nil {
				return ending(err)
			}
		case bytes.HasPrefix(data, []byte("44")):
			return "refused by the namespace"
		case bytes.HasPrefix(data, []byte("41")):
			return "disconnected from the namespace"
		case bytes.HasPrefix(data, tickPrefix):
			s.tick(data[len(tickPrefix) : len(data)-1])
		}
	}
}

// ending is how a connection ended, in few words.
func ending(err error) string {
	var e *websocket.CloseError
	if errors.As(err, &e) {
		return fmt.Sprintf("closed %d %s", e.Code, e.Text)
	}
	return "broken"
}

func (s *Socket) tick(data []byte) {
	now := time.Now()
	var u struct {
		HallID    string
		Seq       int64
		Occupancy int
	}
	if err := json.Unmarshal(data, &u); err != nil {
		return // counted as silence
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard.Ticks++
	if !s.last.IsZero() {
		s.silence(now)
	} else if s.ready != nil {
		s.ready()
	}
	s.last = now
	switch last := s.seqs[u.HallID]; {
	case u.Seq < last:
		s.heard.Back++
	case u.Seq == last:
		s.heard.Repeated++
	}
	s.seqs[u.HallID] = u.Seq
	if s.All {
		s.Web.Log.Hear(history.Tick{Client: s.Name, Connection: s.conn, Hall: u.HallID, Seq: u.Seq, Occupancy: u.Occupancy, At: s.Web.Log.Now()})
	}
}

// silence notes how long there was none. It needs the lock.
func (s *Socket) silence(now time.Time) {
	took := now.Sub(s.last)
	s.heard.Longest = max(s.heard.Longest, took)
	if took >= longGap {
		s.heard.Gaps = append(s.heard.Gaps, Gap{s.Name, time.Duration(s.Web.Log.Now()) - took, took.Round(time.Millisecond)})
	}
}
