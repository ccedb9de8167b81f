package live

import "nexus"

const rootNamespace = "/"

// rootOf returns the namespace of what concerns one person: their notices come from a stream of their own.
func rootOf(hub *Hub) *namespace {
	return &namespace{
		name:     rootNamespace,
		events:   map[string]handler{"join-user": ignored},
		admitted: func(p *peer) { hub.readOutbox(p, nexus.NoticeChannel) },
	}
}

// readOutbox begins to hand a member the stream that it has in a channel of the outbox. Earlier, lines would pile up behind the answer to CONNECT.
func (h *Hub) readOutbox(p *peer, channel string) {
	if h.outbox == nil || p.anonymous() {
		return
	}
	from := p.member.begin
	p.member.begin = nil
	h.outbox.join(p, &reader{id: nexus.OutboxStream(channel, p.user()), name: "own", claim: from.own})
}
