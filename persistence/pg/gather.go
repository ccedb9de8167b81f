package pg

import (
	"context"
	"sync"
	"time"

	"nexus"
)

const (
	// gatherMost is how many calls one statement takes together.
	gatherMost = 64
	// gatherTimeout bounds that statement, for a connection that hangs must not hold up those that come after: as long as callers wait.
	gatherTimeout = 2 * time.Second
)

// gather makes calls that come side by side with one statement: thousands of grains that move from one node to another cost the
// database a commit for some dozens of them. What waits is bounded by its callers.
type gather[K, V any] struct {
	// together makes what calls it can without waiting for anybody's lock, and returns what came of each; a nil is one that is to be
	// made alone.
	together func(context.Context, []K) ([]*V, error)
	// alone makes one call, and waits where it must.
	alone func(context.Context, K) (V, error)

	mu      sync.Mutex
	waiting []*gathered[K, V]
	running bool // a goroutine makes calls, and looks again when it has
}

// gathered is a call that waits.
type gathered[K, V any] struct {
	ctx  context.Context
	key  K
	made *V
	err  error
	done chan struct{}
}

// do makes a call. Once ctx has ended, it may have been made or not.
func (g *gather[K, V]) do(ctx context.Context, k K) (v V, err error) {
	c := &gathered[K, V]{ctx: ctx, key: k, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	start := !g.running
	g.running = true
	g.mu.Unlock()
	if start {
		go g.run()
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		return v, ctx.Err()
	}
	switch {
	case c.err != nil:
		return v, c.err
	case c.made == nil:
		return g.alone(ctx, k)
	}
	return *c.made, nil
}

// run makes calls until none waits.
func (g *gather[K, V]) run() {
	for calls := g.take(); len(calls) > 0; calls = g.take() {
		keys := make([]K, len(calls))
		for i, c := range calls {
			keys[i] = c.key
		}
		ctx, cancel := context.WithTimeout(context.Background(), gatherTimeout)
		made, err := g.together(ctx, keys)
		cancel()
		for i, c := range calls {
			switch {
			case err == nil:
				c.made = made[i]
			case nexus.CodeOf(err) != nexus.Internal:
				c.err = err
			} // else one of them is to blame, perhaps: alone, each hears of its own
			close(c.done)
		}
	}
}

// take takes the calls to be made next. Those that nobody waits for any more are not made.
func (g *gather[K, V]) take() (calls []*gathered[K, V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(calls) == 0 && len(g.waiting) > 0 {
		n := min(len(g.waiting), gatherMost)
		for _, c := range g.waiting[:n] {
			if c.ctx.Err() == nil {
				calls = append(calls, c)
			}
		}
		clear(g.waiting[:n])
		g.waiting = g.waiting[n:]
	}
	if len(calls) == 0 {
		g.waiting, g.running = nil, false
	}
	return calls
}
