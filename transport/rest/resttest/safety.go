package resttest

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/cluster"
	"nexus/transport/auth"
	"nexus/transport/rest"
)

// Safety keeps incidents by the true rules, and what they are handled by. Setting Err makes every call fail with it.
type Safety struct {
	Err   error
	Staff incident.Roster // whom policies reach

	mu        sync.Mutex
	policy    nexus.Policy
	incidents map[nexus.IncidentID]*kept
	presses   map[[2]string]nexus.Raised
	answers   map[[2]string]int64 // by person and idempotency key
	fixes     map[nexus.IncidentID][]nexus.Fix
	messages  map[[3]string]int64
	shifts    []nexus.Shift
	timers    map[string]*nexus.SafetyTimer
	pins      map[nexus.UserID][2]string
	browsers  map[string]nexus.UserID
	alerts    map[string]nexus.MassAlert
}

type kept struct {
	incident.State
	events []nexus.SOSEvent
}

var (
	_ rest.Desk         = (*Safety)(nil)
	_ rest.Incidents    = (*Safety)(nil)
	_ rest.SafetyOffice = (*Safety)(nil)
	_ rest.Cluster      = (*Safety)(nil)
	_ auth.Pins         = (*Safety)(nil)
)

// NewSafety returns an office without incidents, whose policy pages SECURITY.
func NewSafety() *Safety {
	return &Safety{
		policy: nexus.Policy{
			ID: nexus.NewID(), Name: "Default", EverySeconds: 60, MoveSeconds: 300, Version: 1,
			Steps: []nexus.Step{{Targets: []nexus.Target{{Role: nexus.Security}}}},
		},
		incidents: map[nexus.IncidentID]*kept{}, presses: map[[2]string]nexus.Raised{}, answers: map[[2]string]int64{}, fixes: map[nexus.IncidentID][]nexus.Fix{},
		messages: map[[3]string]int64{}, timers: map[string]*nexus.SafetyTimer{}, pins: map[nexus.UserID][2]string{},
		browsers: map[string]nexus.UserID{}, alerts: map[string]nexus.MassAlert{},
	}
}

// begin locks, and reports the failure that was asked for.
func (s *Safety) begin() (func(), error) {
	s.mu.Lock()
	return s.mu.Unlock, s.Err
}

func (k *kept) add(events []incident.Event) error {
	for _, e := range events {
		if err := k.Apply(e); err != nil {
			return err
		}
		k.events = append(k.events, nexus.SOSEvent{Incident: k.ID, Seq: k.Seq, Kind: e.Kind, Actor: e.Actor, Data: e.Data, At: e.At, Hash: make([]byte, 32)})
	}
	return nil
}

// find returns an incident that by may see.
func (s *Safety) find(by nexus.Caller, id nexus.IncidentID) (*kept, error) {
	k := s.incidents[id]
	if k == nil || !k.May(by) {
		return nil, nexus.Errorf(nexus.NotFound, "no such incident")
	}
	return k, nil
}

// Raise takes a press.
func (s *Safety) Raise(_ context.Context, by nexus.Caller, p nexus.Press) (nexus.Raised, error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nexus.Raised{}, err
	}
	p.User = by.User
	if r, ok := s.presses[[2]string{string(by.User), p.ClientKey}]; ok {
		return r, nil
	}
	var open *kept
	for _, k := range s.incidents {
		if k.User == by.User && k.ClosedAt == nil && !k.Duress && k.Drill == p.Drill {
			open = k
		}
	}
	var events []incident.Event
	if open != nil {
		events, err = open.Press(p, s.Staff, time.Now())
	} else {
		open = &kept{State: incident.State{Incident: nexus.Incident{ID: nexus.IncidentID(nexus.NewID()), User: by.User}}}
		s.incidents[open.ID] = open
		events, err = incident.Open(open.ID, p, s.policy, s.Staff, time.Now())
	}
	if err = cmp.Or(err, open.add(events)); err != nil {
		return nexus.Raised{}, err
	}
	if p.Position != nil {
		open.Last = &nexus.Fix{At: time.Now(), Position: *p.Position}
	}
	r := nexus.Raised{Incident: open.ID, State: open.Incident.State, Seq: open.Seq, Durable: true}
	s.presses[[2]string{string(by.User), p.ClientKey}] = r
	return r, nil
}

func (s *Safety) change(by nexus.Caller, id nexus.IncidentID, decide func(*kept) ([]incident.Event, error)) (*kept, error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	k, err := s.find(by, id)
	if err != nil {
		return nil, err
	}
	events, err := decide(k)
	if err != nil {
		return nil, err
	}
	return k, k.add(events)
}

// Act is a responder's word.
func (s *Safety) Act(_ context.Context, by nexus.Caller, id nexus.IncidentID, to nexus.SOSState, note string) (int64, error) {
	return s.once(by, func() (*kept, error) {
		return s.change(by, id, func(k *kept) ([]incident.Event, error) {
			if to.Closed() && !by.Has(nexus.Security, nexus.Admin) {
				return nil, nexus.Errorf(nexus.Forbidden, "not for you")
			}
			return k.Act(by.User, to, note, time.Now())
		})
	}, func(k *kept) int64 { return k.Said(by.User, to) })
}

// Escalate asks for more help.
func (s *Safety) Escalate(_ context.Context, by nexus.Caller, id nexus.IncidentID, note string) (int64, error) {
	return s.once(by, func() (*kept, error) {
		return s.change(by, id, func(k *kept) ([]incident.Event, error) { return k.Escalate(by.User, note, s.Staff, time.Now()) })
	}, func(k *kept) int64 { return k.Seq })
}

// once answers a key that came before as it was answered then.
func (s *Safety) once(by nexus.Caller, change func() (*kept, error), answer func(*kept) int64) (int64, error) {
	key := [2]string{string(by.User), by.Once.Key}
	if seq, ok := s.answers[key]; ok && by.Once.Key != "" {
		return seq, nil
	}
	k, err := change()
	if err != nil {
		return 0, err
	}
	s.answers[key] = answer(k)
	return s.answers[key], nil
}

// Cancel takes the caller's own alarm back.
func (s *Safety) Cancel(_ context.Context, by nexus.Caller, id nexus.IncidentID, duress bool) (nexus.SOSState, error) {
	k, err := s.change(by, id, func(k *kept) ([]incident.Event, error) {
		if k.User != by.User {
			return nil, nexus.Errorf(nexus.Forbidden, "not yours")
		}
		return k.State.Cancel(duress, time.Now())
	})
	if err != nil {
		return "", err
	}
	return k.Seen().State, nil
}

// Say adds a message.
func (s *Safety) Say(_ context.Context, by nexus.Caller, id nexus.IncidentID, clientMsgID, body string) (int64, error) {
	key := [3]string{string(id), string(by.User), clientMsgID}
	_, err := s.change(by, id, func(k *kept) ([]incident.Event, error) {
		if s.messages[key] > 0 {
			return nil, nil
		}
		s.messages[key] = k.Seq + 1
		return k.State.Say(by.User, incident.Words{ClientMsgID: clientMsgID, Body: body}, time.Now())
	})
	if err != nil {
		return 0, err
	}
	return s.messages[key], nil
}

// Locate keeps fixes.
func (s *Safety) Locate(_ context.Context, by nexus.Caller, id nexus.IncidentID, fixes []nexus.Fix) error {
	_, err := s.change(by, id, func(k *kept) ([]incident.Event, error) {
		if err := k.Track(by.User); err != nil {
			return nil, err
		}
		s.fixes[id] = append(s.fixes[id], fixes...)
		return nil, nil
	})
	return err
}

// Incident returns one as the caller may see it.
func (s *Safety) Incident(_ context.Context, by nexus.Caller, id nexus.IncidentID) (nexus.Incident, error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nexus.Incident{}, err
	}
	k, err := s.find(by, id)
	if err != nil {
		return nexus.Incident{}, err
	}
	return k.SeenBy(by.User), nil
}

// Incidents lists those that the caller may see.
func (s *Safety) Incidents(_ context.Context, by nexus.Caller, state string, p nexus.Page) (l nexus.List[nexus.Incident], _ error) {
	end, err := s.begin()
	defer end()
	l.Items = []nexus.Incident{}
	for id := range s.incidents {
		k, miss := s.find(by, id)
		if miss != nil {
			continue
		}
		if i := k.SeenBy(by.User); state == "" || state == "open" && i.ClosedAt == nil || state == string(i.State) {
			l.Items = append(l.Items, i)
		}
	}
	slices.SortFunc(l.Items, func(a, b nexus.Incident) int { return cmp.Compare(b.ID, a.ID) })
	l.Items = l.Items[:min(len(l.Items), p.Limit)]
	return l, err
}

// Events returns an incident's history as the caller may see it.
func (s *Safety) Events(_ context.Context, by nexus.Caller, id nexus.IncidentID, after int64, limit int) (events []nexus.SOSEvent, _ error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	k, err := s.find(by, id)
	if err != nil {
		return nil, err
	}
	for _, e := range k.events {
		ok := true
		if by.User == k.User {
			e.Kind, ok = k.Mask(e.Seq, e.Kind)
		}
		if ok && e.Seq > after && len(events) < limit {
			events = append(events, e)
		}
	}
	return events, nil
}

// Locations returns all fixes.
func (s *Safety) Locations(_ context.Context, by nexus.Caller, id nexus.IncidentID) ([]nexus.Fix, error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	_, err = s.find(by, id)
	return s.fixes[id], err
}

// Fixes lists them.
func (s *Safety) Fixes(ctx context.Context, by nexus.Caller, id nexus.IncidentID, p nexus.Page) (l nexus.List[nexus.Fix], _ error) {
	l.Items = []nexus.Fix{}
	all, err := s.Locations(ctx, by, id)
	if err != nil {
		return l, err
	}
	after := int64(-1)
	if p.After != "" {
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil {
			return l, nexus.InvalidField("after", "is no cursor of this list")
		}
	}
	for _, f := range all {
		switch {
		case f.ClientSeq <= after:
		case len(l.Items) == p.Limit:
			l.Next = strconv.FormatInt(l.Items[p.Limit-1].ClientSeq, 10)
			return l, nil
		default:
			l.Items = append(l.Items, f)
		}
	}
	return l, nil
}

// Deliveries knows of none.
func (s *Safety) Deliveries(context.Context, nexus.IncidentID) ([]nexus.DeliveryRecord, error) {
	end, err := s.begin()
	defer end()
	return nil, err
}

// VerifyIncident finds every chain whole.
func (s *Safety) VerifyIncident(_ context.Context, id nexus.IncidentID) (events, firstBad int64, err error) {
	end, err := s.begin()
	defer end()
	if k := s.incidents[id]; err == nil && k != nil {
		events = k.Seq
	}
	return events, 0, err
}

// SafetyMetrics counts incidents, and how often the caller knows of somebody on the scene.
func (s *Safety) SafetyMetrics(_ context.Context, by nexus.Caller, from, to time.Time) (nexus.SafetyMetrics, error) {
	end, err := s.begin()
	defer end()
	m := nexus.SafetyMetrics{Incidents: len(s.incidents), From: from, To: to}
	for _, k := range s.incidents {
		if k.SeenBy(by.User).OnSceneAt != nil {
			m.Arrive.Samples++
		}
	}
	return m, err
}

// Inspect is of one node, where each open incident has a grain that came from another.
func (s *Safety) Inspect(context.Context) []cluster.Status {
	end, _ := s.begin()
	defer end()
	n := cluster.Status{ID: "n1", Grains: map[string]int{"mess": 3}, HandOvers: []cluster.HandedOver{{Kind: "mess"}}}
	for id, k := range s.incidents {
		if k.ClosedAt == nil {
			n.Grains[incident.KindName]++
			n.HandOvers = append(n.HandOvers, cluster.HandedOver{Kind: incident.KindName, ID: string(id)})
		}
	}
	return []cluster.Status{n}
}

// Policies lists the one policy.
func (s *Safety) Policies(context.Context) ([]nexus.Policy, error) {
	end, err := s.begin()
	defer end()
	return []nexus.Policy{s.policy}, err
}

// PutPolicy replaces it.
func (s *Safety) PutPolicy(_ context.Context, _ nexus.Caller, version int64, p nexus.Policy) (nexus.Policy, error) {
	end, err := s.begin()
	defer end()
	switch {
	case err != nil:
		return nexus.Policy{}, err
	case p.ID != "" && p.ID != s.policy.ID:
		return nexus.Policy{}, nexus.Errorf(nexus.NotFound, "no such policy")
	case version != 0 && version != s.policy.Version:
		return nexus.Policy{}, nexus.Errorf(nexus.Stale, "changed meanwhile")
	}
	p.ID, p.Version = s.policy.ID, s.policy.Version+1
	s.policy = p
	return p, nil
}

// Shifts lists all shifts.
func (s *Safety) Shifts(_ context.Context, from, to time.Time) (touch []nexus.Shift, _ error) {
	end, err := s.begin()
	defer end()
	for _, x := range s.shifts {
		if x.From.Before(to) && x.To.After(from) {
			touch = append(touch, x)
		}
	}
	return touch, err
}

// AddShift adds one.
func (s *Safety) AddShift(_ context.Context, _ nexus.Caller, x nexus.Shift) (nexus.Shift, error) {
	end, err := s.begin()
	defer end()
	switch {
	case err != nil:
		return nexus.Shift{}, err
	case !slices.ContainsFunc(s.Staff, func(p incident.Person) bool { return p.ID == x.User }):
		return nexus.Shift{}, nexus.InvalidField("userId", "is not an active member of the staff")
	}
	x.ID = nexus.NewID()
	s.shifts = append(s.shifts, x)
	return x, nil
}

// Timers lists the caller's.
func (s *Safety) Timers(_ context.Context, by nexus.Caller) (mine []nexus.SafetyTimer, _ error) {
	end, err := s.begin()
	defer end()
	for _, t := range s.timers {
		if t.User == by.User && t.State == "RUNNING" {
			mine = append(mine, *t)
		}
	}
	return mine, err
}

// StartTimer starts one.
func (s *Safety) StartTimer(_ context.Context, by nexus.Caller, t nexus.SafetyTimer) (nexus.SafetyTimer, error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nexus.SafetyTimer{}, err
	}
	t.ID, t.User, t.State, t.Version = nexus.NewID(), by.User, "RUNNING", 1
	s.timers[t.ID] = &t
	return t, nil
}

// MoveTimer gives a timer another time.
func (s *Safety) MoveTimer(_ context.Context, by nexus.Caller, id string, version int64, due time.Time) (nexus.SafetyTimer, error) {
	return s.timer(by, id, func(t *nexus.SafetyTimer) error {
		if version != 0 && version != t.Version {
			return nexus.Errorf(nexus.Stale, "changed meanwhile")
		}
		t.Due = due
		return nil
	})
}

// EndTimer ends a timer.
func (s *Safety) EndTimer(_ context.Context, by nexus.Caller, id string, _ bool) (nexus.SafetyTimer, error) {
	return s.timer(by, id, func(t *nexus.SafetyTimer) error {
		t.State = "DONE"
		return nil
	})
}

func (s *Safety) timer(by nexus.Caller, id string, change func(*nexus.SafetyTimer) error) (nexus.SafetyTimer, error) {
	end, err := s.begin()
	defer end()
	t := s.timers[id]
	switch {
	case err != nil:
		return nexus.SafetyTimer{}, err
	case t == nil || t.User != by.User:
		return nexus.SafetyTimer{}, nexus.Errorf(nexus.NotFound, "no such timer")
	case t.State != "RUNNING":
		return nexus.SafetyTimer{}, nexus.Errorf(nexus.Conflict, "it has ended")
	}
	if err := change(t); err != nil {
		return nexus.SafetyTimer{}, err
	}
	t.Version++
	return *t, nil
}

// Pins returns the hashes of a person's numbers.
func (s *Safety) Pins(_ context.Context, user nexus.UserID) (pin, duress string, err error) {
	end, err := s.begin()
	defer end()
	return s.pins[user][0], s.pins[user][1], err
}

// SetPins replaces them.
func (s *Safety) SetPins(_ context.Context, by nexus.Caller, pin, duress string) error {
	end, err := s.begin()
	defer end()
	if err == nil {
		s.pins[by.User] = [2]string{pin, duress}
	}
	return err
}

// Subscribe keeps a browser.
func (s *Safety) Subscribe(_ context.Context, by nexus.Caller, p nexus.PushSubscription) error {
	end, err := s.begin()
	defer end()
	if err == nil {
		s.browsers[p.Endpoint] = by.User
	}
	return err
}

// Unsubscribe forgets one.
func (s *Safety) Unsubscribe(_ context.Context, by nexus.Caller, endpoint string) error {
	end, err := s.begin()
	defer end()
	if err == nil && s.browsers[endpoint] == by.User {
		delete(s.browsers, endpoint)
	}
	return err
}

// SendAlert keeps an alert.
func (s *Safety) SendAlert(_ context.Context, _ nexus.Caller, a nexus.MassAlert) (nexus.MassAlert, error) {
	end, err := s.begin()
	defer end()
	if err != nil {
		return nexus.MassAlert{}, err
	}
	if _, ok := s.alerts[a.References]; a.References != "" && !ok {
		return nexus.MassAlert{}, nexus.InvalidField("references", "no such alert")
	}
	a.Identifier, a.Sender, a.Sent = "nexus-"+nexus.NewID(), "nexus", time.Now()
	s.alerts[a.Identifier] = a
	return a, nil
}

// Alert returns one.
func (s *Safety) Alert(_ context.Context, identifier string) (nexus.MassAlert, error) {
	end, err := s.begin()
	defer end()
	a, ok := s.alerts[identifier]
	if err == nil && !ok {
		err = nexus.Errorf(nexus.NotFound, "no such alert")
	}
	return a, err
}
