package pg

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
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

// view is an incident as one person may see it. However it stands, that takes the same statements: whoever cancelled an alarm under duress
// may be watched with a clock.
type view struct {
	incident.State // under duress as its raiser may see it: it ends there
	viewer         nexus.UserID
	rows           []sqlcgen.SosEvent
}

// forever is later than anything that is kept.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// visible reads an incident if the caller may see it.
func visible(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, id nexus.IncidentID) (view, error) {
	if by.User == "" {
		return view{}, noSuch("incident")
	}
	head, err := q.IncidentHead(ctx, string(id))
	if err != nil {
		return view{}, orNotFound(err, "incident")
	}
	rows, err := q.SeenEvents(ctx, []string{string(id)}, string(by.User))
	if err != nil {
		return view{}, err
	}
	v, err := viewOf(id, nexus.UserID(head.UserID), rows, by.User)
	if err == nil && (!v.May(by) || by.User == v.User && hidden(v.State)) {
		err = noSuch("incident")
	}
	return v, err
}

// viewOf makes a view of an incident's events, as they are given to the viewer.
func viewOf(id nexus.IncidentID, user nexus.UserID, rows []sqlcgen.SosEvent, viewer nexus.UserID) (view, error) {
	s, err := fold(id, user, rows)
	return view{s, viewer, rows}, err
}

// until is up to when the viewer sees positions: for ever, unless they took the alarm back.
func (v view) until() time.Time {
	if seen := v.Seen(); v.viewer == v.User && seen.State == nexus.SOSCancelled {
		return *seen.ClosedAt
	}
	return forever
}

// seen is what is shown of views, each with where the person was last.
func seen(ctx context.Context, q *sqlcgen.Queries, vs ...view) (map[nexus.IncidentID]nexus.Incident, error) {
	var ids []string
	var untils []time.Time
	for _, v := range vs {
		ids, untils = append(ids, string(v.ID)), append(untils, v.until())
	}
	rows, err := q.LastFixes(ctx, ids, untils)
	if err != nil {
		return nil, err
	}
	shown := make(map[nexus.IncidentID]nexus.Incident, len(vs))
	for _, v := range vs {
		i := v.SeenBy(v.viewer)
		i.Responders = slices.Concat([]nexus.Responder{}, i.Responders)
		inOrder(i.Responders)
		shown[v.ID] = i
	}
	for _, r := range rows {
		i, f := shown[nexus.IncidentID(r.IncidentID)], fixOfRow(r)
		i.Last = &f
		shown[i.ID] = i
	}
	return shown, nil
}

// Incident returns one. NotFound for one that the caller may not see.
func (s *Incidents) Incident(ctx context.Context, by nexus.Caller, id nexus.IncidentID) (nexus.Incident, error) {
	var i nexus.Incident
	err := s.db.do(ctx, "read an incident", func(ctx context.Context, q *sqlcgen.Queries) error {
		v, err := visible(ctx, q, by, id)
		if err != nil {
			return err
		}
		shown, err := seen(ctx, q, v)
		i = shown[v.ID]
		return err
	})
	return i, err
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
		for n, r := range rows {
			if items[n], err = incidentOf(r); err != nil {
				return err
			}
		}
		if err := takenBack(ctx, q, items, by.User); err != nil {
			return err
		}
		list = pageOf(items, limit, func(i nexus.Incident) nexus.Incident { return i }, func(i nexus.Incident) string { return string(i.ID) })
		return nil
	})
	return list, err
}

// takenBack replaces those incidents of a list that the viewer took back by what they may see: of each, for of some the row says more.
func takenBack(ctx context.Context, q *sqlcgen.Queries, items []nexus.Incident, viewer nexus.UserID) error {
	var ids []string
	for _, i := range items {
		if i.User == viewer && (i.Duress || i.State == nexus.SOSCancelled) {
			ids = append(ids, string(i.ID))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := q.SeenEvents(ctx, ids, string(viewer))
	if err != nil {
		return err
	}
	history := make(map[string][]sqlcgen.SosEvent, len(ids))
	for _, r := range rows {
		history[r.IncidentID] = append(history[r.IncidentID], r)
	}
	views := make([]view, len(ids))
	for n, id := range ids {
		if views[n], err = viewOf(nexus.IncidentID(id), viewer, history[id], viewer); err != nil {
			return err
		}
	}
	shown, err := seen(ctx, q, views...)
	if err != nil {
		return err
	}
	for n, i := range items {
		if mine, ok := shown[i.ID]; ok {
			items[n] = mine
		}
	}
	return nil
}

// Events returns an incident's history after a seq, in order, at most limit, and no more than a page of any list.
func (s *Incidents) Events(ctx context.Context, by nexus.Caller, id nexus.IncidentID, after int64, limit int) ([]nexus.SOSEvent, error) {
	events := []nexus.SOSEvent{}
	limit = int(limitOf(nexus.Page{Limit: limit}))
	err := s.db.do(ctx, "read an incident's history", func(ctx context.Context, q *sqlcgen.Queries) error {
		v, err := visible(ctx, q, by, id)
		for _, r := range v.rows {
			if err != nil || len(events) == limit {
				break
			}
			if r.Seq <= after {
				continue
			}
			if by.User == v.User {
				events = append(events, masked(r))
			} else {
				events = append(events, sosEventOf(r))
			}
		}
		return err
	})
	return events, err
}

// Fixes lists where the person in need was, in order of ClientSeq, which is the cursor. The first, with ClientSeq 0, came with the press.
func (s *Incidents) Fixes(ctx context.Context, by nexus.Caller, id nexus.IncidentID, p nexus.Page) (nexus.List[nexus.Fix], error) {
	var list nexus.List[nexus.Fix]
	limit, after := limitOf(p), int64(-1)
	if p.After != "" {
		var err error
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
	}
	err := s.db.do(ctx, "read an incident's positions", func(ctx context.Context, q *sqlcgen.Queries) error {
		v, err := visible(ctx, q, by, id)
		if err != nil {
			return err
		}
		rows, err := q.Fixes(ctx, sqlcgen.FixesParams{IncidentID: string(id), After: after, Upto: v.until(), MaxRows: limit + 1})
		list = pageOf(rows, limit, fixOfRow, func(f nexus.Fix) string { return strconv.FormatInt(f.ClientSeq, 10) })
		return err
	})
	return list, err
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

// SafetyMetrics sums up the incidents raised in [from, to) as the caller may see them. An alert that has not arrived, and an alarm that nobody
// has answered, count against the goal once its time is over.
func (s *Incidents) SafetyMetrics(ctx context.Context, by nexus.Caller, from, to time.Time) (nexus.SafetyMetrics, error) {
	m := nexus.SafetyMetrics{From: from, To: to, Deliver: deliverGoal, Acknowledge: acknowledgeGoal}
	err := s.db.do(ctx, "sum up incidents", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.SafetyMetrics(ctx, sqlcgen.SafetyMetricsParams{
			Viewer: string(by.User), FromAt: from, ToAt: to, DeliverGoal: deliverGoal.GoalSeconds, AcknowledgeGoal: acknowledgeGoal.GoalSeconds,
		})
		for _, r := range rows {
			switch r.What {
			case "deliver":
				m.Deliver = latency(deliverGoal, r)
			case "acknowledge":
				m.Incidents, m.Acknowledge = int(r.Alarms), latency(acknowledgeGoal, r)
			case "arrive":
				m.Arrive = latency(nexus.Latency{}, r)
			}
		}
		return err
	})
	return m, err
}

// latency fills in a goal's Latency; percentiles are the 50th, 90th and 99th, or none.
func latency(l nexus.Latency, r sqlcgen.SafetyMetricsRow) nexus.Latency {
	l.Samples = int(r.Samples)
	if len(r.Percentiles) == 3 {
		l.P50, l.P90, l.P99 = millisecond(r.Percentiles[0]), millisecond(r.Percentiles[1]), millisecond(r.Percentiles[2])
	}
	if r.Counted > 0 && l.GoalSeconds > 0 {
		share := float64(r.WithinGoal) / float64(r.Counted)
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

func fixOfRow(r sqlcgen.SosLocation) nexus.Fix {
	f := nexus.Fix{ClientSeq: r.ClientSeq, At: r.At, Position: nexus.Position{Lat: r.Lat, Lng: r.Lng, Accuracy: r.Accuracy}}
	if r.Battery != nil {
		n := int(*r.Battery)
		f.Battery = &n
	}
	return f
}
