package live

import (
	"encoding/json"
	"maps"
	"path"
	"slices"

	"nexus"
	"nexus/actors/grain"
	"nexus/transport/engineio"
	"nexus/transport/socketio"
)

// maxTopics bounds what one socket listens to.
const maxTopics = 64

// fanOut encodes the event once and hands it to every socket that listens to its topic, or to all topics of its family.
func (h *Hub) fanOut(b *grain.Broadcast) {
	payload := json.RawMessage(b.GetPayload())
	m, err := socketio.EncodeEvent(b.GetNamespace(), b.GetEvent(), payload)
	if err != nil {
		h.log.Error("encode broadcast", "event", b.GetEvent(), "err", err)
		return
	}
	if b.GetSlot() != "" {
		h.mu.Lock()
		h.latest[b.GetTopic()] = payload
		h.mu.Unlock()
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	sent := 0
	for _, topic := range []string{b.GetTopic(), family(b.GetTopic())} {
		for p := range h.topics[topic] {
			if deliver(p.socket, b.GetSlot(), m) {
				sent++
			}
		}
	}
	h.metrics.sent(b.GetEvent(), sent)
}

// deliver reports false for a socket that takes nothing more: it is being closed, and its end is counted there.
func deliver(s *socketio.Socket, slot string, m engineio.Message) bool {
	if slot != "" {
		return s.Offer(slot, m)
	}
	return s.Push(m)
}

// family is the topic of all topics beside this one: "mess/*" for "mess/<id>".
func family(topic string) string { return path.Join(path.Dir(topic), "*") }

// subscribe replaces what a peer listens to, and returns the newest payloads of those topics.
func (h *Hub) subscribe(p *peer, topics []string) ([]json.RawMessage, error) {
	if len(topics) > maxTopics {
		return nil, nexus.Errorf(nexus.TooLarge, "at most %d topics", maxTopics)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unsubscribe(p)
	latest := []json.RawMessage{}
	if h.peers[p.socket.ID()] != p {
		return latest, nil // closed meanwhile
	}
	p.topics = make(map[string]struct{}, len(topics))
	for _, t := range topics {
		p.topics[t] = struct{}{}
		put(h.topics, t, p)
		latest = append(latest, h.newest(t)...)
	}
	return latest, nil
}

// newest returns the newest payload of a topic, or those of a family in order of topic.
func (h *Hub) newest(topic string) (found []json.RawMessage) {
	if payload, ok := h.latest[topic]; ok {
		return []json.RawMessage{payload}
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
	for t := range p.topics {
		take(h.topics, t, p)
	}
	p.topics = nil
}
