package incident

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"nexus"
)

const (
	// maxProvisional bounds the presses held while the database is away, maxKeys those of one person.
	maxProvisional = 1000
	maxKeys        = 20
	// repeatAlert is how often people are alerted again while a press is not stored: officers may connect meanwhile.
	repeatAlert = 10 * time.Second
	// The store is tried again after tryFirst, and then ever more rarely, but for tryLast at most.
	tryFirst = 250 * time.Millisecond
	tryLast  = 2 * time.Second
)

// provisional holds the presses that the database does not know yet, and brings them there, the oldest first; one that fails lets all others go
// before it. Until then they are repeated to all of SECURITY and ADMIN.
//
// The other nodes hold copies, for this one may end before the database is back. A copy is stored by whoever can first, since its key is stored
// once; people are alerted of it when the node that had it has not spoken of it for a while.
type provisional struct {
	name   string // of this node, to the others
	store  Store
	crier  crier
	stored func(Outcome)
	wake   chan struct{}   // one place: there is something to hold
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	loop   sync.WaitGroup

	mu      sync.Mutex
	held    []*held // in the order in which they are tried
	presses int     // of all of them
	closed  bool
}

// held is the alarm of one person that is not stored. It belongs to the provisional's lock.
type held struct {
	id      nexus.IncidentID
	press   nexus.Press // as people are alerted of it
	at      time.Time   // of the first press
	raised  time.Time   // the end of the countdown
	due     time.Time   // when people are to be alerted next, unless another node does so before
	pending []pending   // every press, for the store is to know each key; the first is stored next
}

// pending is a press, and the id of the incident that it makes if there is none to join.
type pending struct {
	ID    nexus.IncidentID `json:"id"`
	Press nexus.Press      `json:"press"`
}

func startProvisional(store Store, c crier, stored func(Outcome)) *provisional {
	p := &provisional{name: nexus.NewID(), store: store, crier: c, stored: stored, wake: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.loop.Go(p.run)
	return p
}

// take holds a press and alerts at once, or when it has counted down. Another press of a person whose alarm is held joins that, as it
// would in the database, and one that does not count down raises one that does. When no more can be held the alert goes out all the same, but nothing is promised.
func (p *provisional) take(id nexus.IncidentID, press nexus.Press, now time.Time) (nexus.Raised, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.of(press)
	if h == nil {
		at := now.Add(press.Countdown)
		h = &held{id: id, press: press, at: now, raised: at, due: at}
	}
	known := h.knows(press)
	if !known && !p.room(h) {
		if len(h.pending) == 0 {
			p.crier.bus.Publish(alert(id, press, now))
		}
		e := nexus.Errorf(nexus.Unavailable, "security was alerted, but your alarm cannot be kept now: try again, and call somebody")
		e.RetryAfter = time.Second
		return nexus.Raised{}, e
	}
	h.press.Position = cmp.Or(press.Position, h.press.Position)
	if !known {
		p.add(h, pending{id, press})
		if h.counting(now) && press.Countdown == 0 {
			h.raised, h.due = now, now
		}
	}
	if alerted := p.repeat(h, now); !alerted && !known {
		p.hand(h, handed{Presses: h.pending})
	}
	state := nexus.SOSRaised
	if h.counting(now) {
		state = nexus.SOSArmed
	}
	return nexus.Raised{Incident: h.id, State: state}, nil
}

// of returns the alarm that a press belongs to: one person has one, and one drill. nil: there is none. It needs the lock.
func (p *provisional) of(press nexus.Press) *held {
	i := slices.IndexFunc(p.held, func(h *held) bool { return h.press.User == press.User && h.press.Drill == press.Drill })
	if i < 0 {
		return nil
	}
	return p.held[i]
}

// room reports whether an alarm may have one more press. It needs the lock.
func (p *provisional) room(h *held) bool {
	return !p.closed && p.presses < maxProvisional && len(h.pending) < maxKeys
}

// add holds one more press of an alarm. It needs the lock.
func (p *provisional) add(h *held, x pending) {
	if len(h.pending) == 0 {
		p.held = append(p.held, h)
		p.crier.metrics.holds(len(p.held))
	}
	h.pending = append(h.pending, x)
	p.presses++
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// knows reports whether a press is held already.
func (h *held) knows(press nexus.Press) bool {
	return slices.ContainsFunc(h.pending, func(x pending) bool { return x.Press.ClientKey == press.ClientKey })
}

// counting reports whether it has not been raised yet.
func (h *held) counting(now time.Time) bool { return now.Before(h.raised) }

// repeat alerts if it is time, tells the other nodes, and reports whether it was. It needs the lock.
func (p *provisional) repeat(h *held, now time.Time) bool {
	if now.Before(h.due) {
		return false
	}
	h.due = now.Add(repeatAlert)
	p.crier.bus.Publish(alert(h.id, h.press, h.at))
	p.hand(h, handed{Presses: h.pending, Alerted: true})
	return true
}

// run brings what is held to the store, and repeats alerts in the meantime.
func (p *provisional) run() {
	for wait := tryFirst; ; {
		if p.empty() {
			select {
			case <-p.wake:
				wait = tryFirst
			case <-p.ctx.Done():
				return
			}
		}
		if p.storeNext() {
			wait = tryFirst
			continue
		}
		if !p.pause(wait) {
			return
		}
		wait = min(2*wait, tryLast)
	}
}

func (p *provisional) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.held) == 0
}

// pause waits, no longer than until an alert is to be repeated.
func (p *provisional) pause(wait time.Duration) bool {
	p.mu.Lock()
	now := time.Now()
	for _, h := range p.held {
		p.repeat(h, now)
		wait = min(wait, h.due.Sub(now))
	}
	p.mu.Unlock()
	return nexus.Pause(p.ctx, wait)
}

// storeNext tries to store a press, and reports whether the next may be tried at once.
func (p *provisional) storeNext() bool {
	p.mu.Lock()
	if len(p.held) == 0 {
		p.mu.Unlock()
		return true
	}
	h := p.held[0]
	x := h.pending[0]
	x.Press.Countdown = max(time.Until(h.raised), 0)
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, storeWait)
	defer cancel()
	_, out, err := p.store.Raise(ctx, x.ID, x.Press)
	switch code := nexus.CodeOf(err); {
	case code == nexus.Unavailable: // or it is this one alone, whose row somebody holds locked: the others must not wait for it
		p.last(h)
		return false
	case code == nexus.Internal:
		p.crier.log.Error("provisional SOS not stored", "incident", h.id, "err", err)
		p.last(h)
		return false
	case err != nil:
		p.crier.log.Error("provisional SOS refused", "incident", h.id, "err", err)
		p.crier.alarm(h.id, x.Press.User, ReasonNotKept)
	default:
		p.crier.log.Info("provisional SOS stored", "incident", h.id, "as", out.State.ID)
		p.stored(out)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hand(h, handed{Presses: []pending{x}, Done: true})
	p.drop(h, x)
	return true
}

// last puts an alarm behind all others.
func (p *provisional) last(h *held) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.held, h); i >= 0 {
		p.held = append(slices.Delete(p.held, i, i+1), h)
	}
}

// drop holds a press no longer, and its alarm when that was the last. It needs the lock.
func (p *provisional) drop(h *held, x pending) {
	i := slices.IndexFunc(h.pending, func(y pending) bool { return y.Press.ClientKey == x.Press.ClientKey })
	if i < 0 {
		return
	}
	h.pending = slices.Delete(h.pending, i, i+1)
	p.presses--
	if len(h.pending) == 0 {
		p.held = slices.DeleteFunc(p.held, func(y *held) bool { return y == h })
		p.crier.metrics.holds(len(p.held))
	}
}

// close ends it, and says which presses the database never heard of.
func (p *provisional) close() {
	p.cancel()
	p.loop.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, h := range p.held {
		p.crier.log.Error("provisional SOS not stored before the end", "incident", h.id)
	}
	p.held = nil
	p.crier.metrics.holds(0)
}

// handed is what nodes tell each other of an alarm that is held.
type handed struct {
	From    string           `json:"from"`
	ID      nexus.IncidentID `json:"id"`
	Press   nexus.Press      `json:"press"`
	At      time.Time        `json:"at"`
	Left    time.Duration    `json:"left"` // of the countdown
	Presses []pending        `json:"presses"`
	Alerted bool             `json:"alerted,omitempty"` // people have just been alerted
	Done    bool             `json:"done,omitempty"`    // the presses need not be held any more
}

// hand tells the other nodes of an alarm. It needs the lock.
func (p *provisional) hand(h *held, x handed) {
	x.From, x.ID, x.Press, x.At, x.Left = p.name, h.id, h.press, h.at, max(time.Until(h.raised), 0)
	p.crier.bus.Publish(handing(x))
}

// silence is how long the node that had a press may not speak of it until another alerts people. Nodes do not all begin at once.
func silence() time.Duration { return 2*repeatAlert + rand.N(repeatAlert) }

// hear takes what another node tells. Presses that there is no room for are left to that node.
func (p *provisional) hear(x handed) {
	if x.From == p.name {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, h := time.Now(), p.of(x.Press)
	switch {
	case h == nil && x.Done:
		return
	case x.Done:
		for _, y := range x.Presses {
			p.drop(h, y)
		}
		return
	case h == nil:
		at := now.Add(x.Left)
		h = &held{id: x.ID, press: x.Press, at: x.At, raised: at, due: at.Add(silence())}
	}
	if at := now.Add(x.Left); at.Before(h.raised) {
		h.raised = at
	}
	if x.Alerted {
		h.due = now.Add(silence())
	}
	h.press.Position = cmp.Or(x.Press.Position, h.press.Position)
	for _, y := range x.Presses {
		if !h.knows(y.Press) && p.room(h) {
			p.add(h, y)
		}
	}
}
