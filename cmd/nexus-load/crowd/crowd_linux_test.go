package crowd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus/cmd/nexus-load/loadtest"
	"nexus/cmd/nexus-load/wire"
	"nexus/transport/leaktest"
	"nexus/transport/socketio"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// trial is a crowd and the server that it listens to.
type trial struct {
	*Crowd
	t    *testing.T
	mess *loadtest.Mess
}

// open connects a crowd to the real edge.
func open(t *testing.T, mess *loadtest.Mess, o Options) *trial {
	t.Helper()
	c := connect(t, loadtest.Serve(t, map[string]socketio.Namespace{"/mess": mess}), o)
	return &trial{c, t, mess}
}

func connect(t *testing.T, addr string, o Options) *Crowd {
	t.Helper()
	o.Addrs = []netip.AddrPort{netip.MustParseAddrPort(addr)}
	c, err := Open(t.Context(), o, o.Sockets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func (c *trial) await(n int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), loadtest.Patience)
	defer cancel()
	if err := c.Await(ctx, n, func(int) {}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *trial) measure(on bool) {
	c.t.Helper()
	if err := c.Measure(on); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits until so many messages were counted.
func (c *trial) hears(n uint64) *Heard {
	c.t.Helper()
	var h *Heard
	c.until(fmt.Sprintf("%d messages are heard", n), func() bool {
		var err error
		if h, err = c.Heard(); err != nil {
			c.t.Fatal(err)
		}
		return h.Messages >= n
	})
	if h.Messages > n {
		c.t.Fatalf("%d messages, want %d", h.Messages, n)
	}
	return h
}

func (c *trial) until(what string, holds func() bool) {
	c.t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for limit := time.After(loadtest.Patience); !holds(); {
		select {
		case <-look.C:
		case <-limit:
			c.t.Fatal("waited in vain until " + what)
		}
	}
}

func (c *trial) links() *Links {
	c.t.Helper()
	l, err := c.Links()
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

// tick sends one to everybody.
func (c *trial) tick(hall string, seq int64, at time.Time) {
	loadtest.Tick(c.t, c.mess.Sockets(), hall, seq, at)
}

func TestTicksAreTimedAndCounted(t *testing.T) {
	const sockets = 50
	c := open(t, new(loadtest.Mess), Options{Sockets: sockets, Sources: 5, Loops: 2, Subscribe: []string{"*"}})
	c.await(sockets)
	asked := c.mess.Asked()
	if len(asked) != sockets || asked[0] != `subscribe{"halls":["*"]}` {
		t.Errorf("%d asked, the first %q", len(asked), asked[0])
	}
	c.measure(true)
	now := time.Now()
	c.tick("A", 1, now)                                          // the first on a connection is not counted
	c.tick("A", 2, now.Add(-2*time.Second))                      // late by two seconds
	c.tick("A", 3, now.Add(-time.Hour))                          // by an hour
	c.tick("A", 6, now)                                          // two are left out
	c.tick("A", 6, now)                                          // and one comes twice
	c.tick("A", 5, now)                                          // or from behind
	c.tick("A", 6+newActivation, now)                            // a life later nothing is left out
	c.tick("B", 9, now)                                          // another hall, whose first does not count either
	c.tick("B", 10, now.Truncate(time.Second).Add(-time.Second)) // by a second after the edge
	h := c.hears(sockets * 7)
	if len(h.Topics) != 2 || h.Gaps() != 2*sockets || h.Duplicates() != 2*sockets {
		t.Fatalf("%d topics, %d left out, %d twice", len(h.Topics), h.Gaps(), h.Duplicates())
	}
	slices.SortFunc(h.Topics, func(a, b *Topic) int { return strings.Compare(a.Name, b.Name) })
	a, b := h.Topics[0], h.Topics[1]
	if a.Name != "A" || a.ID != loadtest.HallID("A") || a.Messages != 6*sockets || a.Latency.Count() != 4*sockets || b.Messages != sockets {
		t.Errorf("%+v and %+v", a, b)
	}
	if m := a.Latency.Max(); m < time.Hour || m > time.Hour+loadtest.Patience {
		t.Errorf("an hour late is %v", m)
	}
	if p := a.Latency.Quantile(0.75); p < 2*time.Second || p > 2*time.Second+loadtest.Patience {
		t.Errorf("two seconds late is %v", p)
	}
	if e := b.Edge.Quantile(1); e < time.Second || e > 2*time.Second+loadtest.Patience {
		t.Errorf("a second after the edge is %v", e)
	}
	if l := c.links(); l.Connect.Count() != sockets || len(l.Failures)+len(l.Ends)+len(l.Unlikely) > 0 || l.Resumes > 0 {
		t.Errorf("%+v", l)
	}
}

func TestNothingCountsOutsideOfTheMeasuring(t *testing.T) {
	const sockets = 4
	c := open(t, new(loadtest.Mess), Options{Sockets: sockets, Loops: 1})
	c.await(sockets)
	now := time.Now()
	c.tick("A", 1, now)
	c.tick("A", 2, now)
	c.until("all are read", func() bool {
		all := true
		if err := c.all(func(l *loop) {
			for _, x := range l.clients {
				all = all && len(x.seqs) == 1 && x.seqs[0] == 2
			}
		}); err != nil {
			t.Fatal(err)
		}
		return all
	})
	c.measure(true)
	c.tick("A", 3, now)
	if h := c.hears(sockets); h.Gaps() > 0 {
		t.Errorf("%d left out", h.Gaps())
	}
}

func TestWhoIsCutComesBack(t *testing.T) {
	const sockets = 6
	c := open(t, new(loadtest.Mess), Options{Sockets: sockets, Loops: 2})
	c.await(sockets)
	c.links()
	first := c.mess.Sockets()
	first[0].CloseConnection(socketio.Reason{Code: 4321, Name: "for a test"})
	first[1].Disconnect(socketio.Reason{Code: 4321, Name: "for a test"})
	c.until("two have come back", func() bool { return len(c.mess.Sockets()) == sockets+2 && c.Served() == sockets })
	l := c.links()
	if l.Resumes != 2 || l.Ends["4321 for a test"] != 1 || l.Ends["disconnected from the namespace"] != 1 {
		t.Errorf("%+v", l)
	}
}

func TestAllDropAndComeBackAtOnce(t *testing.T) {
	const sockets = 300
	c := open(t, new(loadtest.Mess), Options{Sockets: sockets, Ramp: 10_000, Pending: 2})
	c.await(sockets)
	c.links()
	if err := c.Drop(); err != nil {
		t.Fatal(err)
	}
	c.await(sockets)
	l := c.links()
	if l.Resumes != sockets || l.Connect.Count() != sockets || len(l.Failures)+len(l.Ends) > 0 {
		t.Errorf("%+v", l)
	}
	c.until("the server has seen all twice", func() bool { return len(c.mess.Sockets()) == 2*sockets })
}

func TestWhoIsRefusedIsNamed(t *testing.T) {
	var refusals atomic.Int64
	mess := &loadtest.Mess{Admit: func(token string) error {
		if token == "good" {
			return nil
		}
		refusals.Add(1)
		return errors.New("not " + token)
	}}
	c := open(t, mess, Options{Sockets: 4, Tokens: []string{"good", "bad"}, NoReturn: true})
	c.until("two are refused", func() bool { return refusals.Load() == 2 })
	c.await(2)
	var l *Links
	total := make(map[string]uint64)
	c.until("both have noticed", func() bool {
		l = c.links()
		for why, n := range l.Failures {
			total[why] += n
		}
		return total[`refused: {"message":"not bad"}`] == 2
	})
	if c.Served() != 2 || len(total) != 1 {
		t.Errorf("%d served, failures %v", c.Served(), total)
	}
}

func TestStalledReadersReadNothing(t *testing.T) {
	const sockets, stalled = 20, 5
	c := open(t, new(loadtest.Mess), Options{Sockets: sockets, Stalled: stalled})
	c.await(sockets)
	c.measure(true)
	c.tick("A", 1, time.Now())
	for seq := int64(2); seq < 50; seq++ {
		c.tick("A", seq, time.Now())
	}
	c.hears((sockets - stalled) * 48)
}

// TestHeartbeatsAreAnswered, however they are cut, and so are those of the WebSocket.
func TestHeartbeatsAreAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // it was only listened at
	c := connect(t, l.Addr().String(), Options{Sockets: 1, NoReturn: true, Sources: 1})
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // all was said
	if from := conn.RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.2" {
		t.Errorf("it comes from %s", from)
	}
	if err := conn.SetDeadline(time.Now().Add(loadtest.Patience)); err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		for n := 0; n < len(got); {
			k, err := conn.Read(got[n:])
			if err != nil {
				t.Fatalf("%v after %q", err, got[:n])
			}
			n += k
		}
		if string(got) != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	say := func(parts ...string) {
		t.Helper()
		for _, p := range parts {
			if _, err := conn.Write([]byte(p)); err != nil {
				t.Fatal(err)
			}
		}
	}
	client := func(op byte, text string) string { return string(wire.AppendClient(nil, op, text)) }
	server := func(op byte, text string) string { return string(wire.AppendServer(nil, op, []byte(text))) }
	expect(string(wire.Handshake(l.Addr().String(), "/socket.io/")))
	// The server's first word comes along with its answer, which comes in two parts.
	say("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-", "Accept: "+wire.Accept+"\r\n\r\n"+server(wire.Text, `0{"sid":"x"}`))
	expect(client(wire.Text, "40/mess,"))
	beat := server(wire.Text, "2")
	say(beat[:1], beat[1:]+server(wire.Ping, "are you there")+beat)
	expect(client(wire.Text, "3") + client(wire.Pong, "are you there") + client(wire.Text, "3"))
	if c.Served() != 0 {
		t.Error("served before it is connected to the namespace")
	}
	say(server(wire.Text, `40/mess,{"sid":"y"}`), "\x81\x80")
	x := &trial{Crowd: c, t: t}
	x.until("what no server may send has ended it", func() bool { return x.links().Unlikely[wire.ErrMalformed.Error()] == 1 })
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	c := &trial{Crowd: connect(t, l.Addr().String(), Options{Sockets: 3, NoReturn: true}), t: t}
	failed := make(map[string]uint64)
	c.until("all have noticed", func() bool {
		for why, n := range c.links().Failures {
			failed[why] += n
		}
		return failed["connect: connection refused"] == 3
	})
}

func TestWrongOptions(t *testing.T) {
	at := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}
	for name, o := range map[string]Options{
		"nowhere":           {Sockets: 1},
		"nobody":            {Addrs: at},
		"too many":          {Addrs: at, Sockets: MaxSockets + 1},
		"too many sources":  {Addrs: at, Sockets: 1, Sources: MaxSources + 1},
		"more than stalled": {Addrs: at, Sockets: 1, Stalled: 2},
	} {
		if c, err := Open(t.Context(), o, 1); err == nil {
			t.Errorf("%s: opened, closed with %v", name, c.Close())
		}
	}
}

// TestHoweverTheNetworkCutsIt: ticks are counted once each, whatever parts they are read in.
func TestHoweverTheNetworkCutsIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks := rapid.IntRange(1, 20).Draw(t, "ticks")
		var all []byte
		for seq := range ticks + 1 { // the first is not counted
			all = wire.AppendServer(all, wire.Text, fmt.Appendf(nil,
				`42/mess,["CROWD_UPDATE",{"hallId":"h","hall":"H","level":1,"status":"Low","seq":%d,"timestamp":"2026-11-25T21:50:28.000Z"}]`, seq+1))
		}
		l := &loop{options: new(Options), topics: make(map[string]int), links: newLinks(), measuring: true}
		c := &client{loop: l, step: served}
		for len(all) > 0 {
			n := rapid.IntRange(1, min(len(all), 400)).Draw(t, "read")
			c.take(slices.Clone(all[:n]), 0)
			all = all[n:]
		}
		if l.heard.Messages != uint64(ticks) || l.heard.Gaps()+l.heard.Duplicates() > 0 || len(l.links.Unlikely) > 0 || c.rest != nil {
			t.Fatalf("%d ticks of %d, %d left out, %d twice, %v", l.heard.Messages, ticks, l.heard.Gaps(), l.heard.Duplicates(), l.links.Unlikely)
		}
	})
}
