package pg

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg/sqlcgen"
)

// Incidents reads incidents as a caller may see them, and looks into them afterwards. Whoever cancelled an alarm under duress
// sees it, in everything here, as cancelled. SOS changes them.
type Incidents struct{ db *DB }

// NewIncidents returns the incidents in db for their readers.
func NewIncidents(db *DB) *Incidents { return &Incidents{db: db} }

// visible reads an incident if the caller may see it, and returns until when they see what happens: nil is for ever.
func visible(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, id nexus.IncidentID) (s incident.State, until *time.Time, err error) {
	s, _, err = look(ctx, q, id)
	switch {
	case err != nil:
		return s, nil, err
	case !s.May(by), by.User == s.User && hidden(s):
		return s, nil, noSuch("incident")
	case by.User == s.User && s.Duress:
		return s, s.Seen().ClosedAt, nil
	}
	return s, nil, nil
}

// Incident returns one. NotFound for one that the caller may not see.
func (s *Incidents) Incident(ctx context.Context, by nexus.Caller, id nexus.IncidentID) (nexus.Incident, error) {
	var i nexus.Incident
	err := s.db.do(ctx, "read an incident", func(ctx context.Context, q *sqlcgen.Queries) error {
		st, until, err := visible(ctx, q, by, id)
		if err != nil {
			return err
		}
		i, err = seen(ctx, q, st, by.User, until)
		return err
	})
	return i, err
}

// seen is an incident as a viewer sees it, with where the person was last.
func seen(ctx context.Context, q *sqlcgen.Queries, s incident.State, viewer nexus.UserID, until *time.Time) (nexus.Incident, error) {
	i := s.SeenBy(viewer)
	i.Last = s.Last
	if until != nil {
		rows, err := q.Fixes(ctx, string(s.ID), until)
		if err != nil {
			return i, err
		}
		i.Last = nil
		if len(rows) > 0 {
			f := fixOfRow(rows[len(rows)-1])
			i.Last = &f
		}
	}
	i.Responders = slices.Concat([]nexus.Responder{}, i.Responders)
	inOrder(i.Responders)
	return i, nil
}

// Incidents lists the newest first: all for SECURITY and ADMIN, for others those that they raised or respond to. The cursor is an id.
func (s *Incidents) Incidents(ctx context.Context, by nexus.Caller, state string, p nexus.Page) (nexus.List[nexus.Incident], error) {
	var list nexus.List[nexus.Incident]
	limit := limitOf(p)
	if p.After != "" && !nexus.ValidID(p.After) {
		return list, nexus.InvalidField("after", "is no cursor of this list")
	}
	var before *string
	if p.After != "" {
		before = &p.After
	}
	if by.User == "" {
		return nexus.List[nexus.Incident]{Items: []nexus.Incident{}}, nil
	}
	err := s.db.do(ctx, "list incidents", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.ListIncidents(ctx, sqlcgen.ListIncidentsParams{
			Before: before, Everything: by.Has(nexus.Security, nexus.Admin), Viewer: string(by.User), State: state, MaxRows: limit + 1,
		})
		if err != nil {
			return err
		}
		items := make([]nexus.Incident, len(rows))
		for i, r := range rows {
			if items[i], err = rowSeen(ctx, q, r, by.User); err != nil {
				return err
			}
		}
		list = pageOf(items, limit, func(i nexus.Incident) nexus.Incident { return i }, func(i nexus.Incident) string { return string(i.ID) })
		return nil
	})
	return list, err
}

// rowSeen is an incident of a list. The row says how it is, which its raiser must not always see.
func rowSeen(ctx context.Context, q *sqlcgen.Queries, r sqlcgen.SosView, viewer nexus.UserID) (nexus.Incident, error) {
	if !r.Duress || r.UserID != string(viewer) {
		return incidentOf(r)
	}
	s, _, err := look(ctx, q, nexus.IncidentID(r.ID))
	if err != nil {
		return nexus.Incident{}, err
	}
	return seen(ctx, q, s, viewer, s.Seen().ClosedAt)
}

// Events returns an incident's history after a seq, in order, at most limit, and no more than a page of any list.
func (s *Incidents) Events(ctx context.Context, by nexus.Caller, id nexus.IncidentID, after int64, limit int) ([]nexus.SOSEvent, error) {
	events := []nexus.SOSEvent{}
	limit = int(limitOf(nexus.Page{Limit: limit}))
	err := s.db.do(ctx, "read an incident's history", func(ctx context.Context, q *sqlcgen.Queries) error {
		st, _, err := visible(ctx, q, by, id)
		if err != nil {
			return err
		}
		rows, err := q.SOSEvents(ctx, string(id))
		if err != nil {
			return err
		}
		for _, r := range rows {
			if r.Seq <= after || len(events) == limit {
				continue
			}
			if by.User != st.User {
				events = append(events, sosEventOf(r))
			} else if _, ok := st.Mask(r.Seq, r.Kind); ok {
				events = append(events, masked(r))
			}
		}
		return nil
	})
	return events, err
}

// Locations returns an incident's fixes in order of ClientSeq. The first, with ClientSeq 0, came with the press.
func (s *Incidents) Locations(ctx context.Context, by nexus.Caller, id nexus.IncidentID) ([]nexus.Fix, error) {
	fixes := []nexus.Fix{}
	err := s.db.do(ctx, "read an incident's positions", func(ctx context.Context, q *sqlcgen.Queries) error {
		_, until, err := visible(ctx, q, by, id)
		if err != nil {
			return err
		}
		rows, err := q.Fixes(ctx, string(id), until)
		for _, r := range rows {
			fixes = append(fixes, fixOfRow(r))
		}
		return err
	})
	return fixes, err
}

// Deliveries says what became of each event on its way to each person.
func (s *Incidents) Deliveries(ctx context.Context, id nexus.IncidentID) ([]nexus.DeliveryRecord, error) {
	records := []nexus.DeliveryRecord{}
	err := s.db.do(ctx, "read an incident's deliveries", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Deliveries(ctx, (*string)(&id))
		for _, r := range rows {
			records = append(records, nexus.DeliveryRecord{
				User: nexus.UserID(r.Stream), EventSeq: *r.EventSeq, Kind: r.Kind, CommittedAt: r.CommittedAt, SentAt: r.SentAt,
				DeliveredAt: r.DeliveredAt, AcknowledgedAt: r.AcknowledgedAt,
			})
		}
		return err
	})
	return records, err
}

// The goals that are known to those who run alarm centres: NFPA 1225 wants 90 % of alarms passed on within 10 s, NENA 90 % of
// calls answered within 15 s. None says when somebody must be there.
var (
	deliverGoal     = nexus.Latency{GoalSeconds: 10, GoalShare: 0.9, Source: "NFPA 1225"}
	acknowledgeGoal = nexus.Latency{GoalSeconds: 15, GoalShare: 0.9, Source: "NENA"}
)

// SafetyMetrics sums up the incidents raised in [from, to). An alert that has not arrived, and an alarm that nobody has answered, count
// against the goal once its time is over.
func (s *Incidents) SafetyMetrics(ctx context.Context, from, to time.Time) (nexus.SafetyMetrics, error) {
	m := nexus.SafetyMetrics{From: from, To: to}
	err := s.db.read(ctx, "sum up incidents", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.CountRaised(ctx, from, to)
		if err != nil {
			return err
		}
		m.Incidents = int(n)
		d, err := q.DeliverLatency(ctx, deliverGoal.GoalSeconds, from, to)
		if err != nil {
			return err
		}
		m.Deliver = latency(deliverGoal, d.Samples, d.Percentiles, d.WithinGoal, d.Counted)
		a, err := q.AcknowledgeLatency(ctx, acknowledgeGoal.GoalSeconds, from, to)
		if err != nil {
			return err
		}
		m.Acknowledge = latency(acknowledgeGoal, a.Samples, a.Percentiles, a.WithinGoal, a.Counted)
		r, err := q.ArriveLatency(ctx, from, to)
		m.Arrive = latency(nexus.Latency{}, r.Samples, r.Percentiles, 0, 0)
		return err
	})
	return m, err
}

// latency fills in a goal's Latency; percentiles are the 50th, 90th and 99th, or none.
func latency(l nexus.Latency, samples int64, percentiles []float64, within, counted int64) nexus.Latency {
	l.Samples = int(samples)
	if len(percentiles) == 3 {
		l.P50, l.P90, l.P99 = millisecond(percentiles[0]), millisecond(percentiles[1]), millisecond(percentiles[2])
	}
	if counted > 0 {
		share := float64(within) / float64(counted)
		l.WithinGoal = &share
	}
	return l
}

// millisecond rounds seconds to what clocks of several machines can tell.
func millisecond(seconds float64) *float64 {
	seconds = math.Round(seconds*1000) / 1000
	return &seconds
}

// incidentOf is an incident as those who respond see it.
func incidentOf(r sqlcgen.SosView) (nexus.Incident, error) {
	i := nexus.Incident{
		ID: nexus.IncidentID(r.ID), User: nexus.UserID(r.UserID), Category: r.Category, Silent: r.Silent, Drill: r.Drill, Duress: r.Duress,
		State: nexus.SOSState(r.State), Seq: r.LastSeq, RaisedAt: r.RaisedAt, CancelUntil: r.CancelUntil, AckedAt: r.AckedAt,
		OnSceneAt: r.OnSceneAt, ClosedAt: r.ClosedAt, NextAt: r.NextAt, Responders: []nexus.Responder{},
	}
	if err := json.Unmarshal(r.Responders, &i.Responders); err != nil {
		return i, fmt.Errorf("decode the responders of incident %s: %w", r.ID, err)
	}
	for n := range i.Responders {
		i.Responders[n].Since = i.Responders[n].Since.UTC()
	}
	var err error
	i.Last, err = fixOf(r.Location)
	return i, err
}

// inOrder sorts responders as rows are sorted.
func inOrder(rs []nexus.Responder) {
	slices.SortFunc(rs, func(a, b nexus.Responder) int { return cmp.Compare(a.User, b.User) })
}

// fixOf decodes the last position of sos_view; nil is none.
func fixOf(location []byte) (*nexus.Fix, error) {
	if location == nil {
		return nil, nil
	}
	var f nexus.Fix
	if err := json.Unmarshal(location, &f); err != nil {
		return nil, fmt.Errorf("decode a position: %w", err)
	}
	f.At = f.At.UTC()
	return &f, nil
}

func fixOfRow(r sqlcgen.FixesRow) nexus.Fix {
	f := nexus.Fix{ClientSeq: r.ClientSeq, At: r.At, Position: nexus.Position{Lat: r.Lat, Lng: r.Lng, Accuracy: r.Accuracy}}
	if r.Battery != nil {
		n := int(*r.Battery)
		f.Battery = &n
	}
	return f
}
