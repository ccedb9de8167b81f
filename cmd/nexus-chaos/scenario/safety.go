package scenario

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/history"
	"nexus/cmd/nexus-chaos/stage"
)

const (
	answerGoal    = 2 * time.Second  // for an SOS, whatever the fault
	patientAnswer = 30 * time.Second // the same for a patient trial
	catchUpLimit  = 2 * time.Minute  // only what never comes takes as long
)

// ends counts the ends of all processes of nodes so far.
func (t *Trial) ends() (n int) {
	for _, x := range t.Stage.Nodes {
		n += len(x.Exits())
	}
	return n
}

// catchUp waits until what was promised while the database was away is stored, has every device come back once more, and waits
// until it has heard what there is for it. That something never came is for the judge to say.
func (t *Trial) catchUp(ctx context.Context) error {
	if t.scenario.Size.Students == 0 {
		return nil
	}
	db, ops := t.Stage.Postgres.Pool(), t.Log.Ops(history.Raise)
	stored := stage.Await(ctx, catchUpLimit, "every SOS is stored", func(ctx context.Context) bool {
		found, err := check.Presses(ctx, db, t.cast.Tag)
		if err != nil {
			return false
		}
		for _, o := range check.Missing(found, ops) {
			if !o.Once || t.ends() == t.ended { // others may be gone
				return false
			}
		}
		return true
	})
	var err error
	if t.until, err = check.Heads(ctx, db); err != nil {
		return err
	}
	for _, r := range t.Crowd.Radios {
		r.Drop()
	}
	heard := stage.Await(ctx, catchUpLimit, "every device has caught up", func(context.Context) bool {
		for _, r := range t.Crowd.Radios {
			if r.Offset() < t.until[r.User] {
				return false
			}
		}
		return true
	})
	t.Crowd.Hush()
	for _, err := range []error{stored, heard} {
		if err != nil {
			t.add(check.Note("waiting", "%v", err))
		}
	}
	return ctx.Err()
}

// judgeSafety judges what must hold of every SOS.
func (t *Trial) judgeSafety(ctx context.Context) ([]check.Result, error) {
	if t.scenario.Size.Students == 0 {
		return nil, nil
	}
	db, ops := t.Stage.Postgres.Pool(), t.Log.Ops(history.Raise)
	stored, err := check.Presses(ctx, db, t.cast.Tag)
	if err != nil {
		return nil, err
	}
	streams, err := check.Lines(ctx, db)
	if err != nil {
		return nil, err
	}
	events, err := check.SOSEvents(ctx, db)
	if err != nil {
		return nil, err
	}
	devices := make([]check.Device, len(t.Crowd.Radios))
	for i, r := range t.Crowd.Radios {
		devices[i] = check.Device{Name: r.Name, User: r.User, From: r.From, To: t.until[r.User], Officer: strings.HasPrefix(r.User, "officer")}
	}
	results := check.Alarms(stored, ops, t.ends() != t.ended)
	results = append(results, check.Deliveries(devices, streams, t.Log.Deliveries(), t.Log.Began())...)
	results = append(results, check.Looked(t.Log.Ops(history.See)), check.Acts(events, t.Log.Ops(history.Act, history.Cancel)))
	kept, err := check.Incidents(ctx, db)
	if err != nil {
		return nil, err
	}
	chains, err := t.Stage.Verify(ctx)
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		return nil, err
	}
	return append(append(results, kept...), check.Holds("chains of incidents, by nexus audit verify", "whole", chains, err == nil)), nil
}

// judgeWaits judges how long people waited who pressed the button.
func (t *Trial) judgeWaits() {
	if t.scenario.Size.Students == 0 {
		return
	}
	limit := answerGoal
	if t.scenario.Patient {
		limit = patientAnswer
	}
	ops := t.Log.Ops(history.Raise)
	t.add(check.Pressed(ops, limit)...)
	t.add(check.Latency(t.Log.Ops(history.Act), history.Act))
	trouble := check.Troubles(t.Log.Ops(history.Raise, history.Act, history.Cancel, history.See))
	trouble.What = fmt.Sprintf("attempts in trouble about SOS, of %d", len(ops))
	t.add(trouble)
}
