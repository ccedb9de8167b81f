package limit

import (
	"context"
	"time"

	"nexus/transport/limit/lru"
)

// Memory is a Limiter of this process alone. It forgets the keys used longest
// ago when it is full, and thereby forgives them.
type Memory struct{ keys *lru.Cache[string, time.Time] }

var _ Limiter = (*Memory)(nil)

// NewMemory returns a limiter for at most so many keys; a key costs some 150 bytes.
func NewMemory(keys int) *Memory { return &Memory{keys: lru.New[string, time.Time](keys)} }

// Allow decides about one event now.
func (m *Memory) Allow(_ context.Context, key string, r Rule) (d Decision) {
	now := time.Now()
	m.keys.Update(key, func(full time.Time, _ bool) (time.Time, bool) {
		d, full = decide(full, now, r)
		return full, full.After(now) // a full bucket need not be kept
	})
	return d
}
