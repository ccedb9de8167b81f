package pg

import (
	"context"
	"encoding/json"
	"math"
	"strconv"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Notices reads what people were told. Whoever tells them writes it, in the transaction of what there is to tell.
type Notices struct{ db *DB }

// NewNotices returns the notices in db.
func NewNotices(db *DB) *Notices { return &Notices{db: db} }

// Notices lists what a person was told, the oldest first, unread alone if that is asked for. The cursor is a seq.
func (n *Notices) Notices(ctx context.Context, user nexus.UserID, unread bool, p nexus.Page) (nexus.List[nexus.Notice], error) {
	var list nexus.List[nexus.Notice]
	after, limit := int64(0), limitOf(p)
	if p.After != "" {
		var err error
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil || after < 0 {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
	}
	err := n.db.do(ctx, "list notices", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Notices(ctx, sqlcgen.NoticesParams{UserID: string(user), After: after, Unread: unread, MaxRows: limit + 1})
		list = pageOf(rows, limit, noticeOf, func(n nexus.Notice) string { return strconv.FormatInt(n.Seq, 10) })
		return err
	})
	return list, err
}

// Read notes that a person has read a notice; the first time counts. NotFound if the person was told no such thing.
func (n *Notices) Read(ctx context.Context, user nexus.UserID, id string) (nexus.Notice, error) {
	var read nexus.Notice
	err := n.db.do(ctx, "read notice", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.ReadNotice(ctx, string(user), id)
		read = noticeOf(row)
		return orNotFound(err, "notification")
	})
	return read, err
}

// ReadAll notes that a person has read all up to a seq, 0 for the newest, and says how many were unread.
func (n *Notices) ReadAll(ctx context.Context, user nexus.UserID, upto int64) (read int64, err error) {
	if upto <= 0 {
		upto = math.MaxInt64
	}
	err = n.db.do(ctx, "read notices", func(ctx context.Context, q *sqlcgen.Queries) error {
		read, err = q.ReadNotices(ctx, string(user), upto)
		return err
	})
	return read, err
}

func noticeOf(r sqlcgen.Notification) nexus.Notice {
	n := nexus.Notice{
		ID: r.ID, User: nexus.UserID(r.UserID), Seq: r.Seq, Kind: r.Kind, Priority: nexus.Priority(r.Priority), Title: r.Title, Body: r.Body,
		Data: json.RawMessage(r.Data), CreatedAt: r.CreatedAt, ReadAt: r.ReadAt,
	}
	if r.DedupeKey != nil {
		n.Dedupe = *r.DedupeKey
	}
	return n
}
