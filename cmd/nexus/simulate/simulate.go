// Package simulate brings a campus to life from outside: it reports people
// entering and leaving mess halls to a running server, through the same REST
// check-ins that gates and sensors use.
//
// There are two plays. A day (day.go) is made up from a seed: three halls or however many the
// campus has, with meal peaks, individual stays, and a few people who never check out. A replay
// (counts.go) takes head counts from a CSV file. Both pass through one sender:
//
//	Day or Counts --> pace --> queue of a hall (bounded) --> batch --> POST checkins, repeated until answered
//
// Time is compressed by the speed, but every event is stamped with the real time at which it
// is reported, for the server's clock is real. An event keeps its id through every repetition,
// so that nothing is counted twice.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"nexus"
)

// Options says what to play, how fast, and against which server. URL and Out are needed; the
// rest has the defaults named below.
type Options struct {
	URL      string // the server, such as http://127.0.0.1:4000
	APIKey   string // a key with the scope mess:checkins; without one a short-lived one is made
	Admin    string // e-mail address of the administrator who makes the key
	Password string // of Admin

	Speed float64 // simulated seconds in a real one; 0 is 60
	Seed  uint64  // the same seed makes the same day
	From  string  // where a day begins, "HH:MM" or "now" in each hall's zone; empty is 07:00

	File string // replay this CSV file in place of a day
	Hall string // the hall to replay into, by name or id; empty is the campus's default

	Out      io.Writer     // progress and the summary
	Client   *http.Client  // nil is a client with time-outs
	Patience time.Duration // how long a request is repeated before the play is given up; 0 is two minutes
}

// maxSpeed plays a day in less than a second.
const maxSpeed = 1_000_000

// withDefaults returns the options with the gaps filled, or says which one is wrong.
func (o Options) withDefaults() (Options, error) {
	if o.Speed == 0 {
		o.Speed = 60
	}
	if !(o.Speed > 0 && o.Speed <= maxSpeed) {
		return o, nexus.InvalidField("speed", "must be above 0 and at most %d", maxSpeed)
	}
	if o.From == "" {
		o.From = "07:00"
	}
	if _, err := timeOfDay(o.From, time.Time{}); err != nil {
		return o, nexus.InvalidField("from", `must be "HH:MM" or "now"`)
	}
	if o.URL == "" {
		return o, nexus.InvalidField("url", "is needed")
	}
	if o.APIKey == "" && (o.Admin == "" || o.Password == "") {
		return o, nexus.InvalidField("api-key", "is needed, or an administrator's e-mail address and password")
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 15 * time.Second}
	}
	if o.Patience == 0 {
		o.Patience = 2 * time.Minute
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	return o, nil
}

// Run plays until the day or the file ends, or ctx does. Ending ctx is a clean end, not an
// error: what is queued is still sent, within a few seconds, people who have yet to leave a
// simulated hall leave it, the key that was made is removed, and the summary is printed.
func Run(ctx context.Context, o Options) (err error) {
	o, err = o.withDefaults()
	if err != nil {
		return err
	}
	c := newCampus(o)
	halls, err := c.halls(ctx)
	if err != nil {
		return fmt.Errorf("ask for the halls: %w", err)
	}
	if o.File != "" {
		halls, err = pick(halls, o.Hall)
	}
	if err == nil && len(halls) == 0 {
		err = nexus.Errorf(nexus.NotFound, "the campus has no mess hall")
	}
	if err != nil {
		return err
	}
	forget, err := c.authorize(ctx)
	if err != nil {
		return fmt.Errorf("get an API key: %w", err)
	}
	defer func() { err = errors.Join(err, forget(ctx)) }()

	s := newSender(ctx, c, halls, o.Patience)
	var outcome string
	if o.File != "" {
		outcome, err = replay(s, o)
	} else {
		outcome, err = play(s, halls, o)
	}
	err = errors.Join(err, s.close())
	fmt.Fprintf(o.Out, "%s\n%s\n", outcome, s.summary())
	return err
}

// pick returns the one hall with this name or id, or the default hall for an empty name.
func pick(halls []nexus.Hall, name string) ([]nexus.Hall, error) {
	for _, h := range halls {
		if name == "" && h.Default || name != "" && (strings.EqualFold(h.Name, name) || string(h.ID) == name) {
			return []nexus.Hall{h}, nil
		}
	}
	if name == "" && len(halls) > 0 {
		return halls[:1], nil
	}
	known := make([]string, len(halls))
	for i, h := range halls {
		known[i] = h.Name
	}
	return nil, nexus.InvalidField("hall", "%q is none of %s", name, strings.Join(known, ", "))
}
