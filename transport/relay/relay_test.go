package relay

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

const unknown = `{"code":1,"message":"Session ID unknown"}`

// TestASessionAtManyNodes lives at a, and its client talks to whichever node comes next.
func TestASessionAtManyNodes(t *testing.T) {
	c := newCampus(t)
	a, b, d := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil), c.start("ddd", "::1", nil)
	for _, home := range []*site{a, b, d} {
		sid, session := home.handshake()
		for i, at := range []*site{b, d, a, d, b} {
			text := "4" + strings.Repeat("x", i*1000)
			at.ask("POST", sid, text, 200, "ok")
			[]*site{a, b, d}[i%3].ask("GET", sid, "", 200, text)
		}
		for i, at := range []*site{a, b, d} {
			if i == 0 {
				continue
			}
			// A poll that waits at one node is ended by a message that comes through another.
			w := at.dial()
			w.send("GET", "polling", sid, "", "")
			a.ask("POST", sid, "4late", 200, "ok")
			if status, body, _ := w.answer(); status != 200 || body != "4late" {
				t.Fatal(status, body)
			}
		}
		w := b.upgrade(sid)
		for range 3 {
			w.write(frame("4hello"))
			if got := w.frame(); got.Payload != "4hello" {
				t.Fatal(got)
			}
		}
		if session.Transport() != engineio.WebSocket || home.engine.Len() != 1 {
			t.Error(session.Transport(), home.engine.Len())
		}
		session.Close(engineio.Forced)
		if got := w.frame(); got.Op != enginetest.Close || got.Payload != "\x0f\xa2forced close" {
			t.Errorf("%q", got)
		}
		w.ended()
		if r := home.reason(); r != engineio.Forced {
			t.Error(r)
		}
	}
}

func TestWhatTheHomeRefuses(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil)
	sid, _ := a.handshake()
	b.ask("GET", "aaa.nobody", "", 400, unknown)
	b.ask("GET", "zzz.nobody", "", 400, unknown)
	b.ask("GET", "nobody", "", 400, unknown)
	b.ask("PUT", sid, "", 400, `{"code":3,"message":"Bad request"}`)
	for _, at := range []string{"aaa.nobody", "zzz.nobody"} {
		w := b.dial()
		w.send("GET", "websocket", at, upgradeHeaders, "")
		if status, body, _ := w.answer(); status != 400 || body != unknown {
			t.Error(status, body)
		}
	}
	w := b.dial()
	w.send("GET", "polling", sid, "Origin: https://evil.example\r\n", "")
	if status, body, _ := w.answer(); status != 403 {
		t.Error(status, body)
	}
	b.ask("POST", sid, strings.Repeat("x", 1_000_001), 413, `{"code":3,"message":"Payload too large"}`)
	if r := a.reason(); r != engineio.PayloadTooLarge {
		t.Error(r)
	}
}

// TestTheHomeKnowsTheClient sees the address that the front saw, and believes no one else.
func TestTheHomeKnowsTheClient(t *testing.T) {
	c := newCampus(t)
	a := c.start("aaa", "127.0.0.1", nil)
	b := c.start("bbb", "::1", nil)
	sid, _ := a.handshake()
	seen := make(chan string, 1)
	a.seen.Store(&seen)
	for _, ip := range []string{"192.0.2.7", "2001:db8::7"} {
		for _, x := range []struct {
			at            *site
			headers, want string
		}{
			{b, "X-Real-Client: " + ip + "\r\n", ip},
			{a, Header + ": " + b.relay.seal(time.Now(), netip.MustParseAddr(ip), "another", "POST") + "\r\n", "127.0.0.1"},
			{a, Header + ": 1 " + ip + " AAAA\r\n", "127.0.0.1"},
		} {
			w := x.at.dial()
			w.send("POST", "polling", sid, x.headers, "4x")
			if status, body, _ := w.answer(); status != 200 {
				t.Fatal(status, body)
			}
			if got := <-seen; got != x.want {
				t.Errorf("the home sees %s, want %s", got, x.want)
			}
		}
	}
}

func TestSeals(t *testing.T) {
	c := newCampus(t)
	old, next := []byte(strings.Repeat("old!", 8)), []byte(strings.Repeat("new!", 8))
	before := c.start("a", "127.0.0.1", func(c *Config) { c.Keys = [][]byte{old} }).relay
	during := c.start("b", "127.0.0.1", func(c *Config) { c.Keys = [][]byte{next, old} }).relay
	alone := c.start("c", "127.0.0.1", func(c *Config) { c.Keys = [][]byte{next} }).relay
	ip, now := netip.MustParseAddr("2001:db8::1"), time.Now()
	for _, x := range []struct {
		from, to *Relay
		at       time.Time
		sid      string
		method   string
		want     bool
	}{
		{before, before, now, "s", "GET", true},
		{before, during, now, "s", "GET", true},
		{during, alone, now, "s", "GET", true},
		{before, alone, now, "s", "GET", false},
		{before, before, now.Add(29 * time.Second), "s", "GET", true},
		{before, before, now.Add(31 * time.Second), "s", "GET", false},
		{before, before, now.Add(-31 * time.Second), "s", "GET", false},
		{before, before, now, "other", "GET", false},
		{before, before, now, "s", "POST", false},
	} {
		seal := x.from.seal(x.at, ip, "s", "GET")
		if got, ok := x.to.open(seal, now, x.sid, x.method); ok != x.want || ok && got != ip {
			t.Errorf("%+v: %v %v", x, got, ok)
		}
	}
	good := before.seal(now, ip, "s", "GET")
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(good)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		// The last character of the sum carries bits that are not part of it.
		if ip, ok := before.open(string(b), now, "s", "GET"); ok && string(b[:len(b)-1]) != good[:len(good)-1] {
			t.Fatalf("%q is taken for %v", b, ip)
		}
	})
	for _, bad := range []string{"", " ", "  ", "x y z", good + " "} {
		if _, ok := before.open(bad, now, "s", "GET"); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestNoLoops: two nodes that each take the other for a session's home pass its request on once.
func TestNoLoops(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil)
	c.set("zzz", "http://"+b.addr)
	a.ask("GET", "zzz.nobody", "", 400, unknown)
	w := a.dial()
	sid, _ := b.handshake()
	w.send("GET", "polling", sid, Header+": 1 127.0.0.1 AAAA\r\n", "")
	if status, body, _ := w.answer(); status != 400 || body != unknown {
		t.Error(status, body)
	}
}

func TestAHangupReachesTheHome(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil)
	sid, _ := a.handshake()
	seen := make(chan string, 10)
	a.seen.Store(&seen)
	w := b.dial()
	w.send("GET", "polling", sid, "", "")
	<-seen // the home has it
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r := a.reason(); r != engineio.TransportError {
		t.Error(r)
	}
	sid, _ = a.handshake()
	w = b.upgrade(sid)
	w.write(frame("4x"))
	w.frame()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if r := a.reason(); r != engineio.TransportClosed && r != engineio.TransportError {
		t.Error(r)
	}
}

// TestTheHomeIsLost in the middle of a poll and of a tunnel: first it leaves while its connections stay, as if it were frozen, and
// then it does not even listen.
func TestTheHomeIsLost(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil)
	sid, _ := a.handshake()
	tunnel := b.upgrade(sid)
	tunnel.write(frame("4x"))
	tunnel.frame()
	sid, _ = a.handshake()
	poll := b.dial()
	poll.send("GET", "polling", sid, "", "")
	b.under(2)
	c.remove("aaa")
	tunnel.ended()
	if status, body, _ := poll.answer(); status != http.StatusBadGateway {
		t.Error(status, body)
	}
	b.ask("GET", sid, "", 400, unknown)
	c.set("aaa", "http://127.0.0.1:1")
	b.ask("GET", sid, "", 502, `{"code":3,"message":"The node of this session does not answer"}`)
	w := b.dial()
	w.send("GET", "websocket", sid, upgradeHeaders, "")
	if status, body, _ := w.answer(); status != 502 {
		t.Error(status, body)
	}
}

func TestPassagesAreBounded(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", func(c *Config) { c.MaxPassages = 1 })
	sid, _ := a.handshake()
	w := b.upgrade(sid)
	w.write(frame("4x"))
	w.frame()
	b.ask("GET", sid, "", 503, `{"code":3,"message":"Too many sessions"}`)
}

// TestSilenceIsBounded: nothing but the relay's own bounds would end what waits here.
func TestSilenceIsBounded(t *testing.T) {
	c := newCampus(t)
	a := c.start("aaa", "127.0.0.1", nil)
	b := c.start("bbb", "127.0.0.1", func(c *Config) { c.IdleTimeout, c.PollTimeout = 100*time.Millisecond, 100*time.Millisecond })
	sid, _ := a.handshake()
	w := b.dial()
	w.send("GET", "websocket", sid, upgradeHeaders, frame("2probe"))
	if status, body, _ := w.answer(); status != 101 {
		t.Fatal(status, body)
	}
	w.ended()
	sid, _ = a.handshake()
	b.ask("GET", sid, "", 502, `{"code":3,"message":"The node of this session does not answer"}`)
}

func TestDrainEndsTunnelsOverATime(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil)
	const over = 200 * time.Millisecond
	var wires []wire
	for range 4 {
		sid, _ := a.handshake()
		w := b.upgrade(sid)
		w.write(frame("4x"))
		w.frame()
		wires = append(wires, w)
	}
	began := time.Now()
	b.relay.Drain(t.Context(), over)
	if took := time.Since(began); took < over {
		t.Errorf("took %v", took)
	}
	for _, w := range wires {
		w.ended()
		a.reason()
	}
	sid, _ := a.handshake()
	w := b.dial()
	w.send("GET", "websocket", sid, upgradeHeaders, "")
	if status, _, _ := w.answer(); status != 503 {
		t.Error(status)
	}
	a.ask("POST", sid, "4x", 200, "ok")
	b.ask("GET", sid, "", 200, "4x") // polls go on until the end
}

func TestCloseEndsTunnels(t *testing.T) {
	c := newCampus(t)
	a, b := c.start("aaa", "127.0.0.1", nil), c.start("bbb", "127.0.0.1", nil)
	sid, _ := a.handshake()
	w := b.upgrade(sid)
	w.write(frame("4x"))
	w.frame()
	b.relay.Close()
	b.relay.Close()
	w.ended()
	a.reason()
	sid, _ = a.handshake()
	b.ask("GET", sid, "", 503, `{"code":3,"message":"Too many sessions"}`)
}
