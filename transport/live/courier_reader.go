package live

import (
	"cmp"
	"encoding/json"
	"time"

	"nexus"
	"nexus/transport/socketio"
)

const (
	// window is how many lines of a stream are under way to one socket.
	window = 64
	// slowest is the longest pause between two tries, which follow 1, 2, 4 ... seconds after another.
	slowest = 30 * time.Second
	// socketAcks is how many calls of one socket may be unanswered: two streams, whose lines are each called for twice at
	// most at a time, and for a client that never answers also those that gave way and are not over yet.
	socketAcks = 16 * window
)

// pauseAfter is how long a line rests after so many tries.
func pauseAfter(tries int) time.Duration {
	return min(time.Second<<min(max(tries, 1)-1, 10), slowest)
}

// reader is a stream on its way to one socket.
type reader struct {
	peer  *peer
	tab   nexus.SessionID     // the id of the connection, "" if it has none
	found chan nexus.Standing // for one that only asks how far the connection has come, and has no peer
	id    string              // of the stream
	name  string              // of the stream, as clients say
	claim *int64              // the offset that the client names, if it does
	keen  bool                // its stream is looked at often: somebody must act on what it holds
	gone  bool

	stream  *stream // nil until it is known where to begin
	place   int     // among its readers
	next    int64   // the first line that was never sent
	flight  []*parcel
	hungry  bool  // listed in its stream
	skipped bool  // a line gave way unacknowledged: its cursor stays before it
	noted   int64 // the last cursor noted
}

func (r *reader) device() nexus.Reader {
	if r.found != nil {
		return nexus.Reader{Stream: r.id, Device: r.tab}
	}
	return nexus.Reader{Stream: r.id, Device: r.peer.who().Session}
}

// cursor is the last line that the client acknowledged, with all before.
func (r *reader) cursor() int64 {
	if len(r.flight) > 0 {
		return r.flight[0].line.Seq - 1
	}
	return r.next - 1
}

// room reports whether one more line may be sent. To a client that does not acknowledge, as the original one does not, or not this kind
// of line, one comes in the place of another that was sent for long: it must not be the last 64 lines of its life that it hears.
func (r *reader) room() bool {
	return len(r.flight) < window || pauseAfter(r.flight[0].tries) == slowest
}

// makeRoom lets the oldest line give way if there is no other place.
func (r *reader) makeRoom() {
	if len(r.flight) < window {
		return
	}
	r.flight[0].done, r.skipped = true, true
	r.flight = r.flight[1:]
}

// lags reports whether the reader lacks lines that are there, and has room.
func (r *reader) lags() bool { return !r.gone && r.next <= r.stream.head && r.room() }

// reset tells the client that the history that it knows is gone, and which offset takes the place of its own.
func (r *reader) reset(offset int64, lane socketio.Lane) {
	m, err := socketio.EncodeEvent(r.peer.socket.Namespace(), "stream:reset", struct {
		Stream string `json:"stream"`
		Offset int64  `json:"offset"`
	}{r.name, offset})
	if err != nil {
		panic(err) // plain values
	}
	// In the lane of the lines, which it must not come after. A socket that takes nothing more is being closed.
	deliver(r.peer.socket, "", lane == socketio.Urgent, m)
}

// call emits a line, and calls done if the client acknowledges it in time.
func (p *peer) call(event string, payload json.RawMessage, lane socketio.Lane, in time.Duration, done func()) {
	p.socket.Call(socketio.Call{Event: event, Args: []any{payload}, Lane: lane, Timeout: in}, func(_ socketio.Args, err error) {
		if err == nil {
			done()
		}
	})
}

// stream is what a node's sockets read of one stream.
type stream struct {
	id      string
	readers []*reader // in no order; most streams are one person's, and a set would cost ten times as much
	keen    int       // readers
	head    int64     // the newest line that is known
	news    bool      // there may be newer ones
	hungry  []*reader
	turn    bool // the last read was for news
	listed  bool // in the courier's work
	looked  time.Time
}

func (s *stream) add(r *reader) {
	r.stream = s
	r.place = len(s.readers)
	s.readers = append(s.readers, r)
	if r.keen {
		s.keen++
	}
}

func (s *stream) remove(r *reader) {
	last := len(s.readers) - 1
	s.readers[r.place] = s.readers[last]
	s.readers[r.place].place = r.place
	s.readers[last], s.readers = nil, s.readers[:last]
	if r.keen {
		s.keen--
	}
}

// position is after which line the stream is read next; false for nowhere. What is new comes first, but for one read
// in two when somebody lags: neither waits for the other.
func (s *stream) position() (after int64, ok bool) {
	var behind *reader
	for len(s.hungry) > 0 {
		if r := s.hungry[0]; r.lags() {
			behind = r
			break
		}
		s.hungry[0].hungry = false
		s.hungry = s.hungry[1:]
	}
	switch {
	case s.news && (behind == nil || !s.turn):
		s.news, s.turn = false, true
		return s.head, true
	case behind != nil:
		behind.hungry = false
		s.hungry, s.turn = s.hungry[1:], false
		return behind.next - 1, true
	}
	return 0, false
}

// parcel is a line on its way to one socket.
type parcel struct {
	to    *reader
	line  *line
	tries int
	done  bool // acknowledged, or given up
	due   time.Time
	order int64
}

// schedule is a heap of parcels by when they are due, and among those due at once in the order they were sent.
type schedule []*parcel

// Len implements heap.Interface, as do the others.
func (s schedule) Len() int { return len(s) }

// Less puts the earliest first.
func (s schedule) Less(i, j int) bool {
	return cmp.Or(s[i].due.Compare(s[j].due), cmp.Compare(s[i].order, s[j].order)) < 0
}

// Swap swaps two.
func (s schedule) Swap(i, j int) { s[i], s[j] = s[j], s[i] }

// Push adds one.
func (s *schedule) Push(p any) { *s = append(*s, p.(*parcel)) }

// Pop takes the last one.
func (s *schedule) Pop() any {
	old := *s
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	return p
}

func compareReaders(a, b nexus.Reader) int {
	return cmp.Or(cmp.Compare(a.Stream, b.Stream), cmp.Compare(a.Device, b.Device))
}
