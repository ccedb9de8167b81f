package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// SendAlert keeps a mass alert and puts it into everybody's stream. Identifier, Sender and Sent are filled in; References is the
// identifier of the alert that an Update or Cancel is about. Audited.
func (s *SafetyOffice) SendAlert(ctx context.Context, by nexus.Caller, a nexus.MassAlert) (nexus.MassAlert, error) {
	return mutate(ctx, s.db, "send a mass alert", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.MassAlert, error) {
		if err := checkReference(ctx, q, a); err != nil {
			return nexus.MassAlert{}, err
		}
		id := "nexus-" + nexus.NewID()
		row, err := q.InsertAlert(ctx, sqlcgen.InsertAlertParams{
			Identifier: id, Sender: s.sender, Status: a.Status, MsgType: a.MsgType, Reference: a.References, Category: a.Category,
			Event: a.Event, Urgency: a.Urgency, Severity: a.Severity, Certainty: a.Certainty, Headline: a.Headline,
			Description: a.Description, Instruction: a.Instruction, Area: a.Area, Expires: a.Expires, CreatedBy: string(by.User),
		})
		if err != nil {
			return nexus.MassAlert{}, err
		}
		if err := q.DeliverAlert(ctx, id, nexus.CampusStream); err != nil {
			return nexus.MassAlert{}, err
		}
		sent := alertOf(row)
		return sent, audit(ctx, q, by, "alert.send", "alert", id, nil, sent)
	})
}

// checkReference checks that an Update or a Cancel is about an alert that there is, and an Alert about none.
func checkReference(ctx context.Context, q *sqlcgen.Queries, a nexus.MassAlert) error {
	if a.MsgType == "Alert" {
		if a.References != "" {
			return nexus.InvalidField("references", "belongs to an Update or a Cancel")
		}
		return nil
	}
	_, err := q.Alert(ctx, a.References)
	if err = orNotFound(err, "alert"); nexus.CodeOf(err) == nexus.NotFound {
		return nexus.InvalidField("references", "is no alert that was sent")
	}
	return err
}

// Alert returns one; NotFound if there is none.
func (s *SafetyOffice) Alert(ctx context.Context, identifier string) (nexus.MassAlert, error) {
	var a nexus.MassAlert
	err := s.db.do(ctx, "read a mass alert", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.Alert(ctx, identifier)
		a = alertOf(row)
		return orNotFound(err, "alert")
	})
	return a, err
}

func alertOf(r sqlcgen.CapAlert) nexus.MassAlert {
	a := nexus.MassAlert{
		Identifier: r.Identifier, Sender: r.Sender, Sent: r.Sent, Status: r.Status, MsgType: r.MsgType, Category: r.Category,
		Event: r.Event, Urgency: r.Urgency, Severity: r.Severity, Certainty: r.Certainty, Headline: r.Headline,
		Description: r.Description, Instruction: r.Instruction, Area: r.Area, Expires: r.Expires,
	}
	if r.Reference != nil {
		a.References = *r.Reference
	}
	return a
}
