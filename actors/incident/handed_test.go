package incident

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// nodes is a campus of several nodes, each with a way of its own to the one store, and a bus between them.
type nodes struct {
	*testing.T
	*fake
	desks []*Desk
	away  []atomic.Bool // what each node sees of the store
	cut   atomic.Bool   // the bus
	read  []func(metric, label string) float64

	mu     sync.Mutex
	alerts []int // by node
}

// door is a node's way to the store.
type door struct {
	*fake
	away *atomic.Bool
}

func (d door) Raise(ctx context.Context, id nexus.IncidentID, p nexus.Press) (nexus.Raised, Outcome, error) {
	if d.away.Load() {
		return nexus.Raised{}, Outcome{}, errAway
	}
	return d.fake.Raise(ctx, id, p)
}

// mouth is a node's way to the bus.
type mouth struct {
	*nodes
	node int
}

func (m mouth) Publish(b *grain.Broadcast) {
	if b.GetEvent() == CriticalAlert {
		m.mu.Lock()
		m.alerts[m.node]++
		m.mu.Unlock()
	}
	m.desks[m.node].Hear(b) // a node hears itself, at once
	for i, d := range m.desks {
		if i != m.node && !m.cut.Load() {
			go d.Hear(b)
		}
	}
}

// several runs a test with n nodes, from all of which the store is away.
func several(t *testing.T, n int, run func(c *nodes)) {
	synctest.Test(t, func(t *testing.T) {
		c := &nodes{T: t, fake: newFake(), desks: make([]*Desk, n), away: make([]atomic.Bool, n), alerts: make([]int, n)}
		node := graintest.NewNode(t, c.fences, Kind(c.fake, Options{Log: slog.New(slog.DiscardHandler)}))
		for i := range n {
			o := Options{Log: slog.New(slog.DiscardHandler)}
			var read func(string, string) float64
			o.Metrics, read = measured()
			c.read = append(c.read, read)
			c.away[i].Store(true)
			c.desks[i] = NewDesk(door{c.fake, &c.away[i]}, node, mouth{c, i}, o)
			t.Cleanup(c.desks[i].Close)
		}
		run(c)
	})
}

func (c *nodes) raise(node int, p nexus.Press) nexus.Raised {
	c.Helper()
	r, err := c.desks[node].Raise(c.Context(), as(p.User), p)
	if err != nil {
		c.Fatal(err)
	}
	synctest.Wait()
	return r
}

// holds is how many alarms each node holds.
func (c *nodes) holds() string {
	synctest.Wait()
	var n []any
	for _, read := range c.read {
		n = append(n, read("nexus_sos_provisional", ""))
	}
	return fmt.Sprint(n...)
}

// heard is how many alerts each node has sent since the last call.
func (c *nodes) heard() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	text := fmt.Sprint(c.alerts)
	clear(c.alerts)
	return text
}

// The node that took a press ends before the database is back: another stores it, under the id that the phone was told.
func TestAPressOutlivesItsNode(t *testing.T) {
	several(t, 3, func(c *nodes) {
		r := c.raise(0, keyed("one"))
		c.raise(0, keyed("two"))
		if h := c.holds(); h != "1 1 1" || r.Durable {
			c.Fatalf("held by %s", h)
		}
		c.cut.Store(true)
		c.desks[0].Close()
		c.away[2].Store(false)
		time.Sleep(tryLast)
		synctest.Wait()
		if got := c.happened(c.T, r.Incident); !strings.HasPrefix(got, "0 RAISED, 0 PAGED0, 0 JOINED") || len(c.order) != 1 {
			c.Fatal(got)
		}
		c.away[1].Store(false)
		time.Sleep(tryLast)
		if h := c.holds(); h != "0 0 0" || len(c.order) != 1 || strings.Count(c.happened(c.T, r.Incident), "JOINED") != 1 {
			c.Fatalf("held by %s: %s", h, c.happened(c.T, r.Incident))
		}
	})
}

// However many nodes hold an alarm, people are alerted of it as often as by one; when that one is gone, another goes on.
func TestCopiesMultiplyNoAlert(t *testing.T) {
	several(t, 3, func(c *nodes) {
		c.raise(0, keyed("one"))
		time.Sleep(95 * time.Second)
		if got := c.heard(); got != "[10 0 0]" {
			c.Fatalf("alerts %s", got)
		}
		c.desks[0].Close()
		time.Sleep(2 * time.Minute)
		var a, b, d int
		if _, err := fmt.Sscanf(c.heard(), "[%d %d %d]", &a, &b, &d); err != nil || a != 0 || b > 0 && d > 0 || b+d < 9 || b+d > 12 {
			c.Fatalf("alerts %d, %d and %d, %v", a, b, d, err)
		}
	})
}

// One node's way to the database is back: the others need not hold what it has stored.
func TestWhatIsStoredIsHeldNoLonger(t *testing.T) {
	several(t, 3, func(c *nodes) {
		c.raise(0, keyed("one"))
		c.raise(1, keyed("two"))
		c.away[1].Store(false)
		time.Sleep(tryLast)
		if h := c.holds(); h != "0 0 0" {
			c.Fatalf("held by %s", h)
		}
		c.heard()
		time.Sleep(2 * time.Minute)
		if got := c.heard(); got != "[0 0 0]" {
			c.Fatalf("alerts %s", got)
		}
		if len(c.order) != 1 || len(c.presses) != 2 {
			c.Fatalf("%v", c.presses)
		}
	})
}

// A press at one node joins the alarm that another has told of, and raises it if it was counting down.
func TestAPressJoinsWhatAnotherNodeHolds(t *testing.T) {
	several(t, 2, func(c *nodes) {
		p := counting(30 * time.Second)
		p.ClientKey = "one"
		first := c.raise(0, p)
		if first.State != nexus.SOSArmed || c.heard() != "[0 0]" {
			c.Fatalf("%+v", first)
		}
		if joined := c.raise(1, keyed("two")); joined.Incident != first.Incident || joined.State != nexus.SOSRaised {
			c.Fatalf("%+v, and then %+v", first, joined)
		}
		if got := c.heard(); got != "[0 1]" {
			c.Fatalf("alerts %s", got)
		}
		if again := c.raise(0, p); again.State != nexus.SOSRaised || again.Incident != first.Incident {
			c.Fatalf("%+v", again)
		}
		time.Sleep(65 * time.Second)
		if got := c.heard(); got != "[0 6]" {
			c.Fatalf("alerts %s", got)
		}
	})
}

// A copy counts down like the press: stored before its end it is raised at its end, and alerted of when its node has gone before.
func TestACopyCountsDownAsWell(t *testing.T) {
	several(t, 2, func(c *nodes) {
		r := c.raise(0, counting(30*time.Second))
		c.desks[0].Close()
		time.Sleep(29 * time.Second)
		if got := c.heard(); got != "[0 0]" {
			c.Fatalf("alerts %s", got)
		}
		time.Sleep(31 * time.Second)
		if got := c.heard(); got != "[0 1]" {
			c.Fatalf("alerts %s", got)
		}
		c.away[1].Store(false)
		time.Sleep(tryLast)
		synctest.Wait()
		if got := c.happened(c.T, r.Incident); got != "0 RAISED, 0 PAGED0" {
			c.Fatal(got)
		}
	})
	several(t, 2, func(c *nodes) {
		r := c.raise(0, counting(30*time.Second))
		c.desks[0].Close()
		time.Sleep(10 * time.Second)
		c.away[1].Store(false)
		time.Sleep(tryLast)
		synctest.Wait()
		s, _, err := c.Look(c.Context(), r.Incident)
		if want := time.Now().Add(30*time.Second - 10*time.Second - tryLast); err != nil || s.State != nexus.SOSArmed || s.NextAt.Sub(want).Abs() > time.Millisecond {
			c.Fatalf("%+v, want it raised at %v; %v", s.NextAt, want, err)
		}
	})
}

// Copies are bounded like presses of one's own, and what cannot be read does no harm.
func TestWhatIsHeardIsBounded(t *testing.T) {
	several(t, 2, func(c *nodes) {
		c.desks[1].Hear(&grain.Broadcast{Topic: heldTopic, Payload: []byte("{")})
		if c.desks[1].Hear(&grain.Broadcast{Topic: AlertsTopic}) {
			c.Fatal("it takes what is for sockets")
		}
		for i := range maxProvisional + 10 {
			p := press()
			p.User = nexus.UserID(fmt.Sprint("user ", i))
			c.desks[1].Hear(handing(handed{From: "another", ID: nexus.IncidentID(nexus.NewID()), Press: p, Presses: []pending{{ID: "x", Press: p}}}))
		}
		if h := c.holds(); h != fmt.Sprint(0, maxProvisional) {
			c.Fatalf("held by %s", h)
		}
	})
}
