package lru

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestCacheAgainstAList holds the cache to the plainest thing that does the same.
func TestCacheAgainstAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		c := New[int, int](size)
		type pair struct{ k, v int }
		var list []pair // the last used in front
		find := func(k int) int { return slices.IndexFunc(list, func(p pair) bool { return p.k == k }) }
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			k, v := rapid.IntRange(0, 8).Draw(t, "k"), rapid.Int().Draw(t, "v")
			i := find(k)
			switch rapid.SampledFrom([]string{"put", "get", "drop", "delete"}).Draw(t, "do") {
			case "put":
				c.Put(k, v)
				if i >= 0 {
					list = slices.Delete(list, i, i+1)
				}
				list = slices.Insert(list, 0, pair{k, v})
				list = list[:min(len(list), size)]
			case "get":
				got, ok := c.Get(k)
				if ok != (i >= 0) || ok && got != list[i].v {
					t.Fatalf("get %d: %d %v, list %v", k, got, ok, list)
				}
				if ok {
					p := list[i]
					list = slices.Insert(slices.Delete(list, i, i+1), 0, p)
				}
			case "drop":
				c.Update(k, func(int, bool) (int, bool) { return 0, false })
				if i >= 0 {
					list = slices.Delete(list, i, i+1)
				}
			case "delete":
				c.DeleteFunc(func(key, _ int) bool { return key > k })
				list = slices.DeleteFunc(list, func(p pair) bool { return p.k > k })
			}
			if c.Len() != len(list) {
				t.Fatalf("holds %d, want %d", c.Len(), len(list))
			}
		}
	})
}
