package resttest

import (
	"context"
	"slices"
	"sync"
	"time"

	"nexus"
	"nexus/actors/ai"
	"nexus/transport/rest"
)

// Mail is a post office in memory: what people received, and what a summary is made of. It is safe for concurrent use.
type Mail struct {
	mu    sync.Mutex
	mails map[nexus.UserID][]nexus.MailText
	users map[string]nexus.UserID // by address
	// Raw is what was handed in.
	Raw []string
}

var (
	_ rest.Mails      = (*Mail)(nil)
	_ rest.Inbox      = (*Mail)(nil)
	_ rest.Summarizer = (*Mail)(nil)
	_ rest.Models     = (*Mail)(nil)
)

// MailHookKey is what a provider of mail signs with.
const MailHookKey = "key-of-a-provider-of-mail"

// Address gives somebody an address.
func (m *Mail) Address(address string, user nexus.UserID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users == nil {
		m.users, m.mails = map[string]nexus.UserID{}, map[nexus.UserID][]nexus.MailText{}
	}
	m.users[address] = user
}

// Recipients looks addresses up.
func (m *Mail) Recipients(_ context.Context, addresses []string) (users []nexus.UserID, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range addresses {
		if u, ok := m.users[a]; ok && !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	return users, nil
}

// Deliver keeps a mail, whose first line is its subject.
func (m *Mail) Deliver(_ context.Context, to []nexus.UserID, raw []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if string(raw) == "none" {
		return nexus.InvalidField("mail", "is no mail")
	}
	m.Raw = append(m.Raw, string(raw))
	for _, u := range to {
		m.mails[u] = append(m.mails[u], nexus.MailText{Text: string(raw), Mail: nexus.Mail{
			ID: nexus.MailID(nexus.NewID()), From: "fees@example.edu", Subject: "Fees", ReceivedAt: time.Now(),
			Summary: &nexus.MailSummary{Summary: "Fees are due.", Category: nexus.MailAdmin, Urgent: true, Engine: nexus.EngineLocal, Actions: []nexus.MailAction{{Text: "Pay", Evidence: "Pay"}}},
		}})
	}
	return nil
}

// Mails lists somebody's.
func (m *Mail) Mails(_ context.Context, user nexus.UserID, urgent bool, p nexus.Page) (nexus.List[nexus.Mail], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := nexus.List[nexus.Mail]{Items: []nexus.Mail{}}
	for _, x := range slices.Backward(m.mails[user]) {
		if urgent && !x.Summary.Urgent || p.After != "" && string(x.ID) >= p.After {
			continue
		}
		if len(list.Items) == p.Limit {
			list.Next = string(list.Items[len(list.Items)-1].ID)
			break
		}
		list.Items = append(list.Items, x.Mail)
	}
	return list, nil
}

// Mail returns one of somebody's.
func (m *Mail) Mail(_ context.Context, user nexus.UserID, id nexus.MailID) (nexus.MailText, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, x := range m.mails[user] {
		if x.ID == id {
			return x, nil
		}
	}
	return nexus.MailText{}, nexus.Errorf(nexus.NotFound, "mail %s", id)
}

// DoAction notes that something was done.
func (m *Mail) DoAction(ctx context.Context, user nexus.UserID, id nexus.MailID, n int) (time.Time, error) {
	x, err := m.Mail(ctx, user, id)
	if err != nil || n > len(x.Summary.Actions) {
		return time.Time{}, nexus.Errorf(nexus.NotFound, "action %d", n)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &x.Summary.Actions[n-1]
	if a.DoneAt == nil {
		now := time.Now()
		a.DoneAt = &now
	}
	return *a.DoneAt, nil
}

// Now sums a letter up by its first words, and says in which zone.
func (m *Mail) Now(_ context.Context, l nexus.Letter, _ time.Time, zone *time.Location) nexus.MailSummary {
	return nexus.MailSummary{Summary: l.Subject + " in " + zone.String(), Category: nexus.MailOther, Engine: nexus.EngineLocal, Actions: []nexus.MailAction{}}
}

// Report says that there is no model.
func (m *Mail) Report(context.Context) (ai.Report, error) {
	return ai.Report{Budgets: []ai.BudgetReport{}, Jobs: map[string]int64{"available": 2}}, nil
}
