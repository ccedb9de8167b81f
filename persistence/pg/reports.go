package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Reports keeps what people find wrong with what others put up, and does what moderators decide.
type Reports struct{ db *DB }

// NewReports returns the reports in db.
func NewReports(db *DB) *Reports { return &Reports{db: db} }

// Report keeps what by finds wrong with a thing. NotFound if there is no such thing that by may see, Conflict for a second report of the same. Audited.
func (s *Reports) Report(ctx context.Context, by nexus.Caller, entity, id, reason string) (nexus.Report, error) {
	return mutate(ctx, s.db, "report", by, func(ctx context.Context, q *sqlcgen.Queries) (r nexus.Report, err error) {
		switch entity {
		case nexus.ReportListing:
			var l sqlcgen.ListingView
			if l, err = q.Listing(ctx, id); err == nil && nexus.ListingStatus(l.Status).Hidden() {
				err = noSuch("listing")
			}
		default:
			_, err = q.LostItem(ctx, id)
		}
		if err != nil {
			return r, orNotFound(err, "thing to report")
		}
		row, err := q.InsertReport(ctx, sqlcgen.InsertReportParams{ID: nexus.NewID(), ReporterID: string(by.User), Entity: entity, EntityID: id, Reason: reason})
		if err != nil {
			return r, err
		}
		r = reportOf(row)
		return r, audit(ctx, q, by, "report.make", entity, id, nil, r)
	})
}

// Reports lists those that are open, or those that are resolved, the newest first. The cursor is an id.
func (s *Reports) Reports(ctx context.Context, resolved bool, p nexus.Page) (nexus.List[nexus.Report], error) {
	var list nexus.List[nexus.Report]
	limit := limitOf(p)
	from, err := before(p)
	if err != nil {
		return list, err
	}
	err = s.db.do(ctx, "list reports", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Reports(ctx, from, resolved, limit+1)
		list = pageOf(rows, limit, reportOf, func(r nexus.Report) string { return string(r.ID) })
		return err
	})
	return list, err
}

// resolution is what came of a report.
type resolution struct {
	Report  nexus.Report
	Removed *nexus.Listing
}

// ResolveReport answers all that is open about what a report is of, and removes that if remove is set: a listing for good, of which its seller and whoever has made
// an offer are told, something lost or found altogether. removed is the listing, nil if there is none. StateConflict for what is resolved already.
// It returns the streams of which there is news. Audited.
func (s *Reports) ResolveReport(ctx context.Context, by nexus.Caller, id nexus.ReportID, remove bool, reason string) (r nexus.Report, removed *nexus.Listing, news []string, err error) {
	done, err := mutate(ctx, s.db, "resolve report", by, func(ctx context.Context, q *sqlcgen.Queries) (res resolution, err error) {
		news = nil
		row, err := q.LockReport(ctx, string(id))
		if err != nil {
			return res, orNotFound(err, "report")
		}
		was := reportOf(row)
		if was.ResolvedAt != nil {
			return res, nexus.InState("RESOLVED", "it is resolved already")
		}
		var notices []nexus.Notice
		var deeds []deed
		if remove {
			if res.Removed, notices, deeds, err = removeReported(ctx, q, by, was, reason); err != nil {
				return res, err
			}
		}
		who := string(by.User)
		if err := q.ResolveReports(ctx, sqlcgen.ResolveReportsParams{ResolvedBy: &who, Resolution: reason, Entity: was.Entity, EntityID: was.EntityID}); err != nil {
			return res, err
		}
		if row, err = q.LockReport(ctx, string(id)); err != nil {
			return res, err
		}
		res.Report = reportOf(row)
		news, err = conclude(ctx, q, notices, append(deeds, deed{by, "report.resolve", was.Entity, was.EntityID, was, res.Report})...)
		return res, err
	})
	return done.Report, done.Removed, news, err
}

// removeReported removes what a report is of, and returns what is to be told and noted of it. What is gone already needs no removing.
func removeReported(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, r nexus.Report, reason string) (*nexus.Listing, []nexus.Notice, []deed, error) {
	if r.Entity == nexus.ReportListing {
		l, err := lockListing(ctx, q, nexus.ListingID(r.EntityID))
		if nexus.CodeOf(err) == nexus.NotFound || err == nil && l.Status == nexus.Removed {
			return nil, nil, nil, nil
		}
		if err != nil {
			return nil, nil, nil, err
		}
		l, notices, d, err := takeOff(ctx, q, by, l, nexus.Removed, reason)
		return &l, notices, []deed{d}, err
	}
	i, err := lockLostItem(ctx, q, nexus.LostItemID(r.EntityID))
	if nexus.CodeOf(err) == nexus.NotFound {
		return nil, nil, nil, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	n := lostNotice(i.ReporterID, i, "lost.removed", "What you reported was removed: ")
	n.Body, n.Priority = reason, nexus.PriorityHigh
	d := deed{by, "lost.remove", "lost-found", r.EntityID, shown(nexus.Caller{}, i), nil}
	return nil, []nexus.Notice{n}, []deed{d}, q.DeleteLostItem(ctx, r.EntityID)
}

func reportOf(r sqlcgen.ContentReport) nexus.Report {
	return nexus.Report{
		ID: nexus.ReportID(r.ID), Reporter: nexus.UserID(r.ReporterID), Entity: r.Entity, EntityID: r.EntityID, Reason: r.Reason, CreatedAt: r.CreatedAt,
		ResolvedBy: (*nexus.UserID)(r.ResolvedBy), Resolution: r.Resolution, ResolvedAt: r.ResolvedAt,
	}
}
