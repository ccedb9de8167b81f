package rest

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/limit"
)

var tagSafety = []string{"safety"}

// An SOS is held to bounds of its own, so that no other traffic of a person can use them up.
const (
	bucketPress    bucket = limit.SOSBucket
	bucketCancel   bucket = limit.CancelBucket
	bucketIncident bucket = limit.IncidentBucket
)

// SOSPath is where an SOS is raised, below Base.
const SOSPath = "/safety/sos"

// safetyRoutes registers what concerns an SOS. Whoever may not see an incident finds nothing there.
func (a *API) safetyRoutes() {
	a.incidentRoutes()
	a.safetyOfficeRoutes()
	a.alertRoutes()
}

func (a *API) incidentRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: SOSPath, Tags: tagSafety,
		Summary: "Raise an SOS",
		Description: "Answered once it is stored, by whichever node takes it. A press is known by its clientKey (or, without one, by the Idempotency-Key): " +
			"repeat it until an answer says `durable: true`. While you have an SOS open another press joins it. `durable: false` says that people have been " +
			"alerted while the database is away; it is stored as soon as that is back.",
	}, anyUser().at(bucketPress), a.raise)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents", Tags: tagSafety,
		Summary:     "Incidents, the newest first",
		Description: "All of them for security and administration; for everybody else those that they raised or were called to.",
	}, anyUser(), a.incidents)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents/{id}", Tags: tagSafety,
		Summary: "One incident",
	}, anyUser(), a.incident)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents/{id}/events", Tags: tagSafety,
		Summary: "What happened, in order, after a seq",
	}, anyUser(), a.incidentEvents)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents/{id}/locations", Tags: tagSafety,
		Summary:     "Where the person was, in order of clientSeq",
		Description: "The first, with clientSeq 0, came with the press. A day of one fix in five seconds is kept; past that the older ones are thinned out.",
	}, anyUser(), a.incidentLocations)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/incidents/{id}/locations", Tags: tagSafety,
		Summary:     "Tell where I am or was",
		Description: "For whoever raised the incident. A fix that was stored before, by its clientSeq, is passed over.",
	}, anyUser().at(bucketIncident), a.locate)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/incidents/{id}/messages", Tags: tagSafety,
		Summary: "Say something to those who are in this with me",
	}, anyUser().at(bucketIncident), a.say)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/incidents/{id}/cancel", Tags: tagSafety,
		Summary:     "Take my own alarm back",
		Description: "With the PIN, if one is set. Possible for five minutes, until somebody is on the scene. To repeat it is safe.",
	}, anyUser().at(bucketCancel), a.cancel)
	for path, act := range map[string]struct {
		to      nexus.SOSState
		summary string
	}{
		"ack":         {nexus.SOSAcknowledged, "Take an incident: nobody else is paged"},
		"en-route":    {nexus.SOSEnRoute, "I am on the way"},
		"on-scene":    {nexus.SOSOnScene, "I am there"},
		"resolve":     {nexus.SOSResolved, "Close it: help was given"},
		"false-alarm": {nexus.SOSFalseAlarm, "Close it: nothing was wrong"},
	} {
		handle(a, huma.Operation{
			Method: http.MethodPost, Path: "/safety/incidents/{id}/" + path, Tags: tagSafety,
			Summary:     act.summary,
			Description: "For responders. What is not possible in the present state is answered 409 with code `state_conflict` and that state.",
		}, anyUser().at(bucketIncident), func(ctx context.Context, in *actInput) (*Answer[acted], error) {
			seq, err := a.Desk.Act(ctx, caller(ctx), nexus.IncidentID(in.ID), act.to, in.note())
			return answer(acted{true, seq}, err)
		})
	}
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/incidents/{id}/escalate", Tags: tagSafety,
		Summary:     "Call more people now",
		Description: "Repeat it with the same Idempotency-Key, or more people are called each time.",
	}, roles(nexus.Security, nexus.Admin).at(bucketIncident), func(ctx context.Context, in *actInput) (*Answer[acted], error) {
		seq, err := a.Desk.Escalate(ctx, caller(ctx), nexus.IncidentID(in.ID), in.note())
		return answer(acted{true, seq}, err)
	})
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents/{id}/deliveries", Tags: tagSafety,
		Summary: "When each event was stored, sent, received and answered, for each person",
	}, roles(nexus.Security, nexus.Admin), a.incidentDeliveries)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents/{id}/verify", Tags: tagSafety,
		Summary: "Walk the incident's hash chain",
	}, roles(nexus.Security, nexus.Admin), a.verifyIncident)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/metrics", Tags: tagSafety,
		Summary: "How fast help came, against the goals of NFPA 1225 and NENA",
	}, roles(nexus.Security, nexus.Admin), a.safetyMetrics)
}

type raiseInput struct {
	Idempotent
	Body struct {
		ClientKey string     `json:"clientKey,omitempty" maxLength:"200" doc:"Names this press: repeat it with the same key until you hear an answer"`
		Category  string     `json:"category,omitempty" maxLength:"60" pattern:"^[a-z0-9_-]*$" patternDescription:"lower-case letters, digits, - and _" doc:"panic if left out"`
		Silent    bool       `json:"silent,omitempty" doc:"Nothing sounds on the phone, and friends and family are not told"`
		Drill     bool       `json:"drill,omitempty" doc:"An exercise: nobody outside the campus is paged"`
		Lat       *float64   `json:"lat,omitempty" minimum:"-90" maximum:"90"`
		Lng       *float64   `json:"lng,omitempty" minimum:"-180" maximum:"180"`
		Latitude  *float64   `json:"latitude,omitempty" minimum:"-90" maximum:"90" doc:"The original client's name for lat"`
		Longitude *float64   `json:"longitude,omitempty" minimum:"-180" maximum:"180" doc:"The original client's name for lng"`
		Accuracy  *float64   `json:"accuracy,omitempty" minimum:"0" maximum:"1000000" doc:"Metres"`
		At        *time.Time `json:"at,omitempty" doc:"By the phone's clock"`
		Countdown int        `json:"countdownSeconds,omitempty" minimum:"0" maximum:"60" doc:"It raises itself after so long, unless cancelled"`
	}
}

// raisedBody is our answer and the original client's in one.
type raisedBody struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	nexus.Raised
}

func (a *API) raise(ctx context.Context, in *raiseInput) (*Answer[raisedBody], error) {
	b, by := in.Body, caller(ctx)
	p := nexus.Press{
		User: by.User, ClientKey: cmp.Or(b.ClientKey, in.IdempotencyKey, nexus.NewID()), Category: cmp.Or(b.Category, "panic"),
		Silent: b.Silent, Drill: b.Drill, Countdown: time.Duration(b.Countdown) * time.Second,
	}
	if b.At != nil {
		p.At = *b.At
	}
	ours, err := place("lat", b.Lat, "lng", b.Lng)
	theirs, wrong := place("latitude", b.Latitude, "longitude", b.Longitude)
	if err := cmp.Or(err, wrong); err != nil {
		return nil, err
	}
	if p.Position = cmp.Or(ours, theirs); p.Position != nil {
		p.Position.Accuracy = b.Accuracy
	}
	r, err := a.Desk.Raise(ctx, by, p)
	return answer(raisedBody{true, "Help has been alerted", r}, err)
}

// place is a position by the two names that a client has for it; nil without any. Half of one names the other half.
func place(latName string, lat *float64, lngName string, lng *float64) (*nexus.Position, error) {
	switch {
	case lat != nil && lng != nil:
		return &nexus.Position{Lat: *lat, Lng: *lng}, nil
	case lat != nil:
		return nil, nexus.InvalidField(lngName, "is missing beside %s", latName)
	case lng != nil:
		return nil, nexus.InvalidField(latName, "is missing beside %s", lngName)
	default:
		return nil, nil
	}
}

type incidentsInput struct {
	Paged
	State string `query:"state" enum:"open,ARMED,RAISED,ACKNOWLEDGED,EN_ROUTE,ON_SCENE,RESOLVED,CANCELLED,FALSE_ALARM" doc:"A state, or open"`
}

func (a *API) incidents(ctx context.Context, in *incidentsInput) (*Answer[nexus.List[nexus.Incident]], error) {
	if in.After != "" && !nexus.ValidID(in.After) {
		return nil, nexus.InvalidField("after", "is not a cursor of this list")
	}
	return answer(a.Incidents.Incidents(ctx, caller(ctx), in.State, in.page()))
}

func (a *API) incident(ctx context.Context, in *ByID) (*Answer[nexus.Incident], error) {
	return answer(a.Incidents.Incident(ctx, caller(ctx), nexus.IncidentID(in.ID)))
}

// IncidentEvent is an event as clients see it, over HTTP and sockets alike.
type IncidentEvent struct {
	IncidentID nexus.IncidentID `json:"incidentId"`
	Seq        int64            `json:"seq"`
	Kind       string           `json:"kind"`
	Actor      *nexus.UserID    `json:"actor" doc:"Null: the clock"`
	Data       json.RawMessage  `json:"data"`
	At         time.Time        `json:"at"`
	Hash       string           `json:"hash" doc:"SHA-256 over this event and the hash before, in hexadecimal"`
}

func shownEvent(e nexus.SOSEvent) IncidentEvent {
	s := IncidentEvent{IncidentID: e.Incident, Seq: e.Seq, Kind: e.Kind, Data: e.Data, At: e.At, Hash: hex.EncodeToString(e.Hash)}
	if e.Actor != "" {
		s.Actor = &e.Actor
	}
	return s
}

type incidentEventsInput struct {
	ByID
	After int64 `query:"after" minimum:"0" maximum:"9007199254740991" doc:"The last seq that you have"`
	Limit int   `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"Items at most"`
}

func (a *API) incidentEvents(ctx context.Context, in *incidentEventsInput) (*Answer[nexus.List[IncidentEvent]], error) {
	events, err := a.Incidents.Events(ctx, caller(ctx), nexus.IncidentID(in.ID), in.After, in.Limit)
	shown := make([]IncidentEvent, len(events))
	for i, e := range events {
		shown[i] = shownEvent(e)
	}
	return answer(nexus.List[IncidentEvent]{Items: shown}, err)
}

type locationsInput struct {
	ByID
	Paged
}

func (a *API) incidentLocations(ctx context.Context, in *locationsInput) (*Answer[nexus.List[nexus.Fix]], error) {
	return answer(a.Incidents.Fixes(ctx, caller(ctx), nexus.IncidentID(in.ID), in.page()))
}

// newFix is a fix as phones send it.
type newFix struct {
	ClientSeq int64     `json:"clientSeq" minimum:"1" maximum:"9007199254740991" doc:"The phone's own count"`
	At        time.Time `json:"at" doc:"By the phone's clock"`
	Lat       float64   `json:"lat" minimum:"-90" maximum:"90"`
	Lng       float64   `json:"lng" minimum:"-180" maximum:"180"`
	Accuracy  *float64  `json:"accuracy,omitempty" minimum:"0" maximum:"1000000" doc:"Metres"`
	Battery   *int      `json:"battery,omitempty" minimum:"0" maximum:"100" doc:"Per cent"`
}

type locateInput struct {
	ByID
	Body struct {
		Fixes []newFix `json:"fixes" minItems:"1" maxItems:"200" nullable:"false"`
	}
}

func (a *API) locate(ctx context.Context, in *locateInput) (*Answer[Done], error) {
	fixes := make([]nexus.Fix, len(in.Body.Fixes))
	for i, f := range in.Body.Fixes {
		fixes[i] = nexus.Fix{ClientSeq: f.ClientSeq, At: f.At, Position: nexus.Position{Lat: f.Lat, Lng: f.Lng, Accuracy: f.Accuracy}, Battery: f.Battery}
	}
	return done(a.Desk.Locate(ctx, caller(ctx), nexus.IncidentID(in.ID), fixes))
}

type sayInput struct {
	ByID
	Idempotent
	Body struct {
		ClientMsgID string `json:"clientMsgId,omitempty" maxLength:"200" doc:"Names this message: a second copy is no news"`
		Text        string `json:"body" minLength:"1" maxLength:"2000" text:"lines"`
	}
}

// acted is the answer to a change of an incident.
type acted struct {
	Success bool  `json:"success"`
	Seq     int64 `json:"seq" doc:"Of the event that it made"`
}

func (a *API) say(ctx context.Context, in *sayInput) (*Answer[acted], error) {
	id := cmp.Or(in.Body.ClientMsgID, in.IdempotencyKey, nexus.NewID())
	seq, err := a.Desk.Say(ctx, caller(ctx), nexus.IncidentID(in.ID), id, in.Body.Text)
	return answer(acted{true, seq}, err)
}

type actInput struct {
	ByID
	Idempotent
	Body *struct {
		Note string `json:"note,omitempty" maxLength:"1000" text:"lines"`
	}
}

func (in *actInput) note() string {
	if in.Body == nil {
		return ""
	}
	return in.Body.Note
}

type cancelInput struct {
	ByID
	Body *struct {
		PIN string `json:"pin,omitempty" maxLength:"8" text:"secret"`
	}
}

type cancelled struct {
	Success bool           `json:"success"`
	State   nexus.SOSState `json:"state"`
}

// cancel takes as long, and says the same, whichever of the two numbers it gets.
func (a *API) cancel(ctx context.Context, in *cancelInput) (*Answer[cancelled], error) {
	by, pin := caller(ctx), ""
	if in.Body != nil {
		pin = in.Body.PIN
	}
	duress, err := a.Auth.CheckPin(ctx, by.User, pin)
	if err != nil {
		return nil, err
	}
	state, err := a.Desk.Cancel(ctx, by, nexus.IncidentID(in.ID), duress)
	return answer(cancelled{true, state}, err)
}

// mayReview refuses who may not see the incident, and whoever raised it: an officer who was forced to take the own alarm back would show by
// what follows that it goes on.
func (a *API) mayReview(ctx context.Context, id nexus.IncidentID) error {
	by := caller(ctx)
	i, err := a.Incidents.Incident(ctx, by, id)
	if err != nil {
		return err
	}
	if i.User == by.User {
		return nexus.Errorf(nexus.Forbidden, "somebody else looks into an alarm of your own")
	}
	return nil
}

func (a *API) incidentDeliveries(ctx context.Context, in *ByID) (*Answer[nexus.List[nexus.DeliveryRecord]], error) {
	if err := a.mayReview(ctx, nexus.IncidentID(in.ID)); err != nil {
		return nil, err
	}
	records, err := a.Incidents.Deliveries(ctx, nexus.IncidentID(in.ID))
	return answer(nexus.List[nexus.DeliveryRecord]{Items: slices.Concat([]nexus.DeliveryRecord{}, records)}, err)
}

type chainState struct {
	Events   int64 `json:"events"`
	FirstBad int64 `json:"firstBad" doc:"The first seq that does not fit, 0 if all fit"`
	OK       bool  `json:"ok"`
}

func (a *API) verifyIncident(ctx context.Context, in *ByID) (*Answer[chainState], error) {
	if err := a.mayReview(ctx, nexus.IncidentID(in.ID)); err != nil {
		return nil, err
	}
	n, bad, err := a.Incidents.VerifyIncident(ctx, nexus.IncidentID(in.ID))
	return answer(chainState{n, bad, bad == 0}, err)
}

type periodInput struct {
	From time.Time `query:"from" doc:"30 days ago if left out"`
	To   time.Time `query:"to" doc:"Now if left out"`
}

// period returns what is asked for. Invalid for one that ends before it begins.
func (in periodInput) period(now time.Time, usual time.Duration) (from, to time.Time, err error) {
	from, to = in.From, in.To
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-usual)
	}
	if !from.Before(to) {
		return from, to, nexus.InvalidField("from", "must be before to")
	}
	return from, to, nil
}

func (a *API) safetyMetrics(ctx context.Context, in *periodInput) (*Answer[nexus.SafetyMetrics], error) {
	from, to, err := in.period(time.Now(), 30*24*time.Hour)
	if err != nil {
		return nil, err
	}
	return answer(a.Incidents.SafetyMetrics(ctx, caller(ctx), from, to))
}
