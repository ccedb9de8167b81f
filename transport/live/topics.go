package live

import (
	"bytes"
	"encoding/json"
	"maps"
	"path"
	"slices"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/transport/engineio"
	"nexus/transport/socketio"
)

// maxTopics bounds what one socket listens to.
const maxTopics = 64

// seqHolds is for how long a seq shuts out lower ones: longer than an owner that was replaced is heard of. Seqs start lower
// only after the database was set back to an older state, which must not silence a hall for good.
const seqHolds = 10 * time.Second

// offerFor is how old the newest broadcast of a topic may be to be offered to whoever begins to listen: three ticks. Past it the
// grain itself is silent or this node does not hear it, and what it said last is no news.
const offerFor = 3 * time.Second

// newest is the newest lossy broadcast of a topic.
type newest struct {
	payload json.RawMessage
	message engineio.Message
	slot    string
	except  nexus.UserID // who must not hear it
	seq     int64
	at      time.Time
}

// fanOut encodes the event once and hands it to every socket that listens to its topic, or to all topics of its family. It holds
// the lock for the whole of it, so that whoever begins to listen meanwhile hears each broadcast once and in order.
func (h *Hub) fanOut(b *grain.Broadcast) {
	payload := json.RawMessage(b.GetPayload())
	if text := bytes.TrimLeft(payload, " \t\r\n"); len(text) > 0 && text[0] == '"' { // a client would take it for an offset, see recovery.go
		h.log.Error("a broadcast ends with a string", "event", b.GetEvent())
		return
	}
	m, err := socketio.EncodeEvent(b.GetNamespace(), b.GetEvent(), payload)
	if err != nil {
		h.log.Error("encode broadcast", "event", b.GetEvent(), "err", err)
		return
	}
	except := nexus.UserID(b.GetExcept())
	h.mu.Lock()
	defer h.mu.Unlock()
	// What nobody counts, in a slot of another name than the topic's, is beside it: it is not what is newest of it, and nobody is shown it later.
	if counted := b.GetSeq() != 0 || b.GetSlot() == b.GetTopic(); b.GetSlot() != "" && counted && !h.renew(b.GetTopic(), newest{payload, m, b.GetSlot(), except, b.GetSeq(), time.Now()}) {
		h.metrics.late.Inc() // of an owner that was replaced, or that took another way
		return
	}
	if b.GetNamespace() == securityNamespace {
		h.forgetIncidents()
	}
	sent := 0
	for _, topic := range []string{b.GetTopic(), family(b.GetTopic())} {
		to := h.topics[topic]
		if to == nil {
			continue
		}
		for _, p := range to.listeners {
			if p.mayHear(except) && deliver(p.socket, b.GetSlot(), b.GetUrgent(), m) {
				sent++
			}
		}
	}
	h.metrics.sent(b.GetEvent(), sent)
}

// renew takes the newest broadcast of a topic, unless one came before that is as new. It needs the lock.
func (h *Hub) renew(topic string, n newest) bool {
	if was := h.latest[topic]; n.seq != 0 && n.seq <= was.seq && n.at.Sub(was.at) < seqHolds {
		return false
	}
	h.latest[topic] = n
	return true
}

// deliver reports false for a socket that takes nothing more: it is being closed, and its end is counted there.
func deliver(s *socketio.Socket, slot string, urgent bool, m engineio.Message) bool {
	switch {
	case slot != "":
		return s.Offer(slot, m)
	case urgent:
		return s.PushUrgent(m)
	}
	return s.Push(m)
}

// family is the topic of all topics beside this one: "mess/*" for "mess/<id>".
func family(topic string) string { return path.Join(path.Dir(topic), "*") }

// subscribe replaces what a peer listens to, and returns the newest payloads of those topics.
func (h *Hub) subscribe(p *peer, topics []string) ([]json.RawMessage, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.listen(p, topics)
	latest := h.newestFor(p)
	payloads := make([]json.RawMessage, len(latest))
	for i, n := range latest {
		payloads[i] = n.payload
	}
	return payloads, err
}

// subscribeAndOffer is subscribe for a peer that did not ask, so that there is no answer to hold the newest payloads: they are
// offered, before any later ones. A client that was cut off thus hears at once, and not with the next second.
func (h *Hub) subscribeAndOffer(p *peer, topics []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	err := h.listen(p, topics)
	for _, n := range h.newestFor(p) {
		if time.Since(n.at) < offerFor {
			deliver(p.socket, n.slot, false, n.message)
		}
	}
	return err
}

// subscribeFromNow is subscribe for a peer that has what is newest from elsewhere.
func (h *Hub) subscribeFromNow(p *peer, topics []string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.listen(p, topics)
}

// listen replaces what a peer listens to. It needs the lock.
func (h *Hub) listen(p *peer, topics []string) error {
	if len(topics) > maxTopics {
		return nexus.Errorf(nexus.TooLarge, "at most %d topics", maxTopics)
	}
	h.unsubscribe(p)
	if !p.here {
		return nil // closed meanwhile
	}
	for _, t := range topics {
		h.enter(p, t)
	}
	return nil
}

// newestFor returns the newest broadcasts of all that a peer listens to. It needs the lock.
func (h *Hub) newestFor(p *peer) (latest []newest) {
	for _, l := range p.topics {
		latest = append(latest, h.newest(l.to.name)...)
	}
	return slices.DeleteFunc(latest, func(n newest) bool { return !p.mayHear(n.except) })
}

// newest returns the newest broadcast of a topic, or those of a family in order of topic.
func (h *Hub) newest(topic string) (found []newest) {
	if n, ok := h.latest[topic]; ok {
		return []newest{n}
	}
	for _, t := range slices.Sorted(maps.Keys(h.latest)) {
		if family(t) == topic {
			found = append(found, h.latest[t])
		}
	}
	return found
}

// unsubscribe needs the lock.
func (h *Hub) unsubscribe(p *peer) {
	for len(p.topics) > 0 {
		h.leave(p, len(p.topics)-1)
	}
	p.topics = nil
}

// topic is who listens to it, in no order: a slice, for a broadcast goes through all of them.
type topic struct {
	name      string
	listeners []*peer
}

// listening is a peer's place among a topic's listeners.
type listening struct {
	to *topic
	at int
}

// enter has a peer listen to one more topic; it needs the lock.
func (h *Hub) enter(p *peer, name string) {
	t := h.topics[name]
	if t == nil {
		t = &topic{name: name}
		h.topics[name] = t
	}
	p.topics = append(p.topics, listening{t, len(t.listeners)})
	t.listeners = append(t.listeners, p)
}

// leave takes a peer off the ith of its topics; it needs the lock. The last listener of the topic moves up.
func (h *Hub) leave(p *peer, i int) {
	place := p.topics[i]
	t, end := place.to, len(place.to.listeners)-1
	moved := t.listeners[end]
	t.listeners[place.at] = moved
	moved.topics[slices.IndexFunc(moved.topics, func(l listening) bool { return l.to == t })].at = place.at
	t.listeners = slices.Delete(t.listeners, end, end+1)
	if end == 0 {
		delete(h.topics, t.name)
	}
	p.topics = slices.Delete(p.topics, i, i+1)
}
