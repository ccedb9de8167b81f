package crowd

import (
	"time"

	"nexus/cmd/nexus-load/wire"
)

// stamp is a timestamp as it was last read: a tick's comes to every socket, and the next one's is another.
type stamp struct {
	text string
	ns   int64
	edge int64 // of the nearest second
}

// tick times one CROWD_UPDATE. The first of a topic on a connection is not timed: it may be the newest of before.
func (c *client) tick(data []byte, at int64) {
	l := c.loop
	t, ok := wire.ReadTick(data)
	if !ok {
		l.links.Unlikely["a CROWD_UPDATE without its fields"]++
		return
	}
	i, known := l.topics[string(t.Hall)]
	if !known {
		i = l.topic(data, string(t.Hall))
	}
	for len(c.seqs) <= i {
		c.seqs = append(c.seqs, 0)
	}
	last := c.seqs[i]
	if !l.measuring || last == 0 {
		c.seqs[i] = max(last, t.Seq)
		return
	}
	topic := l.heard.Topics[i]
	l.heard.Messages++
	topic.Messages++
	switch step := t.Seq - last; {
	case step <= 0:
		topic.Duplicates++
		return
	case step < newActivation:
		topic.Gaps += uint64(step - 1)
	}
	c.seqs[i] = t.Seq
	s := &l.stamps[i]
	if s.text != string(t.Stamp) {
		ns, ok := wire.Stamp(t.Stamp)
		if !ok {
			l.links.Unlikely["a timestamp of another form"]++
			return
		}
		*s = stamp{string(t.Stamp), ns, (ns + int64(time.Second)/2) / int64(time.Second) * int64(time.Second)}
	}
	latency, edge := time.Duration(at-s.ns), time.Duration(at-s.edge)
	topic.Latency.Record(latency)
	topic.Edge.Record(edge)
	l.heard.Latency.Record(latency)
	l.heard.Edge.Record(edge)
}

// topic makes a topic known. Its first message is parsed in full.
func (l *loop) topic(data []byte, id string) int {
	name, err := wire.Check(data)
	if err != nil {
		l.links.Unlikely[err.Error()]++
	}
	t := l.heard.topic(id)
	t.Name = name
	i := len(l.heard.Topics) - 1
	l.topics[id] = i
	l.stamps = append(l.stamps, stamp{})
	return i
}
