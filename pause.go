package nexus

import (
	"context"
	"time"
)

// Pause waits for d or the end of ctx, and reports whether d came first.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
