package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	choreEvery = time.Hour
	// choreSpread is how far apart nodes that start together come to be; two that meet do each other no harm.
	choreSpread = 10 * time.Minute
	// choreTime bounds one chore.
	choreTime = time.Minute
)

// chore drops what is over, as of now, and says how many things that were. Any number of nodes may do it at once.
type chore struct {
	name string
	do   func(context.Context) (int64, error)
}

// keepHouse does the chores once an hour, the first time within ten minutes, until end is called, which waits for the
// one under way. A chore that fails is done again an hour later: all it leaves behind is old rows.
func keepHouse(log *slog.Logger, chores ...chore) (end func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pause := rand.N(choreSpread); ; pause = choreEvery + rand.N(choreSpread) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
			for _, c := range chores {
				c.run(ctx, log)
			}
		}
	}()
	return func(closing context.Context) error {
		cancel()
		select {
		case <-done:
			return nil
		case <-closing.Done():
			return closing.Err()
		}
	}
}

func (c chore) run(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, choreTime)
	defer cancel()
	start := time.Now()
	dropped, err := c.do(ctx)
	switch {
	case errors.Is(ctx.Err(), context.Canceled): // the node ends
	case err != nil:
		log.Warn("housekeeping", "chore", c.name, "err", err)
	default:
		log.Info("housekeeping", "chore", c.name, "dropped", dropped, "took", time.Since(start).Round(time.Millisecond))
	}
}
