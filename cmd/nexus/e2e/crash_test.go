package e2e_test

import (
	"math/rand/v2"
	"testing"

	"nexus/cluster/freeport"
)

// TestNothingAcknowledgedIsLostWhenTheServerIsKilled kills it in the middle of 1,000 check-ins, three times.
func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	s := start(t)
	hall, gates := s.halls(t)[0], s.gates(t, 4)
	c := connect(t, s, "/mess", nil)
	last := c.crowd("a tick", nil)
	const people = 1000
	for round := range 3 {
		from := round * people
		killed := make(chan struct{})
		crew := s.send(t, gates, hall.ID, 16, heldBack(from, from+people, 100, killed))
		crew.acknowledgedAtLeast(200 + rand.Int64N(500))
		s.kill(t)
		close(killed)
		before := crew.acknowledged.Load()
		s.restart(t)
		crew.wg.Wait()
		t.Logf("killed after %d of %d were acknowledged; ready again %v after its start; %v",
			before, people, s.took, crew.failed())
		if before >= people {
			t.Error("the kill came too late to show anything")
		}
		if got := s.live(t, hall.ID).Occupancy; got != from+people {
			t.Errorf("%d inside, want %d", got, from+people)
		}

		c.expect("disconnect")
		c.expect("connect") // by itself
		last = c.crowd("a later tick with everybody", func(u crowd) bool { return u.Seq > last.Seq && u.Occupancy == from+people })
		c.none("a seq came again", func(e event) bool {
			var u crowd
			if e.Kind == "event" {
				decode(t, e.Args[0], &u)
			}
			return e.Kind == "event" && u.Seq == last.Seq
		})
	}
}

// TestTwoServersOverOneDirectory shows what keeps a hall exact when two nodes both believe that it is theirs: the fence
// that every write carries.
func TestTwoServersOverOneDirectory(t *testing.T) {
	one := start(t)
	addr, err := freeport.Addr()
	if err != nil {
		t.Fatal(err)
	}
	two := &server{binary: raced, dir: one.dir, addr: addr}
	if err := two.start(); err != nil {
		t.Fatal(err)
	}
	two.cleanup(t)
	hall, gates := one.halls(t)[0], one.gates(t, 4)
	for i := range gates[:2] {
		gates[i].s = two
	}
	const people = 400
	crew := one.send(t, gates, hall.ID, 8, upTo(0, people))
	crew.wg.Wait()
	t.Logf("%d people through two nodes: %v", people, crew.failed())
	// A node that was pushed aside learns of it with its next write, for which these events stand.
	for i, s := range []*server{one, two} {
		gate := gates[0]
		gate.s = s
		crew.deliver(gate, in("gate", s.addr))
		if got := s.live(t, hall.ID).Occupancy; got != people+1+i {
			t.Errorf("%d inside, want %d", got, people+1+i)
		}
	}
	if err := two.stop(); err != nil {
		t.Errorf("one of two ends: %v", err)
	}
	crew.deliver(gates[2], in("gate", "after"))
	if got := one.live(t, hall.ID).Occupancy; got != people+3 {
		t.Errorf("%d inside on the one that is left, want %d", got, people+3)
	}
}
