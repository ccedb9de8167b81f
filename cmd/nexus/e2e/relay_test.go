package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"nexus/cluster/freeport"
	"nexus/cluster/redisbus/redistest"
)

// pair starts two nodes that find each other, over the private database of the first.
func pair(t testing.TB, env ...string) (a, b *server) {
	t.Helper()
	nodes := several(t, 2, env...)
	return nodes[0], nodes[1]
}

// several are n nodes of one campus, the first of which has the database.
func several(t testing.TB, n int, env ...string) (nodes []*server) {
	t.Helper()
	port, err := freeport.Row(2)
	if err != nil {
		t.Fatal(err)
	}
	bind := fmt.Sprintf("127.0.0.1:%d", port)
	env = append(env, "NEXUS_JWT_SECRET="+strings.Repeat("0123456789abcdef", 2))
	nodes = append(nodes, start(t, append(env, "NEXUS_CLUSTER_BIND="+bind)...))
	for len(nodes) < n {
		nodes = append(nodes, start(t, append(env, "NEXUS_CLUSTER_SEEDS="+bind, "NEXUS_DATABASE_URL="+nodes[0].database())...))
	}
	for _, s := range nodes {
		s.until(t, "all nodes are members", func() bool { return s.figure(t, "nexus_cluster_members") == float64(n) })
	}
	return nodes
}

// database is the URL of the private database.
func (s *server) database() string {
	u := url.URL{Scheme: "postgres", User: url.User("nexus"), Path: "/nexus", RawQuery: url.Values{"host": {s.dir + "/postgres/run"}}.Encode()}
	return u.String()
}

// until asks again until it is so.
func (s *server) until(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); <-time.After(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

// figure reads one line of /metrics, named with its labels; 0 if it is not there.
func (s *server) figure(t testing.TB, name string) (v float64) {
	t.Helper()
	response, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // it is read to its end
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			if _, err := fmt.Sscan(value, &v); err != nil {
				t.Fatal(err)
			}
		}
	}
	return v
}

// lives reports whether the process has not ended: what a balancer finds out by its checks.
func (s *server) lives() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// balance returns the nodes behind a balancer, as one server. It does what is hardest for the nodes: an upgrade never goes to the home of
// its socket, and polls go there every other time.
func balance(t testing.TB, nodes ...*server) *server {
	t.Helper()
	targets, tags := make([]*url.URL, len(nodes)), make(map[string]int)
	for i, s := range nodes {
		var err error
		if targets[i], err = url.Parse(s.url); err != nil {
			t.Fatal(err)
		}
		tags[s.tag(t)] = i
	}
	var turn atomic.Int64
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			to := int(turn.Add(1))
			tag, _, _ := strings.Cut(r.In.URL.Query().Get("sid"), ".")
			if home, known := tags[tag]; known && (r.In.Header.Get("Upgrade") != "" || to%2 == 0) {
				to = home + 1
			}
			for range nodes {
				if nodes[to%len(nodes)].lives() {
					break
				}
				to++
			}
			r.SetURL(targets[to%len(nodes)])
			r.SetXForwarded()
		},
		Transport: &http.Transport{DisableKeepAlives: true}, // nothing is sent twice
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return &server{url: front.URL, addr: strings.TrimPrefix(front.URL, "http://")}
}

// tag is what the ids of the node's sockets begin with.
func (s *server) tag(t testing.TB) (tag string) {
	t.Helper()
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for _, line := range s.log.lines {
		var said struct{ Msg, Node string }
		if json.Unmarshal(line, &said) == nil && said.Msg == "gossiping" {
			tag = said.Node[len(said.Node)-12:]
		}
	}
	if tag == "" {
		t.Fatal("the node does not say who it is")
	}
	return tag
}

const relayed = `nexus_relay_requests_total{kind="%s",outcome="ok"}`

func TestAnyNodeTakesAnySocket(t *testing.T) {
	t.Parallel()
	steady(t, anySocket)
}

func anySocket(t testing.TB) {
	a, b := pair(t)
	all := balance(t, a, b)
	halls := a.halls(t)
	ways := []options{nil, nil, nil, {"transports": []string{"polling"}}, {"transports": []string{"websocket"}}}
	clients := make([]*client, len(ways))
	for i, o := range ways {
		clients[i] = dial(t, all, "/mess", o)
	}
	for i, o := range ways {
		c := clients[i]
		c.expect("connect")
		if o == nil {
			c.expect("upgrade")
		}
		var got struct{ Snapshots []crowd }
		// The nodes have just met: a hall that moves is heard again within a few ticks of the others.
		for deadline := time.Now().Add(patience); len(got.Snapshots) != len(halls); {
			if time.Now().After(deadline) {
				t.Fatalf("%v: %d snapshots of %d halls", o, len(got.Snapshots), len(halls))
			}
			got.Snapshots = nil
			c.call(&got, "subscribe", map[string]any{"halls": []string{"*"}})
			c.crowd("a tick of any hall", nil)
		}
		last := c.crowd("a tick", func(u crowd) bool { return u.HallID == string(halls[0].ID) })
		for range 3 {
			next := c.crowd("the next", func(u crowd) bool { return u.HallID == last.HallID })
			if next.Seq <= last.Seq { // a hall that moves to another node goes on with a higher one
				t.Errorf("%v: %d after %d", o, next.Seq, last.Seq)
			}
			last = next
		}
		c.none("a transport that was lost", func(e event) bool { return e.Kind == "disconnect" })
	}
	for _, kind := range []string{"poll", "tunnel"} {
		if n := a.figure(t, fmt.Sprintf(relayed, kind)) + b.figure(t, fmt.Sprintf(relayed, kind)); n == 0 {
			t.Errorf("no %s was passed on", kind)
		}
	}
}

// TestTheHomeOfSocketsDies: whether they end there or live there, they come back by themselves.
func TestTheHomeOfSocketsDies(t *testing.T) {
	t.Parallel()
	steady(t, homeDies)
}

func homeDies(t testing.TB) {
	a, b := pair(t)
	all := balance(t, a, b)
	var clients []*client
	for i := range 6 {
		o := options{}
		if i%3 == 2 {
			o["transports"] = []string{"polling"}
		}
		c := connect(t, all, "/mess", o)
		c.crowd("a tick", nil)
		clients = append(clients, c)
	}
	a.until(t, "a socket lives on another node than it ends at", func() bool {
		return a.figure(t, "nexus_relay_tunnels")+b.figure(t, "nexus_relay_tunnels") > 0
	})
	b.kill(t)
	lost := 0
	a.until(t, "the other node is gone", func() bool { return a.figure(t, "nexus_cluster_members") == 1 })
	for _, c := range clients {
		for range c.kinds("disconnect") {
			c.expect("connect")
			lost++
		}
		u := c.crowd("a tick", nil)
		c.crowd("a later tick", func(next crowd) bool { return next.Seq > u.Seq })
	}
	if lost == 0 {
		t.Error("no client noticed")
	}
}

// kinds returns what has come of a kind and was not taken.
func (c *client) kinds(kind string) (found []event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.events {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// TestTicksGoOnWithoutRedis freezes it, kills it and brings it back; sockets of both nodes hear every hall all the while.
func TestTicksGoOnWithoutRedis(t *testing.T) {
	t.Parallel()
	steady(t, withoutRedis)
}

func withoutRedis(t testing.TB) {
	redis := redistest.Start(t)
	a, b := pair(t, "NEXUS_REDIS_URL="+redis.URL())
	mode := func(s *server, want float64) func() bool {
		return func() bool { return s.figure(t, `nexus_bus_mode{mode="redis"}`) == want }
	}
	state := func(want string) {
		t.Helper()
		for _, s := range []*server{a, b} {
			var ready struct{ Checks map[string]string }
			s.until(t, "redis is "+want, func() bool {
				s.stranger().call(t, "GET", "//readyz", nil, 200, &ready)
				return ready.Checks["redis"] == want
			})
		}
	}
	var ears []ear
	for _, s := range []*server{a, b} {
		c := connect(t, s, "/mess", nil)
		c.call(&struct{}{}, "subscribe", map[string]any{"halls": []string{"*"}})
		ears = append(ears, ear{c, make(map[string]crowd)})
	}
	a.until(t, "a hears by redis", mode(a, 1))
	b.until(t, "b hears by redis", mode(b, 1))
	for _, f := range []struct {
		name       string
		lose, back func()
	}{
		{"frozen", func() { redis.Signal(syscall.SIGSTOP) }, func() { redis.Signal(syscall.SIGCONT) }},
		{"killed", redis.Kill, redis.Restart},
	} {
		a.until(t, "a hears by redis", mode(a, 1))
		b.until(t, "b hears by redis", mode(b, 1))
		state("ok")
		for _, e := range ears {
			e.ticks(t, f.name+": by redis", time.Second)
		}
		if a.figure(t, `nexus_bus_sent_total{mode="redis"}`)+b.figure(t, `nexus_bus_sent_total{mode="redis"}`) == 0 {
			t.Errorf("%s: nothing has gone by redis before", f.name)
		}
		f.lose()
		for _, e := range ears {
			e.ticks(t, f.name+": without it", 4*time.Second)
		}
		state("away")
		a.until(t, "a hears by actors", mode(a, 0))
		b.until(t, "b hears by actors", mode(b, 0))
		f.back()
	}
	a.until(t, "a hears by redis again", mode(a, 1))
	state("ok")
	for _, e := range ears {
		e.ticks(t, "by redis again", 2*time.Second)
	}
}

// ear is a client and the last tick of each hall that it heard.
type ear struct {
	*client
	last map[string]crowd
}

// ticks takes every tick from the last call on until some time from now: none may be missing, come twice, or be late by as much as a
// second.
func (e ear) ticks(t testing.TB, what string, during time.Duration) {
	t.Helper()
	end, worst := float64(time.Now().Add(during).UnixMilli()), 0.0
	for at := 0.0; at < end; {
		u := e.crowd(what, nil)
		if was, known := e.last[u.HallID]; known {
			worst = max(worst, u.At-was.At)
			if !u.follows(was) || u.At-was.At > 2000 {
				t.Errorf("%s: %s %d, %.0f ms after %d", what, u.Hall, u.Seq, u.At-was.At, was.Seq)
			}
		}
		e.last[u.HallID], at = u, u.At
	}
	t.Logf("%s: %.0f ms between two ticks at the most", what, worst)
}
