package cluster

import (
	"fmt"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus"
)

// startedAt is an id of the nth process that started at the time.
func startedAt(at time.Time, n int) string { return nexus.DerivedID(at, at, fmt.Sprint(n)) }

// rings draws up to eight members, each with its own id.
func rings(t *rapid.T) []Member {
	ids := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,8}`), 0, 8, rapid.ID).Draw(t, "ids")
	members := make([]Member, len(ids))
	for i, id := range ids {
		members[i] = Member{ID: id, Draining: rapid.IntRange(0, 4).Draw(t, "draining") == 0}
		for _, kind := range []string{"mess", "session"} {
			if rapid.IntRange(0, 4).Draw(t, kind) > 0 {
				members[i].Kinds = append(members[i].Kinds, kind)
			}
		}
	}
	return members
}

func TestOwnerDoesNotDependOnTheOrderOfMembers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rings(t)
		a, b := NewRing(members...), NewRing(rapid.Permutation(members).Draw(t, "order")...)
		for i := range 50 {
			x, okX := a.Owner("mess", fmt.Sprint(i))
			y, okY := b.Owner("mess", fmt.Sprint(i))
			if x.ID != y.ID || okX != okY {
				t.Fatalf("grain %d: %q or %q", i, x.ID, y.ID)
			}
		}
	})
}

func TestOwnerHostsTheKindAndDoesNotDrain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rings(t)
		able := 0
		for _, m := range members {
			if !m.Draining && len(m.Kinds) > 0 && m.Kinds[len(m.Kinds)-1] == "session" {
				able++
			}
		}
		owner, ok := NewRing(members...).Owner("session", rapid.String().Draw(t, "id"))
		if ok != (able > 0) {
			t.Fatalf("owner %v although %d could be", ok, able)
		}
		if ok && (owner.Draining || owner.Kinds[len(owner.Kinds)-1] != "session") {
			t.Fatalf("owner %+v", owner)
		}
	})
}

// TestOnlyTheGrainsOfWhoeverComesOrGoesMove also covers a member that begins to drain, which is as good as gone.
func TestOnlyTheGrainsOfWhoeverComesOrGoesMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rings(t)
		if len(members) == 0 {
			return
		}
		one := members[0]
		with, without := NewRing(members...), NewRing(members[1:]...)
		drained := append([]Member{one}, members[1:]...)
		drained[0].Draining = true
		draining := NewRing(drained...)
		for i := range 50 {
			a, okA := with.Owner("mess", fmt.Sprint(i))
			b, okB := without.Owner("mess", fmt.Sprint(i))
			if okA && a.ID != one.ID && (!okB || a.ID != b.ID) {
				t.Fatalf("grain %d moved from %q to %q although %q came or went", i, a.ID, b.ID, one.ID)
			}
			if c, okC := draining.Owner("mess", fmt.Sprint(i)); okC != okB || c.ID != b.ID {
				t.Fatalf("grain %d: %q while %q drains, %q without it", i, c.ID, one.ID, b.ID)
			}
		}
	})
}

// TestRingsOfOneMindAreEqual changes one thing that a member says of itself.
func TestRingsOfOneMindAreEqual(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(*Member)
		equal bool
	}{
		"nothing":         {func(*Member) {}, true},
		"where its HTTP":  {func(m *Member) { m.HTTP = "http://10.0.0.1" }, true},
		"its version":     {func(m *Member) { m.Version = "2" }, true},
		"by the carrier":  {func(m *Member) { m.Carried = true }, true},
		"that it drains":  {func(m *Member) { m.Draining = true }, false},
		"what it hosts":   {func(m *Member) { m.Kinds = []string{"mess", "session"} }, false},
		"another process": {func(m *Member) { m.ID = "c" }, false},
	} {
		one, other := Member{ID: "a", Kinds: []string{"mess"}}, Member{ID: "b", Kinds: []string{"mess"}}
		before := NewRing(one, other)
		c.edit(&one)
		if got := before.Equal(NewRing(other, one)); got != c.equal {
			t.Errorf("%s: equal %v", name, got)
		}
	}
}

func TestGrainsAreSpreadEvenly(t *testing.T) {
	const ids, nodes = 10_000, 5
	for _, shape := range []string{"node-%d", "0193a7c2-0000-7000-8000-00000000000%d"} {
		var members []Member
		for i := range nodes {
			members = append(members, Member{ID: fmt.Sprintf(shape, i), Kinds: []string{"mess"}})
		}
		ring, owned := NewRing(members...), make(map[string]int)
		for i := range ids {
			owner, _ := ring.Owner("mess", fmt.Sprintf("0193a7c2-1111-7000-8000-%012d", i))
			owned[owner.ID]++
		}
		for _, m := range members {
			if n := owned[m.ID]; n < ids/nodes*85/100 || n > ids/nodes*115/100 {
				t.Errorf("%s owns %d of %d", m.ID, n, ids)
			}
		}
	}
}

func TestRingDoesNotChange(t *testing.T) {
	members := []Member{{ID: "a", Kinds: []string{"mess"}}}
	r := NewRing(members...)
	members[0].ID = "b"
	r.Members()[0].ID = "c"
	if owner, _ := r.Owner("mess", "x"); owner.ID != "a" {
		t.Fatalf("owner %q", owner.ID)
	}
}

// TestWhoeverMayHaveAGrainIsAsked draws members of which some are old, some have just come, some were away and some drain. Whoever
// owned the grain on any ring that began with the old ones, and whoever had a ring of its own, is asked to give it up.
func TestWhoeverMayHaveAGrainIsAsked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(1_800_000_000_000)
		long, lately := now.Add(-time.Hour), now.Add(-settleFor/2)
		oldSelf := rapid.Bool().Draw(t, "old self")
		var members, base, others []Member
		var away []string
		for i := range rapid.IntRange(1, 10).Draw(t, "members") {
			m := Member{ID: startedAt(long, i), Kinds: []string{"mess"}, since: long}
			if !oldSelf {
				m.since = lately // this node has seen nobody for longer
			}
			switch what := rapid.SampledFrom([]string{"old", "came", "away", "drains"}).Draw(t, fmt.Sprint("member ", i)); {
			case what == "came" && i > 0 || i == 0 && !oldSelf:
				m.ID, m.since = startedAt(lately, i), lately
				others = append(others, m)
			case what == "away" && oldSelf && i > 0:
				m.since = lately
				away = append(away, m.ID)
			case what == "drains" && i > 0:
				others = append(others, m)
				m.Draining = true
			default:
				base = append(base, m)
			}
			members = append(members, m)
		}
		self, ring := members[0].ID, NewRing(members...)
		for i := range 20 {
			asked := ring.Holders(self, "mess", fmt.Sprint(i), now)
			for _, id := range away {
				if !slices.ContainsFunc(asked, func(m Member) bool { return m.ID == id }) {
					t.Fatalf("grain %d: %s was away and is not asked", i, id)
				}
			}
			if slices.ContainsFunc(asked, func(m Member) bool { return m.ID == self }) {
				t.Fatalf("grain %d: asks itself", i)
			}
			then := slices.Clone(base)
			for _, m := range others {
				if rapid.Bool().Draw(t, "then") {
					then = append(then, m)
				}
			}
			if owner, ok := NewRing(then...).Owner("mess", fmt.Sprint(i)); ok && owner.ID != self &&
				!slices.ContainsFunc(asked, func(m Member) bool { return m.ID == owner.ID }) {
				t.Fatalf("grain %d lived on %s, which is not asked", i, owner.ID)
			}
		}
	})
}

// TestFewAreAskedWhenManyJoin has eight members join three: a new one asks for what it owns, as far as it can be told, where that lived.
func TestFewAreAskedWhenManyJoin(t *testing.T) {
	now := time.Now()
	var members []Member
	for i := range 11 {
		m := Member{ID: startedAt(now.Add(-time.Hour), i), Kinds: []string{"mess"}, since: now}
		if i >= 3 {
			m.ID = startedAt(now, i)
		}
		members = append(members, m)
	}
	ring := NewRing(members...)
	grains, asked := 0, 0
	for i := range 10_000 {
		if owner, _ := ring.Owner("mess", fmt.Sprint(i)); owner.ID == members[10].ID {
			grains++
			asked += len(ring.Holders(owner.ID, "mess", fmt.Sprint(i), now))
		}
	}
	if grains == 0 || asked > 4*grains { // 2.75 each, where all would be 10
		t.Errorf("%d questions for %d grains", asked, grains)
	}
}

// TestDrawsStayWhatTheyWere keeps nodes of different versions of one mind about who owns what.
func TestDrawsStayWhatTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		member, kind, id := rapid.String().Draw(t, "member"), rapid.String().Draw(t, "kind"), rapid.String().Draw(t, "id")
		h := fnv.New64a()
		for _, s := range []string{member, kind, id} {
			h.Write([]byte(s + "\x00"))
		}
		if got, want := hashed(hashed(hashed(fnvOffset, member), kind), id), h.Sum64(); got != want {
			t.Fatalf("%x, want %x", got, want)
		}
	})
}
