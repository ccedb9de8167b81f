package cluster

import (
	"net"
	"net/netip"
	"time"
)

// doubtedFor is how long a member counts as gone on the word of doubt. By then memberlist has an opinion of its own.
const doubtedFor = 10 * time.Second

// doubt is called when a link to another node has broken, and looks whether that node's process has ended. memberlist
// takes seconds to give a member up, for it goes by silence alone; but the machine of a process that was killed
// still speaks: it ends the connections of the process and refuses new ones. A member that is refused, and does not answer
// memberlist's ping, is taken off the ring at once. A machine that lost its power, one that is cut off and a frozen process
// refuse nothing, and are left to memberlist. Whoever is doubted although it lives, behind a firewall that refuses, comes
// back; until then its fences keep two owners from writing.
func (n *Node) doubt(address string) {
	ring := n.ring.Load()
	if ring == nil || n.ctx.Err() != nil {
		return
	}
	m, ok := ring.at(address)
	if !ok || m.ID == n.id || n.membership.answers(m) || !n.link.refused(address) {
		return
	}
	n.cfg.Log.Warn("a member's process has ended", "member", m.ID, "address", m.Address)
	n.membership.doubt(m.ID)
}

// answers reports whether a member answers memberlist's ping, in ProbeTimeout.
func (m *membership) answers(x Member) bool {
	at, err := netip.ParseAddrPort(x.gossip)
	if err != nil {
		return true // nobody knows better
	}
	_, err = m.list.Ping(x.ID, net.UDPAddrFromAddrPort(at))
	return err == nil
}

// doubt leaves a member out for a while, unless it is heard of again.
func (m *membership) doubt(id string) {
	m.mu.Lock()
	m.doubted[id] = time.Now()
	m.mu.Unlock()
	m.notify()
	time.AfterFunc(doubtedFor, m.notify)
}
