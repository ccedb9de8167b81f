package cluster

import (
	"context"
	"sync"
	"testing"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// silent is a grain that writes nothing, so that no write tells it of its successor.
type silent struct{ loaded func(nexus.Fence) }

func (s silent) Load(_ context.Context, c *grain.Context, _ nexus.Snapshot) error {
	s.loaded(c.Fence())
	return nil
}

func (silent) Receive(*grain.Context, any)          {}
func (silent) Stop(context.Context, *grain.Context) {}

// TestOfTwoCampusesThatMeetOneActivationIsLeft: nodes that did not see each other have each activated the same grains, and the older ones give
// way when they meet, though they write nothing.
func TestOfTwoCampusesThatMeetOneActivationIsLeft(t *testing.T) {
	ids := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	var mu sync.Mutex
	newest := make(map[*Config]map[string]nexus.Fence) // of each node, by grain
	var configs []*Config
	c := &campus{t: t, store: graintest.NewStore()}
	c.edit = func(cfg *Config) {
		mu.Lock()
		defer mu.Unlock()
		newest[cfg] = make(map[string]nexus.Fence)
		configs = append(configs, cfg)
		cfg.Kinds = []grain.Kind{{Name: "silent", New: func(id string) grain.Grain {
			return silent{func(f nexus.Fence) {
				mu.Lock()
				defer mu.Unlock()
				newest[cfg][id] = f
			}}
		}}}
		cfg.Keep = []Keep{{Kind: "silent", IDs: func(context.Context) ([]string, error) { return ids, nil }}}
	}
	all := func(node int) bool {
		mu.Lock()
		defer mu.Unlock()
		return len(newest[configs[node]]) == len(ids)
	}
	a := c.start()
	until(t, func() bool { return all(0) })
	b := c.start() // nobody told it of the other
	until(t, func() bool { return all(1) })
	last := c.start(a, b)
	c.meet(3, a, b, last)
	until(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			owner, _ := a.ring.Load().Owner("silent", id)
			for i, n := range []*Node{a, b, last} {
				if n.id == owner.ID && c.store.Check(newest[configs[i]][id]) != nil {
					return false // the one that serves is not the one that may write
				}
			}
		}
		return true
	})
}

// until waits until something holds.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.After(20 * time.Second); !holds(); {
		select {
		case <-deadline:
			t.Fatal("in vain")
		case <-time.After(10 * time.Millisecond):
		}
	}
}
