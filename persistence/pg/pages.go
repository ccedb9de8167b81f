package pg

import (
	"context"
	"strings"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Pages hands out what leaves the campus because of incidents. SOS writes it, in the transaction of the event that asks for it.
type Pages struct{ db *DB }

// NewPages returns the pages in db.
func NewPages(db *DB) *Pages { return &Pages{db: db} }

// TakePages hands out at most limit pages of a channel that are due, the longest first, each to one taker; another may have it after
// lease. Nothing is handed out of an incident that is over, or that a human answered after the page was asked for.
func (s *Pages) TakePages(ctx context.Context, channel nexus.PagedChannel, limit int, lease time.Duration) ([]nexus.OutPage, error) {
	var pages []nexus.OutPage
	err := s.db.do(ctx, "take pages", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.TakePages(ctx, string(channel), int32(min(limit, maxLimit)), lease.Seconds()) //nolint:gosec // it is bounded
		if err != nil {
			return err
		}
		pages = make([]nexus.OutPage, len(rows))
		for i, r := range rows {
			if pages[i], err = outPageOf(r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return pages, nil
}

func outPageOf(r sqlcgen.TakePagesRow) (nexus.OutPage, error) {
	p := nexus.OutPage{
		ID: r.ID, Channel: nexus.PagedChannel(r.Channel), Address: r.Address, Attempts: int(r.Attempts), Name: r.FullName, EventSeq: r.EventSeq,
	}
	if p.Channel == nexus.ChannelPush {
		p.Push = &nexus.PushSubscription{Endpoint: r.Address, P256DH: r.P256dh, Auth: r.Auth}
	}
	var err error
	p.Incident, err = incidentOf(r.SosView)
	return p, err
}

// PageSent notes that a page has left, whatever has become of its incident meanwhile.
func (s *Pages) PageSent(ctx context.Context, id string) error {
	return s.db.do(ctx, "note that a page has left", func(ctx context.Context, q *sqlcgen.Queries) error { return q.PageSent(ctx, id) })
}

// maxPageError is how much of an error is kept.
const maxPageError = 500

// PageFailed notes why a page has not left, and when to try again; 0 is never. One that has left, or
// was dropped, stays so.
func (s *Pages) PageFailed(ctx context.Context, id, why string, again time.Duration) error {
	var seconds *float64
	if again > 0 {
		n := again.Seconds()
		seconds = &n
	}
	why = strings.ReplaceAll(strings.ToValidUTF8(why, "?"), "\x00", "?") // it may quote a server
	if r := []rune(why); len(r) > maxPageError {
		why = string(r[:maxPageError])
	}
	return s.db.do(ctx, "note that a page has not left", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.PageFailed(ctx, seconds, why, id)
	})
}

// ForgetPush forgets a browser whose push service says that it is gone; one that has subscribed anew, with other keys, stays.
func (s *Pages) ForgetPush(ctx context.Context, sub nexus.PushSubscription) error {
	return s.db.do(ctx, "forget a browser", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.ForgetSubscription(ctx, sub.Endpoint, sub.P256DH, sub.Auth)
	})
}
