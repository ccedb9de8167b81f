package socketio_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

// chatter answers everything, on every lane.
type chatter struct{}

func (chatter) Connect(s *socketio.Socket, auth json.RawMessage) error {
	if len(auth) > 10 {
		return &socketio.ConnectError{Message: "too long"}
	}
	return s.Emit("welcome", auth)
}

func (chatter) Event(s *socketio.Socket, e socketio.Event) {
	_ = s.Emit("back", e.Args.Values()...) // the client may have gone
	if e.Ack != nil {
		_ = e.Ack(e.Args.Values()...) // likewise
	}
	switch e.Name {
	case "ask":
		if m, err := socketio.EncodeEvent(s.Namespace(), "news", 1); err == nil {
			s.Offer("slot", m)
			s.PushUrgent(m)
		}
	case "leave":
		s.Disconnect(socketio.ServerDisconnect)
	case "close":
		s.CloseConnection(engineio.Forced)
	}
}

func (chatter) Disconnect(*socketio.Socket, socketio.Reason) {}

// lines are what clients say in a conversation, beside anything at all.
var lines = []string{
	"2probe", "3probe", "5", "1", "2", "3", "6", "0", "", "40", "40/mess", "40/mess,", `40/mess,{"token":"a long one"}`, "41", "41/mess",
	`42["x"]`, `42/mess,["x",1]`, `4212["x",{"a":null}]`, `42/mess,7["ask"]`, `42["leave"]`, `42["close"]`, `43/mess,0[]`, "430[1]", "431[]",
	`451-["x",{"_placeholder":true,"num":0}]`, `452-/mess,3["x",{"_placeholder":true,"num":1}]`, `44{"message":"no"}`, "4", "4x", "42[]", `42[""]`, "b", "bAQID", "b!",
}

// conversation plays a script against a server.
type conversation struct {
	t       *testing.T
	srv     *socketio.Server
	script  []byte
	sids    []string
	clients []talker
}

// talker is a client with a queue of what it is to say: the server may be slow to listen.
type talker struct {
	*enginetest.Client
	out chan []byte
}

// next takes a byte of the script; its end is zeros.
func (c *conversation) next() int {
	if len(c.script) == 0 {
		return 0
	}
	b := c.script[0]
	c.script = c.script[1:]
	return int(b)
}

// text is one of the lines, or some bytes of the script.
func (c *conversation) text() string {
	n := c.next()
	if n < 200 {
		return lines[n%len(lines)]
	}
	n = min(n-200, len(c.script))
	s := string(c.script[:n])
	c.script = c.script[n:]
	return s
}

func (c *conversation) sid() string {
	if len(c.sids) == 0 {
		return ""
	}
	return c.sids[c.next()%len(c.sids)]
}

func (c *conversation) poll(method, sid, body string) {
	go enginetest.Poll(c.srv.Engine(), method, sid, body)
	synctest.Wait()
}

// dial opens a WebSocket, whose client may never read.
func (c *conversation) dial(sid string) {
	if len(c.clients) == 8 {
		return
	}
	claim, _ := c.srv.Engine().ClaimWebSocket(enginetest.Request("GET", "websocket", sid))
	if claim == nil {
		return
	}
	client := enginetest.Serve(c.t, c.srv.Engine(), claim, []enginetest.Via{enginetest.Goroutine, enginetest.Linked}[c.next()%2])
	out := make(chan []byte, 16)
	go func() {
		for p := range out {
			client.TryWrite(p)
		}
	}()
	c.clients = append(c.clients, talker{client, out})
	if c.next()%4 > 0 {
		go client.Drain()
	}
}

func (c *conversation) write(op byte, fin bool, payload string) {
	if len(c.clients) > 0 {
		client := c.clients[c.next()%len(c.clients)]
		frame := enginetest.AppendPart(nil, op, fin, []byte(payload))
		if cut := c.next(); cut > 250 {
			frame = frame[:min(len(frame), cut-250)]
		}
		select {
		case client.out <- frame:
			synctest.Wait()
		default:
		}
	}
}

// step plays one step.
func (c *conversation) step() {
	switch c.next() % 12 {
	case 0:
		c.dial("")
	case 1:
		status, body := enginetest.Poll(c.srv.Engine(), "GET", "", "")
		var open struct{ SID string }
		if status == 200 && len(c.sids) < 8 && json.Unmarshal([]byte(body[1:]), &open) == nil {
			c.sids = append(c.sids, open.SID)
		}
	case 2:
		c.poll("GET", c.sid(), "")
	case 3, 4:
		body := c.text()
		for c.next()%3 == 1 {
			body += "\x1e" + c.text()
		}
		c.poll("POST", c.sid(), body)
	case 5:
		c.dial(c.sid())
	case 6, 7, 8:
		c.write(enginetest.Text, true, c.text())
	case 9:
		c.write(byte(c.next()), c.next()%2 == 0, c.text())
	case 10:
		time.Sleep(time.Duration(c.next()) * 200 * time.Millisecond)
	case 11:
		if len(c.clients) > 0 {
			c.clients[c.next()%len(c.clients)].Hangup()
		}
	}
}

// FuzzConversation: whatever clients say, by whatever transport and in whatever order, nothing panics, nothing is left behind, and what
// the server keeps for them stays within its bounds.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{0, 0, 1, 6, 9, 0, 0, 6, 16, 0, 0, 6, 18, 0, 0, 10, 200})
	f.Add([]byte{1, 2, 0, 3, 9, 0, 0, 5, 0, 1, 1, 6, 0, 0, 0, 6, 2, 0, 0, 6, 15, 0, 0, 10, 255, 10, 255})
	f.Add([]byte{0, 1, 1, 6, 9, 0, 0, 6, 24, 0, 0, 9, 2, 0, 201, 7, 0, 0, 11, 0})
	f.Add([]byte{0, 0, 0, 6, 9, 0, 0, 6, 15, 0, 0, 6, 15, 0, 0, 6, 15, 0, 255, 10, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 512 {
			return // more of the same
		}
		synctest.Test(t, func(t *testing.T) {
			const queued = 4096
			srv, err := socketio.NewServer(socketio.Config{}, engineio.Config{MaxQueueBytes: queued, MaxPayload: 1000, MaxSessions: 16})
			if err != nil {
				t.Fatal(err)
			}
			srv.Handle("/", chatter{})
			srv.Handle("/mess", chatter{})
			c := &conversation{t: t, srv: srv, script: script}
			for len(c.script) > 0 {
				c.step()
				for _, s := range srv.Engine().Sessions() {
					if n := s.Waiting(); n > 2*queued { // one message alone may be larger
						t.Fatalf("%d bytes wait for one session", n)
					}
				}
			}
			for _, client := range c.clients {
				close(client.out)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if _, err := srv.Engine().Shutdown(ctx, engineio.ShuttingDown); err != nil {
				t.Errorf("%d sessions are left: %v", srv.Engine().Len(), err)
			}
		})
	})
}
