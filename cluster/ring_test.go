package cluster

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

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
