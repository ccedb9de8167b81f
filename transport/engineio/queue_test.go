package engineio

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func note(text string) Message { return NewMessage([]byte(text)) }

// names lists messages by their text.
func names(list []Message) string {
	var all []string
	for _, m := range list {
		all = append(all, string(m.AppendPayload(nil)[1:]))
	}
	return strings.Join(all, " ")
}

// leave takes up to limit bytes and lets n of them leave (-1: all).
func leave(q *queue, limit, n int) string {
	list, offset := q.take(nil, limit)
	if n < 0 {
		n = -offset
		for _, m := range list {
			n += m.Len()
		}
	}
	q.advance(list, n)
	return names(list)
}

const plenty = 1 << 20

func filled(t *testing.T) *queue {
	t.Helper()
	q := new(queue)
	for _, name := range []string{"r1", "r2"} {
		if !q.push(&q.reliable, note(name), plenty) {
			t.Fatal("queue is full")
		}
	}
	q.offer("s", note("s1"), 8)
	if !q.push(&q.urgent, note("u1"), plenty) {
		t.Fatal("queue is full")
	}
	return q
}

func TestQueueOrder(t *testing.T) {
	q := filled(t)
	q.final = note("end")
	if got := leave(q, plenty, -1); got != "u1 r1 r2 s1 end" {
		t.Fatal(got)
	}
	if !q.empty() || q.bytes != 0 {
		t.Fatalf("not empty: %+v", q)
	}
}

func TestUrgentGoesBehindTheMessageUnderWay(t *testing.T) {
	q := new(queue)
	for _, name := range []string{"r1", "r2"} {
		q.push(&q.reliable, note(name), plenty)
	}
	leave(q, plenty, 3) // three bytes of r1
	q.push(&q.urgent, note("u1"), plenty)
	if got := leave(q, plenty, -1); got != "r1 u1 r2" || !q.empty() {
		t.Fatal(got)
	}
}

func TestNewestWinsInASlot(t *testing.T) {
	q := filled(t)
	if kept, replaced := q.offer("s", note("s2"), 1); !kept || !replaced {
		t.Fatal(kept, replaced)
	}
	if kept, _ := q.offer("another", note("x"), 1); kept {
		t.Fatal("more slots than allowed")
	}
	if got := leave(q, plenty, -1); got != "u1 r1 r2 s2" {
		t.Fatal(got)
	}
}

func TestOfferWhileItsSlotIsLeaving(t *testing.T) {
	q := new(queue)
	q.offer("s", note("s1"), 8)
	list, _ := q.take(nil, plenty)
	q.offer("s", note("s2"), 8)
	q.advance(list, list[0].Len())
	if got := leave(q, plenty, -1); got != "s2" || !q.empty() {
		t.Fatal(got)
	}
}

func TestQueueIsBoundedInBytes(t *testing.T) {
	q := new(queue)
	big := note(strings.Repeat("x", 100))
	if !q.push(&q.reliable, big, 50) {
		t.Fatal("a lone message may be larger than the bound")
	}
	if q.push(&q.urgent, note("y"), 50) {
		t.Fatal("pushed past the bound")
	}
	leave(q, plenty, -1)
	if !q.push(&q.urgent, note("y"), 50) {
		t.Fatal("no room in an empty queue")
	}
}

func TestClearKeepsTheMessageUnderWay(t *testing.T) {
	q := filled(t)
	list, _ := q.take(nil, plenty)
	q.clear() // while the write is going on
	q.final = note("end")
	q.advance(list, list[0].Len()+2) // u1 and a piece of r1
	if got := leave(q, plenty, -1); got != "r1 end" || !q.empty() || q.bytes != 0 {
		t.Fatal(got, q.bytes)
	}
}

func TestTakeStopsAtTheLimit(t *testing.T) {
	q := new(queue)
	for i := range 10 {
		q.push(&q.reliable, note(fmt.Sprint(i)), plenty) // four bytes each
	}
	if got := leave(q, 12, -1); got != "0 1 2" {
		t.Fatal(got)
	}
	if got := leave(q, 1, -1); got != "3" {
		t.Fatal("one message leaves whatever the limit:", got)
	}
}

// Whatever the order of pushes, offers and partial writes: what is reliable leaves once, whole and in order; slots never go back in
// time; the bytes on the wire are whole frames.
func TestQueueKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := new(queue)
		var wire []byte
		var pushed, urgent []string
		latest := map[string]int{}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				n++
				name := fmt.Sprintf("r%d", n)
				q.push(&q.reliable, note(name), plenty)
				pushed = append(pushed, name)
			},
			"urgent": func(t *rapid.T) {
				n++
				name := fmt.Sprintf("u%d", n)
				q.push(&q.urgent, note(name), plenty)
				urgent = append(urgent, name)
			},
			"offer": func(t *rapid.T) {
				n++
				slot := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "slot")
				q.offer(slot, note(fmt.Sprintf("%s%d", slot, n)), 8)
				latest[slot] = n
			},
			"write": func(t *rapid.T) {
				wire = append(wire, writeSome(t, q)...)
			},
		})
		for !q.empty() {
			wire = append(wire, writeSome(t, q)...)
		}
		checkWire(t, wire, pushed, urgent, latest)
	})
}

// writeSome writes a random part of what is next, sometimes with an offer in between.
func writeSome(t *rapid.T, q *queue) []byte {
	list, offset := q.take(nil, rapid.IntRange(1, 60).Draw(t, "limit"))
	var all []byte
	for _, m := range list {
		all = m.AppendFrames(all)
	}
	all = all[offset:]
	if len(all) == 0 {
		return nil
	}
	k := rapid.IntRange(1, len(all)).Draw(t, "bytes")
	q.advance(list, k)
	return all[:k]
}

func checkWire(t *rapid.T, wire []byte, pushed, urgent []string, latest map[string]int) {
	var gotPushed, gotUrgent []string
	seen := map[string]int{}
	for len(wire) > 0 {
		var payload []byte
		_, payload, wire = cutFrame(wire)
		name := string(payload[1:])
		switch name[0] {
		case 'r':
			gotPushed = append(gotPushed, name)
		case 'u':
			gotUrgent = append(gotUrgent, name)
		default:
			var n int
			if _, err := fmt.Sscan(name[1:], &n); err != nil || n <= seen[name[:1]] {
				t.Fatalf("slot %s went back to %s", name[:1], name)
			}
			seen[name[:1]] = n
		}
	}
	if fmt.Sprint(gotPushed) != fmt.Sprint(pushed) || fmt.Sprint(gotUrgent) != fmt.Sprint(urgent) || fmt.Sprint(seen) != fmt.Sprint(latest) {
		t.Fatalf("got %v %v %v, want %v %v %v", gotPushed, gotUrgent, seen, pushed, urgent, latest)
	}
}
