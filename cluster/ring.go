package cluster

import (
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
)

// Member is one node of the campus.
type Member struct {
	ID       string   // new at each start of the process
	Address  string   // of its actor system
	HTTP     string   // base URL of its HTTP server, for relayed requests
	Version  string   // of its binary
	Kinds    []string // that it hosts
	Draining bool     // hands its grains over and takes no new ones
	Carried  bool     // hears broadcasts by the Carrier

	gossip string // where it gossips, host:port; this node does not say
}

// Ring maps grains to members by rendezvous hashing: each member draws a number for the grain, and the highest
// owns it. When a member comes or goes, only the grains that it gains or loses move. A Ring is
// immutable.
type Ring struct {
	members []Member
}

// NewRing returns the ring of the members, whatever their order.
func NewRing(members ...Member) Ring {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return Ring{members: sorted}
}

// Owner returns the member that owns the grain: of those that host its kind and do not drain. It
// reports false if there is none. Every node with the same members gives the same answer.
func (r Ring) Owner(kind, id string) (Member, bool) {
	var (
		best  Member
		top   uint64
		found bool
	)
	for _, m := range r.members {
		if m.Draining || !slices.Contains(m.Kinds, kind) {
			continue
		}
		// Equal draws are settled by id, so that the order of members does not matter.
		if d := draw(m.ID, kind, id); !found || d > top || d == top && m.ID < best.ID {
			best, top, found = m, d, true
		}
	}
	return best, found
}

// Members returns the members.
func (r Ring) Members() []Member { return slices.Clone(r.members) }

// at returns the member with the address, and whether there is one.
func (r Ring) at(address string) (Member, bool) {
	i := slices.IndexFunc(r.members, func(m Member) bool { return m.Address == address })
	if i < 0 {
		return Member{}, false
	}
	return r.members[i], true
}

// Equal reports whether both rings place every grain alike, whatever else their members say of themselves.
func (r Ring) Equal(o Ring) bool {
	return slices.EqualFunc(r.members, o.members, func(a, b Member) bool {
		return a.ID == b.ID && a.Draining == b.Draining && slices.Equal(a.Kinds, b.Kinds)
	})
}

// LogValue implements slog.LogValuer: the members, in short.
func (r Ring) LogValue() slog.Value {
	names := make([]string, len(r.members))
	for i, m := range r.members {
		names[i] = m.ID[max(0, len(m.ID)-12):] + "@" + m.Address
		if m.Draining {
			names[i] += " draining"
		}
	}
	return slog.StringValue(strings.Join(names, ", "))
}

// draw hashes with FNV-1a and then with the finalizer of SplitMix64 (Steele, Lea, Flood 2014): FNV alone
// barely changes its high bits for ids that differ at the end, and the comparison looks at just those.
func draw(member, kind, id string) uint64 {
	h := fnv.New64a()
	for _, s := range []string{member, kind, id} {
		_, _ = h.Write([]byte(s)) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
