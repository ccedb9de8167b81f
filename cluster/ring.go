package cluster

import (
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
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

	gossip string    // where it gossips, host:port; this node does not say
	since  time.Time // it has been on this node's rings without a break
}

// Ring maps grains to members by rendezvous hashing: each member draws a number for the grain, and the highest
// owns it. When a member comes or goes, only the grains that it gains or loses move. A Ring is
// immutable.
type Ring struct {
	members []Member
	begun   []uint64 // the hash of each member's draws, as far as it is the same for all grains
}

// NewRing returns the ring of the members, whatever their order.
func NewRing(members ...Member) Ring {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	begun := make([]uint64, len(sorted))
	for i, m := range sorted {
		begun[i] = hashed(fnvOffset, m.ID)
	}
	return Ring{members: sorted, begun: begun}
}

// Owner returns the member that owns the grain: of those that host its kind and do not drain. It
// reports false if there is none. Every node with the same members gives the same answer.
func (r Ring) Owner(kind, id string) (Member, bool) {
	var (
		best  Member
		top   uint64
		found bool
	)
	for i, m := range r.members {
		if m.Draining || !slices.Contains(m.Kinds, kind) {
			continue
		}
		// Equal draws are settled by id, so that the order of members does not matter.
		if d := draw(r.begun[i], kind, id); !found || d > top || d == top && m.ID < best.ID {
			best, top, found = m, d, true
		}
	}
	return best, found
}

// Holders returns the members beside self, the grain's present owner, that may still have the grain because they owned it on a ring of
// the last settleFor. While a member was on everybody's ring, nobody with a lower draw owned the grain: so these are the members whose
// draw is above that of every established one, and the established one with the highest.
//
// A member is established that was there before: this node has seen it for so long, or has itself just started and goes by the
// other's id, which holds the time of its start. One that drains has owned grains and owns none, so that those below it may have
// taken over. A member that comes back from elsewhere had a ring of its own meanwhile, which nobody here knows: it is always asked.
func (r Ring) Holders(self string, kind, id string, now time.Time) (holders []Member) {
	settled := now.Add(-settleFor)
	young := !started(self).Before(settled)
	var top uint64 // draw of the first established member
	draws := make([]uint64, len(r.members))
	for i, m := range r.members {
		draws[i] = draw(r.begun[i], kind, id)
		if slices.Contains(m.Kinds, kind) && !m.Draining && m.established(young, settled) {
			top = max(top, draws[i])
		}
	}
	for i, m := range r.members {
		returned := !young && !m.since.Before(settled) && started(m.ID).Before(settled)
		if m.ID != self && slices.Contains(m.Kinds, kind) && (draws[i] >= top || returned) {
			holders = append(holders, m)
		}
	}
	return holders
}

// established reports whether the member was on everybody's ring before settled; young says that this node was not.
func (m Member) established(young bool, settled time.Time) bool {
	return started(m.ID).Before(settled) && (young || m.since.Before(settled))
}

// started is when the process with the id began, by its own clock. One that is fast or slow by more than settleFor costs a needless
// question, or a needless fence.
func started(id string) time.Time {
	u, err := uuid.Parse(id)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(u.Time().UnixTime())
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

// member returns the member with the id, and whether it is there.
func (r Ring) member(id string) (Member, bool) {
	i := slices.IndexFunc(r.members, func(m Member) bool { return m.ID == id })
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
func draw(begun uint64, kind, id string) uint64 {
	x := hashed(hashed(begun, kind), id)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const (
	fnvOffset = 0xcbf29ce484222325
	fnvPrime  = 0x100000001b3
)

// hashed goes on with a FNV-1a hash: over s and a zero byte. hash/fnv does the same by a pointer and a slice for each string,
// which counts where ten thousand grains are looked for among many members.
func hashed(h uint64, s string) uint64 {
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * fnvPrime
	}
	return h * fnvPrime
}
