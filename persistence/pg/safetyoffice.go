package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// SafetyOffice keeps what incidents are handled by: escalation policies, shifts, safety timers, the numbers that end an alarm, browsers
// for web push, and mass alerts. Its methods are here and in timers.go and alerts.go.
type SafetyOffice struct {
	db     *DB
	sender string
}

// NewSafetyOffice returns the safety office in db. sender is who mass alerts are from, a name that is the campus's own.
func NewSafetyOffice(db *DB, sender string) *SafetyOffice {
	return &SafetyOffice{db: db, sender: sender}
}

// Bounds of a policy.
const (
	maxPolicySteps   = 10
	maxPolicyTargets = 20
	maxStepSeconds   = 24 * 60 * 60
)

// Policies lists the escalation policies by name, the default one first.
func (s *SafetyOffice) Policies(ctx context.Context) ([]nexus.Policy, error) {
	ps := []nexus.Policy{}
	err := s.db.do(ctx, "list escalation policies", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Policies(ctx)
		if err != nil {
			return err
		}
		for _, r := range rows {
			p, err := policyOf(r)
			if err != nil {
				return err
			}
			ps = append(ps, p)
		}
		return nil
	})
	return ps, err
}

// PutPolicy replaces the default policy, or, with an id, makes or replaces another. Invalid, naming the step, if a step would
// reach nobody as things are now. Audited.
func (s *SafetyOffice) PutPolicy(ctx context.Context, by nexus.Caller, version int64, p nexus.Policy) (nexus.Policy, error) {
	if err := checkPolicy(p); err != nil {
		return nexus.Policy{}, err
	}
	steps, err := json.Marshal(p.Steps)
	if err != nil {
		return nexus.Policy{}, fmt.Errorf("encode the steps of a policy: %w", err)
	}
	return mutate(ctx, s.db, "put an escalation policy", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Policy, error) {
		if err := reaches(ctx, q, p); err != nil {
			return nexus.Policy{}, err
		}
		id, before, err := lockedPolicy(ctx, q, p.ID)
		if err != nil {
			return nexus.Policy{}, err
		}
		var was any
		if before != nil {
			was = *before
			if err := stale(version, before.Version); err != nil {
				return nexus.Policy{}, err
			}
		} else if version != 0 {
			return nexus.Policy{}, noSuch("escalation policy")
		}
		row, err := q.KeepPolicy(ctx, sqlcgen.KeepPolicyParams{
			ID: id, Name: p.Name, Steps: steps, EverySeconds: int32(p.EverySeconds), MoveSeconds: int32(p.MoveSeconds), //nolint:gosec // checked
		})
		if err != nil {
			return nexus.Policy{}, err
		}
		after, err := policyOf(row)
		if err != nil {
			return nexus.Policy{}, err
		}
		return after, audit(ctx, q, by, "policy.put", "policy", id, was, after)
	})
}

// lockedPolicy returns the policy that is to be replaced, nil if there is none, and the id of the one to come.
func lockedPolicy(ctx context.Context, q *sqlcgen.Queries, id string) (string, *nexus.Policy, error) {
	var wanted *string
	if id != "" {
		wanted = &id
	}
	row, err := q.LockPolicy(ctx, wanted)
	if errors.Is(err, pgx.ErrNoRows) && id != "" {
		return id, nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("lock the escalation policy: %w", err)
	}
	p, err := policyOf(row)
	return row.ID, &p, err
}

// checkPolicy checks the form of a policy.
func checkPolicy(p nexus.Policy) error {
	switch n := len(p.Steps); {
	case p.ID != "" && !nexus.ValidID(p.ID):
		return nexus.InvalidField("id", "is no id")
	case n < 1 || n > maxPolicySteps:
		return nexus.InvalidField("steps", "are 1 to %d", maxPolicySteps)
	case p.EverySeconds < 5 || p.EverySeconds > 3600:
		return nexus.InvalidField("everySeconds", "is 5 to 3600")
	case p.MoveSeconds < 30 || p.MoveSeconds > maxStepSeconds:
		return nexus.InvalidField("moveSeconds", "is 30 to %d", maxStepSeconds)
	}
	for i, s := range p.Steps {
		after, targets := fmt.Sprintf("steps[%d].afterSeconds", i), fmt.Sprintf("steps[%d].targets", i)
		switch n := len(s.Targets); {
		case i == 0 && s.AfterSeconds != 0:
			return nexus.InvalidField(after, "is 0 for the first step")
		case i > 0 && s.AfterSeconds <= p.Steps[i-1].AfterSeconds:
			return nexus.InvalidField(after, "is not later than the step before")
		case s.AfterSeconds > maxStepSeconds:
			return nexus.InvalidField(after, "is more than a day")
		case n < 1 || n > maxPolicyTargets:
			return nexus.InvalidField(targets, "are 1 to %d", maxPolicyTargets)
		}
		for j, t := range s.Targets {
			if !targetFits(t) {
				return nexus.InvalidField(fmt.Sprintf("%s[%d]", targets, j), "is exactly one of userId, role, onDuty and contacts")
			}
		}
	}
	return nil
}

func targetFits(t nexus.Target) bool {
	set := 0
	for _, is := range []bool{t.User != "", t.Role != "", t.OnDuty, t.Contacts} {
		if is {
			set++
		}
	}
	return set == 1 && (t.User == "" || nexus.ValidID(string(t.User)))
}

// reaches fails, naming the step, if a step would page nobody now. A step for whoever is on duty, or for the contacts of the person in need,
// may: whom they stand for changes by the hour and from person to person. But then a later step must reach somebody.
func reaches(ctx context.Context, q *sqlcgen.Queries, p nexus.Policy) error {
	who, err := roster(ctx, q, p)
	if err != nil {
		return err
	}
	later := false // a step behind this one reaches somebody
	for i := len(p.Steps) - 1; i >= 0; i-- {
		changing := true
		for _, t := range p.Steps[i].Targets {
			changing = changing && (t.OnDuty || t.Contacts)
		}
		some := len(who.Reach(p.Steps[i].Targets, "")) > 0
		if !some && (!changing || !later) {
			return nexus.InvalidField(fmt.Sprintf("steps[%d].targets", i), "reach nobody who could come")
		}
		later = later || some
	}
	return nil
}

func policyOf(r sqlcgen.EscalationPolicy) (nexus.Policy, error) {
	p := nexus.Policy{ID: r.ID, Name: r.Name, EverySeconds: int(r.EverySeconds), MoveSeconds: int(r.MoveSeconds), Version: r.Version}
	if err := json.Unmarshal(r.Steps, &p.Steps); err != nil {
		return p, fmt.Errorf("decode the steps of policy %s: %w", r.ID, err)
	}
	return p, nil
}

// Shifts lists shifts that touch [from, to), in order of their start.
func (s *SafetyOffice) Shifts(ctx context.Context, from, to time.Time) ([]nexus.Shift, error) {
	shifts := []nexus.Shift{}
	err := s.db.do(ctx, "list shifts", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Shifts(ctx, to, from)
		for _, r := range rows {
			shifts = append(shifts, shiftOf(r))
		}
		return err
	})
	return shifts, err
}

// AddShift adds one; its id is filled in. Audited.
func (s *SafetyOffice) AddShift(ctx context.Context, by nexus.Caller, shift nexus.Shift) (nexus.Shift, error) {
	return mutate(ctx, s.db, "add a shift", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Shift, error) {
		id := nexus.NewID()
		row, err := q.InsertShift(ctx, sqlcgen.InsertShiftParams{ID: id, UserID: string(shift.User), StartsAt: shift.From, EndsAt: shift.To})
		if errors.Is(err, pgx.ErrNoRows) {
			err = nexus.InvalidField("userId", "is nobody of the staff who is active")
		}
		if err != nil {
			return nexus.Shift{}, err
		}
		made := shiftOf(row)
		return made, audit(ctx, q, by, "shift.add", "shift", id, nil, made)
	})
}

func shiftOf(r sqlcgen.DutyShift) nexus.Shift {
	return nexus.Shift{ID: r.ID, User: nexus.UserID(r.UserID), From: r.StartsAt, To: r.EndsAt}
}

// Pins returns the hashes of a person's two numbers; empty if there are none.
func (s *SafetyOffice) Pins(ctx context.Context, user nexus.UserID) (pin, duress string, err error) {
	err = s.db.do(ctx, "read safety PINs", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.SafetyPins(ctx, string(user))
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		pin, duress = row.PinHash, row.DuressHash
		return err
	})
	return pin, duress, err
}

// SetPins replaces them. Audited, without them. It takes no notice of an idempotency key, whose hash of the request would be one of
// few digits that nobody made slow to guess.
func (s *SafetyOffice) SetPins(ctx context.Context, by nexus.Caller, pin, duress string) error {
	by.Once = nexus.Once{}
	_, err := mutate(ctx, s.db, "set safety PINs", by, func(ctx context.Context, q *sqlcgen.Queries) (none struct{}, err error) {
		if err := q.SetSafetyPins(ctx, string(by.User), pin, duress); err != nil {
			return none, err
		}
		return none, audit(ctx, q, by, "safety.pins", "user", string(by.User), nil, nil)
	})
	return err
}

// maxSubscriptions is how many browsers a person has for web push.
const maxSubscriptions = 20

// Subscribe keeps a browser for web push. The oldest beyond 20 give way.
func (s *SafetyOffice) Subscribe(ctx context.Context, by nexus.Caller, sub nexus.PushSubscription) error {
	_, err := mutate(ctx, s.db, "subscribe to web push", by, func(ctx context.Context, q *sqlcgen.Queries) (none struct{}, err error) {
		if _, err := q.LockUser(ctx, string(by.User)); err != nil {
			return none, orNotFound(err, "account")
		}
		err = q.Subscribe(ctx, sqlcgen.SubscribeParams{Endpoint: sub.Endpoint, UserID: string(by.User), P256dh: sub.P256DH, Auth: sub.Auth})
		if err != nil {
			return none, err
		}
		return none, q.TrimSubscriptions(ctx, string(by.User), maxSubscriptions)
	})
	return err
}

// Unsubscribe forgets a browser of the caller's, if it is there.
func (s *SafetyOffice) Unsubscribe(ctx context.Context, by nexus.Caller, endpoint string) error {
	return s.db.do(ctx, "unsubscribe from web push", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.Unsubscribe(ctx, endpoint, string(by.User))
	})
}
