package rest

import (
	"context"
	"time"

	"nexus"
)

// Desk takes what people want of incidents; *incident.Desk is one. NotFound for an incident that the caller may not see,
// Forbidden for what they may not do, StateConflict with the true state for what is not possible now.
type Desk interface {
	// Raise takes a press of the button.
	Raise(ctx context.Context, by nexus.Caller, p nexus.Press) (nexus.Raised, error)
	// Act is a responder's word, and returns the seq of its event. It is heard once for each idempotency key, as Escalate is.
	Act(ctx context.Context, by nexus.Caller, id nexus.IncidentID, to nexus.SOSState, note string) (int64, error)
	// Escalate asks for more help.
	Escalate(ctx context.Context, by nexus.Caller, id nexus.IncidentID, note string) (int64, error)
	// Cancel takes the caller's own alarm back, or seems to, and returns the state that the caller may see. A second cancel is answered alike.
	Cancel(ctx context.Context, by nexus.Caller, id nexus.IncidentID, duress bool) (nexus.SOSState, error)
	// Say adds a message and returns the seq of its event.
	Say(ctx context.Context, by nexus.Caller, id nexus.IncidentID, clientMsgID, body string) (int64, error)
	// Locate keeps where the caller, who raised the incident, is or was.
	Locate(ctx context.Context, by nexus.Caller, id nexus.IncidentID, fixes []nexus.Fix) error
	// EndTimer ends a safety timer of the caller's. Under duress an SOS is raised at once, marked as such, while the timer looks ended.
	EndTimer(ctx context.Context, by nexus.Caller, id string, duress bool) (nexus.SafetyTimer, error)
}

// Incidents reads incidents as a caller may see them. NotFound for what the caller may not see.
type Incidents interface {
	// Incident returns one.
	Incident(ctx context.Context, by nexus.Caller, id nexus.IncidentID) (nexus.Incident, error)
	// Incidents lists the newest first: all for SECURITY and ADMIN, for others those that they raised or respond to. state is
	// a state, "open", or "" for all; the cursor is an id.
	Incidents(ctx context.Context, by nexus.Caller, state string, p nexus.Page) (nexus.List[nexus.Incident], error)
	// Events returns an incident's history after a seq, in order, at most limit.
	Events(ctx context.Context, by nexus.Caller, id nexus.IncidentID, after int64, limit int) ([]nexus.SOSEvent, error)
	// Fixes lists where the person in need was, in order of ClientSeq, which is the cursor.
	Fixes(ctx context.Context, by nexus.Caller, id nexus.IncidentID, p nexus.Page) (nexus.List[nexus.Fix], error)
	// Deliveries says what became of each event on its way to each person.
	Deliveries(ctx context.Context, id nexus.IncidentID) ([]nexus.DeliveryRecord, error)
	// VerifyIncident walks an incident's chain and returns how many events it holds and the first seq that does not fit, 0 if all fit.
	VerifyIncident(ctx context.Context, id nexus.IncidentID) (events, firstBad int64, err error)
	// SafetyMetrics sums up the incidents raised in [from, to), as the caller may see them.
	SafetyMetrics(ctx context.Context, by nexus.Caller, from, to time.Time) (nexus.SafetyMetrics, error)
}

// SafetyOffice keeps what incidents are handled by.
type SafetyOffice interface {
	// Policies lists the escalation policies by name, the default one first.
	Policies(ctx context.Context) ([]nexus.Policy, error)
	// PutPolicy replaces the default policy, or makes or replaces another by id. Stale if version is neither 0 nor the present one; Invalid,
	// naming the step, if a step could reach nobody. Audited.
	PutPolicy(ctx context.Context, by nexus.Caller, version int64, p nexus.Policy) (nexus.Policy, error)
	// Shifts lists shifts that touch [from, to), in order of their start.
	Shifts(ctx context.Context, from, to time.Time) ([]nexus.Shift, error)
	// AddShift adds one; its id is filled in. Invalid for a user who is not active staff. Audited.
	AddShift(ctx context.Context, by nexus.Caller, s nexus.Shift) (nexus.Shift, error)
	// Timers lists the caller's running safety timers.
	Timers(ctx context.Context, by nexus.Caller) ([]nexus.SafetyTimer, error)
	// StartTimer starts one; its id is filled in. At most 5 run for one person: Conflict.
	StartTimer(ctx context.Context, by nexus.Caller, t nexus.SafetyTimer) (nexus.SafetyTimer, error)
	// MoveTimer gives a running timer of the caller's another time; Conflict for one that has ended.
	MoveTimer(ctx context.Context, by nexus.Caller, id string, version int64, due time.Time) (nexus.SafetyTimer, error)
	// Pins returns the hashes of a person's two numbers; empty if there are none.
	Pins(ctx context.Context, user nexus.UserID) (pin, duress string, err error)
	// SetPins replaces them. Audited, without them.
	SetPins(ctx context.Context, by nexus.Caller, pin, duress string) error
	// Subscribe keeps a browser for web push, Unsubscribe forgets it. A person has at most 20: the oldest gives way.
	Subscribe(ctx context.Context, by nexus.Caller, s nexus.PushSubscription) error
	Unsubscribe(ctx context.Context, by nexus.Caller, endpoint string) error
	// SendAlert keeps a mass alert and puts it into everybody's stream; its Identifier, Sent and Sender are filled in. Audited.
	SendAlert(ctx context.Context, by nexus.Caller, a nexus.MassAlert) (nexus.MassAlert, error)
	// Alert returns one; NotFound if there is none.
	Alert(ctx context.Context, identifier string) (nexus.MassAlert, error)
}
