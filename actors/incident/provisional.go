package incident

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"nexus"
)

const (
	// maxProvisional bounds the presses held while the database is away. One person has one, and one drill.
	maxProvisional = 1000
	// repeatAlert is how often people are alerted again while a press is not stored: officers may connect meanwhile.
	repeatAlert = 10 * time.Second
	// The store is tried again after tryFirst, and then ever more rarely, but for tryLast at most.
	tryFirst = 250 * time.Millisecond
	tryLast  = 2 * time.Second
)

// provisional holds the presses that the database does not know yet, and brings them there in order. Until then they are repeated to
// all of SECURITY and ADMIN.
type provisional struct {
	store  Store
	crier  crier
	stored func(Outcome)
	wake   chan struct{}   // one place: there is something to hold
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	loop   sync.WaitGroup

	mu     sync.Mutex
	held   []*held // the oldest first
	closed bool
}

// held is a press that is not stored. It belongs to the provisional's lock.
type held struct {
	id    nexus.IncidentID
	press nexus.Press
	at    time.Time // of the press
	due   time.Time // when people are to be alerted next: the end of the countdown, and then again and again
}

func startProvisional(store Store, c crier, stored func(Outcome)) *provisional {
	p := &provisional{store: store, crier: c, stored: stored, wake: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.loop.Go(p.run)
	return p
}

// take holds a press and alerts at once, or when it has counted down. Another press of a person whose alarm is held joins that, as it
// would in the database, and one that does not count down raises one that does. When no more can be held the alert goes out all the same, but nothing is promised.
func (p *provisional) take(id nexus.IncidentID, press nexus.Press, now time.Time) (nexus.Raised, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.held, func(h *held) bool { return h.press.User == press.User && h.press.Drill == press.Drill })
	if i < 0 {
		if len(p.held) >= maxProvisional || p.closed {
			p.crier.bus.Publish(alert(id, press, now))
			e := nexus.Errorf(nexus.Unavailable, "security was alerted, but your alarm cannot be kept now: try again, and call somebody")
			e.RetryAfter = time.Second
			return nexus.Raised{}, e
		}
		i = len(p.held)
		p.held = append(p.held, &held{id: id, press: press, at: now, due: now.Add(press.Countdown)})
		p.crier.metrics.holds(len(p.held))
	}
	h := p.held[i]
	if h.counting() && press.Countdown == 0 && press.ClientKey != h.press.ClientKey {
		h.press, h.due = press, now
	}
	h.press.Position = cmp.Or(press.Position, h.press.Position)
	p.repeat(h, now)
	select {
	case p.wake <- struct{}{}:
	default:
	}
	state := nexus.SOSRaised
	if h.counting() {
		state = nexus.SOSArmed
	}
	return nexus.Raised{Incident: h.id, State: state}, nil
}

// counting reports whether it has not been raised yet.
func (h *held) counting() bool { return h.press.Countdown > 0 }

// repeat alerts if it is time. It needs the lock.
func (p *provisional) repeat(h *held, now time.Time) {
	if now.Before(h.due) {
		return
	}
	h.press.Countdown = 0 // it is raised now, also in the database
	h.due = now.Add(repeatAlert)
	p.crier.bus.Publish(alert(h.id, h.press, h.at))
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
		if p.storeFirst() {
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

// storeFirst tries to store the oldest, and reports whether the next may be tried at once.
func (p *provisional) storeFirst() bool {
	p.mu.Lock()
	if len(p.held) == 0 {
		p.mu.Unlock()
		return true
	}
	h := p.held[0]
	press := h.press
	if h.counting() {
		press.Countdown = max(time.Until(h.due), time.Millisecond)
	}
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, storeWait)
	defer cancel()
	_, out, err := p.store.Raise(ctx, h.id, press)
	switch code := nexus.CodeOf(err); {
	case code == nexus.Unavailable:
		return false
	case code == nexus.Internal: // perhaps it is this one alone: the others must not wait for it
		p.crier.log.Error("provisional SOS not stored", "incident", h.id, "err", err)
		p.remove(h, true)
		return false
	case err != nil:
		p.crier.log.Error("provisional SOS refused", "incident", h.id, "err", err)
		p.crier.alarm(h.id, press.User, ReasonNotKept)
		p.remove(h, false)
		return true
	}
	p.crier.log.Info("provisional SOS stored", "incident", h.id, "as", out.State.ID)
	p.stored(out)
	p.mu.Lock()
	joined := h.press.ClientKey != press.ClientKey // meanwhile, by a press that the store is yet to hear of
	p.mu.Unlock()
	if !joined {
		p.remove(h, false)
	}
	return true
}

// remove takes the first out, or puts it behind all others.
func (p *provisional) remove(h *held, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = slices.Delete(p.held, 0, 1)
	if again {
		p.held = append(p.held, h)
	}
	p.crier.metrics.holds(len(p.held))
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
