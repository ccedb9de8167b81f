package pg_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// orders is what was ordered; err is what the next order fails with.
type orders struct {
	all []nexus.SummaryOrder
	err error
}

func (o *orders) Order(_ context.Context, _ pgx.Tx, more []nexus.SummaryOrder) error {
	o.all = append(o.all, more...)
	return o.err
}

// post office: a campus with mails.
type postOffice struct {
	*testing.T
	db     *pg.DB
	orders *orders
	mail   *pg.Mail
	people []nexus.UserID
}

func newPostOffice(t *testing.T, people int) *postOffice {
	t.Helper()
	p := &postOffice{T: t, db: pgfix.DB(t), orders: &orders{}}
	p.mail = pg.NewMail(p.db, p.orders)
	p.people = pgfix.Users(t, p.db, "s", nexus.Student, people)
	return p
}

var (
	feeMail = nexus.Letter{
		MessageID: "1@campus.test", From: "fees@campus.test", FromName: "Fee office", Subject: "Fees", SentAt: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC),
		Text: "Pay your fees by 30 November.",
	}
	due        = time.Date(2026, 11, 30, 18, 29, 0, 0, time.UTC)
	feeSummary = nexus.MailSummary{
		Summary: "Fees are due by 30 November.", Category: nexus.MailAdmin, Urgent: true, Engine: nexus.EngineLocal,
		Actions: []nexus.MailAction{{Text: "Pay your fees", DueAt: &due, Evidence: "Pay your fees by 30 November."}, {Text: "x", Evidence: "Fees"}},
	}
)

func (p *postOffice) keep(l nexus.Letter, to ...nexus.UserID) []string {
	p.Helper()
	news, err := p.mail.Keep(p.Context(), to, l, sha256.Sum256([]byte(l.Subject+l.Text)))
	ok(p.T, err)
	return news
}

// TestALetterIsKeptOnceAndSummedUpOnceForEachZone, and everybody is told once.
func TestALetterIsKeptOnceAndSummedUpOnceForEachZone(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, 4)
	exec(t, p.db.Pool(), `update profile set tz = 'Asia/Kolkata' where user_id = $1`, string(p.people[2]))
	if news := p.keep(feeMail, p.people[0], p.people[2]); len(news) != 0 || len(p.orders.all) != 2 {
		t.Fatalf("news %v, orders %v", news, p.orders.all)
	}
	p.keep(feeMail, p.people[0], p.people[2]) // the sender tries again
	p.keep(feeMail, p.people[1])              // and has one more reader: it is for River to know that this was ordered
	if n := count(t, p.db.Pool(), `select count(*) from mail`); n != 3 || len(p.orders.all) != 3 || p.orders.all[2] != p.orders.all[1] {
		t.Fatalf("%d mails, orders %v", n, p.orders.all)
	}
	india, utc := p.orders.all[0], p.orders.all[1]
	if india.TZ != "Asia/Kolkata" || utc.TZ != "UTC" || india.Letter != utc.Letter {
		t.Fatalf("%v", p.orders.all)
	}
	l, received, err := p.mail.Letter(t.Context(), utc.Letter)
	ok(t, err)
	if d := cmp.Diff(feeMail, l); d != "" || received.IsZero() {
		t.Error(d)
	}
	for i, want := range []int{2, 0} { // the second changes nothing
		news, err := p.mail.SumUp(t.Context(), utc, feeSummary, 100)
		if err != nil || len(news) != want {
			t.Errorf("%d: %v %v", i, news, err)
		}
	}
	if news := p.keep(feeMail, p.people[3]); !slices.Equal(news, []string{nexus.OutboxStream(nexus.NoticeChannel, p.people[3])}) {
		t.Errorf("who comes later is told %v", news)
	}
	if n := count(t, p.db.Pool(), `select count(*) from outbox_line where event = 'mail:summary' and payload->>'summary' = $1
		and payload->'actions'->0->>'dueAt' = '2026-11-30T18:29:00.000Z'`, feeSummary.Summary); n != 3 {
		t.Errorf("%d are told", n)
	}
	exec(t, p.db.Pool(), `update mail_letter set received_at = now() - interval '2 hours'`)
	for i, want := range []int64{0, 1} {
		if n, err := p.mail.PurgeLetters(t.Context()); err != nil || n != want {
			t.Errorf("%d: %d letters dropped, %v", i, n, err)
		}
		exec(t, p.db.Pool(), `delete from mail`) // their readers are gone
	}
	_, err = p.mail.SumUp(t.Context(), nexus.SummaryOrder{Letter: nexus.LetterID(nexus.NewID()), TZ: "UTC"}, feeSummary, 0)
	code(t, err, nexus.NotFound)
}

// TestAMailIsItsReadersAlone.
func TestAMailIsItsReadersAlone(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, 2)
	me, other := p.people[0], p.people[1]
	p.keep(feeMail, me)
	party := feeMail
	party.Subject, party.Text, party.SentAt = "Party", "Come.", time.Time{}
	p.keep(party, me)
	_, err := p.mail.SumUp(t.Context(), p.orders.all[0], feeSummary, 0)
	ok(t, err)
	list, err := p.mail.Mails(t.Context(), me, false, nexus.Page{Limit: 1})
	ok(t, err)
	if len(list.Items) != 1 || list.Items[0].Subject != "Party" || list.Items[0].Summary != nil || list.Items[0].SentAt != nil || list.Next == "" {
		t.Fatalf("%+v", list)
	}
	list, err = p.mail.Mails(t.Context(), me, false, nexus.Page{Limit: 1, After: list.Next})
	ok(t, err)
	if len(list.Items) != 1 || list.Items[0].Summary == nil || list.Next != "" {
		t.Fatalf("%+v", list)
	}
	id := list.Items[0].ID
	if urgent, err := p.mail.Mails(t.Context(), me, true, nexus.Page{}); err != nil || len(urgent.Items) != 1 || urgent.Items[0].ID != id {
		t.Errorf("%+v %v", urgent, err)
	}
	if nobody, err := p.mail.Mails(t.Context(), other, false, nexus.Page{}); err != nil || len(nobody.Items) != 0 {
		t.Errorf("%+v %v", nobody, err)
	}
	first, err := p.mail.DoAction(t.Context(), me, id, 1)
	ok(t, err)
	again, err := p.mail.DoAction(t.Context(), me, id, 1)
	ok(t, err)
	if !again.Equal(first) {
		t.Errorf("%v and then %v", first, again)
	}
	m, err := p.mail.Mail(t.Context(), me, id)
	ok(t, err)
	want := feeSummary
	want.Actions = slices.Clone(want.Actions)
	want.Actions[0].DoneAt = &first
	if d := cmp.Diff(&want, m.Summary); d != "" || m.Text != feeMail.Text {
		t.Errorf("%s", d)
	}
	for what, call := range map[string]func() error{
		"another's mail":    func() error { _, err := p.mail.Mail(t.Context(), other, id); return err },
		"another's action":  func() error { _, err := p.mail.DoAction(t.Context(), other, id, 1); return err },
		"no such action":    func() error { _, err := p.mail.DoAction(t.Context(), me, id, 3); return err },
		"far too many":      func() error { _, err := p.mail.DoAction(t.Context(), me, id, 1<<40); return err },
		"no mail":           func() error { _, err := p.mail.Mail(t.Context(), me, nexus.MailID(nexus.NewID())); return err },
		"a mail without it": func() error { _, err := p.mail.DoAction(t.Context(), me, nexus.MailID(nexus.NewID()), 1); return err },
	} {
		if err := call(); nexus.CodeOf(err) != nexus.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = p.mail.Mails(t.Context(), me, false, nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
}

// TestAMailThatCannotBeOrderedIsNotKept: its sender tries again.
func TestAMailThatCannotBeOrderedIsNotKept(t *testing.T) {
	t.Parallel()
	p := newPostOffice(t, 1)
	p.orders.err = errors.New("no queue")
	if _, err := p.mail.Keep(t.Context(), p.people, feeMail, sha256.Sum256(nil)); err == nil {
		t.Error("kept")
	}
	if n := count(t, p.db.Pool(), `select count(*) from mail_letter`); n != 0 {
		t.Errorf("%d letters", n)
	}
	found, err := p.mail.Recipients(t.Context(), []string{"s1@campus.example", "nobody@campus.example"})
	if err != nil || len(found) != 1 || found["s1@campus.example"] != p.people[0] {
		t.Errorf("%v %v", found, err)
	}
	exec(t, p.db.Pool(), `update app_user set status = 'suspended'`)
	if found, err := p.mail.Recipients(t.Context(), []string{"s1@campus.example"}); err != nil || len(found) != 0 {
		t.Errorf("%v %v", found, err)
	}
}
