package e2e_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"

	"nexus"
)

// crowdFields are the contract's for CROWD_UPDATE.
var crowdFields = []string{
	"asOf", "capacity", "hall", "hallId", "level", "occupancy", "seq", "source", "stale", "status", "timestamp", "waitMinutes", "waitTime",
}

func TestTheOfficialClientPollsAndThenUpgrades(t *testing.T) {
	t.Parallel()
	c := dial(t, campus(t), "/mess", nil)
	c.expect("open")
	if e := c.expect("upgrade"); e.Name != "websocket" {
		t.Errorf("upgraded to %q", e.Name)
	}
	c.expect("connect")
	before := c.crowd("a tick after the upgrade", nil)
	after := c.crowd("another", nil)
	if after.Seq <= before.Seq { // what a slow client misses between two polls it finds replaced by the newest
		t.Errorf("seq %d after %d", after.Seq, before.Seq)
	}
}

func TestTheOfficialClientByOneTransport(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"websocket", "polling"} {
		t.Run(transport, func(t *testing.T) {
			c := connect(t, campus(t), "/mess", options{"transports": []string{transport}})
			last := c.crowd("a tick", nil)
			for range 2 {
				u := c.crowd("another tick", nil)
				if u.Seq <= last.Seq || transport == "websocket" && !u.follows(last) {
					t.Errorf("seq %d after %d", u.Seq, last.Seq)
				}
				last = u
			}
			c.none("by another transport", func(e event) bool { return e.Kind == "upgrade" || e.Transport != transport })
		})
	}
}

func TestAStrangerHearsTheDefaultHall(t *testing.T) {
	t.Parallel()
	s := campus(t)
	halls := s.halls(t)
	c := connect(t, s, "/mess", nil)
	for range 3 {
		u := c.crowd("a tick", nil)
		if u.HallID != string(halls[0].ID) {
			t.Errorf("%s before any subscribe", u.Hall)
		}
		var fields map[string]json.RawMessage
		decode(t, u.Raw, &fields)
		if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, crowdFields) {
			t.Errorf("CROWD_UPDATE has %v, want %v", got, crowdFields)
		}
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	s := campus(t)
	halls := s.halls(t)
	c := connect(t, s, "/mess", nil)
	c.crowd("a tick", nil)

	var all struct{ Snapshots []crowd }
	c.call(&all, "subscribe", map[string]any{"halls": []string{"*"}})
	if len(all.Snapshots) != len(halls) {
		t.Errorf("%d snapshots of %d halls", len(all.Snapshots), len(halls))
	}
	for _, h := range halls {
		c.crowd(h.Name, func(u crowd) bool { return u.HallID == string(h.ID) })
	}

	other := string(halls[1].ID)
	var one struct{ Snapshots []crowd }
	c.call(&one, "subscribe", map[string]any{"halls": []string{other}})
	if len(one.Snapshots) != 1 || one.Snapshots[0].HallID != other || one.Snapshots[0].Seq == 0 {
		t.Errorf("snapshots of %s: %+v", halls[1].Name, one.Snapshots)
	}
	c.crowd("the hall", func(u crowd) bool { return u.HallID == other && u.Seq > one.Snapshots[0].Seq })
	c.forget() // what came on the way
	for range 2 {
		if u := c.crowd("a later tick", nil); u.HallID != other {
			t.Errorf("%s after a subscribe to %s", u.Hall, halls[1].Name)
		}
	}
}

func TestSubscribeToWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := campus(t)
	c := connect(t, s, "/mess", nil)
	for name, arg := range map[string]any{
		"unknown hall": map[string]any{"halls": []string{nexus.NewID()}},
		"no hall":      map[string]any{"halls": []string{"x"}},
		"no list":      map[string]any{"halls": "x"},
		"nothing":      map[string]any{},
		"no object":    7,
		"null":         nil,
	} {
		var a struct {
			Error     nexus.Failure
			Snapshots []crowd
		}
		c.call(&a, "subscribe", arg)
		if a.Error.Code != nexus.Invalid || len(a.Error.Errors) != 1 || a.Snapshots != nil {
			t.Errorf("%s: %+v", name, a)
		}
	}
	c.crowd("the default hall all the same", func(u crowd) bool { return u.HallID == string(s.halls(t)[0].ID) })
}

func TestACheckInIsInTheNextUpdate(t *testing.T) {
	t.Parallel()
	s := campus(t)
	hall, gate := s.halls(t)[2], s.gates(t, 1)[0]
	c := connect(t, s, "/mess", options{"transports": []string{"websocket"}})
	c.call(&struct{}{}, "subscribe", map[string]any{"halls": []nexus.HallID{hall.ID}})
	tick := func(after crowd) crowd {
		u := c.crowd("the next tick", func(u crowd) bool { return u.HallID == string(hall.ID) })
		if after.Seq > 0 && !u.follows(after) {
			t.Errorf("seq %d after %d", u.Seq, after.Seq)
		}
		return u
	}
	last := tick(crowd{})
	for i, good := 0, 0; good < 4; i++ {
		if i == 40 {
			t.Fatalf("only %d check-ins of %d were in the next update", good, i)
		}
		r := gate.checkIn(t, hall.ID, in("gate", strconv.Itoa(i)))
		next := tick(last)
		if good++; next.Occupancy == last.Occupancy { // it was on its way before the check-in was answered
			good--
			next = tick(next)
		}
		if r.Accepted != 1 || r.Crowd.Occupancy != last.Occupancy+1 || next.Occupancy != r.Crowd.Occupancy {
			t.Errorf("%d inside, a check-in answered with %d, and the next update says %d", last.Occupancy, r.Crowd.Occupancy, next.Occupancy)
		}
		if next.AsOf == nil || *next.AsOf != r.Crowd.AsOf.UTC().Format(nexus.TimeLayout) || next.Stale || next.Source != r.Crowd.Source {
			t.Errorf("the update %s does not match the answer %+v", next.Raw, r.Crowd)
		}
		last = next
	}
}
