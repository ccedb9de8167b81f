package pg

import (
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
	lines := make([]outLine, 0, len(users))
	seen := map[nexus.UserID]bool{}
	for _, u := range users {
		if !seen[u] {
			seen[u] = true
			lines = append(lines, outLine{u, payload})
		}
	}
	return postEach(ctx, q, channel, event, lines)
}

// outLine is one of somebody's stream.
type outLine struct {
	user    nexus.UserID
	payload any
}

// postEach is post for lines that differ, one for each user.
func postEach(ctx context.Context, q *sqlcgen.Queries, channel, event string, lines []outLine) ([]string, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	ids, texts := make([]string, len(lines)), make(map[string]string, len(lines))
	for i, l := range lines {
		text, err := json.Marshal(l.payload)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", event, err)
		}
		ids[i], texts[string(l.user)] = string(l.user), string(text)
	}
	rows, err := q.BumpOutbox(ctx, channel, ids)
	if err != nil {
		return nil, err
	}
	p := sqlcgen.AddOutboxLinesParams{Event: event}
	for _, r := range rows {
		p.Streams, p.Seqs, p.Payloads = append(p.Streams, r.Stream), append(p.Seqs, r.LastSeq), append(p.Payloads, texts[r.UserID])
	}
	return p.Streams, q.AddOutboxLines(ctx, p)
}

// noticeEvent is the event that a notice is to clients.
const noticeEvent = "notification"

// clock is a time as clients see it.
func clock(at time.Time) string { return at.UTC().Format(nexus.TimeLayout) }

// tell notifies people within the caller's transaction, each dedupe key once, and returns the streams of which there is news once it
// is committed. Ids and times are filled in. Its locks are taken as those of post, after which it comes. However many people are told, it is a
// handful of round trips.
func tell(ctx context.Context, q *sqlcgen.Queries, notices []nexus.Notice) ([]string, error) {
	notices, err := untold(ctx, q, notices)
	if err != nil || len(notices) == 0 {
		return nil, err
	}
	rows, err := q.BumpOutbox(ctx, nexus.NoticeChannel, usersOf(notices))
	if err != nil {
		return nil, err
	}
	var streams []string
	streamOf, last := map[nexus.UserID]string{}, map[nexus.UserID]int64{}
	for _, r := range rows {
		streams = append(streams, r.Stream)
		streamOf[nexus.UserID(r.UserID)], last[nexus.UserID(r.UserID)] = r.Stream, r.LastSeq
	}
	kept := sqlcgen.AddNoticesParams{CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
	lines := sqlcgen.AddOutboxLinesParams{Event: noticeEvent}
	for _, n := range slices.Backward(notices) { // the last of each person has the last number
		n.ID, n.Seq, n.CreatedAt = nexus.NewID(), last[n.User], kept.CreatedAt
		last[n.User]--
		if n.Data == nil {
			n.Data = json.RawMessage("{}")
		}
		text, err := json.Marshal(struct {
			nexus.Notice
			CreatedAt string `json:"createdAt"`
		}{n, clock(n.CreatedAt)})
		if err != nil {
			return nil, fmt.Errorf("encode a notice: %w", err)
		}
		kept.Ids, kept.Users, kept.Seqs = append(kept.Ids, n.ID), append(kept.Users, string(n.User)), append(kept.Seqs, n.Seq)
		kept.Kinds, kept.Priorities = append(kept.Kinds, n.Kind), append(kept.Priorities, string(n.Priority))
		kept.Titles, kept.Bodies = append(kept.Titles, n.Title), append(kept.Bodies, n.Body)
		kept.Data, kept.DedupeKeys = append(kept.Data, string(n.Data)), append(kept.DedupeKeys, n.Dedupe)
		lines.Streams, lines.Seqs, lines.Payloads = append(lines.Streams, streamOf[n.User]), append(lines.Seqs, n.Seq), append(lines.Payloads, string(text))
	}
	if err := q.AddNotices(ctx, kept); err != nil {
		return nil, err
	}
	return streams, q.AddOutboxLines(ctx, lines)
}

// conclude tells and notes what a transaction did, in the order in which all take the locks of it. It returns the streams of which there is news.
func conclude(ctx context.Context, q *sqlcgen.Queries, notices []nexus.Notice, deeds ...deed) ([]string, error) {
	news, err := tell(ctx, q, notices)
	if err != nil {
		return nil, err
	}
	return news, auditAll(ctx, q, deeds)
}

// untold are the notices that people have not been told before, with their streams locked: what is found out about them holds until the
// transaction ends.
func untold(ctx context.Context, q *sqlcgen.Queries, notices []nexus.Notice) ([]nexus.Notice, error) {
	if len(notices) == 0 {
		return nil, nil
	}
	if err := q.LockOutbox(ctx, nexus.NoticeChannel, usersOf(notices)); err != nil {
		return nil, err
	}
	keys := make([]string, len(notices))
	for i, n := range notices {
		keys[i] = n.Dedupe
	}
	rows, err := q.NoticesTold(ctx, usersOf(notices), keys)
	if err != nil {
		return nil, err
	}
	told := map[sqlcgen.NoticesToldRow]bool{}
	for _, r := range rows {
		told[r] = true
	}
	return slices.DeleteFunc(slices.Clone(notices), func(n nexus.Notice) bool {
		key := sqlcgen.NoticesToldRow{UserID: string(n.User), DedupeKey: n.Dedupe}
		if n.Dedupe == "" || !told[key] {
			told[key] = true
			return false
		}
		return true
	}), nil
}

func usersOf(notices []nexus.Notice) []string {
	ids := make([]string, len(notices))
	for i, n := range notices {
		ids[i] = string(n.User)
	}
	return ids
}
