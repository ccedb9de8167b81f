package pg

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// mailSummary is the event that a summary is to clients, in their stream of notices.
const mailSummary = "mail:summary"

// Orders takes orders for summaries within the transaction that causes them; jobs.Queue does.
type Orders interface {
	// Order has a summary made, once for each order. The order is durable when tx is.
	Order(ctx context.Context, tx pgx.Tx, orders []nexus.SummaryOrder) error
}

// Mail keeps the mails that people received, and what they come to.
type Mail struct {
	db     *DB
	orders Orders
}

// NewMail returns the mails in db, of which orders has summaries made.
func NewMail(db *DB, orders Orders) *Mail { return &Mail{db: db, orders: orders} }

// Recipients returns the active accounts among addresses, which are in lower case; those that are missing are nobody's.
func (s *Mail) Recipients(ctx context.Context, addresses []string) (map[string]nexus.UserID, error) {
	found := make(map[string]nexus.UserID, len(addresses))
	err := s.db.do(ctx, "look up recipients", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Recipients(ctx, addresses)
		for _, r := range rows {
			found[r.Email] = nexus.UserID(r.ID)
		}
		return err
	})
	return found, err
}

// Keep keeps a letter for people, each once, and orders its summary for each of their zones; who comes to a letter that is summed up already is told at
// once. It returns the streams of which there is news. key is what a second delivery of the letter has too. What was kept is never lost.
func (s *Mail) Keep(ctx context.Context, to []nexus.UserID, l nexus.Letter, key [32]byte) (news []string, err error) {
	err = s.db.raw(ctx, "keep mail", pgx.TxOptions{}, func(ctx context.Context, tx pgx.Tx) error {
		q := sqlcgen.New(tx)
		p := sqlcgen.AddLetterParams{
			ID: nexus.NewID(), Key: key[:], MessageID: l.MessageID, FromAddr: l.From, FromName: l.FromName, Subject: l.Subject, Body: l.Text,
		}
		if !l.SentAt.IsZero() {
			p.SentAt = &l.SentAt
		}
		if err := q.AddLetter(ctx, p); err != nil {
			return err
		}
		letter, err := q.LockLetter(ctx, key[:])
		if err != nil {
			return err
		}
		var ids, users []string
		for _, u := range to {
			ids, users = append(ids, nexus.NewID()), append(users, string(u))
		}
		added, err := q.AddMails(ctx, letter, ids, users)
		if err != nil {
			return err
		}
		news, err = s.sumUp(ctx, tx, nexus.LetterID(letter), added)
		return err
	})
	return news, err
}

// sumUp tells those whose zone has a summary, and orders the others'.
func (s *Mail) sumUp(ctx context.Context, tx pgx.Tx, letter nexus.LetterID, added []sqlcgen.AddMailsRow) (news []string, err error) {
	q := sqlcgen.New(tx)
	byZone := map[string][]sqlcgen.MailsOfLetterRow{}
	for _, r := range added {
		byZone[r.Tz] = append(byZone[r.Tz], sqlcgen.MailsOfLetterRow{ID: r.ID, UserID: r.UserID})
	}
	var orders []nexus.SummaryOrder
	for _, zone := range slices.Sorted(maps.Keys(byZone)) { // streams are locked in one order
		mails := byZone[zone]
		sum, err := summaryOf(ctx, q, string(letter), zone)
		if err != nil {
			return nil, err
		}
		if sum == nil {
			orders = append(orders, nexus.SummaryOrder{Letter: letter, TZ: zone})
			continue
		}
		told, err := tellSummary(ctx, q, mails, *sum)
		if err != nil {
			return nil, err
		}
		news = append(news, told...)
	}
	slices.SortFunc(orders, func(a, b nexus.SummaryOrder) int { return cmp.Compare(a.TZ, b.TZ) })
	if len(orders) == 0 {
		return news, nil
	}
	return news, s.orders.Order(ctx, tx, orders)
}

// summaryOf returns nil if there is none yet.
func summaryOf(ctx context.Context, q *sqlcgen.Queries, letter, zone string) (*nexus.MailSummary, error) {
	r, err := q.MailSummaryOf(ctx, letter, zone)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s := &nexus.MailSummary{
		Summary: r.Summary, Category: nexus.MailCategory(r.Category), Urgent: r.Urgent, Suspicious: r.Suspicious, Engine: r.Engine, Actions: []nexus.MailAction{},
	}
	rows, err := q.MailActionsOf(ctx, letter, zone)
	for _, a := range rows {
		s.Actions = append(s.Actions, nexus.MailAction{Text: a.Text, DueAt: a.DueAt, Evidence: a.Evidence})
	}
	return s, err
}

// summaryShown is the payload of mail:summary; the line's seq is added to it.
type summaryShown struct {
	MailID  string        `json:"mailId"`
	Summary string        `json:"summary"`
	Urgent  bool          `json:"urgent"`
	Actions []actionShown `json:"actions"`
}

type actionShown struct {
	N        int     `json:"n"`
	Text     string  `json:"text"`
	DueAt    *string `json:"dueAt"`
	Evidence string  `json:"evidence"`
}

// tellSummary lets the readers of mails have the summary in their streams.
func tellSummary(ctx context.Context, q *sqlcgen.Queries, mails []sqlcgen.MailsOfLetterRow, s nexus.MailSummary) ([]string, error) {
	shown := summaryShown{Summary: s.Summary, Urgent: s.Urgent, Actions: []actionShown{}}
	for i, a := range s.Actions {
		x := actionShown{N: i + 1, Text: a.Text, Evidence: a.Evidence}
		if a.DueAt != nil {
			due := clock(*a.DueAt)
			x.DueAt = &due
		}
		shown.Actions = append(shown.Actions, x)
	}
	lines := make([]outLine, len(mails))
	for i, m := range mails {
		shown.MailID = m.ID
		lines[i] = outLine{user: nexus.UserID(m.UserID), payload: shown}
	}
	return postEach(ctx, q, nexus.NoticeChannel, mailSummary, lines)
}

// Letter returns a letter, and when it came. NotFound if nobody has it any more.
func (s *Mail) Letter(ctx context.Context, id nexus.LetterID) (l nexus.Letter, received time.Time, err error) {
	err = s.db.do(ctx, "read letter", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.Letter(ctx, string(id))
		l = nexus.Letter{MessageID: r.MessageID, From: r.FromAddr, FromName: r.FromName, Subject: r.Subject, Text: r.Body}
		if r.SentAt != nil {
			l.SentAt = *r.SentAt
		}
		received = r.ReceivedAt
		return orNotFound(err, "letter")
	})
	return l, received, err
}

// SumUp keeps the summary that was ordered, unless there is one, and tells those who have the letter. It returns the streams of which there is news.
// NotFound if nobody has the letter any more.
func (s *Mail) SumUp(ctx context.Context, o nexus.SummaryOrder, sum nexus.MailSummary, tokens int) (news []string, err error) {
	err = s.db.tx(ctx, "keep summary", func(ctx context.Context, q *sqlcgen.Queries) error {
		news = nil
		if _, err := q.LockLetterByID(ctx, string(o.Letter)); err != nil {
			return orNotFound(err, "letter")
		}
		n, err := q.AddMailSummary(ctx, sqlcgen.AddMailSummaryParams{
			LetterID: string(o.Letter), Tz: o.TZ, Summary: sum.Summary, Category: string(sum.Category), Urgent: sum.Urgent, Suspicious: sum.Suspicious,
			Engine: sum.Engine, Tokens: int32(tokens), //nolint:gosec // a few thousand
		})
		if err != nil || n == 0 {
			return err
		}
		p := sqlcgen.AddMailActionsParams{LetterID: string(o.Letter), Tz: o.TZ}
		for i, a := range sum.Actions {
			due := time.Time{}
			if a.DueAt != nil {
				due = *a.DueAt
			}
			p.Ns, p.Texts = append(p.Ns, int16(i+1)), append(p.Texts, a.Text) //nolint:gosec // ten at most
			p.DueAts, p.Evidences = append(p.DueAts, due), append(p.Evidences, a.Evidence)
		}
		if err := q.AddMailActions(ctx, p); err != nil {
			return err
		}
		mails, err := q.MailsOfLetter(ctx, string(o.Letter), o.TZ)
		if err != nil {
			return err
		}
		news, err = tellSummary(ctx, q, mails, sum)
		return err
	})
	return news, err
}

// Mails lists somebody's mails, the newest first, or the urgent ones alone; the cursor is an id. Summaries come without actions.
func (s *Mail) Mails(ctx context.Context, user nexus.UserID, urgent bool, p nexus.Page) (nexus.List[nexus.Mail], error) {
	var list nexus.List[nexus.Mail]
	limit := limitOf(p)
	from, err := before(p)
	if err != nil {
		return list, err
	}
	err = s.db.do(ctx, "list mails", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Mails(ctx, sqlcgen.MailsParams{UserID: string(user), Before: from, Urgent: urgent, MaxRows: limit + 1})
		list = pageOf(rows, limit, func(r sqlcgen.MailsRow) nexus.Mail {
			return nexus.Mail{
				ID: nexus.MailID(r.ID), From: r.FromAddr, FromName: r.FromName, Subject: r.Subject, SentAt: r.SentAt, ReceivedAt: r.ReceivedAt,
				Summary: shortOf(r.Summary, r.Category, r.Engine, r.Urgent, r.Suspicious),
			}
		}, func(m nexus.Mail) string { return string(m.ID) })
		return err
	})
	return list, err
}

// shortOf is a summary without its actions, nil if there is none.
func shortOf(summary, category, engine *string, urgent, suspicious *bool) *nexus.MailSummary {
	if summary == nil || category == nil || engine == nil || urgent == nil || suspicious == nil {
		return nil
	}
	return &nexus.MailSummary{
		Summary: *summary, Category: nexus.MailCategory(*category), Urgent: *urgent, Suspicious: *suspicious, Engine: *engine, Actions: []nexus.MailAction{},
	}
}

// Mail returns one of somebody's with its text. NotFound for any other.
func (s *Mail) Mail(ctx context.Context, user nexus.UserID, id nexus.MailID) (nexus.MailText, error) {
	var m nexus.MailText
	err := s.db.read(ctx, "read mail", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.Mail(ctx, string(user), string(id))
		if err != nil {
			return orNotFound(err, "mail")
		}
		m = nexus.MailText{Text: r.Body, Mail: nexus.Mail{
			ID: nexus.MailID(r.ID), From: r.FromAddr, FromName: r.FromName, Subject: r.Subject, SentAt: r.SentAt, ReceivedAt: r.ReceivedAt,
		}}
		if m.Summary, err = summaryOf(ctx, q, r.LetterID, r.Tz); err != nil || m.Summary == nil {
			return err
		}
		done, err := q.MailDone(ctx, string(id))
		for _, d := range done {
			if i := int(d.N) - 1; i < len(m.Summary.Actions) {
				m.Summary.Actions[i].DoneAt = &d.DoneAt
			}
		}
		return err
	})
	return m, err
}

// DoAction notes that somebody has done the nth thing that a mail asks for, counted from 1, and returns when; a second time changes nothing. NotFound
// for what the mail does not ask for.
func (s *Mail) DoAction(ctx context.Context, user nexus.UserID, id nexus.MailID, n int) (at time.Time, err error) {
	err = s.db.do(ctx, "note what a mail asked for", func(ctx context.Context, q *sqlcgen.Queries) error {
		at, err = q.DoMailAction(ctx, string(id), string(user), int16(min(n, 1<<15-1))) //nolint:gosec // bounded
		return orNotFound(err, "action")
	})
	return at, err
}

// PurgeLetters drops the letters that nobody has any more, with what they came to.
func (s *Mail) PurgeLetters(ctx context.Context) (int64, error) {
	return s.db.purge(ctx, "purge letters", (*sqlcgen.Queries).PurgeLetters)
}
