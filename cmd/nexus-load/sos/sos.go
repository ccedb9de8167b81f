// Package sos presses the button, again and again, and times two ways: until the press is answered, and until each officer's client has the
// alert. It is a handful of real clients beside a crowd, best in a process of its own.
//
//	due --SOS_RAISE--> server --ack--> answered
//	                     |--CRITICAL_ALERT--> every officer: heard
//	answered, and heard by one officer --SOS_CANCEL--> the student may press again
package sos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"nexus/cmd/nexus-load/hist"
)

// Namespace is where alarms are raised and heard.
const Namespace = "/security"

const (
	patience  = 15 * time.Second // for what is still under way at the end
	joinLimit = 30 * time.Second // for one client to be connected
	joinOnce  = 8                // clients that connect at the same time
)

// Options describe who presses and who hears.
type Options struct {
	Addr     string   // host:port
	Path     string   // /socket.io/
	Students []string // their tokens
	Officers []string
	Rate     float64 // presses a second
}

// Result is what was timed.
type Result struct {
	Presses    int            `json:"presses"`
	Answered   int            `json:"answered"`
	NotDurable int            `json:"notDurable"` // answered before they were stored
	Refused    map[string]int `json:"refused"`    // by code
	Unheard    int            `json:"unheard"`    // alerts that an officer should have had, and had not
	Late       int            `json:"late"`       // presses that no student was free for
	Ack        hist.Histogram `json:"ack"`        // from when the press was due
	Alert      hist.Histogram `json:"alert"`      // likewise, at every officer
}

// Probe is the clients, connected.
type Probe struct {
	options  Options
	officers int
	free     chan *client // students who may press
	clients  []*client

	mu      sync.Mutex
	result  Result
	open    map[int64]press // by client and its packet's id
	alarms  map[string]*alarm
	failure error         // the first that ended a client
	broken  chan struct{} // closed with the failure
	quiet   *sync.Cond
	left    sync.WaitGroup
}

// press is a packet that waits for its answer.
type press struct {
	due    time.Time
	cancel bool
}

// alarm is one incident.
type alarm struct {
	due     time.Time   // zero until the press is answered
	heard   []time.Time // by officer
	by      *client     // whose it is
	settled bool        // taken back
}

// Open connects everybody.
func Open(ctx context.Context, o Options) (_ *Probe, err error) {
	if len(o.Students) == 0 || len(o.Officers) == 0 || o.Rate <= 0 {
		return nil, errors.New("a probe takes students, officers and a rate")
	}
	p := &Probe{options: o, officers: len(o.Officers), free: make(chan *client, len(o.Students)), alarms: make(map[string]*alarm), open: make(map[int64]press), broken: make(chan struct{})}
	p.result.Refused = make(map[string]int)
	p.quiet = sync.NewCond(&p.mu)
	tokens := slices.Concat(o.Officers, o.Students)
	p.clients = make([]*client, len(tokens))
	errs := make(chan error, len(tokens))
	turn := make(chan struct{}, joinOnce)
	for i, token := range tokens {
		turn <- struct{}{}
		go func() {
			defer func() { <-turn }()
			joining, cancel := context.WithTimeout(ctx, joinLimit)
			defer cancel()
			var err error
			p.clients[i], err = join(joining, p, i, token)
			errs <- err
		}()
	}
	for range tokens {
		err = errors.Join(err, <-errs)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	for _, c := range p.clients {
		p.left.Go(c.run)
	}
	for _, c := range p.clients[p.officers:] {
		p.free <- c
	}
	return p, nil
}

// Run presses until ctx ends, waits for what is under way, and returns what was timed.
func (p *Probe) Run(ctx context.Context) (Result, error) {
	gap := time.Duration(float64(time.Second) / p.options.Rate)
	next := time.NewTimer(0)
	defer next.Stop()
	for due := time.Now(); ; due = due.Add(gap) {
		next.Reset(time.Until(due))
		select {
		case <-next.C:
		case <-p.broken:
			return p.finish()
		case <-ctx.Done():
			return p.finish()
		}
		select {
		case c := <-p.free:
			if err := p.press(c, due); err != nil {
				return p.result, err
			}
		default:
			p.mu.Lock()
			p.result.Late++
			p.mu.Unlock()
		}
	}
}

// press sends a press that was due at a time.
func (p *Probe) press(c *client, due time.Time) error {
	p.mu.Lock()
	p.result.Presses++
	id := c.next()
	p.open[c.key(id)] = press{due: due}
	p.mu.Unlock()
	return c.emit(id, fmt.Sprintf(`["SOS_RAISE",{"clientKey":"load-%d-%d","category":"panic","lat":12.97,"lng":77.59}]`, due.UnixNano(), c.number))
}

// finish waits until everything is answered and heard, for a while.
func (p *Probe) finish() (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, p.quiet.Broadcast)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for ctx.Err() == nil && p.failure == nil && !p.done() {
		p.quiet.Wait()
	}
	for _, a := range p.alarms {
		if a.due.IsZero() {
			continue // of somebody else
		}
		for _, at := range a.heard {
			if at.IsZero() {
				p.result.Unheard++
				continue
			}
			p.result.Alert.Record(at.Sub(a.due))
		}
	}
	return p.result, p.failure
}

// done reports whether nothing is under way. It needs the lock.
func (p *Probe) done() bool {
	if len(p.open) > 0 {
		return false
	}
	for _, a := range p.alarms {
		if !a.due.IsZero() && slices.ContainsFunc(a.heard, time.Time.IsZero) {
			return false
		}
	}
	return true
}

// answered handles the answer to a press or to a cancel.
func (p *Probe) answered(c *client, id int64, data []byte, at time.Time) {
	var list []struct {
		IncidentID string
		Durable    *bool
		Error      *struct{ Code string }
	}
	err := json.Unmarshal(data, &list)
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.quiet.Broadcast()
	sent, found := p.open[c.key(id)]
	if !found {
		return
	}
	delete(p.open, c.key(id))
	switch {
	case err != nil || len(list) != 1:
		p.result.Refused["an answer of another form"]++
		p.free <- c
	case list[0].Error != nil:
		p.result.Refused[list[0].Error.Code]++
		p.free <- c
	case sent.cancel:
		p.free <- c
	default:
		p.result.Answered++
		p.result.Ack.Record(at.Sub(sent.due))
		if d := list[0].Durable; d != nil && !*d {
			p.result.NotDurable++
		}
		a := p.alarm(list[0].IncidentID)
		a.due, a.by = sent.due, c
		p.settle(list[0].IncidentID, a)
	}
}

// heard handles an alert at an officer. A second copy of one is no news.
func (p *Probe) heard(officer int, incident string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.quiet.Broadcast()
	a := p.alarm(incident)
	if a.heard[officer].IsZero() {
		a.heard[officer] = at
	}
	p.settle(incident, a)
}

// alarm finds an incident; an alert may come before the answer. It needs the lock.
func (p *Probe) alarm(incident string) *alarm {
	a := p.alarms[incident]
	if a == nil {
		a = &alarm{heard: make([]time.Time, p.officers)}
		p.alarms[incident] = a
	}
	return a
}

// settle takes an alarm back that is answered and heard by somebody. It needs the lock.
func (p *Probe) settle(incident string, a *alarm) {
	if a.due.IsZero() || a.settled || !slices.ContainsFunc(a.heard, func(t time.Time) bool { return !t.IsZero() }) {
		return
	}
	a.settled = true
	id := a.by.next()
	p.open[a.by.key(id)] = press{cancel: true}
	if err := a.by.emit(id, fmt.Sprintf(`["SOS_CANCEL",{"incidentId":%q}]`, incident)); err != nil {
		p.fail(err)
	}
}

// fail notes why the probe cannot go on. It needs the lock.
func (p *Probe) fail(err error) {
	if p.failure == nil {
		p.failure = err
		close(p.broken)
	}
	p.quiet.Broadcast()
}

// Close ends all clients.
func (p *Probe) Close() {
	for _, c := range p.clients {
		if c != nil {
			c.close()
		}
	}
	p.left.Wait()
}

// Names fills numbers from 1 into a pattern such as student%d@demo.nexus.
func Names(pattern string, n int) ([]string, error) {
	if strings.Count(pattern, "%") != 1 || !strings.Contains(pattern, "%d") {
		return nil, fmt.Errorf("%q has no %%d", pattern)
	}
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(pattern, i+1)
	}
	return names, nil
}
