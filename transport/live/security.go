package live

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"nexus"
	"nexus/transport/limit"
	"nexus/transport/rest/wire"
	"nexus/transport/socketio"
)

const securityNamespace = "/security"

// What clients send on /security, as the contract names it.
const (
	sosRaise    = "SOS_RAISE"
	sosCancel   = "SOS_CANCEL"
	sosLocation = "SOS_LOCATION"
	sosMessage  = "SOS_MESSAGE"
	sosState    = "SOS_STATE"
	syncEvents  = "SYNC"
)

// The topics of incidents: one for each, beside those that every officer hears.
const (
	incidentTopics = "safety/"
	everyIncident  = incidentTopics + "*"
)

const (
	// maxFixes bounds what a phone sends of the time that it was offline.
	maxFixes = 200
	// maxSynced and maxSyncedEvents bound the answer to one SYNC.
	maxSynced       = 100
	maxSyncedEvents = 1000
	// eventsAtOnce is how many the store is asked for at a time; it gives no more.
	eventsAtOnce = 200
	// sideWait bounds what is not an alarm: whatever is behind it on the same connection waits for it, a cancel too, though no press.
	sideWait = 1500 * time.Millisecond
)

// Desk takes what people want of incidents; *incident.Desk is one. NotFound for an incident that the caller may not see,
// Forbidden for what they may not do, StateConflict with the true state for what is not possible now.
type Desk interface {
	// Raise takes a press of the button.
	Raise(ctx context.Context, by nexus.Caller, p nexus.Press) (nexus.Raised, error)
	// Act is a responder's word, and returns the seq of its event.
	Act(ctx context.Context, by nexus.Caller, id nexus.IncidentID, to nexus.SOSState, note string) (int64, error)
	// Cancel takes the caller's own alarm back, or seems to, and returns the state that the caller may see.
	Cancel(ctx context.Context, by nexus.Caller, id nexus.IncidentID, duress bool) (nexus.SOSState, error)
	// Say adds a message and returns the seq of its event.
	Say(ctx context.Context, by nexus.Caller, id nexus.IncidentID, clientMsgID, body string) (int64, error)
	// Locate keeps where the caller, who raised the incident, is or was.
	Locate(ctx context.Context, by nexus.Caller, id nexus.IncidentID, fixes []nexus.Fix) error
}

// Pins knows the two numbers of each person that end an alarm: one of them only seems to.
type Pins interface {
	// CheckPin says whether a number is a person's duress PIN. Forbidden for one that is neither of the two.
	CheckPin(ctx context.Context, user nexus.UserID, pin string) (duress bool, err error)
}

// Incidents reads incidents as a caller may see them. NotFound for what the caller may not see.
type Incidents interface {
	// Incident returns one.
	Incident(ctx context.Context, by nexus.Caller, id nexus.IncidentID) (nexus.Incident, error)
	// Events returns an incident's history after a seq, in order, at most limit.
	Events(ctx context.Context, by nexus.Caller, id nexus.IncidentID, after int64, limit int) ([]nexus.SOSEvent, error)
}

// Safety is what the SOS on /security needs.
type Safety struct {
	Desk      Desk
	Pins      Pins
	Incidents Incidents
	Streams   Streams
	Limiter   limit.Limiter

	// RecoveryKey signs what clients come back by, the same on all nodes; nil: none is recovered.
	RecoveryKey []byte
}

// security is what /security does beyond the common: people in need and those who help them.
type security struct {
	*Safety
	hub *Hub
}

// securityOf returns the namespace.
func securityOf(s *Safety, hub *Hub) *namespace {
	ns := &namespace{name: securityNamespace}
	if s == nil {
		return ns
	}
	x := &security{s, hub}
	ns.joined, ns.admitted = x.joined, x.admitted
	// The buckets are those of the routes that do the same.
	ns.events = map[string]handler{
		sosRaise:    x.limited(limit.SOSBucket, limit.SOS, x.raise),
		sosCancel:   x.limited(limit.CancelBucket, limit.SOS, x.takeBack),
		sosLocation: x.limited(limit.IncidentBucket, limit.Incident, aside(x.locate)),
		sosMessage:  x.limited(limit.IncidentBucket, limit.Incident, aside(x.say)),
		sosState:    x.limited(limit.IncidentBucket, limit.Incident, aside(x.act)),
		syncEvents:  x.limited(limit.IncidentBucket, limit.Incident, aside(x.sync)),
	}
	return ns
}

// limited holds an event to a rate for each person, over all of their sockets.
func (s *security) limited(bucket string, r limit.Rule, h handler) handler {
	return func(ctx context.Context, p *peer, e socketio.Event) (any, error) {
		if err := s.Limiter.Allow(ctx, bucket+string(p.who().User), r).Err(); err != nil {
			return nil, err
		}
		return h(ctx, p, e)
	}
}

// aside bounds what is not an alarm.
func aside(h handler) handler {
	return func(ctx context.Context, p *peer, e socketio.Event) (any, error) {
		ctx, cancel := context.WithTimeout(ctx, sideWait)
		defer cancel()
		return h(ctx, p, e)
	}
}

// officer reports whether a caller hears of every incident.
func officer(c nexus.Caller) bool { return c.Has(nexus.Security, nexus.Admin) }

// joined lets officers hear of every incident at once: where people are, and alarms that the database does not know yet.
func (s *security) joined(ctx context.Context, p *peer) error {
	s.recover(ctx, p)
	if !officer(p.who()) {
		return nil
	}
	return s.hub.subscribeAndOffer(p, []string{everyIncident})
}

// admitted begins to hand the peer its streams. Earlier, lines would pile up behind the answer to CONNECT.
func (s *security) admitted(p *peer) {
	from := p.member.begin
	p.member.begin = nil
	s.hub.courier.join(p,
		&reader{tab: from.tab, id: string(p.user()), name: "own", claim: from.own, keen: officer(p.who())},
		&reader{tab: from.tab, id: nexus.CampusStream, name: "campus", claim: from.campus})
}

// only is the form that an event's first argument is.
func only(args socketio.Args) (*form, error) {
	if args.Len() == 0 {
		return nil, nexus.Errorf(nexus.Invalid, "an object is expected")
	}
	return openForm(args.Raw[0], "0", "")
}

var categories = regexp.MustCompile(`^[a-z0-9_-]*$`)

// raise takes a press of the button.
func (s *security) raise(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	f, err := only(e.Args)
	if err != nil {
		return nil, err
	}
	by := p.who()
	press := nexus.Press{
		User:      by.User,
		ClientKey: cmp.Or(f.text("clientKey", 200), nexus.NewID()), // an alarm without a name is still an alarm
		Category:  cmp.Or(f.text("category", 60), "panic"),
		Silent:    f.flag("silent"), Drill: f.flag("drill"), Position: f.position(), At: f.when("at"),
	}
	if !categories.MatchString(press.Category) {
		f.fail("category", "must be lower-case letters, digits, - and _")
	}
	if n := f.integer("countdownSeconds", 0, 60); n != nil {
		press.Countdown = time.Duration(*n) * time.Second
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	p.press(e.At)
	return s.Desk.Raise(ctx, by, press)
}

// takeBack takes as long, and says the same, whichever of the two numbers it gets.
func (s *security) takeBack(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	f, err := only(e.Args)
	if err != nil {
		return nil, err
	}
	id, pin := f.id("incidentId"), f.text("pin", 8)
	if err := f.err(); err != nil {
		return nil, err
	}
	ctx, done := p.takingBack(ctx, e.At)
	defer done()
	by := p.who()
	duress, err := s.Pins.CheckPin(ctx, by.User, pin)
	if err = cmp.Or(pressedAgain(ctx), err); err != nil {
		return nil, err
	}
	state, err := s.Desk.Cancel(ctx, by, nexus.IncidentID(id), duress)
	if err != nil {
		return nil, cmp.Or(pressedAgain(ctx), err)
	}
	return struct {
		State nexus.SOSState `json:"state"`
	}{state}, nil
}

var errPressedAgain = nexus.Errorf(nexus.Conflict, "you have pressed again meanwhile")

// pressedAgain is the error of a cancel that a press has overtaken.
func pressedAgain(ctx context.Context) error {
	if err := context.Cause(ctx); errors.Is(err, errPressedAgain) {
		return err
	}
	return nil
}

// press notes that a press came: a cancel that was sent before it, and is still on its way, counts no more. For a press overtakes what waits
// for the check of a PIN, and would join the very alarm that is then taken back.
func (p *peer) press(at time.Time) {
	m := p.member
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pressed = at
	if m.withdraw != nil {
		m.withdraw(errPressedAgain)
	}
}

// takingBack returns the context of a cancel that came at a time. done ends it.
func (p *peer) takingBack(ctx context.Context, at time.Time) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	m := p.member
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pressed.After(at) {
		cancel(errPressedAgain)
	}
	m.withdraw = cancel
	return ctx, func() {
		m.mu.Lock()
		m.withdraw = nil
		m.mu.Unlock()
		cancel(nil)
	}
}

// locate takes one fix, or a list of those that the phone took while it was offline.
func (s *security) locate(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	fixes, err := readFixes(e.Args)
	if err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(fixes)) {
		if err := s.Desk.Locate(ctx, p.who(), id, fixes[id]); err != nil {
			return nil, err
		}
	}
	return struct {
		Stored bool `json:"stored"`
	}{true}, nil
}

func readFixes(args socketio.Args) (map[nexus.IncidentID][]nexus.Fix, error) {
	fixes := make(map[nexus.IncidentID][]nexus.Fix)
	var list []json.RawMessage
	if args.Len() == 0 || args.Raw[0][0] != '[' {
		f, err := only(args)
		if err != nil {
			return nil, err
		}
		id, fix := f.fix()
		fixes[id] = []nexus.Fix{fix}
		return fixes, f.err()
	}
	if err := args.Decode(0, &list); err != nil {
		return nil, nexus.Errorf(nexus.Invalid, "a fix or a list of them is expected")
	}
	if len(list) == 0 || len(list) > maxFixes {
		return nil, nexus.Errorf(nexus.TooLarge, "between 1 and %d fixes", maxFixes)
	}
	all := form{}
	for i, raw := range list {
		at := fmt.Sprintf("[%d]", i)
		f, err := openForm(raw, at, at+".")
		if err != nil {
			return nil, err
		}
		id, fix := f.fix()
		fixes[id] = append(fixes[id], fix)
		all.wrong = append(all.wrong, f.wrong...)
	}
	return fixes, all.err()
}

// fix reads one fix.
func (f *form) fix() (id nexus.IncidentID, fix nexus.Fix) {
	id = nexus.IncidentID(f.id("incidentId"))
	for _, name := range []string{"lat", "lng", "clientSeq", "at"} {
		f.need(name)
	}
	if at := f.position(); at != nil {
		fix.Position = *at
	}
	if n := f.integer("clientSeq", 1, maxSafe); n != nil {
		fix.ClientSeq = *n
	}
	if n := f.integer("battery", 0, 100); n != nil {
		battery := int(*n)
		fix.Battery = &battery
	}
	fix.At = f.when("at")
	return id, fix
}

// seqAnswer is the answer to what made an event.
type seqAnswer struct {
	Seq int64 `json:"seq"`
}

// say adds a message.
func (s *security) say(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	f, err := only(e.Args)
	if err != nil {
		return nil, err
	}
	id, msg, body := f.id("incidentId"), f.text("clientMsgId", 200), f.lines("body", 2000)
	f.need("clientMsgId")
	f.need("body")
	if err := f.err(); err != nil {
		return nil, err
	}
	seq, err := s.Desk.Say(ctx, p.who(), nexus.IncidentID(id), msg, body)
	return seqAnswer{seq}, err
}

// act takes what an officer says of their way to the place.
func (s *security) act(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	by := p.who()
	if !by.Has(nexus.Security) {
		return nil, nexus.Errorf(nexus.Forbidden, "for security alone")
	}
	f, err := only(e.Args)
	if err != nil {
		return nil, err
	}
	id, to, note := f.id("incidentId"), nexus.SOSState(f.text("to", 20)), f.lines("note", 1000)
	if !slices.Contains([]nexus.SOSState{nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene, nexus.SOSResolved, nexus.SOSFalseAlarm}, to) {
		f.fail("to", "must be ACKNOWLEDGED, EN_ROUTE, ON_SCENE, RESOLVED or FALSE_ALARM")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	seq, err := s.Desk.Act(ctx, by, nexus.IncidentID(id), to, note)
	return seqAnswer{seq}, err
}

// synced is the answer to SYNC.
type synced struct {
	Events []eventShown `json:"events"`
	More   bool         `json:"more,omitempty"` // ask again, from where this ends
}

// sync answers with what happened in incidents after what the client has seen, by incident and in order, and lets a responder hear
// where the person is until the incident is closed. An incident that the caller may not see is passed over.
func (s *security) sync(ctx context.Context, p *peer, e socketio.Event) (any, error) {
	since, err := readSync(e.Args)
	if err != nil {
		return nil, err
	}
	by, answer := p.who(), synced{Events: []eventShown{}}
	for _, id := range slices.Sorted(maps.Keys(since)) {
		err := s.follow(ctx, p, id)
		if nexus.CodeOf(err) == nexus.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		room := maxSyncedEvents - len(answer.Events)
		events, err := s.eventsAfter(ctx, by, id, since[id], room+1)
		if nexus.CodeOf(err) == nexus.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(events, ends) { // while this was about to listen, so that the courier's word of it may have come before
			s.hub.stopListening(p, incidentTopics+string(id))
		}
		for _, e := range events[:min(len(events), room)] {
			answer.Events = append(answer.Events, showEvent(e))
		}
		if answer.More = len(events) > room; answer.More {
			break
		}
	}
	return wire.View(answer), nil
}

// follow lets a responder hear where the person is. Officers hear of every incident anyway.
func (s *security) follow(ctx context.Context, p *peer, id nexus.IncidentID) error {
	by := p.who()
	if officer(by) {
		return nil
	}
	i, err := s.Incidents.Incident(ctx, by, id)
	switch topic := incidentTopics + string(id); {
	case err != nil:
		return err
	case i.User == by.User:
		return nil
	case i.State.Closed():
		s.hub.stopListening(p, topic)
		return nil
	default:
		return s.hub.alsoListen(p, topic)
	}
}

// ends reports whether an event is the end of its incident.
func ends(e nexus.SOSEvent) bool { return nexus.SOSState(e.Kind).Closed() }

// eventsAfter reads an incident's events after a seq, in order, n at most.
func (s *security) eventsAfter(ctx context.Context, by nexus.Caller, id nexus.IncidentID, after int64, n int) (all []nexus.SOSEvent, err error) {
	for len(all) < n {
		limit := min(n-len(all), eventsAtOnce)
		events, err := s.Incidents.Events(ctx, by, id, after, limit)
		if err != nil {
			return nil, err
		}
		if all = append(all, events...); len(events) < limit {
			break
		}
		after = events[len(events)-1].Seq
	}
	return all, nil
}

func readSync(args socketio.Args) (map[nexus.IncidentID]int64, error) {
	f, err := only(args)
	if err != nil {
		return nil, err
	}
	f.need("incidents")
	if err := f.err(); err != nil {
		return nil, err
	}
	in, err := openForm(f.values["incidents"], "incidents", "incidents.")
	if err != nil {
		return nil, err
	}
	if len(in.values) > maxSynced {
		return nil, nexus.InvalidField("incidents", "at most %d", maxSynced)
	}
	since := make(map[nexus.IncidentID]int64, len(in.values))
	for _, name := range slices.Sorted(maps.Keys(in.values)) {
		id := strings.ToLower(name)
		if !nexus.ValidID(id) {
			return nil, nexus.InvalidField("incidents", "must be by the ids of incidents")
		}
		since[nexus.IncidentID(id)] = 0
		if seq := in.integer(name, 0, maxSafe); seq != nil {
			since[nexus.IncidentID(id)] = *seq
		}
	}
	return since, in.err()
}

// alsoListen adds to what a peer listens to.
func (h *Hub) alsoListen(p *peer, topic string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	topics := []string{topic}
	for _, l := range p.topics {
		topics = append(topics, l.to.name)
	}
	slices.Sort(topics)
	return h.listen(p, slices.Compact(topics))
}

// stopListening takes one topic away from what a peer listens to.
func (h *Hub) stopListening(p *peer, topic string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.IndexFunc(p.topics, func(l listening) bool { return l.to.name == topic }); i >= 0 {
		h.leave(p, i)
	}
}

// closed tells the hub's actor that a peer hears of an incident's end: what it was told of the place is over.
type closed struct {
	peer     *peer
	incident nexus.IncidentID
}

// incidentClosed is the courier's word for it. Officers listen to no incident by itself.
func (h *Hub) incidentClosed(p *peer, id nexus.IncidentID) {
	if !officer(p.who()) {
		h.system.Root.Send(h.pid, &closed{p, id})
	}
}

// forgetIncidents drops the newest broadcasts of incidents that are no news any more: halls stay, incidents come and go. It needs
// the lock.
func (h *Hub) forgetIncidents() {
	maps.DeleteFunc(h.latest, func(topic string, n newest) bool {
		return strings.HasPrefix(topic, incidentTopics) && time.Since(n.at) > seqHolds
	})
}
