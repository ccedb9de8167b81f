package live

import (
	"time"

	"nexus"
)

const (
	// notesEvery is how long notes wait for others to share their transaction, unless there are notesAtOnce.
	notesEvery  = 50 * time.Millisecond
	notesAtOnce = 500
)

// notes are what the store is still to hear: what became of lines, and how far devices have come. Each line and each device is there once,
// so that they are bounded by what is under way, however long the store is away.
type notes struct {
	batch
	under batch // handed to the store, which has not answered
	due   time.Time
}

type batch struct {
	marks   map[place]nexus.Mark
	cursors map[nexus.Reader]int64
}

// place names a line.
type place struct {
	stream string
	seq    int64
}

func newBatch() batch {
	return batch{marks: make(map[place]nexus.Mark), cursors: make(map[nexus.Reader]int64)}
}

func newNotes() notes { return notes{batch: newBatch(), under: newBatch()} }

func (b batch) len() int { return len(b.marks) + len(b.cursors) }

// mark takes what became of a line. The first time of each thing counts.
func (b batch) mark(m nexus.Mark) {
	at := place{m.Stream, m.Seq}
	was := b.marks[at]
	if !was.Sent.IsZero() && (m.Sent.IsZero() || was.Sent.Before(m.Sent)) {
		m.Sent = was.Sent
	}
	if !was.Got.IsZero() && (m.Got.IsZero() || was.Got.Before(m.Got)) {
		m.Got = was.Got
	}
	b.marks[at] = m
}

func (b batch) move(r nexus.Reader, seq int64) { b.cursors[r] = max(b.cursors[r], seq) }

func (n *notes) empty() bool { return n.len() == 0 }

// begin sets the time of the next batch. It is called before anything is added.
func (n *notes) begin(now time.Time) {
	if n.empty() {
		n.due = now.Add(notesEvery)
	}
}

// hurry has what is there noted at once.
func (n *notes) hurry() { n.due = time.Now() }

func (n *notes) sent(l *line, at time.Time) {
	n.begin(at)
	n.mark(nexus.Mark{Stream: l.Stream, Seq: l.Seq, Sent: at})
}

func (n *notes) got(l *line, at time.Time) {
	n.begin(at)
	n.mark(nexus.Mark{Stream: l.Stream, Seq: l.Seq, Got: at})
}

func (n *notes) advance(r nexus.Reader, seq int64) {
	n.begin(time.Now())
	n.move(r, seq)
}

// cursor is the newest that a device has acknowledged as far as this node knows, 0 if it knows nothing.
func (n *notes) cursor(r nexus.Reader) int64 { return max(n.cursors[r], n.under.cursors[r]) }

// ready reports whether a batch is due.
func (n *notes) ready(now time.Time) bool {
	return !n.empty() && (n.len() >= notesAtOnce || !now.Before(n.due))
}

// take hands out a batch; taken ends it.
func (n *notes) take() (marks []nexus.Mark, cursors []nexus.Standing) {
	for at, m := range n.marks {
		if len(marks) == notesAtOnce {
			break
		}
		marks = append(marks, m)
		n.under.marks[at] = m
		delete(n.marks, at)
	}
	for r, seq := range n.cursors {
		if len(cursors) == notesAtOnce {
			break
		}
		cursors = append(cursors, nexus.Standing{Reader: r, Cursor: seq})
		n.under.cursors[r] = seq
		delete(n.cursors, r)
	}
	return marks, cursors
}

// taken says what became of the batch: what the store did not take is for the next one.
func (n *notes) taken(ok bool, now time.Time) {
	under := n.under
	n.under = newBatch()
	if !ok {
		n.begin(now)
		for _, m := range under.marks {
			n.mark(m)
		}
		for r, seq := range under.cursors {
			n.move(r, seq)
		}
	}
}
