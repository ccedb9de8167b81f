package pg

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg/sqlcgen"
)

// The chain of an incident's events is made like that of the audit log, each incident's by itself:
//
//	hash = "nexus sos event 1", incident_id, prev_hash, seq, at, actor, kind, data
//
// The first event's prev_hash is 32 zero bytes. An actor that is the clock has length 0.
const eventLabel = "nexus sos event 1"

const hashSize = sha256.Size

func eventHash(e sqlcgen.SosEvent) []byte {
	var actor string
	if e.Actor != nil {
		actor = *e.Actor
	}
	return hashFields([]byte(eventLabel), []byte(e.IncidentID), e.PrevHash, uint64Bytes(e.Seq), uint64Bytes(e.At.UnixMicro()),
		[]byte(actor), []byte(e.Kind), e.Data)
}

func sosEventOf(r sqlcgen.SosEvent) nexus.SOSEvent {
	e := nexus.SOSEvent{
		Incident: nexus.IncidentID(r.IncidentID), Seq: r.Seq, Kind: r.Kind, Data: json.RawMessage(r.Data), At: r.At, Hash: r.Hash,
	}
	if r.Actor != nil {
		e.Actor = nexus.UserID(*r.Actor)
	}
	return e
}

// masked is an event as the raiser may see it. Its hash is made anew, for whoever holds the events before it could work out that
// this one is not what it says.
func masked(r sqlcgen.SosEvent) nexus.SOSEvent {
	if r.Kind == incident.Duress {
		r.Kind = incident.Cancelled
		r.Hash = eventHash(r)
	}
	return sosEventOf(r)
}

// chained is an incident under its row's lock.
type chained struct {
	incident.State
	who  incident.Roster
	head []byte // the hash of the last event
	now  time.Time
}

// look reads an incident without a lock.
func look(ctx context.Context, q *sqlcgen.Queries, id nexus.IncidentID) (incident.State, time.Time, error) {
	head, err := q.IncidentHead(ctx, string(id))
	if err != nil {
		return incident.State{}, time.Time{}, orNotFound(err, "incident")
	}
	rows, err := q.SOSEvents(ctx, string(id))
	if err != nil {
		return incident.State{}, time.Time{}, err
	}
	s, err := fold(id, nexus.UserID(head.UserID), rows)
	if err != nil {
		return s, time.Time{}, err
	}
	s.Last, err = fixOf(head.Location)
	return s, head.At, err
}

// lock reads an incident, as whoever had it before has left it, and keeps others from changing it until the transaction ends.
func lock(ctx context.Context, q *sqlcgen.Queries, id nexus.IncidentID) (c chained, err error) {
	head, err := q.LockIncident(ctx, string(id))
	if err != nil {
		return c, orNotFound(err, "incident")
	}
	rows, err := q.SOSEvents(ctx, string(id))
	if err != nil {
		return c, err
	}
	if len(rows) == 0 {
		return c, fmt.Errorf("incident %s has lost its events", id)
	}
	if c.State, err = fold(id, nexus.UserID(head.UserID), rows); err != nil {
		return c, err
	}
	if c.Last, err = fixOf(head.Location); err != nil {
		return c, err
	}
	// The chain goes on from the end that was noted: where events were tampered with, help goes on all the same, and Verify finds it.
	c.head, c.now = head.HeadHash, head.At
	c.who, err = roster(ctx, q, c.Policy)
	return c, err
}

// fold makes the state of an incident from its kept events.
func fold(id nexus.IncidentID, user nexus.UserID, rows []sqlcgen.SosEvent) (incident.State, error) {
	events := make([]incident.Event, len(rows))
	for i, r := range rows {
		events[i] = incident.Event{Kind: r.Kind, At: r.At, Data: r.Data}
		if r.Actor != nil {
			events[i].Actor = nexus.UserID(*r.Actor)
		}
	}
	s, err := incident.Fold(id, user, events)
	if err != nil {
		return s, fmt.Errorf("fold incident %s: %w", id, err)
	}
	return s, nil
}

// line is one line to be of a stream.
type line struct {
	incident.To
	event int64
	at    time.Time
}

// add keeps events and all that follows from them: what the incident amounts to, its responders, the lines in the streams of
// everybody who is to know, the pages that leave the campus, and that whoever acts has seen what came before.
func (c *chained) add(ctx context.Context, q *sqlcgen.Queries, events []incident.Event) (incident.Outcome, error) {
	if len(events) == 0 {
		return incident.Outcome{State: c.State, Now: c.now}, nil
	}
	p := sqlcgen.AppendEventsParams{ID: string(c.ID)}
	before := slices.Clone(c.Responders)
	var lines []line
	var kept []nexus.SOSEvent
	for _, e := range events {
		if err := c.Apply(e); err != nil {
			return incident.Outcome{}, err
		}
		kept = append(kept, sosEventOf(c.link(&p, e)))
		for _, to := range c.Audience(e) {
			lines = append(lines, line{to, c.Seq, e.At})
		}
	}
	if hidden(c.State) {
		lines = slices.DeleteFunc(lines, func(l line) bool { return l.User == c.User })
	}
	for _, r := range c.Responders {
		if !slices.Contains(before, r) {
			p.Responders, p.ResponderStates = append(p.Responders, string(r.User)), append(p.ResponderStates, r.State)
			p.ResponderSinces = append(p.ResponderSinces, r.Since)
		}
	}
	p.Category, p.Silent, p.Drill, p.Duress, p.State = c.Category, c.Silent, c.Drill, c.Duress, string(c.State.State)
	p.RaisedAt, p.CancelUntil, p.AckedAt, p.OnSceneAt, p.ClosedAt, p.NextAt = c.RaisedAt, c.CancelUntil, c.AckedAt, c.OnSceneAt, c.ClosedAt, c.NextAt
	p.LastSeq, p.HeadHash = c.Seq, c.head
	for _, e := range kept {
		if err := c.follow(ctx, q, e); err != nil {
			return incident.Outcome{}, err
		}
	}
	// Last, for every alarm of the campus waits for the officers' streams: they are locked for two statements and the commit.
	streams, err := c.deliver(ctx, q, &p, lines)
	if err != nil {
		return incident.Outcome{}, err
	}
	if err := q.AppendEvents(ctx, p); err != nil {
		return incident.Outcome{}, err
	}
	return incident.Outcome{State: c.State, Events: kept, First: kept[0].Seq, Streams: streams, Now: c.now}, nil
}

// link adds an event to the chain, and to what is to be written. It is the c.Seq-th.
func (c *chained) link(p *sqlcgen.AppendEventsParams, e incident.Event) sqlcgen.SosEvent {
	r := sqlcgen.SosEvent{IncidentID: string(c.ID), Seq: c.Seq, At: e.At, Kind: e.Kind, Data: e.Data, PrevHash: c.head}
	if e.Actor != "" {
		actor := string(e.Actor)
		r.Actor = &actor
	}
	r.Hash = eventHash(r)
	c.head = r.Hash
	p.Seqs, p.Ats, p.Actors, p.Kinds = append(p.Seqs, r.Seq), append(p.Ats, r.At), append(p.Actors, string(e.Actor)), append(p.Kinds, r.Kind)
	p.Datas, p.PrevHashes, p.Hashes = append(p.Datas, string(r.Data)), append(p.PrevHashes, r.PrevHash), append(p.Hashes, r.Hash)
	return r
}

// deliver numbers lines in their streams and returns the streams.
func (c *chained) deliver(ctx context.Context, q *sqlcgen.Queries, p *sqlcgen.AppendEventsParams, lines []line) ([]string, error) {
	next, err := advance(ctx, q, lines)
	if err != nil {
		return nil, err
	}
	streams := make([]string, 0, len(next))
	for s := range next {
		streams = append(streams, s)
	}
	slices.Sort(streams)
	for _, l := range lines {
		s := string(l.User)
		p.Streams, p.StreamSeqs, p.DeliveryKinds = append(p.Streams, s), append(p.StreamSeqs, next[s]), append(p.DeliveryKinds, l.Kind)
		p.EventSeqs, p.Masked, p.DeliveryAts = append(p.EventSeqs, l.event), append(p.Masked, l.Masked), append(p.DeliveryAts, l.at)
		next[s]++
	}
	return streams, nil
}

// advance takes the numbers of the lines and returns the first of each stream. From here to the commit the streams are locked.
func advance(ctx context.Context, q *sqlcgen.Queries, lines []line) (map[string]int64, error) {
	count := map[string]int64{}
	for _, l := range lines {
		count[string(l.User)]++
	}
	var streams []string
	var counts []int64
	for s, n := range count {
		streams, counts = append(streams, s), append(counts, n)
	}
	rows, err := q.AdvanceStreams(ctx, streams, counts)
	if err != nil {
		return nil, err
	}
	next := make(map[string]int64, len(rows))
	for _, r := range rows {
		next[r.Stream] = r.LastSeq - count[r.Stream] + 1
	}
	return next, nil
}

// follow does what an event has for a consequence besides its lines.
func (c *chained) follow(ctx context.Context, q *sqlcgen.Queries, e nexus.SOSEvent) error {
	switch {
	case e.Kind == incident.Paged && !c.Drill:
		var p incident.Page
		if err := json.Unmarshal(e.Data, &p); err != nil {
			return err
		}
		return q.AddPages(ctx, sqlcgen.AddPagesParams{
			IncidentID: string(c.ID), EventSeq: e.Seq, At: e.At, Contacts: p.Contacts, Raiser: string(c.User), Users: texts(p.Users),
		})
	case e.Actor != "" && e.Actor != c.User:
		id := string(c.ID)
		return q.AcknowledgeDeliveries(ctx, sqlcgen.AcknowledgeDeliveriesParams{
			At: e.At, Stream: string(e.Actor), IncidentID: &id, BeforeSeq: &e.Seq,
		})
	}
	return nil
}

// roster returns who may be paged now by a policy: those whom it could mean, if their accounts are active. Students are paged by
// name alone.
func roster(ctx context.Context, q *sqlcgen.Queries, p nexus.Policy) (incident.Roster, error) {
	roles, named := []string{}, []string{}
	for _, s := range p.Steps {
		for _, t := range s.Targets {
			switch {
			case t.User != "":
				named = append(named, string(t.User))
			case t.Role != "" && t.Role != nexus.Student:
				roles = append(roles, string(t.Role))
			}
		}
	}
	rows, err := q.Roster(ctx, roles, named)
	if err != nil {
		return nil, err
	}
	who := make(incident.Roster, len(rows))
	for i, r := range rows {
		who[i] = incident.Person{ID: nexus.UserID(r.ID), Roles: rolesOf(r.Roles), OnDuty: r.OnDuty}
	}
	return who, nil
}
