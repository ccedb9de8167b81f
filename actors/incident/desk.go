package incident

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// Options is what the parts of this package say of themselves to.
type Options struct {
	Log     *slog.Logger
	Metrics *Metrics // nil: nothing is counted
}

// storeWait is how long a press waits for the database before people are alerted without it.
const storeWait = time.Second

// Desk takes what people want of incidents, on any node: it checks who may, lets the store decide by the rules, and hints to those
// who are concerned. Its errors are nexus.Invalid with the field's name, NotFound for an incident that the caller may not see,
// Forbidden for what they may not do, StateConflict with the state for what is not possible now.
type Desk struct {
	store       Store
	crier       crier
	grains      *notifier
	provisional *provisional
}

// NewDesk opens a desk over a store. Grains are told of changes through dir, readers of streams through bus. Close ends it.
func NewDesk(store Store, dir grain.Directory, bus grain.Bus, o Options) *Desk {
	d := &Desk{store: store, crier: crier{bus, o.Log, o.Metrics}, grains: startNotifier(dir, o)}
	d.provisional = startProvisional(store, d.crier, d.stored)
	return d
}

// Close ends the desk. Presses that the database still does not know are logged: their people have been alerted, and the phones
// repeat them.
func (d *Desk) Close() {
	d.provisional.close()
	d.grains.close()
}

// Hear takes what other desks have put on the bus for this one, and reports whether it was that: all else is for sockets. It does not block.
func (d *Desk) Hear(b *grain.Broadcast) bool {
	if b.GetTopic() != heldTopic {
		return false
	}
	var x handed
	if err := json.Unmarshal(b.GetPayload(), &x); err != nil {
		d.crier.log.Error("another node's press cannot be read", "err", err)
		return true
	}
	d.provisional.hear(x)
	return true
}

// Raise takes a press of the button. It is answered after the commit; but if the database does not take it within a second, all of
// SECURITY and ADMIN who are connected are alerted without it, the answer says that it is not durable, and it is stored
// as soon as that is possible. A press that has arrived counts, though the phone be gone before the answer: so the end of
// ctx does not stop it.
func (d *Desk) Raise(ctx context.Context, by nexus.Caller, p nexus.Press) (nexus.Raised, error) {
	began := time.Now()
	if by.User == "" {
		return nexus.Raised{}, nexus.Errorf(nexus.Forbidden, "only people raise an SOS")
	}
	p.User, p.Category = by.User, cmp.Or(p.Category, "panic")
	if err := checkPress(&p); err != nil {
		return nexus.Raised{}, err
	}
	id := nexus.IncidentID(nexus.DerivedID(p.At, began, string(p.User), p.ClientKey))
	storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWait)
	defer cancel()
	raised, out, err := d.store.Raise(storing, id, p)
	switch {
	case err == nil:
		d.stored(out)
	case away(err):
		d.crier.log.Warn("the store did not take a press", "incident", id, "err", err)
		if raised, err = d.provisional.take(id, p, began); err != nil {
			return nexus.Raised{}, err
		}
	default:
		return nexus.Raised{}, err
	}
	d.crier.metrics.pressed(raised.Durable, time.Since(began))
	return raised, nil
}

// away reports whether it is not the press that is to blame for a failure: then a human hears of it all the same.
func away(err error) bool {
	code := nexus.CodeOf(err)
	return code == nexus.Unavailable || code == nexus.Internal
}

// Act is what a responder says: that they have it, are on the way, are there, or that it is over; it returns the seq of the event. SECURITY and
// ADMIN may, and whoever was paged, except end it. Saying the same twice is answered alike.
func (d *Desk) Act(ctx context.Context, by nexus.Caller, id nexus.IncidentID, to nexus.SOSState, note string) (int64, error) {
	if err := checkNote(note); err != nil {
		return 0, err
	}
	out, err := d.change(ctx, by, id, func(s State, _ Roster, now time.Time) ([]Event, error) {
		if to.Closed() && !staff(by) {
			return nil, errStaffOnly
		}
		return s.Act(by.User, to, note, now)
	})
	return out.State.Said(by.User, to), err
}

// Escalate asks for more help, and returns the seq of the event. Whoever repeats it does so under one idempotency key.
func (d *Desk) Escalate(ctx context.Context, by nexus.Caller, id nexus.IncidentID, note string) (int64, error) {
	if err := checkNote(note); err != nil {
		return 0, err
	}
	out, err := d.change(ctx, by, id, func(s State, who Roster, now time.Time) ([]Event, error) {
		if !staff(by) {
			return nil, errStaffOnly
		}
		return s.Escalate(by.User, note, who, now)
	})
	return out.First, err
}

// Cancel takes the caller's own alarm back, or seems to, and returns the state that the caller may see. It is safe to repeat without
// an idempotency key, and takes no notice of one: the key's hash of the request would be one of few digits.
func (d *Desk) Cancel(ctx context.Context, by nexus.Caller, id nexus.IncidentID, duress bool) (nexus.SOSState, error) {
	by.Once = nexus.Once{}
	out, err := d.change(ctx, by, id, func(s State, _ Roster, now time.Time) ([]Event, error) {
		if by.User != s.User {
			return nil, nexus.Errorf(nexus.Forbidden, "only the person who raised it takes it back")
		}
		return s.Cancel(duress, now)
	})
	return out.State.Seen().State, err
}

// Say adds a message of whoever may see the incident, once for each clientMsgID, and returns the seq of its event.
func (d *Desk) Say(ctx context.Context, by nexus.Caller, id nexus.IncidentID, clientMsgID, body string) (int64, error) {
	err := cmp.Or(checkText("clientMsgId", clientMsgID, 1, 200), checkText("body", body, 1, 2000), checkID(id))
	if err != nil {
		return 0, err
	}
	seq, out, err := d.store.Say(ctx, id, by.User, Words{ClientMsgID: clientMsgID, Body: body}, func(s State) error { return visible(s, by) })
	if err != nil {
		return 0, err
	}
	d.crier.tell(out) // a message moves no clock: the grain need not know
	return seq, nil
}

// Locate keeps where the caller, who raised the incident, is or was, and shows the newest place to those who follow it.
func (d *Desk) Locate(ctx context.Context, by nexus.Caller, id nexus.IncidentID, fixes []nexus.Fix) error {
	if err := cmp.Or(checkFixes(fixes), checkID(id)); err != nil {
		return err
	}
	if _, err := d.store.Locate(ctx, id, fixes, func(s State) error { return cmp.Or(visible(s, by), s.Track(by.User)) }); err != nil {
		return err
	}
	d.crier.bus.Publish(located(id, by.User, slices.MaxFunc(fixes, func(a, b nexus.Fix) int { return cmp.Compare(a.ClientSeq, b.ClientSeq) })))
	return nil
}

// EndTimer ends a safety timer of the caller's. Under duress it looks just so, while help is called: those who are concerned are told apart from the
// answer, which takes no longer for it.
func (d *Desk) EndTimer(ctx context.Context, by nexus.Caller, id string, duress bool) (nexus.SafetyTimer, error) {
	t, out, err := d.store.EndTimer(ctx, by, id, duress)
	if err == nil {
		d.grains.do(func() { d.stored(out) })
	}
	return t, err
}

// change lets decide change an incident that the caller may see, once for each idempotency key.
func (d *Desk) change(ctx context.Context, by nexus.Caller, id nexus.IncidentID, decide func(State, Roster, time.Time) ([]Event, error)) (Outcome, error) {
	if err := checkID(id); err != nil {
		return Outcome{}, err
	}
	out, err := d.store.Change(ctx, by, id, func(s State, who Roster, now time.Time) ([]Event, error) {
		if err := visible(s, by); err != nil {
			return nil, err
		}
		return decide(s, who, now)
	})
	if err != nil {
		return Outcome{}, err
	}
	d.stored(out)
	return out, nil
}

// stored tells all who are concerned of a change.
func (d *Desk) stored(out Outcome) {
	d.crier.tell(out)
	if len(out.Events) > 0 {
		d.grains.notify(out.State.ID, out.State.Seq)
	}
}

var errStaffOnly = nexus.Errorf(nexus.Forbidden, "this is for security and administration")

func staff(c nexus.Caller) bool { return c.Has(nexus.Security, nexus.Admin) }

func visible(s State, by nexus.Caller) error {
	if !s.May(by) {
		return errNoIncident
	}
	return nil
}
