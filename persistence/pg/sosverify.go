package pg

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// VerifyIncident walks an incident's chain and returns how many events it holds and the first seq that does not fit: one that is
// missing or was edited, the one behind the last if some were cut off, the last if the incident is not what its events amount to.
// 0 if all fits. NotFound if there is neither an incident nor an event of it.
func (s *Incidents) VerifyIncident(ctx context.Context, id nexus.IncidentID) (events, firstBad int64, err error) {
	err = s.db.read(ctx, "verify an incident", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.SOSEvents(ctx, string(id))
		if err != nil {
			return err
		}
		row, err := q.IncidentView(ctx, string(id))
		switch err := orNotFound(err, "incident"); {
		case nexus.CodeOf(err) == nexus.NotFound && len(rows) > 0:
			events, firstBad = int64(len(rows)), 1
			return nil
		case err != nil:
			return err
		}
		events, firstBad, err = verifyIncident(row, rows)
		return err
	})
	return events, firstBad, err
}

// VerifyAll walks the chains of all incidents, and stops at the first that does not fit: it returns how many incidents and events it has
// seen, which incident that is and the first seq in it; "" and 0 if all fit. What it cannot find is an incident that was
// removed with everything that refers to it, or written anew, hashes and all.
func (s *Incidents) VerifyAll(ctx context.Context) (incidents, events int64, bad nexus.IncidentID, firstBad int64, err error) {
	var after *string
	for {
		var ids []string
		err := s.db.do(ctx, "list incidents", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
			ids, err = q.IncidentIDs(ctx, after, verifyBatch)
			return err
		})
		if err != nil || len(ids) == 0 {
			return incidents, events, "", 0, err
		}
		for _, id := range ids {
			n, first, err := s.VerifyIncident(ctx, nexus.IncidentID(id))
			incidents, events = incidents+1, events+n
			if err != nil || first != 0 {
				return incidents, events, nexus.IncidentID(id), first, err
			}
			after = &id
		}
	}
}

// verifyIncident holds an incident against its events.
func verifyIncident(row sqlcgen.SosView, rows []sqlcgen.SosEvent) (events, firstBad int64, err error) {
	events = int64(len(rows))
	prev := make([]byte, hashSize)
	for i, e := range rows {
		if e.Seq != int64(i+1) || e.IncidentID != row.ID || !bytes.Equal(e.PrevHash, prev) || !bytes.Equal(e.Hash, eventHash(e)) {
			return events, int64(i + 1), nil
		}
		prev = e.Hash
	}
	if events < row.LastSeq || events == 0 {
		return events, events + 1, nil
	}
	s, err := fold(nexus.IncidentID(row.ID), nexus.UserID(row.UserID), rows)
	if err != nil {
		return events, events, nil //nolint:nilerr // a history that makes no sense is what is looked for
	}
	stands, err := incidentOf(row)
	if err != nil {
		return events, 0, err
	}
	if !bytes.Equal(prev, row.HeadHash) || rows[0].Actor == nil || *rows[0].Actor != row.UserID || !bytes.Equal(canonical(stands), canonical(s.Incident)) {
		return events, events, nil
	}
	return events, 0, nil
}

// canonical is all of an incident that its events tell, which is everything but where the person was.
func canonical(i nexus.Incident) []byte {
	i.Last = nil
	i.Responders = slices.Concat([]nexus.Responder{}, i.Responders)
	inOrder(i.Responders)
	text, err := json.Marshal(i)
	if err != nil {
		panic(err) // plain values only
	}
	return text
}
