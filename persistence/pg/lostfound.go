package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// suggestions is how many things that look alike people are told of.
const suggestions = 5

// LostFound keeps what was lost and found.
type LostFound struct{ db *DB }

// NewLostFound returns the lost and found in db.
func NewLostFound(db *DB) *LostFound { return &LostFound{db: db} }

// LostItems lists what was lost or found, the newest first; empty kind, status and query let all pass. Details are shown to their reporters alone.
// The cursor is an id.
func (s *LostFound) LostItems(ctx context.Context, by nexus.Caller, kind string, status nexus.LostStatus, query string, p nexus.Page) (nexus.List[nexus.LostItem], error) {
	var list nexus.List[nexus.LostItem]
	limit := limitOf(p)
	from, err := before(p)
	if err != nil {
		return list, err
	}
	err = s.db.do(ctx, "list lost things", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.LostItems(ctx, sqlcgen.LostItemsParams{Before: from, Kind: kind, Status: string(status), Query: query, MaxRows: limit + 1})
		list = pageOf(rows, limit, func(r sqlcgen.LostItemView) nexus.LostItem { return shown(by, lostItemOf(r)) }, func(i nexus.LostItem) string { return string(i.ID) })
		return err
	})
	return list, err
}

// shown is a thing as by may see it.
func shown(by nexus.Caller, i nexus.LostItem) nexus.LostItem {
	if i.ReporterID != by.User {
		i.Detail = ""
	}
	return i
}

// ReportLostItem keeps what by has lost or found, and tells whoever has reported the like of the other kind, and by of them. RateLimited for too many in
// a day. It returns the streams of which there is news. Audited, without the detail.
func (s *LostFound) ReportLostItem(ctx context.Context, by nexus.Caller, i nexus.LostItem) (made nexus.LostItem, news []string, err error) {
	made, err = mutate(ctx, s.db, "report a lost thing", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.LostItem, error) {
		news = nil
		n, err := q.LostItemsSince(ctx, string(by.User), time.Now().Add(-24*time.Hour))
		if err != nil {
			return i, err
		}
		if n >= nexus.LostItemsIn {
			return i, nexus.Errorf(nexus.RateLimited, "at most %d reports a day", nexus.LostItemsIn)
		}
		p := sqlcgen.InsertLostItemParams{
			ID: nexus.NewID(), ReporterID: string(by.User), Kind: i.Kind, Title: i.Title, Description: i.Description, Place: i.Place, SeenAt: i.SeenAt, Secret: i.Detail,
		}
		if err := q.InsertLostItem(ctx, p); err != nil {
			return i, err
		}
		row, err := q.LostItem(ctx, p.ID)
		if err != nil {
			return i, err
		}
		made := lostItemOf(row)
		notices, err := suggest(ctx, q, made)
		if err != nil {
			return i, err
		}
		news, err = conclude(ctx, q, notices, deed{by, "lost.report", "lost-found", p.ID, nil, shown(nexus.Caller{}, made)})
		return made, err
	})
	return made, news, err
}

// suggest is what both sides are told of what looks alike.
func suggest(ctx context.Context, q *sqlcgen.Queries, i nexus.LostItem) ([]nexus.Notice, error) {
	other := nexus.Found
	if i.Kind == nexus.Found {
		other = nexus.Lost
	}
	rows, err := q.LostItemsAlike(ctx, sqlcgen.LostItemsAlikeParams{Kind: other, Title: i.Title, ReporterID: string(i.ReporterID), MaxRows: suggestions})
	if err != nil {
		return nil, err
	}
	var notices []nexus.Notice
	for _, r := range rows {
		match := lostItemOf(r)
		for _, n := range [][2]nexus.LostItem{{i, match}, {match, i}} {
			title := "Found, perhaps yours: "
			if n[1].Kind == nexus.Lost {
				title = "Lost, perhaps what you found: "
			}
			notices = append(notices, lostNotice(n[0].ReporterID, n[1], "lost.match", title))
		}
	}
	return notices, nil
}

func lostNotice(to nexus.UserID, i nexus.LostItem, kind, title string) nexus.Notice {
	return nexus.Notice{
		User: to, Kind: kind, Priority: nexus.PriorityNormal, Title: title + i.Title,
		Data: json.RawMessage(fmt.Sprintf(`{"lostFoundId":%q}`, i.ID)),
	}
}

// claimTry is what came of a claim. A try that was wrong is committed, so that it counts.
type claimTry struct {
	Item nexus.LostItem
	Left int // tries
	Hit  bool
}

// ClaimLostItem claims a found thing by its hidden detail. If it fits, both are told who the other one is; Conflict if it does not, or by has no tries
// left; StateConflict for what is not open, or was not found but lost; Forbidden for by's own. It returns the streams of which there is news. Audited.
func (s *LostFound) ClaimLostItem(ctx context.Context, by nexus.Caller, id nexus.LostItemID, detail string) (i nexus.LostItem, news []string, err error) {
	try, err := mutate(ctx, s.db, "claim a found thing", by, func(ctx context.Context, q *sqlcgen.Queries) (claimTry, error) {
		var none claimTry
		news = nil
		was, err := lockLostItem(ctx, q, id)
		switch {
		case err != nil:
			return none, err
		case was.ReporterID == by.User:
			return none, nexus.Errorf(nexus.Forbidden, "you found it yourself")
		case was.Kind != nexus.Found:
			return none, nexus.InState(was.Status, "what was lost is not claimed; report what you found")
		}
		if err := was.Status.To(nexus.LostClaimed); err != nil {
			return none, err
		}
		tries, err := q.CountClaim(ctx, string(id), string(by.User), nexus.ClaimTries)
		if errors.Is(err, pgx.ErrNoRows) {
			return none, nexus.Errorf(nexus.Conflict, "you have no tries left")
		}
		if err != nil {
			return none, err
		}
		try := claimTry{Item: shown(by, was), Left: nexus.ClaimTries - int(tries), Hit: nexus.DetailFits(was.Detail, detail)}
		if !try.Hit {
			return try, audit(ctx, q, by, "lost.claim.wrong", "lost-found", string(id), nil, nil)
		}
		claimant, err := q.Profile(ctx, string(by.User))
		if err != nil {
			return none, orNotFound(err, "profile")
		}
		now, err := moveLostItem(ctx, q, was, nexus.LostClaimed, by.User)
		if err != nil {
			return none, err
		}
		toFinder := lostNotice(was.ReporterID, was, "lost.claimed", "Somebody named your detail: ")
		toFinder.Body = claimant.FullName + " knows it. Say whether you have given it back."
		toOwner := lostNotice(by.User, was, "lost.claimed", "You named the detail: ")
		toOwner.Body = was.Reporter.Name + " has it."
		try.Item = shown(by, now)
		news, err = conclude(ctx, q, []nexus.Notice{toFinder, toOwner}, deed{by, "lost.claim", "lost-found", string(id), shown(by, was), try.Item})
		return try, err
	})
	if err == nil && !try.Hit {
		err = nexus.Errorf(nexus.Conflict, "this is not what only its owner can know; %d tries are left", try.Left)
	}
	return try.Item, news, err
}

// MoveLostItem says what has become of something that by reported: RETURNED, CLOSED, or OPEN again after a wrong claim, of which whoever claimed it is
// told. Forbidden for what others reported. It returns the streams of which there is news. Audited.
func (s *LostFound) MoveLostItem(ctx context.Context, by nexus.Caller, id nexus.LostItemID, to nexus.LostStatus) (i nexus.LostItem, news []string, err error) {
	i, err = mutate(ctx, s.db, "move a lost thing", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.LostItem, error) {
		news = nil
		was, err := lockLostItem(ctx, q, id)
		if err != nil {
			return was, err
		}
		if was.ReporterID != by.User {
			return was, nexus.Errorf(nexus.Forbidden, "somebody else reported this")
		}
		claimant := was.ClaimedBy
		if to == nexus.LostOpen {
			claimant = ""
		}
		now, err := moveLostItem(ctx, q, was, to, claimant)
		if err != nil {
			return was, err
		}
		var notices []nexus.Notice
		if was.ClaimedBy != "" {
			notices = append(notices, lostNotice(was.ClaimedBy, was, "lost.moved", map[nexus.LostStatus]string{
				nexus.LostOpen: "Your claim was turned down: ", nexus.LostReturned: "Given back: ", nexus.LostClosed: "Closed: ",
			}[to]))
		}
		news, err = conclude(ctx, q, notices, deed{by, "lost.move", "lost-found", string(id), shown(nexus.Caller{}, was), shown(nexus.Caller{}, now)})
		return now, err
	})
	return i, news, err
}

func lockLostItem(ctx context.Context, q *sqlcgen.Queries, id nexus.LostItemID) (nexus.LostItem, error) {
	if _, err := q.LockLostItem(ctx, string(id)); err != nil {
		return nexus.LostItem{}, orNotFound(err, "lost or found thing")
	}
	row, err := q.LostItem(ctx, string(id))
	return lostItemOf(row), err
}

// moveLostItem moves a locked thing.
func moveLostItem(ctx context.Context, q *sqlcgen.Queries, i nexus.LostItem, to nexus.LostStatus, claimant nexus.UserID) (nexus.LostItem, error) {
	if err := i.Status.To(to); err != nil {
		return i, err
	}
	i.Status, i.ClaimedBy = to, claimant
	var by *string
	if claimant != "" {
		by = (*string)(&claimant)
	}
	return i, q.MoveLostItem(ctx, string(to), by, string(i.ID))
}

func lostItemOf(r sqlcgen.LostItemView) nexus.LostItem {
	i := nexus.LostItem{
		ID: nexus.LostItemID(r.ID), ReporterID: nexus.UserID(r.ReporterID), Reporter: nexus.Somebody{Name: r.ReporterName, Avatar: r.ReporterAvatar}, Kind: r.Kind,
		Title: r.Title, Description: r.Description, Place: r.Place, SeenAt: r.SeenAt, Detail: r.Secret, Status: nexus.LostStatus(r.Status), CreatedAt: r.CreatedAt,
	}
	if r.ClaimedBy != nil {
		i.ClaimedBy = nexus.UserID(*r.ClaimedBy)
	}
	return i
}
