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
)

// Op is one operation of a client, with all its attempts: they carry the same event id, and count once.
type Op struct {
	Client    string   `json:"client"`
	Kind      string   `json:"kind"`
	Key       string   `json:"key,omitempty"`
	Via       string   `json:"via"` // who gave the last answer
	Call      int64    `json:"call"`
	Return    int64    `json:"return"`
	Outcome   Outcome  `json:"outcome"`
	Event     string   `json:"event,omitempty"`
	Delta     int      `json:"delta,omitempty"`
	Value     int      `json:"value,omitempty"`
	Accepted  bool     `json:"accepted,omitempty"` // of a check-in: it was new to the one who answered
	Attempts  int      `json:"attempts"`
	Troubles  []string `json:"troubles,omitempty"`  // what the attempts before were answered with
	Scattered bool     `json:"scattered,omitempty"` // sent to nodes directly, not through the balancer
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

// Log collects operations and ticks. It is safe for concurrent use.
type Log struct {
	began time.Time

	mu    sync.Mutex
	ops   []Op
	ticks []Tick
}

// New returns an empty log whose clock starts now.
func New() *Log { return &Log{began: time.Now()} }

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

// Save writes everything to a file, one JSON object a line: operations, then ticks.
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
	return w.Flush()
}
