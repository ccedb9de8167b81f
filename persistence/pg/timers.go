package pg

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg/sqlcgen"
)

// The states of a safety timer.
const (
	timerRunning = "RUNNING"
	timerExpired = "EXPIRED"
)

// maxTimers is how many timers of one person may run.
const maxTimers = 5

// Timers lists the caller's running safety timers, the next first.
func (s *SafetyOffice) Timers(ctx context.Context, by nexus.Caller) ([]nexus.SafetyTimer, error) {
	timers := []nexus.SafetyTimer{}
	err := s.db.do(ctx, "list safety timers", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.RunningTimers(ctx, string(by.User))
		for _, r := range rows {
			timers = append(timers, timerOf(r))
		}
		return err
	})
	return timers, err
}

// StartTimer starts one; its id is filled in.
func (s *SafetyOffice) StartTimer(ctx context.Context, by nexus.Caller, t nexus.SafetyTimer) (nexus.SafetyTimer, error) {
	return mutate(ctx, s.db, "start a safety timer", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.SafetyTimer, error) {
		if _, err := q.LockUser(ctx, string(by.User)); err != nil {
			return t, orNotFound(err, "account")
		}
		running, err := q.RunningTimers(ctx, string(by.User))
		if err != nil {
			return t, err
		}
		if len(running) >= maxTimers {
			return t, nexus.Errorf(nexus.Conflict, "%d safety timers are running, which is as many as may", maxTimers)
		}
		row, err := q.InsertTimer(ctx, sqlcgen.InsertTimerParams{
			ID: nexus.NewID(), UserID: string(by.User), Note: t.Note, Category: t.Category, DueAt: t.Due,
		})
		return timerOf(row), orOver(err)
	})
}

// orOver turns the absence of a row into a due time that is over.
func orOver(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nexus.InvalidField("dueAt", "is over")
	}
	return err
}

// MoveTimer gives a running timer of the caller's another time; Conflict for one that has ended.
func (s *SafetyOffice) MoveTimer(ctx context.Context, by nexus.Caller, id string, version int64, due time.Time) (nexus.SafetyTimer, error) {
	return mutate(ctx, s.db, "move a safety timer", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.SafetyTimer, error) {
		t, err := lockedTimer(ctx, q, by, id)
		if err != nil {
			return t, err
		}
		if t.State != timerRunning {
			return t, nexus.Errorf(nexus.Conflict, "the timer has ended")
		}
		if err := stale(version, t.Version); err != nil {
			return t, err
		}
		row, err := q.MoveTimer(ctx, due, id)
		return timerOf(row), orOver(err)
	})
}

// EndTimer ends a timer of the caller's; one that is done stays so. Conflict for one that has expired, for then there is an alarm.
//
// Under duress an incident of its own is made, marked from its first moment, which its raiser never sees; an alarm that
// they have open is left alone, for any line in it could be seen. A plain end writes the same rows, in a savepoint, and takes them back
// before the commit: it is as much work, so that the time it takes tells nothing. What a reader of the disk could tell apart would cost
// false incidents in the chain, and is not hidden.
//
// It takes no notice of an idempotency key: to end it twice is to end it, and the key's hash of the request would hold few digits.
func (s *SOS) EndTimer(ctx context.Context, by nexus.Caller, id string, duress bool) (t nexus.SafetyTimer, out incident.Outcome, err error) {
	err = s.db.piped(ctx, "end a safety timer", func(ctx context.Context, q *sqlcgen.Queries) error {
		out = incident.Outcome{}
		if t, err = lockedTimer(ctx, q, by, id); err != nil {
			return err
		}
		if t.State == timerExpired {
			return nexus.Errorf(nexus.Conflict, "the timer has expired: the alarm was raised")
		}
		if out, err = raiseUnderDuress(ctx, q, t, duress); err != nil || t.State != timerRunning {
			return err
		}
		row, err := q.EndTimer(ctx, id)
		t = timerOf(row)
		return err
	})
	if err != nil {
		return nexus.SafetyTimer{}, incident.Outcome{}, err
	}
	return t, out, nil
}

// raiseUnderDuress raises the alarm of a timer that was ended under duress, once for each timer; unless it is real, it only does the work.
func raiseUnderDuress(ctx context.Context, q *sqlcgen.Queries, t nexus.SafetyTimer, really bool) (incident.Outcome, error) {
	p := timerPress(t)
	before, err := pressed(ctx, q, p)
	if err != nil {
		return incident.Outcome{}, err
	}
	if before != nil { // it was raised before, and that must not show either
		p.ClientKey, really = nexus.NewID(), false
	}
	if err := q.Savepoint(ctx); err != nil {
		return incident.Outcome{}, err
	}
	switch _, out, err := begin(ctx, q, nexus.IncidentID(nexus.NewID()), p, true); {
	case err != nil: // a plain end fails as one under duress would
		return incident.Outcome{}, err
	case really:
		return out, q.ReleaseSavepoint(ctx)
	default:
		return incident.Outcome{}, q.RollbackToSavepoint(ctx)
	}
}

// timerPress is the press of a timer by itself.
func timerPress(t nexus.SafetyTimer) nexus.Press {
	return nexus.Press{User: t.User, ClientKey: "timer:" + t.ID, Category: t.Category}
}

func lockedTimer(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, id string) (nexus.SafetyTimer, error) {
	if !nexus.ValidID(id) {
		return nexus.SafetyTimer{}, noSuch("safety timer")
	}
	row, err := q.LockTimer(ctx, id, string(by.User))
	return timerOf(row), orNotFound(err, "safety timer")
}

// ExpireTimers raises an SOS for each timer that is due, each in a transaction of its own: one that fails keeps no other from its
// alarm. One that somebody else is at, or holds locked, counts as not raised.
func (s *SOS) ExpireTimers(ctx context.Context, limit int) (outs []incident.Outcome, failed []incident.FailedTimer, err error) {
	var due []sqlcgen.DueTimersRow
	err = s.db.do(ctx, "list safety timers that are due", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		due, err = q.DueTimers(ctx, int32(min(limit, maxLimit))) //nolint:gosec // it is bounded
		return err
	})
	for _, t := range due {
		out, expired, err := s.expire(ctx, t.ID)
		switch {
		case ctx.Err() != nil && err != nil:
			return outs, failed, err
		case expired:
			outs = append(outs, out)
		default:
			failed = append(failed, incident.FailedTimer{ID: t.ID, User: nexus.UserID(t.UserID), Err: err})
		}
	}
	return outs, failed, err
}

func (s *SOS) expire(ctx context.Context, id string) (out incident.Outcome, expired bool, err error) {
	err = s.db.piped(ctx, "raise the SOS of a safety timer", func(ctx context.Context, q *sqlcgen.Queries) error {
		expired = false
		row, err := q.LockDueTimer(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		raised, o, err := raise(ctx, q, nexus.IncidentID(nexus.NewID()), timerPress(timerOf(row)))
		if err != nil {
			return err
		}
		out, expired = o, true
		return q.ExpireTimer(ctx, string(raised.Incident), id)
	})
	return out, expired && err == nil, err
}

func timerOf(r sqlcgen.SafetyTimer) nexus.SafetyTimer {
	t := nexus.SafetyTimer{
		ID: r.ID, User: nexus.UserID(r.UserID), Note: r.Note, Category: r.Category, Due: r.DueAt, State: r.State, Version: r.Version,
	}
	if r.IncidentID != nil {
		t.Incident = nexus.IncidentID(*r.IncidentID)
	}
	return t
}
