package incident

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

var errAway = nexus.Errorf(nexus.Unavailable, "the database is away")

// fake is a Store in memory on the rules of this package. Its fences are those of graintest.
type fake struct {
	fences *graintest.Store
	skew   time.Duration // of its clock against the node's

	mu        sync.Mutex // for what follows
	who       Roster
	policy    nexus.Policy
	incidents map[nexus.IncidentID]*chained
	order     []nexus.IncidentID
	presses   map[[2]string]nexus.Raised
	said      map[string]int64
	fixes     map[nexus.IncidentID][]nexus.Fix
	timers    []nexus.Press         // of safety timers that have run out
	broken    []FailedTimer         // those whose alarm cannot be raised
	changes   map[[2]string]Outcome // by person and idempotency key
	calls     map[string]int
	// Hooks of a test, nil when nothing is to happen. before runs ahead of each call and may block or fail it; after runs when
	// the call has been committed and may make it seem to have failed.
	before, after func(ctx context.Context, call string) error
	locked        nexus.UserID // whose presses the store does not get to
}

type chained struct {
	user   nexus.UserID
	events []Event
}

var _ Store = (*fake)(nil)

func newFake() *fake {
	return &fake{
		fences: graintest.NewStore(), who: campus, policy: policy, incidents: map[nexus.IncidentID]*chained{}, presses: map[[2]string]nexus.Raised{},
		said: map[string]int64{}, fixes: map[nexus.IncidentID][]nexus.Fix{}, calls: map[string]int{}, changes: map[[2]string]Outcome{},
	}
}

func (f *fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

// on sets what happens before each call; nil: nothing.
func (f *fake) on(before func(ctx context.Context, call string) error) {
	f.with(func() { f.before = before })
}

// fail makes every call fail, or only those named.
func (f *fake) fail(err error, calls ...string) {
	f.on(func(_ context.Context, call string) error {
		if len(calls) > 0 && !slices.Contains(calls, call) {
			return nil
		}
		return err
	})
}

func (f *fake) called(call string) (n int) {
	f.with(func() { n = f.calls[call] })
	return n
}

// call does one call as one transaction.
func (f *fake) call(ctx context.Context, name string, do func(now time.Time) error) error {
	var before, after func(context.Context, string) error
	f.with(func() {
		before, after = f.before, f.after
		f.calls[name]++
	})
	if before != nil {
		if err := before(ctx, name); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.mu.Lock()
	err := do(time.Now().Add(f.skew).UTC().Truncate(time.Microsecond))
	f.mu.Unlock()
	if err == nil && after != nil {
		err = after(ctx, name)
	}
	return err
}

func (f *fake) state(id nexus.IncidentID) (State, error) {
	c, ok := f.incidents[id]
	if !ok {
		return State{}, nexus.Errorf(nexus.NotFound, "incident %s", id)
	}
	s, err := Fold(id, c.user, c.events)
	if fixes := f.fixes[id]; len(fixes) > 0 {
		s.Last = &fixes[len(fixes)-1]
	}
	return s, err
}

// keep adds events to a state.
func (f *fake) keep(s State, events []Event, now time.Time) (Outcome, error) {
	out := Outcome{Now: now}
	streams := map[string]bool{}
	for _, e := range events {
		if err := s.Apply(e); err != nil {
			return Outcome{}, err
		}
		out.Events = append(out.Events, nexus.SOSEvent{Incident: s.ID, Seq: s.Seq, Kind: e.Kind, Actor: e.Actor, Data: e.Data, At: e.At})
		for _, to := range s.Audience(e) {
			streams[string(to.User)] = true
		}
	}
	for u := range streams {
		out.Streams = append(out.Streams, u)
	}
	slices.Sort(out.Streams)
	if f.incidents[s.ID] == nil {
		f.incidents[s.ID] = &chained{user: s.User}
		f.order = append(f.order, s.ID)
	}
	f.incidents[s.ID].events = append(f.incidents[s.ID].events, events...)
	if out.State = s; len(events) > 0 {
		out.First = out.Events[0].Seq
	}
	return out, nil
}

func (f *fake) Raise(ctx context.Context, id nexus.IncidentID, p nexus.Press) (r nexus.Raised, out Outcome, err error) {
	var locked bool
	if f.with(func() { locked = f.locked == p.User }); locked {
		<-ctx.Done()
		return r, out, ctx.Err()
	}
	err = f.call(ctx, "raise", func(now time.Time) (err error) {
		r, out, err = f.raise(id, p, now)
		return err
	})
	return r, out, err
}

func (f *fake) raise(id nexus.IncidentID, p nexus.Press, now time.Time) (nexus.Raised, Outcome, error) {
	key := [2]string{string(p.User), p.ClientKey}
	if r, ok := f.presses[key]; ok {
		s, err := f.state(r.Incident)
		r.State = s.Seen().State
		return r, Outcome{State: s, Now: now}, err
	}
	s := State{Incident: nexus.Incident{ID: id, User: p.User, Responders: []nexus.Responder{}}}
	var events []Event
	var err error
	if open, ok := f.open(p.User, p.Drill); ok {
		s = open
		events, err = s.Press(p, f.who, now)
	} else {
		events, err = Open(id, p, f.policy, f.who, now)
	}
	if err != nil {
		return nexus.Raised{}, Outcome{}, err
	}
	seq := s.Seq + min(1, int64(len(events)))
	out, err := f.keep(s, events, now)
	r := nexus.Raised{Incident: out.State.ID, State: out.State.State, Seq: seq, Durable: true}
	f.presses[key] = r
	return r, out, err
}

func (f *fake) open(user nexus.UserID, drill bool) (State, bool) {
	for _, id := range f.order {
		if s, err := f.state(id); err == nil && s.User == user && s.Drill == drill && s.ClosedAt == nil && !s.Duress {
			return s, true
		}
	}
	return State{}, false
}

func (f *fake) Change(ctx context.Context, by nexus.Caller, id nexus.IncidentID, decide func(State, Roster, time.Time) ([]Event, error)) (out Outcome, err error) {
	err = f.call(ctx, "change", func(now time.Time) error {
		key := [2]string{string(by.User), by.Once.Key}
		if was, ok := f.changes[key]; ok && by.Once.Key != "" {
			out = Outcome{State: was.State, First: was.First, Now: now}
			return nil
		}
		s, err := f.state(id)
		if err != nil {
			return err
		}
		events, err := decide(s, f.who, now)
		if err != nil {
			return err
		}
		out, err = f.keep(s, events, now)
		f.changes[key] = out
		return err
	})
	return out, err
}

func (f *fake) Advance(ctx context.Context, fence nexus.Fence, id nexus.IncidentID) (out Outcome, err error) {
	err = f.call(ctx, "advance", func(now time.Time) error {
		if fence != (nexus.Fence{}) {
			if err := f.fences.Check(fence); err != nil {
				return err
			}
		}
		s, err := f.state(id)
		if err != nil {
			return err
		}
		events, err := s.Due(f.who, now)
		if err != nil {
			return err
		}
		out, err = f.keep(s, events, now)
		return err
	})
	return out, err
}

func (f *fake) Say(ctx context.Context, id nexus.IncidentID, by nexus.UserID, w Words, check func(State) error) (seq int64, out Outcome, err error) {
	err = f.call(ctx, "say", func(now time.Time) error {
		s, err := f.state(id)
		if err != nil {
			return err
		}
		if err := check(s); err != nil {
			return err
		}
		key := fmt.Sprint(id, by, w.ClientMsgID)
		if was, ok := f.said[key]; ok {
			seq, out = was, Outcome{State: s, Now: now}
			return nil
		}
		events, err := s.Say(by, w, now)
		if err != nil {
			return err
		}
		if out, err = f.keep(s, events, now); err != nil {
			return err
		}
		seq = out.State.Seq
		f.said[key] = seq
		return nil
	})
	return seq, out, err
}

func (f *fake) Locate(ctx context.Context, id nexus.IncidentID, fixes []nexus.Fix, check func(State) error) (s State, err error) {
	err = f.call(ctx, "locate", func(time.Time) (err error) {
		if s, err = f.state(id); err != nil {
			return err
		}
		if err := check(s); err != nil {
			return err
		}
		f.fixes[id] = append(f.fixes[id], fixes...)
		return nil
	})
	return s, err
}

func (f *fake) Look(ctx context.Context, id nexus.IncidentID) (s State, now time.Time, err error) {
	err = f.call(ctx, "look", func(at time.Time) (err error) {
		now = at
		s, err = f.state(id)
		return err
	})
	return s, now, err
}

func (f *fake) Open(ctx context.Context) (ids []nexus.IncidentID, err error) {
	err = f.call(ctx, "open", func(now time.Time) error {
		ids = f.due(now.AddDate(1, 0, 0))
		return nil
	})
	return ids, err
}

func (f *fake) Overdue(ctx context.Context, late time.Duration, limit int) (ids []nexus.IncidentID, err error) {
	err = f.call(ctx, "overdue", func(now time.Time) error {
		ids = f.due(now.Add(-late))
		ids = ids[:min(limit, len(ids))]
		return nil
	})
	return ids, err
}

// due lists the incidents whose next time is before at.
func (f *fake) due(at time.Time) (ids []nexus.IncidentID) {
	for _, id := range f.order {
		if s, err := f.state(id); err != nil || s.NextAt != nil && s.NextAt.Before(at) {
			ids = append(ids, id)
		}
	}
	return ids
}

func (f *fake) EndTimer(ctx context.Context, by nexus.Caller, id string, duress bool) (t nexus.SafetyTimer, out Outcome, err error) {
	err = f.call(ctx, "end", func(now time.Time) (err error) {
		t = nexus.SafetyTimer{ID: id, User: by.User, State: "DONE"}
		if duress {
			_, out, err = f.raise(nexus.IncidentID(nexus.NewID()), nexus.Press{User: by.User, ClientKey: "timer:" + id, Category: "timer"}, now)
		}
		return err
	})
	return t, out, err
}

func (f *fake) ExpireTimers(ctx context.Context, limit int) (outs []Outcome, failed []FailedTimer, err error) {
	err = f.call(ctx, "expire", func(now time.Time) error {
		failed = slices.Clone(f.broken)
		n := min(limit, len(f.timers))
		for _, p := range f.timers[:n] {
			_, out, err := f.raise(nexus.IncidentID(nexus.NewID()), p, now)
			if err != nil {
				return err
			}
			outs = append(outs, out)
		}
		f.timers = f.timers[n:]
		return nil
	})
	return outs, failed, err
}

// happened tells an incident's history as "second kind", with the step of a page, since it began.
func (f *fake) happened(t *testing.T, id nexus.IncidentID) string {
	t.Helper()
	var lines []string
	f.with(func() {
		c := f.incidents[id]
		if c == nil {
			t.Fatalf("no incident %s", id)
		}
		for _, e := range c.events {
			line := fmt.Sprintf("%v %s", e.At.Sub(c.events[0].At).Round(time.Millisecond).Seconds(), e.Kind)
			if e.Kind == Paged {
				var p Page
				if err := json.Unmarshal(e.Data, &p); err != nil {
					t.Fatal(err)
				}
				line += fmt.Sprint(p.Step)
			}
			lines = append(lines, line)
		}
	})
	return strings.Join(lines, ", ")
}

// office is a node with a desk over a store.
type office struct {
	*testing.T
	*fake
	node *graintest.Node
	desk *Desk
	log  *logged
	read func(metric, label string) float64
}

// bubble runs a test in virtual time.
func bubble(t *testing.T, run func(o *office)) {
	synctest.Test(t, func(t *testing.T) {
		run(open(t, newFake()))
	})
}

// open starts a node and a desk over a store.
func open(t *testing.T, f *fake) *office {
	t.Helper()
	o := &office{T: t, fake: f, log: &logged{}}
	options := Options{Log: slog.New(slog.NewTextHandler(o.log, nil))}
	options.Metrics, o.read = measured()
	o.node = graintest.NewNode(t, f.fences, Kind(f, options))
	o.desk = NewDesk(f, o.node, o.node, options)
	t.Cleanup(o.desk.Close)
	return o
}

// as is a person with the roles that the campus gives.
func as(user nexus.UserID) nexus.Caller {
	i := slices.IndexFunc(campus, func(p Person) bool { return p.ID == user })
	return nexus.Caller{User: user, Roles: campus[i].Roles}
}

func (o *office) raise(p nexus.Press) nexus.Raised {
	o.Helper()
	r, err := o.desk.Raise(o.Context(), as(p.User), p)
	if err != nil {
		o.Fatal(err)
	}
	synctest.Wait() // the grain knows now
	return r
}

func (o *office) act(by nexus.UserID, id nexus.IncidentID, to nexus.SOSState) int64 {
	o.Helper()
	seq, err := o.desk.Act(o.Context(), as(by), id, to, "")
	if err != nil {
		o.Fatal(err)
	}
	synctest.Wait()
	return seq
}

// wants compares an incident's history.
func (o *office) wants(id nexus.IncidentID, want string) {
	o.Helper()
	synctest.Wait()
	if got := o.happened(o.T, id); got != want {
		o.Fatalf("%s\nwant %s", got, want)
	}
}

// sent returns what was broadcast since the last call, each as its event or as "news" with its streams; every one is urgent but a LOCATION.
func (o *office) sent() []string {
	o.Helper()
	synctest.Wait()
	var got []string
	for _, b := range o.node.Broadcasts() {
		if b.GetTopic() == heldTopic { // for other nodes
			continue
		}
		if b.GetUrgent() != (b.GetEvent() != Location) {
			o.Fatalf("odd broadcast %v", b)
		}
		if len(b.GetNews()) > 0 {
			got = append(got, "news "+strings.Join(b.GetNews(), " "))
			continue
		}
		if b.GetNamespace() != Namespace || b.GetTopic() == "" || b.GetExcept() != string(o.raiser(b.GetPayload())) {
			o.Fatalf("odd broadcast %v", b)
		}
		got = append(got, fmt.Sprintf("%s %s %s", b.GetTopic(), b.GetEvent(), b.GetPayload()))
	}
	return got
}

// raiser is whose incident a payload is about.
func (o *office) raiser(payload []byte) (user nexus.UserID) {
	o.Helper()
	var about struct {
		IncidentID nexus.IncidentID
		UserID     nexus.UserID // of an alert
	}
	if err := json.Unmarshal(payload, &about); err != nil {
		o.Fatal(err)
	}
	user = about.UserID
	o.with(func() {
		if c := o.incidents[about.IncidentID]; c != nil {
			user = c.user
		}
	})
	if user == "" {
		user = asha // who presses in vain
	}
	return user
}

func (o *office) wantSent(want ...string) {
	o.Helper()
	if got := o.sent(); !slices.Equal(got, want) {
		o.Fatalf("sent %q\nwant %q", got, want)
	}
}

// locate wakes an incident's grain, as the keeper does.
func (o *office) locate(id nexus.IncidentID) {
	o.Helper()
	if _, err := o.node.Locate(o.Context(), grain.Ref{Kind: KindName, ID: string(id)}); err != nil {
		o.Fatal(err)
	}
	synctest.Wait()
}

// logged is what was logged.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}
