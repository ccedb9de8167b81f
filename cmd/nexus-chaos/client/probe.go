package client

import (
	"context"
	"sync"
	"time"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

// Recovery is how long after a fault the grain of a hall took a write again.
type Recovery struct {
	Hall nexus.HallID
	Took time.Duration
	Err  string // empty unless it did not within the limit
}

// Probe has a gate report to each hall through the targets, from now on and all at once, and says after how long each
// was answered. One gate for each hall, in the same order.
func Probe(ctx context.Context, gates []*Gate, limit time.Duration) []Recovery {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	found := make([]Recovery, len(gates))
	var wg sync.WaitGroup
	began := time.Now()
	for i, g := range gates {
		wg.Go(func() {
			op := g.Report(ctx)
			found[i] = Recovery{Hall: g.Hall, Took: time.Since(began)}
			if op.Outcome != history.OK {
				found[i].Err = "no answer within " + limit.String()
			}
		})
	}
	wg.Wait()
	return found
}
