package incident

import (
	"context"
	"time"

	"nexus"
)

// Outcome is what a change came to.
type Outcome struct {
	State   State
	Events  []nexus.SOSEvent // that were added; none if the change was none, or was made before
	First   int64            // seq of the first event that the change made, now or when it was first asked for; 0 if it made none
	Streams []string         // whose readers have something new
	Now     time.Time        // by the store's clock, which is everybody's
}

// FailedTimer is a safety timer that has run out, and whose alarm could not be raised.
type FailedTimer struct {
	ID   string
	User nexus.UserID
	Err  error // nil: somebody else is at it
}

// Store keeps incidents. A change is one transaction: the incident's row is locked, its State folded from its events, the rules of
// this package decide by the store's clock, and the events, chained and numbered, go with all that follows from them: what
// others read, the streams of everybody in the Audience, the pages that leave the campus. So any node may make
// any change at any time, and copies of a command, or two nodes with one thought, come to one result.
type Store interface {
	// Raise keeps a press: as a new incident under id, or in the one that its raiser has open (for a drill: the open
	// drill). A press whose key was seen before changes nothing and is answered as it was. The state answered is the one that the raiser sees.
	Raise(ctx context.Context, id nexus.IncidentID, p nexus.Press) (nexus.Raised, Outcome, error)
	// Change lets decide add events to an incident. decide is pure, for it may run more than once. NotFound if there is no such incident;
	// otherwise decide's own error. What by's idempotency key was used for before changes nothing: the outcome is what it was then, without
	// events and streams.
	Change(ctx context.Context, by nexus.Caller, id nexus.IncidentID, decide func(s State, who Roster, now time.Time) ([]Event, error)) (Outcome, error)
	// Advance adds what is due by the clock, under the fence of the incident's grain; nexus.Fenced if it is old. A zero fence
	// is not checked: it is for whoever notices that no grain does it.
	Advance(ctx context.Context, f nexus.Fence, id nexus.IncidentID) (Outcome, error)
	// Say adds a message, once for each sender and ClientMsgID, and returns the seq of its event. check decides whether the sender may,
	// and then State.Say whether it is possible now; a copy of a message is answered like the first even after the end.
	Say(ctx context.Context, id nexus.IncidentID, by nexus.UserID, w Words, check func(State) error) (int64, Outcome, error)
	// Locate keeps fixes that were not kept before, and returns the state. check decides whether the sender may; its error keeps none. A day of
	// one fix in five seconds is kept of an incident; past that the older half is thinned out.
	Locate(ctx context.Context, id nexus.IncidentID, fixes []nexus.Fix, check func(State) error) (State, error)
	// Look returns an incident as it stands, and the store's time. NotFound if there is none. Of one whose history does not fold
	// it returns with the error at least whose it is.
	Look(ctx context.Context, id nexus.IncidentID) (State, time.Time, error)
	// Open lists the incidents that are not closed, the oldest first.
	Open(ctx context.Context) ([]nexus.IncidentID, error)
	// Overdue lists open incidents, at most limit, whose next time has been over for longer than late.
	Overdue(ctx context.Context, late time.Duration, limit int) ([]nexus.IncidentID, error)
	// EndTimer ends a safety timer of by's; one that is done stays so. Conflict for one that has expired. Under duress it answers alike, in as
	// much time, and raises an SOS that its owner never sees, once for each timer; that is the outcome.
	EndTimer(ctx context.Context, by nexus.Caller, id string, duress bool) (nexus.SafetyTimer, Outcome, error)
	// ExpireTimers raises an SOS for each safety timer, at most limit, that is due; under the key "timer:<id>", so that it is
	// raised once whoever else does so. It returns what was raised, and which timers were not, also with an error.
	ExpireTimers(ctx context.Context, limit int) ([]Outcome, []FailedTimer, error)
}
