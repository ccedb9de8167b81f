package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// TestWindow compares it with a memory of everything.
func TestWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		seen, newest := make(map[uint64]bool), uint64(0)
		for range rapid.IntRange(1, 300).Draw(t, "numbers") {
			seq := uint64(max(1, int(newest)+rapid.OneOf(rapid.IntRange(-1100, 3), rapid.IntRange(0, 3000)).Draw(t, "step")))
			want := !seen[seq] && seq+windowBits > newest
			if got := w.take(seq); got != want {
				t.Fatalf("%d after %d: %v", seq, newest, got)
			}
			seen[seq], newest = true, max(newest, seq)
		}
	})
}

// air is what the carriers of some nodes have in common. It can be made to misbehave.
type air struct {
	mu     sync.Mutex
	ends   []*airEnd
	away   bool // nothing leaves
	repeat bool // what leaves is said not to have
}

type airEnd struct {
	air  *air
	hear func([]byte)
	well func(bool)
	deaf bool
}

func (e *airEnd) Name() string { return "air" }

func (e *airEnd) Start(hear func([]byte), well func(bool)) {
	e.air.mu.Lock()
	defer e.air.mu.Unlock()
	e.hear, e.well = hear, well
	e.air.ends = append(e.air.ends, e)
	well(true)
}

func (e *airEnd) Close() error { return nil }

func (e *airEnd) Publish(msg []byte, sent func(int)) {
	e.air.mu.Lock()
	defer e.air.mu.Unlock()
	reached := 0
	for _, x := range e.air.ends {
		if !e.air.away && !x.deaf {
			x.hear(msg)
			reached++
		}
	}
	if e.air.repeat {
		reached = 0
	}
	sent(reached)
}

// listener is a node and what its hub hears.
type listener struct {
	*Node
	heard chan string
}

func tuneIn(t *testing.T, carrier Carrier, seeds ...string) listener {
	t.Helper()
	store := graintest.NewStore()
	n, err := Start(Config{
		Store: store, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Carrier: carrier,
		Gossip: &Gossip{Bind: "127.0.0.1:0", Seeds: seeds}, Links: Links{Bind: "127.0.0.1:0"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	l := listener{n, make(chan string, 1000)}
	n.SetHub(func(b *grain.Broadcast) { l.heard <- b.GetEvent() })
	return l
}

// sees waits until the node knows so many members, and how many of them the carrier reaches.
func (l listener) sees(t *testing.T, members, carried int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; <-time.After(5 * time.Millisecond) {
		all, reached := l.membership.snapshot(), 0
		for _, m := range all {
			if m.Carried {
				reached++
			}
		}
		if len(all) == members && reached == carried {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("sees %d members, of which %d are reached; want %d and %d", len(all), reached, members, carried)
		}
	}
}

// once has every node publish, and checks that every hub hears each broadcast once.
func once(t *testing.T, what string, nodes ...listener) {
	t.Helper()
	const each = 20
	for i, n := range nodes {
		for j := range each {
			n.Publish(&grain.Broadcast{Event: fmt.Sprint(what, i, "-", j)})
		}
	}
	for i, n := range nodes {
		count := make(map[string]int)
		for range each * len(nodes) {
			select {
			case e := <-n.heard:
				count[e]++
			case <-time.After(10 * time.Second):
				t.Fatalf("%s: node %d heard %d of %d", what, i, len(count), each*len(nodes))
			}
		}
		for e, times := range count {
			if times != 1 {
				t.Errorf("%s: node %d heard %s %d times", what, i, e, times)
			}
		}
	}
	// One more of each, which comes behind whatever was said twice.
	for _, n := range nodes {
		n.Publish(&grain.Broadcast{Event: "end of " + what})
	}
	for i, n := range nodes {
		for range nodes {
			if e := <-n.heard; e != "end of "+what {
				t.Errorf("%s: node %d heard %s again", what, i, e)
			}
		}
	}
}

func TestEachHubHearsEachBroadcastOnce(t *testing.T) {
	air := new(air)
	ends := []*airEnd{{air: air}, {air: air}}
	a := tuneIn(t, ends[0])
	b := tuneIn(t, ends[1], a.membership.address)
	c := tuneIn(t, nil, a.membership.address) // has no carrier
	all := []listener{a, b, c}
	see := func(carried int) {
		t.Helper()
		for _, n := range all {
			n.sees(t, 3, carried)
		}
	}
	see(2)
	once(t, "carried", all...)
	set := func(f func()) { air.mu.Lock(); f(); air.mu.Unlock() }
	set(func() { air.repeat = true })
	once(t, "said not to have left", all...)
	set(func() { air.repeat, air.away = false, true })
	once(t, "not left", all...)
	set(func() { air.away, ends[1].deaf = false, true })
	once(t, "not reached", all...)
	ends[1].well(false)
	see(1)
	once(t, "known not to be reached", all...)
	set(func() { ends[1].deaf = false })
	once(t, "reached again, and not yet known", all...)
	ends[1].well(true)
	see(2)
	once(t, "as before", all...)
}

// TestStrangeCasts: what is not ours, or our own come back, is passed over.
func TestStrangeCasts(t *testing.T) {
	air := new(air)
	a := tuneIn(t, &airEnd{air: air})
	own, err := proto.Marshal(&Cast{Origin: a.ID(), Seq: 1, Broadcast: &grain.Broadcast{Event: "own"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, msg := range [][]byte{own, []byte("no protobuf"), nil} {
		a.carried(msg)
	}
	for i := range 2 * maxOrigins {
		a.take(&Cast{Origin: fmt.Sprint(i), Seq: 1, Broadcast: &grain.Broadcast{Event: "x"}})
	}
	if n := len(a.bus.heard); n > maxOrigins {
		t.Errorf("remembers %d origins", n)
	}
	for range 2 * maxOrigins {
		if e := <-a.heard; e != "x" {
			t.Errorf("heard %s", e)
		}
	}
}

func TestHome(t *testing.T) {
	a := tuneIn(t, nil)
	if base, ok := a.Home(a.Tag()); ok || base != "" {
		t.Errorf("%q before it was announced", base)
	}
	for _, tag := range []string{"", "0", a.ID(), "000000000000"} {
		if _, ok := a.Home(tag); ok {
			t.Errorf("%q is somebody", tag)
		}
	}
}
