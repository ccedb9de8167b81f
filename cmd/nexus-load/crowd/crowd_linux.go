package crowd

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is a running crowd. Its methods are for one goroutine.
type Crowd struct {
	options Options
	loops   []*loop
	served  atomic.Int64
	running sync.WaitGroup
	stop    context.CancelFunc
	failed  atomic.Pointer[error] // a loop that could not go on
}

// Open starts the crowd, which begins to connect its first n sockets. Close ends it.
func Open(ctx context.Context, o Options, n int) (_ *Crowd, err error) {
	if o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	c := &Crowd{options: o, stop: stop}
	for i := range o.Loops {
		l, err := newLoop(c, i)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.loops = append(c.loops, l)
		c.running.Go(func() {
			if err := l.run(ctx); err != nil {
				c.failed.CompareAndSwap(nil, &err)
			}
		})
	}
	return c, c.Grow(n)
}

// Grow has the crowd be of n sockets.
func (c *Crowd) Grow(n int) error {
	n = min(n, c.options.Sockets)
	return c.all(func(l *loop) { l.grow(n) })
}

// Served is how many sockets are served now.
func (c *Crowd) Served() int { return int(c.served.Load()) }

// Err is why the crowd could not go on, nil if it does.
func (c *Crowd) Err() error {
	if err := c.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Await waits until n sockets are served at once. show is told now and then how many are.
func (c *Crowd) Await(ctx context.Context, n int, show func(served int)) error {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for looks := 0; ; looks++ {
		served := c.Served()
		if looks%20 == 0 || served >= n {
			show(served)
		}
		if err := c.Err(); err != nil || served >= n {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d sockets are served: %w", served, n, ctx.Err())
		}
	}
}

// Measure begins to count what is heard from now on, or ends it.
func (c *Crowd) Measure(on bool) error {
	return c.all(func(l *loop) { l.measuring = on })
}

// Drop cuts all connections and has every client come back at once. It returns when the last one is cut.
func (c *Crowd) Drop() error { return c.all((*loop).drop) }

// Heard is what was heard while it was measured.
func (c *Crowd) Heard() (*Heard, error) {
	all := make([]*Heard, len(c.loops))
	for i := range all {
		all[i] = new(Heard)
	}
	err := c.all(func(l *loop) { all[l.number].merge(&l.heard) })
	return Merge(all...), err
}

// Links is what has become of connections since Open, or the last Links.
func (c *Crowd) Links() (*Links, error) {
	all := make([]*Links, len(c.loops))
	err := c.all(func(l *loop) {
		links := l.links
		l.links = newLinks()
		all[l.number] = &links
	})
	if err != nil {
		return nil, err
	}
	return MergeLinks(all...), nil
}

// all has every loop do something, and waits until all have.
func (c *Crowd) all(do func(*loop)) error {
	var done sync.WaitGroup
	for _, l := range c.loops {
		done.Add(1)
		select {
		case l.orders <- func() { defer done.Done(); do(l) }:
		case <-l.ended:
			done.Done()
		}
	}
	done.Wait()
	return c.Err()
}

// Close ends all connections and loops.
func (c *Crowd) Close() error {
	c.stop()
	c.running.Wait()
	return c.Err()
}
