package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"nexus"
)

const (
	catalogAge  = 10 * time.Second // how old the list of halls may be
	catalogWait = time.Second      // how long the database may take, and how long it is left alone if it never answered
)

// catalog is the list of halls, remembered: 10,000 phones that come back at once must not each ask the database.
type catalog struct {
	source Halls
	log    *slog.Logger
	ask    singleflight.Group

	mu    sync.Mutex
	halls []nexus.Hall
	err   error     // nil once the database has ever answered
	until time.Time // when it is asked again
}

func newCatalog(source Halls, log *slog.Logger) *catalog { return &catalog{source: source, log: log} }

// list returns the halls. While the database is away it returns those known before; Unavailable if there are none.
func (c *catalog) list(ctx context.Context) ([]nexus.Hall, error) {
	c.mu.Lock()
	halls, err, fresh := c.halls, c.err, time.Now().Before(c.until)
	c.mu.Unlock()
	if fresh {
		return halls, err
	}
	select {
	case <-c.ask.DoChan("", c.read):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.halls, c.err
}

// read asks the database, for all who wait.
func (c *catalog) read() (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), catalogWait)
	defer cancel()
	halls, err := c.source.Halls(ctx)
	if err != nil {
		c.log.Warn("list halls", "err", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Now().Add(catalogAge)
	switch {
	case err == nil:
		c.halls, c.err = append([]nexus.Hall{}, halls...), nil
	case c.halls == nil:
		c.err, c.until = nexus.Wrap(nexus.Unavailable, err, "the list of mess halls cannot be read now"), time.Now().Add(catalogWait)
	}
	return nil, nil
}
