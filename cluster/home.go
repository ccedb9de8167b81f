package cluster

import "strings"

// tagLength is how much of a node's id names it in short: the random end of a UUID, 48 bits.
const tagLength = 12

// Tag names this node in the ids of its sockets' sessions.
func (n *Node) Tag() string { return n.id[len(n.id)-tagLength:] }

// Size counts the members that this node sees, itself included.
func (n *Node) Size() int { return len(n.ring.Load().members) }

// Home returns the base URL of the HTTP server of the member with the tag; false if there is none, or it has announced none.
func (n *Node) Home(tag string) (base string, ok bool) {
	if len(tag) != tagLength {
		return "", false
	}
	for _, m := range n.ring.Load().members {
		if strings.HasSuffix(m.ID, tag) {
			return m.HTTP, m.HTTP != ""
		}
	}
	return "", false
}
