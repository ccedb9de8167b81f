package engineio

import "slices"

// keptMessages is how many places an idle lane of a session keeps: most wait one or two at a time.
const keptMessages = 4

// queue holds what waits for one session. It is not safe for concurrent use, but writing may happen outside its owner's lock: take
// lists what is to leave, the lanes keep it, and advance removes what did. Meanwhile push and offer may go on.
type queue struct {
	urgent, reliable fifo[Message]
	slots            []slot
	final            Message // leaves last, after which the queue is done
	bytes            int     // in urgent and reliable

	part     Message // its first partOff bytes are on the wire
	partOff  int
	partOwed bool // it is not lossy

	taken struct { // the last take, by lane; clear sets the lanes' counts to 0
		part, final             bool
		urgent, reliable, slots int
	}
}

// slot is a lossy lane of one message.
type slot struct {
	name    string
	message Message
	taken   Message // as listed by the last take
}

// fifo is a slice with a head, so that popping costs nothing.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

// waiting is what has not been popped, oldest first.
func (f *fifo[T]) waiting() []T { return f.items[f.head:] }

// push appends. The popped half is reused first: a queue that is never empty must not grow for ever.
func (f *fifo[T]) push(item T) {
	if f.head > 16 && f.head*2 >= len(f.items) {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, item)
}

// pop removes the n oldest. Once empty, it keeps the memory of keep items at most.
func (f *fifo[T]) pop(n, keep int) {
	clear(f.items[f.head : f.head+n])
	if f.head += n; f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
		if cap(f.items) > keep {
			f.items = nil
		}
	}
}

func (q *queue) empty() bool {
	return q.part.IsZero() && q.urgent.len() == 0 && q.reliable.len() == 0 && len(q.slots) == 0 && q.final.IsZero()
}

// owed reports whether something waits that is neither lossy nor a ping of the engine.
func (q *queue) owed() bool {
	return q.reliable.len() > 0 || !q.final.IsZero() || !q.part.IsZero() && q.partOwed || slices.ContainsFunc(q.urgent.waiting(), func(m Message) bool { return m != pingPacket })
}

// push appends to a lane and reports whether the queue stays within max bytes. One message alone may be larger.
func (q *queue) push(lane *fifo[Message], m Message, max int) bool {
	if q.bytes > 0 && q.bytes+m.Len() > max {
		return false
	}
	q.add(lane, m)
	return true
}

// add is push for the few messages of the engine itself, which must leave however much waits.
func (q *queue) add(lane *fifo[Message], m Message) {
	lane.push(m)
	q.bytes += m.Len()
}

// offer puts m in its slot. kept is false if there was no room for one more slot; replaced tells that an older message gave way.
func (q *queue) offer(name string, m Message, max int) (kept, replaced bool) {
	for i := range q.slots {
		if q.slots[i].name == name {
			replaced = q.slots[i].taken != q.slots[i].message
			q.slots[i].message = m
			return true, replaced
		}
	}
	if len(q.slots) >= max {
		return false, false
	}
	q.slots = append(q.slots, slot{name: name, message: m})
	return true, false
}

// clear forgets all that has not begun to leave.
func (q *queue) clear() {
	q.urgent, q.reliable, q.slots, q.bytes = fifo[Message]{}, fifo[Message]{}, nil, 0
	q.taken.urgent, q.taken.reliable, q.taken.slots = 0, 0, 0
}

// take lists what leaves next, in order: the rest of the message under way, the urgent, the reliable, the slots by age, the final
// one. It stops at limit bytes but lists at least one message. offset is how much of the first is already gone.
func (q *queue) take(list []Message, limit int) (_ []Message, offset int) {
	q.taken.part, q.taken.final, q.taken.urgent, q.taken.reliable, q.taken.slots = false, false, 0, 0, 0
	room := limit
	add := func(m Message) bool {
		if room < m.Len() && len(list) > 0 {
			room = 0
			return false
		}
		list, room = append(list, m), room-m.Len()
		return true
	}
	if !q.part.IsZero() {
		q.taken.part, offset = true, q.partOff
		list, room = append(list, q.part), room-(q.part.Len()-q.partOff)
	}
	for _, m := range q.urgent.waiting() {
		if !add(m) {
			return list, offset
		}
		q.taken.urgent++
	}
	for _, m := range q.reliable.waiting() {
		if !add(m) {
			return list, offset
		}
		q.taken.reliable++
	}
	for i := range q.slots {
		if !add(q.slots[i].message) {
			return list, offset
		}
		q.slots[i].taken = q.slots[i].message
		q.taken.slots++
	}
	if !q.final.IsZero() {
		q.taken.final = add(q.final)
	}
	return list, offset
}

// advance notes that n bytes of the list, the last one taken, have left.
func (q *queue) advance(list []Message, n int) {
	done := 0 // messages that have left or begun to
	for i, m := range list {
		size := m.Len()
		first := i == 0 && q.taken.part
		if first {
			size -= q.partOff
		}
		switch {
		case n >= size && size > 0:
			n -= size
			if first {
				q.part, q.partOff = Message{}, 0
			}
		case n > 0 && first:
			q.partOff += n
			n = 0
		case n > 0:
			q.part, q.partOff, q.partOwed = m, n, m != pingPacket && q.owes(i)
			n = 0
		default:
			q.remove(done)
			return
		}
		done++
		if !q.part.IsZero() {
			break
		}
	}
	q.remove(done)
}

// owes reports whether the i-th of those listed is not lossy. It is not the part.
func (q *queue) owes(i int) bool {
	if q.taken.part {
		i--
	}
	kept := q.taken.urgent + q.taken.reliable
	return i < kept || i >= kept+q.taken.slots
}

// remove takes the first k listed messages out of their lanes.
func (q *queue) remove(k int) {
	if q.taken.part {
		k = max(k-1, 0)
	}
	u := min(k, q.taken.urgent)
	q.pop(&q.urgent, u)
	k -= u
	r := min(k, q.taken.reliable)
	q.pop(&q.reliable, r)
	k -= r
	s := min(k, q.taken.slots)
	q.removeSlots(s)
	if k > s && q.taken.final {
		q.final = Message{}
	}
}

func (q *queue) pop(lane *fifo[Message], n int) {
	for _, m := range lane.waiting()[:n] {
		q.bytes -= m.Len()
	}
	lane.pop(n, keptMessages)
}

// removeSlots frees the first k slots, except those whose message was replaced while it was leaving.
func (q *queue) removeSlots(k int) {
	kept := q.slots[:0]
	for i, s := range q.slots {
		if i < k && s.message == s.taken {
			continue
		}
		s.taken = Message{}
		kept = append(kept, s)
	}
	clear(q.slots[len(kept):])
	q.slots = kept
}
