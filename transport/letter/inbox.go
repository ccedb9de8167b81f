package letter

import (
	"context"
	"strings"
	"time"

	"nexus"
)

// Store keeps mails; pg.Mail is one.
type Store interface {
	// Recipients returns the active accounts among addresses, which are in lower case.
	Recipients(ctx context.Context, addresses []string) (map[string]nexus.UserID, error)
	// Keep keeps a letter for people, each once, and returns the streams of which there is news. It is durable when it returns.
	Keep(ctx context.Context, to []nexus.UserID, l nexus.Letter, key [32]byte) (news []string, err error)
}

// Inbox takes mails for the people of a campus, and for nobody else.
type Inbox struct {
	Store Store
	News  func(streams ...string)
}

// deliverWithin bounds one delivery.
const deliverWithin = 10 * time.Second

// Recipient returns whose an address is. What is behind a + in it is the owner's own affair. NotFound for nobody's.
func (i Inbox) Recipient(ctx context.Context, address string) (nexus.UserID, error) {
	found, err := i.Recipients(ctx, []string{address})
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", nexus.Errorf(nexus.NotFound, "nobody here has this address")
	}
	return found[0], nil
}

// Recipients returns whose the addresses are, each account once; those of nobody are left out.
func (i Inbox) Recipients(ctx context.Context, addresses []string) ([]nexus.UserID, error) {
	ctx, cancel := context.WithTimeout(ctx, deliverWithin)
	defer cancel()
	var asked []string
	for _, a := range addresses {
		a = strings.ToLower(strings.TrimSpace(a))
		asked = append(asked, a, owner(a))
	}
	found, err := i.Store.Recipients(ctx, asked)
	var users []nexus.UserID
	seen := map[nexus.UserID]bool{}
	for _, a := range addresses {
		a = strings.ToLower(strings.TrimSpace(a))
		u, there := found[a]
		if !there {
			u, there = found[owner(a)]
		}
		if there && !seen[u] {
			seen[u] = true
			users = append(users, u)
		}
	}
	return users, err
}

// owner is an address without what is behind a + in it, which is the owner's own affair.
func owner(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	base, _, _ := strings.Cut(local, "+")
	return base + "@" + domain
}

// Deliver keeps a mail for people. It is durable when it returns, and may be repeated. Its errors are those of Parse and of the store.
func (i Inbox) Deliver(ctx context.Context, to []nexus.UserID, raw []byte) error {
	l, err := Parse(raw)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, deliverWithin)
	defer cancel()
	news, err := i.Store.Keep(ctx, to, l, Key(l, time.Now()))
	if err == nil && len(news) > 0 {
		i.News(news...)
	}
	return err
}
