// Package history records what clients did and what came of it: the evidence that the checker works on. Times are of one
// clock, in nanoseconds since the log began, so that one can say of two operations which was over before the other began.
package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"
)

// Outcome is what a client knows of its operation.
type Outcome string

// What a client may know.
const (
	OK      Outcome = "ok"      // it has happened
	Failed  Outcome = "fail"    // it has not and will not
	Unknown Outcome = "unknown" // nobody answered: it may have happened, or may happen yet
)

// The kinds of operations.
const (
	CheckIn = "checkin" // Delta people into hall Key, as event Event
	Look    = "look"    // Value people were in hall Key
	Rate    = "rate"    // Value stars from Client for menu Key
	Edit    = "edit"    // profile of Key: Event is the text, Value the version that it became
	Login   = "login"
	Refresh = "refresh"
	Raise   = "raise"  // an SOS of Client by the press Event; it made, or joined, the incident Key as its event Value
	Cancel  = "cancel" // of the incident Key by Client, who was told that its state is Event
	Act     = "act"    // the officer Client says Event of the incident Key, as its event Value
	Enrol   = "enrol"  // Client asks for a seat in the course Key, and stands as Event says, in the line at Value
	Leave   = "leave"  // Client gives a seat or a place in the course Key back
	See     = "see"    // the incident Key was in state Event after its event Value
)

// Op is one operation of a client, with all its attempts: they carry the same event id, and count once.
type Op struct {
	Client    string    `json:"client"`
	Kind      string    `json:"kind"`
	Key       string    `json:"key,omitempty"`
	Via       string    `json:"via"` // who gave the last answer
	Call      int64     `json:"call"`
	Return    int64     `json:"return"`
	Outcome   Outcome   `json:"outcome"`
	Event     string    `json:"event,omitempty"`
	Delta     int       `json:"delta,omitempty"`
	Value     int       `json:"value,omitempty"`
	Accepted  bool      `json:"accepted,omitempty"` // of a check-in: it was new to the one who answered
	Attempts  int       `json:"attempts"`
	Troubles  []string  `json:"troubles,omitempty"`  // what the attempts before were answered with
	Scattered bool      `json:"scattered,omitempty"` // sent to nodes directly, not through the balancer
	Durable   bool      `json:"durable,omitempty"`   // of an SOS: an answer said so
	Alarmed   bool      `json:"alarmed,omitempty"`   // of an SOS: the first answer said that it was not durable yet
	At        time.Time `json:"at,omitzero"`         // of an SOS, by the phone's clock
	Once      bool      `json:"once,omitempty"`      // of an SOS: it was not repeated after an answer that was not durable
}

// Tick is one CROWD_UPDATE that a subscriber heard.
type Tick struct {
	Client     string `json:"client"`
	Connection int    `json:"connection"`
	Hall       string `json:"hall"`
	Seq        int64  `json:"seq"`
	Occupancy  int    `json:"occupancy"`
	At         int64  `json:"at"`
}

// Delivery is one line of a stream of class A that a device heard, as often as it heard it.
type Delivery struct {
	Client     string `json:"client"`
	Connection int    `json:"connection"`
	Name       string `json:"name"`         // of the event
	ID         string `json:"id,omitempty"` // empty: an alarm that the database did not know yet
	Offset     int64  `json:"offset,omitempty"`
	Incident   string `json:"incident"`
	Seq        int64  `json:"seq"` // of the incident's event
	At         int64  `json:"at"`
}

// Log collects operations, ticks and deliveries. It is safe for concurrent use.
type Log struct {
	began time.Time

	mu         sync.Mutex
	ops        []Op
	ticks      []Tick
	deliveries []Delivery
}

// New returns an empty log whose clock starts now.
func New() *Log { return &Log{began: time.Now()} }

// Began is when the log's clock was zero.
func (l *Log) Began() time.Time { return l.began }

// Now is the time on the log's clock.
func (l *Log) Now() int64 { return int64(time.Since(l.began)) }

// Add records an operation that is over, or given up.
func (l *Log) Add(o Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, o)
}

// Hear records a tick.
func (l *Log) Hear(t Tick) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ticks = append(l.ticks, t)
}

// Take records a delivery.
func (l *Log) Take(d Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deliveries = append(l.deliveries, d)
}

// Deliveries returns what the devices on /security heard, in order.
func (l *Log) Deliveries() []Delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Delivery(nil), l.deliveries...)
}

// Ops returns the operations of the kinds, in the order in which they ended.
func (l *Log) Ops(kinds ...string) (found []Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.ops {
		for _, k := range kinds {
			if o.Kind == k {
				found = append(found, o)
			}
		}
	}
	return found
}

// Ticks returns what the subscribers heard, in order.
func (l *Log) Ticks() []Tick {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Tick(nil), l.ticks...)
}

// Save writes everything to a file, one JSON object a line: operations, then ticks, then deliveries.
func (l *Log) Save(path string) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	for _, o := range l.ops {
		if err := e.Encode(o); err != nil {
			return err
		}
	}
	for _, t := range l.ticks {
		if err := e.Encode(t); err != nil {
			return err
		}
	}
	for _, d := range l.deliveries {
		if err := e.Encode(d); err != nil {
			return err
		}
	}
	return w.Flush()
}
