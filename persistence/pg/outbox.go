package pg

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// post adds a line to the stream that each of the users has in a channel, within the caller's transaction, and returns the streams, of
// which there is news once it is committed. payload is encoded to a JSON object; clients find the line's seq added to it.
// Streams stay locked until the transaction ends: what takes locks of its own comes before.
func post(ctx context.Context, q *sqlcgen.Queries, channel string, users []nexus.UserID, event string, payload any) ([]string, error) {
	if len(users) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", event, err)
	}
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = string(u)
	}
	rows, err := q.BumpOutbox(ctx, channel, ids)
	if err != nil {
		return nil, err
	}
	lines := sqlcgen.AddOutboxLinesParams{Event: event, Payload: text}
	for _, r := range rows {
		lines.Streams, lines.Seqs = append(lines.Streams, r.Stream), append(lines.Seqs, r.LastSeq)
	}
	return lines.Streams, q.AddOutboxLines(ctx, lines)
}

// noticeEvent is the event that a notice is to clients.
const noticeEvent = "notification"

// tell notifies people within the caller's transaction, each dedupe key once, and returns the streams of which there is news once it
// is committed. Ids and times are filled in. Its locks are taken as those of post, after which it comes.
func tell(ctx context.Context, q *sqlcgen.Queries, notices []nexus.Notice) (streams []string, err error) {
	notices = slices.Clone(notices)
	slices.SortStableFunc(notices, func(a, b nexus.Notice) int { return cmp.Compare(a.User, b.User) })
	for _, n := range notices {
		stream, err := tellOne(ctx, q, n)
		if err != nil {
			return nil, err
		}
		if stream != "" {
			streams = append(streams, stream)
		}
	}
	return streams, nil
}

// clock is a time as clients see it.
func clock(at time.Time) string { return at.UTC().Format(nexus.TimeLayout) }

// tellOne returns "" if the person has been told before.
func tellOne(ctx context.Context, q *sqlcgen.Queries, n nexus.Notice) (string, error) {
	if err := q.LockOutbox(ctx, nexus.NoticeChannel, string(n.User)); err != nil {
		return "", err
	}
	if n.Dedupe != "" {
		if told, err := q.NoticeTold(ctx, string(n.User), n.Dedupe); err != nil || told {
			return "", err
		}
	}
	rows, err := q.BumpOutbox(ctx, nexus.NoticeChannel, []string{string(n.User)})
	if err != nil {
		return "", err
	}
	n.ID, n.Seq, n.CreatedAt = nexus.NewID(), rows[0].LastSeq, time.Now().UTC().Truncate(time.Millisecond)
	if n.Data == nil {
		n.Data = json.RawMessage("{}")
	}
	if err := q.AddNotice(ctx, sqlcgen.AddNoticeParams{
		ID: n.ID, UserID: string(n.User), Seq: n.Seq, Kind: n.Kind, Priority: string(n.Priority), Title: n.Title, Body: n.Body,
		Data: n.Data, DedupeKey: n.Dedupe, CreatedAt: n.CreatedAt,
	}); err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		nexus.Notice
		CreatedAt string `json:"createdAt"`
	}{n, clock(n.CreatedAt)})
	if err != nil {
		return "", fmt.Errorf("encode a notice: %w", err)
	}
	return rows[0].Stream, q.AddOutboxLines(ctx, sqlcgen.AddOutboxLinesParams{
		Streams: []string{rows[0].Stream}, Seqs: []int64{n.Seq}, Event: noticeEvent, Payload: text,
	})
}
