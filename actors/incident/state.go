package incident

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"nexus"
)

// The kinds of events in an incident's history, beside those that are named like the state that they lead to.
const (
	Armed          = string(nexus.SOSArmed)
	Raised         = string(nexus.SOSRaised)
	Joined         = "JOINED" // its raiser pressed again
	Paged          = "PAGED"
	Acknowledged   = string(nexus.SOSAcknowledged)
	EnRoute        = string(nexus.SOSEnRoute)
	OnScene        = string(nexus.SOSOnScene)
	Unacknowledged = "UNACKNOWLEDGED" // whoever took it did not move
	Reminded       = "REMINDED"       // it has been open for long
	Escalated      = "ESCALATED"      // a human asked for more
	Resolved       = string(nexus.SOSResolved)
	FalseAlarm     = string(nexus.SOSFalseAlarm)
	Cancelled      = string(nexus.SOSCancelled)
	Duress         = "DURESS" // cancelled with the number that means the opposite
	Message        = "MESSAGE"
)

const (
	// CancelWindow is how long after the alarm its raiser may take it back.
	CancelWindow = 5 * time.Minute
	// RemindEvery is how often those under way or on the scene are asked whether it is over.
	RemindEvery = 15 * time.Minute
	// MaxMessages bounds what is said in one incident.
	MaxMessages = 500
	// MaxJoins bounds the presses that are noted in one incident; further ones are answered all the same.
	MaxJoins = 100
)

// Event is one thing that happened, before it is numbered and chained.
type Event struct {
	Kind  string
	Actor nexus.UserID // empty: the clock
	At    time.Time
	Data  json.RawMessage
}

// What events carry.
type (
	// Opening is the data of the first event, Armed or Raised: all that the incident is decided by later.
	Opening struct {
		Category  string        `json:"category"`
		Silent    bool          `json:"silent"`
		Drill     bool          `json:"drill"`
		Policy    nexus.Policy  `json:"policy"`
		Countdown time.Duration `json:"countdown,omitempty"`
		PressedAt *time.Time    `json:"pressedAt,omitempty"` // by the phone's clock
	}
	// Page is the data of Paged.
	Page struct {
		Step     int            `json:"step"` // of the policy, from 0
		Users    []nexus.UserID `json:"users"`
		Contacts bool           `json:"contacts,omitempty"` // the emergency contacts as well
	}
	// Note is the data of what a human did.
	Note struct {
		Note string `json:"note,omitempty"`
	}
	// Words is the data of Message.
	Words struct {
		ClientMsgID string `json:"clientMsgId"`
		Body        string `json:"body"`
	}
)

// State is an incident as its events, folded, amount to. The zero State is an incident that has no events yet, but for
// its ID and User. A copy of a State shares nothing with it that Apply writes to.
type State struct {
	nexus.Incident
	Policy nexus.Policy

	step      int       // the next to be paged
	since     time.Time // when the steps began to count
	said      []saying  // since the alarm was raised, or raised again
	messages  int
	joins     int
	cancelled *nexus.Incident // what its raiser sees after a cancel under duress
}

// saying is what a responder said, and the seq of the event.
type saying struct {
	by  nexus.UserID
	to  nexus.SOSState
	seq int64
}

// Fold returns the state after the events. With an error it is the state before the event that is to blame: whose incident it is, is known.
func Fold(id nexus.IncidentID, user nexus.UserID, events []Event) (State, error) {
	s := State{Incident: nexus.Incident{ID: id, User: user, Responders: []nexus.Responder{}}}
	for _, e := range events {
		if err := s.Apply(e); err != nil {
			return s, err
		}
	}
	return s, nil
}

// Apply takes the next event in.
func (s *State) Apply(e Event) error {
	s.Seq++
	switch e.Kind {
	case Armed, Raised:
		return s.begin(e)
	case Joined:
		s.joins++
	case Message:
		s.messages++
	case Paged:
		return s.paged(e)
	case Acknowledged, EnRoute, OnScene:
		s.progress(e)
	case Unacknowledged:
		s.unacknowledge(e)
	case Escalated:
		if s.State == nexus.SOSRaised {
			s.next(e.At)
		}
	case Reminded:
		s.next(e.At.Add(RemindEvery))
	case Duress:
		s.duress(e)
	case Resolved, FalseAlarm, Cancelled:
		s.State, s.ClosedAt, s.NextAt = nexus.SOSState(e.Kind), &e.At, nil
	default:
		return fmt.Errorf("an incident does not know an event %q", e.Kind)
	}
	return nil
}

func (s *State) begin(e Event) error {
	if s.State == "" {
		var o Opening
		if err := json.Unmarshal(e.Data, &o); err != nil {
			return fmt.Errorf("event %d, %s: %w", s.Seq, e.Kind, err)
		}
		if p := o.Policy; len(p.Steps) == 0 || p.EverySeconds <= 0 || p.MoveSeconds <= 0 {
			return fmt.Errorf("event %d, %s: a policy without steps or without end", s.Seq, e.Kind)
		}
		s.Category, s.Silent, s.Drill, s.Policy = o.Category, o.Silent, o.Drill, o.Policy
		s.next(e.At.Add(o.Countdown))
	}
	s.State, s.RaisedAt, s.CancelUntil = nexus.SOSState(e.Kind), e.At, e.At.Add(CancelWindow)
	if e.Kind == Raised {
		s.restart(e.At)
	}
	return nil
}

// restart begins the policy with its first step.
func (s *State) restart(at time.Time) {
	s.step, s.since = 0, at
	s.next(at.Add(s.after(0)))
}

func (s *State) paged(e Event) error {
	var p Page
	if err := json.Unmarshal(e.Data, &p); err != nil {
		return fmt.Errorf("event %d, %s: %w", s.Seq, e.Kind, err)
	}
	for _, u := range p.Users {
		if s.responder(u) < 0 {
			s.respond(nexus.Responder{User: u, State: Paged, Since: e.At})
		}
	}
	if s.State != nexus.SOSRaised { // a human asked for more while another is at it
		return nil
	}
	if s.step = p.Step + 1; s.step < len(s.Policy.Steps) {
		s.next(s.since.Add(s.after(s.step)))
	} else {
		s.step = len(s.Policy.Steps) - 1
		s.next(e.At.Add(time.Duration(s.Policy.EverySeconds) * time.Second))
	}
	return nil
}

// progress notes what a responder says; the incident stands where the furthest of them does.
func (s *State) progress(e Event) {
	to := nexus.SOSState(e.Kind)
	s.respond(nexus.Responder{User: e.Actor, State: e.Kind, Since: e.At})
	s.said = append(slices.Clip(s.said), saying{e.Actor, to, s.Seq})
	if s.AckedAt == nil {
		s.AckedAt = &e.At
	}
	if e.Kind == OnScene && s.OnSceneAt == nil {
		s.OnSceneAt = &e.At
	}
	if rank(to) <= rank(s.State) {
		return
	}
	if s.State = to; to == nexus.SOSAcknowledged {
		s.next(e.At.Add(time.Duration(s.Policy.MoveSeconds) * time.Second))
	} else {
		s.next(e.At.Add(RemindEvery))
	}
}

// unacknowledge begins anew: whoever said that they had it may say so again, and be heard.
func (s *State) unacknowledge(e Event) {
	s.State, s.AckedAt, s.said = nexus.SOSRaised, nil, nil
	for _, r := range s.Responders {
		if r.State == Acknowledged {
			s.respond(nexus.Responder{User: r.User, State: Paged, Since: e.At})
		}
	}
	s.restart(e.At)
}

// duress goes on with the incident, and keeps apart what its raiser is to see. One that was still counting down is raised by
// its clock, so that this event costs what a true cancel costs.
func (s *State) duress(e Event) {
	seen := s.Incident
	seen.State, seen.ClosedAt, seen.NextAt = nexus.SOSCancelled, &e.At, nil
	s.cancelled, s.Duress = &seen, true
	if s.State == nexus.SOSArmed {
		s.next(e.At)
	}
}

// stands is the rank of what a responder said last; below all if nothing.
func (s State) stands(u nexus.UserID) int {
	if i := s.responder(u); i >= 0 {
		return rank(nexus.SOSState(s.Responders[i].State)) // -1 for Paged
	}
	return -1
}

func (s *State) next(at time.Time) { s.NextAt = &at }

// respond notes where a responder stands, in a list of its own: copies of the state hold the old one.
func (s *State) respond(r nexus.Responder) {
	s.Responders = slices.Clone(s.Responders)
	if i := s.responder(r.User); i >= 0 {
		s.Responders[i] = r
	} else {
		s.Responders = append(s.Responders, r)
	}
}

// after is when a step comes, counted from the beginning.
func (s *State) after(step int) time.Duration {
	return time.Duration(s.Policy.Steps[step].AfterSeconds) * time.Second
}

func (s *State) responder(u nexus.UserID) int {
	return slices.IndexFunc(s.Responders, func(r nexus.Responder) bool { return r.User == u })
}

// rank orders the open states by how far help has come.
func rank(s nexus.SOSState) int {
	return slices.Index([]nexus.SOSState{nexus.SOSArmed, nexus.SOSRaised, nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene}, s)
}

// Person is somebody who may be paged.
type Person struct {
	ID     nexus.UserID
	Roles  []nexus.Role
	OnDuty bool
}

// Roster is who may be paged now: the active accounts.
type Roster []Person

// Reach returns whom targets stand for, each once, in order of id; except is never among them.
func (r Roster) Reach(targets []nexus.Target, except nexus.UserID) []nexus.UserID {
	users := []nexus.UserID{}
	for _, p := range r {
		if p.ID != except && slices.ContainsFunc(targets, p.is) {
			users = append(users, p.ID)
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}

func (p Person) is(t nexus.Target) bool {
	return t.User == p.ID && t.User != "" || t.OnDuty && p.OnDuty || t.Role != "" && slices.Contains(p.Roles, t.Role)
}

// Open returns the events of a new incident: it is armed, or raised and whoever comes first is paged.
func Open(id nexus.IncidentID, p nexus.Press, policy nexus.Policy, who Roster, now time.Time) ([]Event, error) {
	kind := Raised
	if p.Countdown > 0 {
		kind = Armed
	}
	o := Opening{Category: p.Category, Silent: p.Silent, Drill: p.Drill, Policy: policy, Countdown: p.Countdown}
	if !p.At.IsZero() {
		o.PressedAt = &p.At
	}
	first := event(kind, p.User, now, o)
	s, err := Fold(id, p.User, []Event{first})
	if err != nil {
		return nil, err
	}
	rest, err := s.Due(who, now)
	return append([]Event{first}, rest...), err
}

// Press returns the events of one more press while the incident is open. One that was counting down is raised, unless the
// new press counts down as well.
func (s State) Press(p nexus.Press, who Roster, now time.Time) ([]Event, error) {
	switch {
	case s.State == nexus.SOSArmed && p.Countdown == 0:
		return s.with(event(Raised, p.User, now, Note{}), who, now)
	case s.joins >= MaxJoins:
		return nil, nil
	default:
		return []Event{event(Joined, p.User, now, Note{})}, nil
	}
}

// Due returns the events that are due by the clock: what was counting down is raised, the next step is paged, one that nobody
// moves for is raised again. It is safe to ask at any time, by anybody.
func (s State) Due(who Roster, now time.Time) ([]Event, error) {
	var events []Event
	for s.NextAt != nil && !s.NextAt.After(now) {
		var e Event
		switch s.State {
		case nexus.SOSArmed:
			e = event(Raised, "", now, Note{})
		case nexus.SOSRaised:
			e = s.page(s.step, who, now)
		case nexus.SOSAcknowledged:
			e = event(Unacknowledged, "", now, Note{})
		default:
			e = event(Reminded, "", now, Note{})
		}
		if err := s.Apply(e); err != nil {
			return nil, err
		}
		events = append(events, e)
	}
	return events, nil
}

// page pages a step. One that reaches nobody on the campus takes the next one with it.
func (s State) page(step int, who Roster, now time.Time) Event {
	p := Page{Step: step}
	for ; ; p.Step++ {
		targets := s.Policy.Steps[p.Step].Targets
		p.Users = who.Reach(targets, s.User)
		p.Contacts = p.Contacts || !s.Drill && !s.Silent && !s.Duress && slices.ContainsFunc(targets, func(t nexus.Target) bool { return t.Contacts })
		if len(p.Users) > 0 || p.Step == len(s.Policy.Steps)-1 {
			return event(Paged, "", now, p)
		}
	}
}

// answers is what a responder may say.
var answers = []nexus.SOSState{nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene, nexus.SOSResolved, nexus.SOSFalseAlarm}

var errOwnAlarm = nexus.Errorf(nexus.Forbidden, "the person in need does not respond to the own alarm")

// Act returns the events of a responder who takes it, is on the way, has arrived, or ends it. Who says the same twice
// makes no event: Said has the first. StateConflict for what is not possible in the present state; Forbidden for the person in
// need, whatever the state, for they must not learn it.
func (s State) Act(by nexus.UserID, to nexus.SOSState, note string, now time.Time) ([]Event, error) {
	switch {
	case !slices.Contains(answers, to):
		return nil, nexus.InvalidField("to", "is none of %v", answers)
	case by == s.User:
		return nil, errOwnAlarm
	case s.Said(by, to) > 0:
		return nil, nil
	case s.ClosedAt != nil, s.State == nexus.SOSArmed,
		to == nexus.SOSAcknowledged && s.State != nexus.SOSRaised, // somebody has it already
		!to.Closed() && rank(to) <= s.stands(by):                  // nobody goes back
		return nil, s.conflict()
	}
	return []Event{event(string(to), by, now, Note{note})}, nil
}

// Said returns the seq of the event by which a responder said to; for an end, of whoever said it. 0 if nobody did. What was said
// before the alarm was raised again does not count.
func (s State) Said(by nexus.UserID, to nexus.SOSState) int64 {
	if to.Closed() && s.State == to {
		return s.Seq // nothing follows an end
	}
	for _, x := range s.said {
		if x.by == by && x.to == to {
			return x.seq
		}
	}
	return 0
}

// Escalate returns the events of a human who asks for more: the next step is paged now, or the last one if somebody is at it.
func (s State) Escalate(by nexus.UserID, note string, who Roster, now time.Time) ([]Event, error) {
	switch {
	case by == s.User:
		return nil, errOwnAlarm
	case s.ClosedAt != nil, s.State == nexus.SOSArmed:
		return nil, s.conflict()
	}
	asked := event(Escalated, by, now, Note{note})
	if s.State == nexus.SOSRaised {
		return s.with(asked, who, now)
	}
	return []Event{asked, s.page(len(s.Policy.Steps)-1, who, now)}, nil
}

// with is an event and what is due once it has happened.
func (s State) with(e Event, who Roster, now time.Time) ([]Event, error) {
	if err := s.Apply(e); err != nil {
		return nil, err
	}
	rest, err := s.Due(who, now)
	return append([]Event{e}, rest...), err
}

// Cancel returns the events of its raiser who takes it back. Under duress it goes on instead; both answers, and what they
// cost, are alike. A second cancel makes no event. StateConflict, with the state that the raiser sees, when it is too late.
func (s State) Cancel(duress bool, now time.Time) ([]Event, error) {
	seen := s.Seen()
	switch {
	case seen.State == nexus.SOSCancelled:
		return nil, nil
	case seen.ClosedAt != nil, s.State == nexus.SOSOnScene, s.State != nexus.SOSArmed && now.After(s.CancelUntil):
		return nil, conflict(seen.State)
	case duress:
		return []Event{event(Duress, s.User, now, Note{})}, nil
	default:
		return []Event{event(Cancelled, s.User, now, Note{})}, nil
	}
}

// Say returns the event of a message.
func (s State) Say(by nexus.UserID, w Words, now time.Time) ([]Event, error) {
	at := s.SeenBy(by).State
	switch {
	case at.Closed():
		return nil, conflict(at)
	case s.messages >= MaxMessages:
		return nil, nexus.Errorf(nexus.TooLarge, "at most %d messages in one incident", MaxMessages)
	}
	return []Event{event(Message, by, now, w)}, nil
}

// Track says whether somebody may tell where the person in need is: that person, until it is over or was cancelled. What comes
// after a cancel under duress is refused like what comes after a cancel, for whoever forced it would see the difference.
func (s State) Track(by nexus.UserID) error {
	switch seen := s.Seen(); {
	case by != s.User:
		return nexus.Errorf(nexus.Forbidden, "only the person in need tells where they are")
	case seen.State.Closed():
		return conflict(seen.State)
	}
	return nil
}

// Seen is the incident as its raiser may see it.
func (s State) Seen() nexus.Incident {
	if s.cancelled != nil {
		return *s.cancelled
	}
	return s.Incident
}

// SeenBy is the incident as a viewer may see it.
func (s State) SeenBy(viewer nexus.UserID) nexus.Incident {
	if viewer == s.User {
		return s.Seen()
	}
	return s.Incident
}

// May reports whether a caller may see the incident at all: its raiser, its responders, SECURITY and ADMIN.
func (s State) May(c nexus.Caller) bool {
	return c.User != "" && (c.User == s.User || s.responder(c.User) >= 0 || c.Has(nexus.Security, nexus.Admin))
}

// Mask is an event as the raiser may see it; ok is false for one that they must not see: after a cancel under duress there
// is nothing more, and that itself looks like a cancel. seq is the event's.
func (s State) Mask(seq int64, kind string) (_ string, ok bool) {
	switch {
	case s.cancelled == nil || seq < s.cancelled.Seq:
		return kind, true
	case seq == s.cancelled.Seq:
		return Cancelled, true
	default:
		return "", false
	}
}

// To is one person that an event is delivered to.
type To struct {
	User   nexus.UserID
	Kind   string // nexus.DeliverAlert or nexus.DeliverEvent
	Masked bool   // as Mask shows it
}

// Audience returns whom an event is delivered to, in order of id; s is the state after it.
func (s State) Audience(e Event) []To {
	paged := map[nexus.UserID]bool{}
	if e.Kind == Paged {
		var p Page
		if json.Unmarshal(e.Data, &p) == nil { // Apply has seen it
			for _, u := range p.Users {
				paged[u] = true
			}
		}
	}
	var to []To
	for _, r := range s.Responders {
		kind := nexus.DeliverEvent
		if paged[r.User] {
			kind = nexus.DeliverAlert
		}
		to = append(to, To{User: r.User, Kind: kind})
	}
	if _, ok := s.Mask(s.Seq, e.Kind); ok {
		to = append(to, To{User: s.User, Kind: nexus.DeliverEvent, Masked: s.cancelled != nil})
	}
	slices.SortFunc(to, func(a, b To) int { return cmp.Compare(a.User, b.User) })
	return to
}

func (s State) conflict() error { return conflict(s.State) }

func conflict(at nexus.SOSState) error {
	return nexus.InState(at, "not possible: the incident is %s", at)
}

func event(kind string, by nexus.UserID, at time.Time, data any) Event {
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // plain values only
	}
	return Event{Kind: kind, Actor: by, At: at, Data: text}
}
