// Package lru holds a bounded map that forgets what was used longest ago.
package lru

import (
	"container/list"
	"sync"
)

// Cache maps keys to values, at most so many as New was told. It is safe for concurrent use.
type Cache[K comparable, V any] struct {
	mu    sync.Mutex
	max   int
	items map[K]*list.Element
	order *list.List // of entry[K, V], the last used in front
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

// New returns an empty cache for at most max entries; max is at least 1.
func New[K comparable, V any](size int) *Cache[K, V] {
	return &Cache[K, V]{max: max(size, 1), items: map[K]*list.Element{}, order: list.New()}
}

// Get returns the value of a key, and marks it as used.
func (c *Cache[K, V]) Get(key K) (v V, ok bool) {
	c.Update(key, func(old V, found bool) (V, bool) {
		v, ok = old, found
		return old, found
	})
	return v, ok
}

// Put keeps a value.
func (c *Cache[K, V]) Put(key K, v V) {
	c.Update(key, func(V, bool) (V, bool) { return v, true })
}

// Update replaces a value by what change makes of it, in one step. A key
// that change does not keep is removed.
func (c *Cache[K, V]) Update(key K, change func(old V, found bool) (v V, keep bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, found := c.items[key]
	var old V
	if found {
		old = e.Value.(*entry[K, V]).value
	}
	v, keep := change(old, found)
	switch {
	case !keep && found:
		c.remove(e)
	case !keep:
	case found:
		e.Value.(*entry[K, V]).value = v
		c.order.MoveToFront(e)
	default:
		c.items[key] = c.order.PushFront(&entry[K, V]{key, v})
		if c.order.Len() > c.max {
			c.remove(c.order.Back())
		}
	}
}

// DeleteFunc removes every entry that drop chooses.
func (c *Cache[K, V]) DeleteFunc(drop func(K, V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if en := e.Value.(*entry[K, V]); drop(en.key, en.value) {
			c.remove(e)
		}
		e = next
	}
}

// Len returns how many entries the cache holds.
func (c *Cache[K, V]) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

func (c *Cache[K, V]) remove(e *list.Element) {
	c.order.Remove(e)
	delete(c.items, e.Value.(*entry[K, V]).key)
}
