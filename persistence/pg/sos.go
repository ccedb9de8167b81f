package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg/sqlcgen"
)

// SOS keeps incidents for those who act on them. Reading incidents as their viewers may see them is the part of Incidents.
type SOS struct{ presses, db *DB }

var _ incident.Store = (*SOS)(nil)

// NewSOS returns the store of incidents in a database. Presses go by a pool of their own, so that an alarm never waits for a connection that
// something else holds: after a node was killed the others look at all that it had, and every device comes back at once. presses is best warm, and
// patient with those who wait for a connection; its calls are bounded all the same. db is for all else.
func NewSOS(presses, db *DB) *SOS { return &SOS{presses, db} }

// Raise keeps a press: as a new incident, or in the one that its raiser has open. However many presses there are at once, on
// however many nodes, one of them makes the incident and the others wait for it and join.
func (s *SOS) Raise(ctx context.Context, id nexus.IncidentID, p nexus.Press) (raised nexus.Raised, out incident.Outcome, err error) {
	err = s.presses.piped(ctx, "raise an SOS", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		raised, out, err = raise(ctx, q, id, p)
		return err
	})
	if err != nil {
		return nexus.Raised{}, incident.Outcome{}, err
	}
	return raised, out, nil
}

// raise answers a press. Presses of one person queue up, so that what the first has opened is there for the next.
func raise(ctx context.Context, q *sqlcgen.Queries, id nexus.IncidentID, p nexus.Press) (nexus.Raised, incident.Outcome, error) {
	press, err := pressed(ctx, q, p)
	if err != nil {
		return nexus.Raised{}, incident.Outcome{}, err
	}
	if press != nil {
		return answered(ctx, q, *press)
	}
	for range attempts {
		open, err := q.OpenIncidentOf(ctx, string(p.User), p.Drill)
		if errors.Is(err, pgx.ErrNoRows) {
			return begin(ctx, q, id, p, false)
		}
		if err != nil {
			return nexus.Raised{}, incident.Outcome{}, err
		}
		c, err := lock(ctx, q, nexus.IncidentID(open))
		if err != nil {
			return nexus.Raised{}, incident.Outcome{}, err
		}
		if c.ClosedAt != nil || c.Duress {
			continue // meanwhile; nobody can open another one now, so this happens once
		}
		events, err := c.Press(p, c.who, c.now)
		if err != nil {
			return nexus.Raised{}, incident.Outcome{}, err
		}
		return c.press(ctx, q, p, events)
	}
	return nexus.Raised{}, incident.Outcome{}, fmt.Errorf("an incident of %s is open and closed at once", p.User)
}

// pressed waits for the other presses of the person and returns how this one was answered; nil if it is new.
func pressed(ctx context.Context, q *sqlcgen.Queries, p nexus.Press) (*sqlcgen.FindPressRow, error) {
	if err := q.LockPresses(ctx, string(p.User)); err != nil {
		return nil, err
	}
	press, err := q.FindPress(ctx, string(p.User), p.ClientKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &press, err
}

// answered answers a press that came before as it was answered then.
func answered(ctx context.Context, q *sqlcgen.Queries, press sqlcgen.FindPressRow) (nexus.Raised, incident.Outcome, error) {
	id := nexus.IncidentID(press.IncidentID)
	now, at, err := look(ctx, q, id)
	if err != nil {
		return nexus.Raised{}, incident.Outcome{}, err
	}
	then, err := asOf(ctx, q, now, press.Seq)
	return nexus.Raised{Incident: id, State: then.State, Seq: press.Seq, Durable: true}, incident.Outcome{State: now, Now: at}, err
}

// begin makes a new incident. hidden is for one that its raiser must never see: under duress from the beginning. It needs no
// place among the open ones, for its raiser may have one that is no secret.
func begin(ctx context.Context, q *sqlcgen.Queries, id nexus.IncidentID, p nexus.Press, hidden bool) (nexus.Raised, incident.Outcome, error) {
	var none nexus.Raised
	row, err := q.DefaultPolicy(ctx)
	if err != nil {
		return none, incident.Outcome{}, fmt.Errorf("read the default escalation policy: %w", err)
	}
	policy, err := policyOf(row)
	if err != nil {
		return none, incident.Outcome{}, err
	}
	c := chained{State: incident.State{Incident: nexus.Incident{ID: id, User: p.User}}, head: make([]byte, hashSize)}
	c.now, err = q.InsertIncident(ctx, sqlcgen.InsertIncidentParams{
		ID: string(id), UserID: string(p.User), Category: p.Category, Silent: p.Silent, Drill: p.Drill, Duress: hidden, HeadHash: c.head,
	})
	if err != nil {
		return none, incident.Outcome{}, err
	}
	if c.who, err = roster(ctx, q, policy); err != nil {
		return none, incident.Outcome{}, err
	}
	events, err := incident.Open(id, p, policy, c.who, c.now)
	if err == nil && hidden {
		events, err = underDuress(c.State, events, c.now)
	}
	if err != nil {
		return none, incident.Outcome{}, err
	}
	return c.press(ctx, q, p, events)
}

// underDuress adds to the events of a new incident that it was cancelled under duress in the same moment.
func underDuress(s incident.State, events []incident.Event, now time.Time) ([]incident.Event, error) {
	s, err := incident.Fold(s.ID, s.User, events)
	if err != nil {
		return nil, err
	}
	more, err := s.Cancel(true, now)
	return append(events, more...), err
}

// hidden reports whether the raiser of an incident must not see that it exists: it was under duress from its first moment, which no
// cancel of an alarm that somebody saw can be.
func hidden(s incident.State) bool {
	seen := s.Seen()
	return s.Duress && seen.ClosedAt != nil && seen.ClosedAt.Equal(seen.RaisedAt)
}

// press keeps a press and the events that it made.
func (c *chained) press(ctx context.Context, q *sqlcgen.Queries, p nexus.Press, events []incident.Event) (nexus.Raised, incident.Outcome, error) {
	seq := c.Seq
	if len(events) > 0 {
		seq++
	}
	if p.Position != nil {
		c.Last = &nexus.Fix{At: p.At, Position: *p.Position}
		if p.At.IsZero() {
			c.Last.At = c.now
		}
	}
	err := q.KeepPress(ctx, sqlcgen.KeepPressParams{
		UserID: string(p.User), ClientKey: p.ClientKey, IncidentID: string(c.ID), Seq: seq,
	})
	if err == nil && p.Position != nil {
		err = q.KeepPressPosition(ctx, sqlcgen.KeepPressPositionParams{
			IncidentID: string(c.ID), At: c.Last.At, Lat: p.Position.Lat, Lng: p.Position.Lng, Accuracy: p.Position.Accuracy,
		})
	}
	if err != nil {
		return nexus.Raised{}, incident.Outcome{}, err
	}
	out, err := c.add(ctx, q, events) // locks streams
	return nexus.Raised{Incident: c.ID, State: c.State.State, Seq: seq, Durable: true}, out, err
}

// keptChange is what an idempotency key keeps of a change: its first event, 0 for none, and the last event there was then.
type keptChange struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
}

// Change lets decide add events to an incident, under its lock and by the database's clock, once for each idempotency key.
func (s *SOS) Change(ctx context.Context, by nexus.Caller, id nexus.IncidentID,
	decide func(incident.State, incident.Roster, time.Time) ([]incident.Event, error),
) (out incident.Outcome, err error) {
	err = s.db.piped(ctx, "change an incident", func(ctx context.Context, q *sqlcgen.Queries) error {
		var made *incident.Outcome
		k, err := once(ctx, q, by, func() (keptChange, error) {
			o, err := decided(ctx, q, id, decide)
			made = &o
			return keptChange{o.First, o.State.Seq}, err
		})
		switch {
		case err != nil:
			return err
		case made != nil:
			out = *made
			return nil
		}
		out, err = repeated(ctx, q, id, k)
		return err
	})
	if err != nil {
		return incident.Outcome{}, err
	}
	return out, nil
}

// repeated is what a change came to that was made before.
func repeated(ctx context.Context, q *sqlcgen.Queries, id nexus.IncidentID, k keptChange) (incident.Outcome, error) {
	now, at, err := look(ctx, q, id)
	if err != nil {
		return incident.Outcome{}, err
	}
	then, err := asOf(ctx, q, now, k.Last)
	return incident.Outcome{State: then, First: k.First, Now: at}, err
}

// asOf is an incident as it stood after one of its events.
func asOf(ctx context.Context, q *sqlcgen.Queries, s incident.State, seq int64) (incident.State, error) {
	rows, err := q.SOSEvents(ctx, string(s.ID))
	if err != nil {
		return s, err
	}
	return fold(s.ID, s.User, rows[:min(seq, int64(len(rows)))])
}

// Advance adds what is due. The fence, unless it is zero, is held until the commit.
func (s *SOS) Advance(ctx context.Context, f nexus.Fence, id nexus.IncidentID) (out incident.Outcome, err error) {
	err = s.db.piped(ctx, "advance an incident", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if f != (nexus.Fence{}) {
			if err := held(ctx, q, f); err != nil {
				return err
			}
		}
		out, err = decided(ctx, q, id, incident.State.Due)
		return err
	})
	if err != nil {
		return incident.Outcome{}, err
	}
	return out, nil
}

// decided adds to an incident what is decided under its lock.
func decided(ctx context.Context, q *sqlcgen.Queries, id nexus.IncidentID,
	decide func(incident.State, incident.Roster, time.Time) ([]incident.Event, error),
) (incident.Outcome, error) {
	c, err := lock(ctx, q, id)
	if err != nil {
		return incident.Outcome{}, err
	}
	events, err := decide(c.State, c.who, c.now)
	if err != nil {
		return incident.Outcome{}, err
	}
	return c.add(ctx, q, events)
}

// Say adds a message, once for each sender and ClientMsgID.
func (s *SOS) Say(ctx context.Context, id nexus.IncidentID, by nexus.UserID, w incident.Words, check func(incident.State) error,
) (seq int64, out incident.Outcome, err error) {
	err = s.db.piped(ctx, "say something", func(ctx context.Context, q *sqlcgen.Queries) error {
		c, err := lock(ctx, q, id)
		if err != nil {
			return err
		}
		if err := check(c.State); err != nil {
			return err
		}
		if seq, err = q.FindMessage(ctx, string(id), string(by), w.ClientMsgID); err == nil {
			out = incident.Outcome{State: c.State, Now: c.now}
			return nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		events, err := c.Say(by, w, c.now)
		if err != nil {
			return err
		}
		if out, err = c.add(ctx, q, events); err != nil {
			return err
		}
		seq = c.Seq
		return q.KeepMessage(ctx, sqlcgen.KeepMessageParams{
			IncidentID: string(id), Sender: string(by), ClientMsgID: w.ClientMsgID, Seq: seq,
		})
	})
	if err != nil {
		return 0, incident.Outcome{}, err
	}
	return seq, out, nil
}

// maxFixes is how many positions of one incident are kept: a day of one every five seconds. Past that every second one of the older half is
// forgotten, so that the way there stays, ever more coarse; what is newest is never touched, however late the others arrive.
const maxFixes = 24 * 60 * 60 / 5

// Locate keeps fixes, all or none. It takes no lock, for positions come often and change nothing: one that arrives while the
// incident is closed may still be kept.
func (s *SOS) Locate(ctx context.Context, id nexus.IncidentID, fixes []nexus.Fix, check func(incident.State) error) (st incident.State, err error) {
	p := sqlcgen.KeepFixesParams{IncidentID: string(id)}
	for i, f := range fixes {
		accuracy, battery := -1.0, -1 // which the query takes for unknown
		if f.Accuracy != nil {
			if accuracy = *f.Accuracy; accuracy < 0 {
				return st, nexus.InvalidField(fmt.Sprintf("fixes[%d].accuracy", i), "is out of range")
			}
		}
		if f.Battery != nil {
			if battery = *f.Battery; battery < 0 || battery > 100 {
				return st, nexus.InvalidField(fmt.Sprintf("fixes[%d].battery", i), "is out of range")
			}
		}
		p.ClientSeqs, p.Ats, p.Lats, p.Lngs = append(p.ClientSeqs, f.ClientSeq), append(p.Ats, f.At), append(p.Lats, f.Lat), append(p.Lngs, f.Lng)
		p.Accuracies, p.Batteries = append(p.Accuracies, accuracy), append(p.Batteries, int32(battery)) //nolint:gosec // it is in range
	}
	err = s.db.do(ctx, "keep positions", func(ctx context.Context, q *sqlcgen.Queries) error {
		if st, _, err = look(ctx, q, id); err != nil {
			return err
		}
		if err := check(st); err != nil {
			return err
		}
		if err := q.KeepFixes(ctx, p); err != nil {
			return err
		}
		return q.ThinFixes(ctx, string(id), maxFixes)
	})
	if err != nil {
		return incident.State{}, err
	}
	for _, f := range fixes {
		if st.Last == nil || f.ClientSeq > st.Last.ClientSeq {
			st.Last = &f
		}
	}
	return st, nil
}

// Look returns an incident as it stands, and the database's time.
func (s *SOS) Look(ctx context.Context, id nexus.IncidentID) (st incident.State, now time.Time, err error) {
	err = s.db.do(ctx, "read an incident", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		st, now, err = look(ctx, q, id)
		return err
	})
	return st, now, err
}

// Open lists the incidents that are not closed, the oldest first.
func (s *SOS) Open(ctx context.Context) (ids []nexus.IncidentID, err error) {
	err = s.db.do(ctx, "list open incidents", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.OpenIncidents(ctx)
		ids = idsOf(rows)
		return err
	})
	return ids, err
}

// Overdue lists open incidents whose next time has been over for longer than late, the longest first.
func (s *SOS) Overdue(ctx context.Context, late time.Duration, limit int) (ids []nexus.IncidentID, err error) {
	err = s.db.do(ctx, "list overdue incidents", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.OverdueIncidents(ctx, late.Seconds(), int32(min(limit, maxLimit))) //nolint:gosec // it is bounded
		ids = idsOf(rows)
		return err
	})
	return ids, err
}

func idsOf(rows []string) []nexus.IncidentID {
	ids := make([]nexus.IncidentID, len(rows))
	for i, r := range rows {
		ids[i] = nexus.IncidentID(r)
	}
	return ids
}
