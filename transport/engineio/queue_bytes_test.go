package engineio

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestTheQueueCountsItsBytes: after whatever was pushed, written in part and thrown away, the count is what the two lanes hold, so
// 0 once they are drained.
func TestTheQueueCountsItsBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := new(queue)
		message := func(t *rapid.T) Message { return note(strings.Repeat("x", rapid.IntRange(0, 200).Draw(t, "size"))) }
		lane := func(t *rapid.T) *fifo[Message] {
			return rapid.SampledFrom([]*fifo[Message]{&q.urgent, &q.reliable}).Draw(t, "lane")
		}
		t.Repeat(map[string]func(*rapid.T){
			"push":  func(t *rapid.T) { q.push(lane(t), message(t), 500) },
			"add":   func(t *rapid.T) { q.add(lane(t), message(t)) },
			"offer": func(t *rapid.T) { q.offer(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "slot"), message(t), 2) },
			"write": func(t *rapid.T) { writeSome(t, q) },
			"clear": func(t *rapid.T) {
				list, offset := q.take(nil, plenty)
				q.clear() // while a write is under way
				if len(list) > 0 {
					q.advance(list, rapid.IntRange(0, list[0].Len()-offset).Draw(t, "bytes"))
				}
			},
			"": func(t *rapid.T) {
				want := 0
				for _, m := range append(append([]Message{}, q.urgent.waiting()...), q.reliable.waiting()...) {
					want += m.Len()
				}
				if q.bytes != want {
					t.Fatalf("%d bytes are counted, %d wait", q.bytes, want)
				}
			},
		})
		for !q.empty() {
			writeSome(t, q)
		}
		if q.bytes != 0 {
			t.Fatalf("%d bytes are counted in an empty queue", q.bytes)
		}
	})
}
