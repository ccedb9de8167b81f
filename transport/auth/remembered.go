package auth

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"nexus"
	"nexus/transport/limit/lru"
)

const (
	freshFor = 5 * time.Second        // how long an answer of the database counts
	askFor   = 800 * time.Millisecond // how long the database may take: an SOS waits behind it
	restFor  = time.Second            // and how long it is left alone after it was away
)

// remembered asks the database. Its good answers count for freshFor, and longer while the database is away.
type remembered[K comparable, V any] struct {
	cache *lru.Cache[K, kept[V]]
	ask   singleflight.Group
	epoch atomic.Int64 // grows with each forget, so that an answer from before it is not kept
	away  atomic.Int64 // unix nanoseconds until which the database is not asked
}

type kept[V any] struct {
	value V
	err   error // NotFound or Unauthenticated, which are never in the cache; nil if value counts
	at    time.Time
}

func newRemembered[K comparable, V any](size int) *remembered[K, V] {
	return &remembered[K, V]{cache: lru.New[K, kept[V]](size)}
}

// get is fresh, but while the database is away it returns an older answer if there is one.
func (r *remembered[K, V]) get(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	v, err := r.fresh(ctx, key, load)
	if nexus.CodeOf(err) == nexus.Unavailable {
		if old, found := r.cache.Get(key); found {
			return old.value, old.err
		}
	}
	return v, err
}

// fresh returns the answer for key, at most freshFor old; Unavailable while the database is away.
func (r *remembered[K, V]) fresh(ctx context.Context, key K, load func(context.Context, K) (V, error)) (V, error) {
	if old, found := r.cache.Get(key); found && time.Since(old.at) < freshFor {
		return old.value, old.err
	}
	k, err := r.load(ctx, key, load)
	if err != nil {
		return k.value, err
	}
	return k.value, k.err
}

func (r *remembered[K, V]) load(ctx context.Context, key K, load func(context.Context, K) (V, error)) (kept[V], error) {
	if time.Now().UnixNano() < r.away.Load() {
		return kept[V]{}, nexus.Errorf(nexus.Unavailable, "the database is away")
	}
	epoch := r.epoch.Load()
	// One question for all who ask at once; it must not end with the first asker's request. The
	// epoch is part of the key: who asks after a forget never gets an answer from before it.
	v, err, _ := r.ask.Do(fmt.Sprint(epoch, key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askFor)
		defer cancel()
		v, err := load(ctx, key)
		switch nexus.CodeOf(err) {
		case "", nexus.NotFound, nexus.Unauthenticated:
			return kept[V]{v, err, time.Now()}, nil
		}
		r.away.Store(time.Now().Add(restFor).UnixNano())
		return kept[V]{}, nexus.Wrap(nexus.Unavailable, err, "the database is away")
	})
	if err != nil {
		return kept[V]{}, err
	}
	k := v.(kept[V])
	switch {
	case k.err != nil: // not kept: strangers' inventions would push out what counts
		r.cache.Update(key, func(old kept[V], _ bool) (kept[V], bool) { return old, false })
	case r.epoch.Load() == epoch:
		r.cache.Put(key, k)
	}
	return k, nil
}

// peek returns the last good answer for key, however old, and asks nobody.
func (r *remembered[K, V]) peek(key K) (V, bool) {
	k, ok := r.cache.Get(key)
	return k.value, ok
}

// forget drops the answers that which chooses; a question under way is not kept.
func (r *remembered[K, V]) forget(which func(K, V) bool) {
	r.epoch.Add(1)
	r.cache.DeleteFunc(func(k K, v kept[V]) bool { return which(k, v.value) })
}
