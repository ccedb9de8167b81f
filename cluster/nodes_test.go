package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// campus starts nodes that find each other over loopback and share one store.
type campus struct {
	t     testing.TB
	store *graintest.Store
	nodes []*Node
	edit  func(*Config) // nil: the nodes host probes
}

func (c *campus) start(seeds ...*Node) *Node {
	c.t.Helper()
	var addresses []string
	for _, s := range seeds {
		addresses = append(addresses, s.membership.address)
	}
	return c.startWith(addresses...)
}

func (c *campus) startWith(seeds ...string) *Node {
	c.t.Helper()
	w := &world{store: c.store}
	g := &Gossip{Bind: "127.0.0.1:0", Seeds: seeds}
	cfg := Config{
		Kinds: []grain.Kind{{Name: "probe", New: func(string) grain.Grain { return &probe{w: w} }}},
		Store: c.store, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
		Gossip: g, Links: Links{Bind: "127.0.0.1:0"},
	}
	if c.edit != nil {
		c.edit(&cfg)
	}
	n, err := Start(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			c.t.Error(err)
		}
	})
	c.nodes = append(c.nodes, n)
	return n
}

// meet waits until every node sees so many members.
func (c *campus) meet(n int, nodes ...*Node) {
	c.t.Helper()
	deadline := time.After(10 * time.Second)
	for _, x := range nodes {
		for len(x.ring.Load().Members()) != n {
			select {
			case <-deadline:
				c.t.Fatalf("a node sees %v", x.ring.Load().LogValue())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
}

func TestGrainsMoveWithTheMembers(t *testing.T) {
	c := &campus{t: t, store: graintest.NewStore()}
	a := c.start()
	for i := range 50 {
		mustAsk(t, a, fmt.Sprint(i), 1)
	}
	b := c.start(a)
	c.meet(2, a, b)
	began := time.Now()
	moved := 0
	for i := range 50 {
		va, err := ask(t.Context(), a, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		vb, err := ask(t.Context(), b, fmt.Sprint(i))
		if err != nil {
			t.Fatal(err)
		}
		if va != vb {
			t.Errorf("grain %d: activation %d from one node and %d from the other", i, va, vb)
		}
		if va == 2 {
			moved++
		}
	}
	t.Logf("%d of 50 moved in %v", moved, time.Since(began))
	if moved < 10 || moved > 40 {
		t.Errorf("%d of 50 moved", moved)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := ask(t.Context(), a, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
}
