package mess

import (
	"context"
	"fmt"
	"slices"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// KindName is the kind of mess halls; their identity is the hall's id.
const KindName = "mess"

const (
	tickEvery = time.Second
	// A snapshot only spares the next activation work, for the events themselves are kept before they are
	// answered: so it need not follow every one of them.
	saveEvery  = 5 * time.Second
	proveEvery = 30 * time.Second
	// maxBatch bounds what is kept in one transaction, maxWaiting what waits for the next one: five full
	// batches are more than the database takes in the time that a caller waits.
	maxBatch   = 2000
	maxWaiting = 5 * maxBatch
	// maxSamples bounds the minutes kept while the database is away; the oldest go first.
	maxSamples = 24 * 60
)

// Grain is one mess hall. What comes in while a transaction is under way is kept together by
// the next one, so that a busy hall costs the database a commit per round trip and not per student; the state
// moves, and callers are answered, after the commit alone.
type Grain struct {
	store Store
	state State

	waiting   []arrival // not yet on the way to the store
	events    int       // in waiting
	writing   bool      // a batch or a catch-up is under way
	uncertain bool      // a write failed and may have been committed all the same
	alone     int       // so many of the waiting are written one by one, because their batch was refused
	nextSeq   int64     // of the next event handed to the store; never used twice

	asking  []grain.Asker // for the configuration to be read again
	reading bool

	dirty   bool
	saving  bool
	saved   time.Time // when the last save began
	version int64
	samples []Sample
	unsaved []Sample // on the way to the store
	sampled int64    // Unix minute of the last sample
	ticks   int64
}

// arrival is one caller's events, or a staff report.
type arrival struct {
	asker  grain.Asker
	events []nexus.CrowdEvent
	wait   int  // of a report; below 0 if not stated
	report bool // answered with the crowd alone
}

type (
	tick struct{}
	save struct{}
)

// Kind returns the kind of mess halls over a store.
func Kind(store Store) grain.Kind {
	return grain.Kind{Name: KindName, New: func(string) grain.Grain { return &Grain{store: store} }}
}

// Load implements grain.Grain.
func (g *Grain) Load(ctx context.Context, c *grain.Context, s nexus.Snapshot) error {
	hall, err := g.store.Hall(ctx, nexus.HallID(c.ID))
	if err != nil {
		return fmt.Errorf("load hall: %w", err)
	}
	g.state.Hall = hall
	if g.sampled, err = g.state.decode(s.Payload); err != nil {
		return err
	}
	g.version = s.Version
	g.sampled = max(g.sampled, lastMinute(time.Now())) // of which this activation saw nothing
	missed, err := g.store.Since(ctx, c.Fence(), g.state.Seq)
	if err != nil {
		return fmt.Errorf("load events: %w", err)
	}
	g.apply(missed)
	g.nextSeq = g.state.Seq + 1
	c.Every(tickEvery, tick{})
	c.Every(saveEvery, save{})
	return nil
}

// Receive implements grain.Grain.
func (g *Grain) Receive(c *grain.Context, msg any) {
	switch m := msg.(type) {
	case *CheckIn:
		g.enqueue(c, arrival{asker: c.Asker(), events: eventsFrom(m.GetEvents())})
	case *Report:
		g.enqueue(c, g.reported(c, m))
	case *Look:
		c.Reply(crowdTo(g.state.Crowd(time.Now())))
	case *Reconfigure:
		g.asking = append(g.asking, c.Asker())
		g.reconfigure(c)
	case tick:
		g.tick(c)
	case save:
		g.save(c)
	default:
		c.Log.Error("unknown message", "type", fmt.Sprintf("%T", msg))
		c.Fail(nexus.Errorf(nexus.Internal, "mess hall does not know %T", msg))
	}
}

// Stop implements grain.Grain. Callers whose events are not kept yet ask the next activation.
func (g *Grain) Stop(ctx context.Context, c *grain.Context) {
	for _, a := range g.waiting {
		a.asker.Bounce()
	}
	version, samples := g.version+1, g.samples
	if g.saving { // its end will not be heard of: this save includes it, and is above it
		version, samples = version+1, append(g.unsaved, samples...)
	} else if !g.dirty && len(samples) == 0 {
		return
	}
	payload, err := g.state.encode(g.sampled)
	if err == nil {
		err = g.store.Save(ctx, c.Fence(), version, payload, samples)
	}
	if err != nil {
		// Nothing is lost: the next activation reads the events again.
		c.Log.Warn("last save", "err", err)
	}
}

// enqueue takes a caller's events to be kept with the next batch, or refuses them when too many wait.
func (g *Grain) enqueue(c *grain.Context, a arrival) {
	if g.events+len(a.events) > maxWaiting || len(g.waiting) >= maxWaiting {
		e := nexus.Errorf(nexus.Unavailable, "the hall has too many check-ins waiting, try again")
		e.RetryAfter = time.Second
		a.asker.Fail(e)
		return
	}
	g.waiting = append(g.waiting, a)
	g.events += len(a.events)
	g.write(c)
}

// reported makes a staff member's view a count of its own.
func (g *Grain) reported(c *grain.Context, m *Report) arrival {
	people := (int(m.GetLevel())*g.state.Hall.Capacity + 50) / 100
	return arrival{
		asker:  c.Asker(),
		events: []nexus.CrowdEvent{{Source: "staff", EventID: m.GetEventId(), At: m.GetAt().AsTime(), Absolute: &people}},
		wait:   int(m.GetWaitMinutes()),
		report: true,
	}
}

// write sends what waits to the store, one batch at a time, after making sure of what an earlier failure left open.
func (g *Grain) write(c *grain.Context) {
	switch {
	case g.writing:
	case g.uncertain:
		g.catchUp(c)
	case len(g.waiting) > 0:
		g.record(c)
	}
}

func (g *Grain) record(c *grain.Context) {
	batch, events := g.take()
	var kept []int64
	g.writing = true
	c.Work(func(ctx context.Context) (err error) {
		kept, err = g.store.Record(ctx, c.Fence(), events)
		return err
	}, func(err error) {
		g.writing = false
		if err != nil {
			g.recordFailed(c, batch, err)
		} else {
			g.recorded(batch, events, kept)
		}
		g.write(c)
	})
}

// take numbers the events of the callers at the head of the queue, up to maxBatch events or one caller.
func (g *Grain) take() (batch []arrival, events []Recorded) {
	n, limit := 0, len(g.waiting)
	if g.alone > 0 {
		g.alone--
		limit = 1
	}
	for n < limit && (n == 0 || len(events)+len(g.waiting[n].events) <= maxBatch) {
		for _, e := range g.waiting[n].events {
			events = append(events, Recorded{Seq: g.nextSeq, Event: e})
			g.nextSeq++
		}
		n++
	}
	batch, g.waiting = g.waiting[:n:n], g.waiting[n:]
	g.events -= len(events)
	return batch, events
}

func countEvents(batch []arrival) (n int) {
	for _, a := range batch {
		n += len(a.events)
	}
	return n
}

// recorded moves the state and answers, after the commit.
func (g *Grain) recorded(batch []arrival, events []Recorded, kept []int64) {
	fresh := make(map[int64]bool, len(kept))
	for _, seq := range kept {
		fresh[seq] = true
	}
	accepted := make([]int, len(batch))
	i := 0
	for b, a := range batch {
		for range a.events {
			if r := events[i]; fresh[r.Seq] {
				accepted[b]++
				g.apply(events[i : i+1])
			}
			i++
		}
		if a.report && a.wait >= 0 {
			g.state.stateWait(a.wait, time.Now())
			g.dirty = true
		}
	}
	live := crowdTo(g.state.Crowd(time.Now()))
	for b, a := range batch {
		if a.report {
			a.asker.Reply(live)
			continue
		}
		a.asker.Reply(&CheckedIn{Accepted: int32(accepted[b]), Duplicates: int32(len(a.events) - accepted[b]), Live: live})
	}
}

func (g *Grain) recordFailed(c *grain.Context, batch []arrival, err error) {
	if nexus.CodeOf(err) == nexus.Fenced {
		for _, a := range batch {
			a.asker.Bounce()
		}
		g.fenced(c, err)
		return
	}
	c.Log.Warn("check-ins not kept", "err", err)
	if code := nexus.CodeOf(err); len(batch) > 1 && code != nexus.Unavailable && code != nexus.Internal {
		// The database refuses something in it for good. Whoever sent that is to hear of it, and nobody else.
		g.waiting = append(batch, g.waiting...)
		g.events += countEvents(batch)
		g.alone = len(batch)
		return
	}
	g.uncertain = true
	for _, a := range batch {
		a.asker.Fail(err)
	}
}

// catchUp applies what was committed although its write seemed to fail.
func (g *Grain) catchUp(c *grain.Context) {
	var missed []Recorded
	after := g.state.Seq
	g.writing = true
	c.Work(func(ctx context.Context) (err error) {
		// What the failed write sent may still be on its way: only a new epoch keeps it from landing behind our back.
		if err = c.Renew(ctx); err == nil {
			missed, err = g.store.Since(ctx, c.Fence(), after)
		}
		return err
	}, func(err error) {
		g.writing = false
		switch {
		case nexus.CodeOf(err) == nexus.Fenced:
			g.fenced(c, err)
			return
		case err != nil:
			// Callers get their answer now; the next tick tries again.
			c.Log.Warn("store is away", "err", err)
			g.failWaiting(err)
			return
		}
		g.uncertain = false
		g.apply(missed)
		g.write(c)
	})
}

func (g *Grain) failWaiting(err error) {
	for _, a := range g.waiting {
		a.asker.Fail(err)
	}
	g.waiting, g.events = nil, 0
}

// fenced ends an activation that is not the present one.
func (g *Grain) fenced(c *grain.Context, err error) {
	for _, a := range g.waiting {
		a.asker.Bounce()
	}
	g.waiting, g.events = nil, 0
	c.Abandon(err)
}

func (g *Grain) apply(rs []Recorded) {
	for _, r := range rs {
		g.state.Apply(r)
		g.dirty = true
	}
}

// reconfigure reads the configuration. Who asks while it is being read may know of a newer one, and is answered
// after the next reading: one at a time, so that they never hold up the events.
func (g *Grain) reconfigure(c *grain.Context) {
	if g.reading || len(g.asking) == 0 {
		return
	}
	var hall nexus.Hall
	askers := g.asking
	g.reading, g.asking = true, nil
	c.Work(func(ctx context.Context) (err error) {
		hall, err = g.store.Hall(ctx, nexus.HallID(c.ID))
		return err
	}, func(err error) {
		if err == nil {
			g.state.Hall = hall
		}
		for _, a := range askers {
			if err != nil {
				a.Fail(err)
				continue
			}
			a.Reply(&grain.Done{})
		}
		g.reading = false
		g.reconfigure(c)
	})
}

// tick tells every socket how full the hall is.
func (g *Grain) tick(c *grain.Context) {
	now := time.Now()
	crowd := g.state.Crowd(now)
	g.sample(now, crowd)
	if g.uncertain {
		g.write(c)
	}
	g.ticks++
	c.Publish(broadcast(crowd, g.state.Hall.Name, c.Fence().Epoch<<seqBits+g.ticks, now))
}

// sample notes the people inside at the end of each minute.
func (g *Grain) sample(now time.Time, crowd nexus.Crowd) {
	minute := lastMinute(now)
	if minute <= g.sampled {
		return
	}
	g.sampled = minute
	if crowd.AsOf.IsZero() {
		return // nobody has ever counted here
	}
	g.samples = append(g.samples, Sample{Minute: time.Unix(minute*60, 0).UTC(), Occupancy: crowd.Occupancy, Source: crowd.Source})
	if len(g.samples) > maxSamples {
		g.samples = g.samples[len(g.samples)-maxSamples:]
	}
}

// lastMinute is the Unix minute that ended last.
func lastMinute(now time.Time) int64 { return now.Unix()/60 - 1 }

// save writes the snapshot behind what has happened.
func (g *Grain) save(c *grain.Context) {
	g.state.Settle(time.Now())
	// A hall where nothing happens saves now and then all the same: it is how it learns that it has been fenced.
	now := time.Now()
	if g.saving || !g.dirty && len(g.samples) == 0 && now.Sub(g.saved) < proveEvery {
		return
	}
	g.saved = now
	payload, err := g.state.encode(g.sampled)
	if err != nil {
		c.Log.Error("encode snapshot", "err", err)
		return
	}
	samples, version := g.samples, g.version+1
	g.saving, g.dirty, g.samples, g.unsaved = true, false, nil, slices.Clip(samples)
	c.Work(func(ctx context.Context) error {
		return g.store.Save(ctx, c.Fence(), version, payload, samples)
	}, func(err error) {
		g.saving = false
		switch nexus.CodeOf(err) {
		case "":
			g.version = version
		case nexus.Fenced:
			g.fenced(c, err)
		case nexus.Stale: // an earlier save was committed although it seemed to fail
			g.version = version
			g.again(samples)
		default:
			c.Log.Warn("save", "err", err)
			g.again(samples)
		}
	})
}

// again puts back what a failed save did not keep.
func (g *Grain) again(samples []Sample) {
	g.dirty = true
	g.samples = append(samples, g.samples...)
	g.samples = g.samples[max(0, len(g.samples)-maxSamples):]
}
