package resttest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"nexus"
	"nexus/transport/rest"
)

// Notices keeps what people were told. It is safe for concurrent use.
type Notices struct {
	mu   sync.Mutex
	told map[nexus.UserID][]nexus.Notice
}

var _ rest.Notices = (*Notices)(nil)

// Tell tells a person.
func (n *Notices) Tell(to nexus.UserID, title string) nexus.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.told == nil {
		n.told = map[nexus.UserID][]nexus.Notice{}
	}
	x := nexus.Notice{
		ID: nexus.NewID(), User: to, Seq: int64(len(n.told[to]) + 1), Kind: "test", Priority: nexus.PriorityNormal, Title: title,
		Data: []byte(`{}`), CreatedAt: time.Now(),
	}
	n.told[to] = append(n.told[to], x)
	return x
}

// Notices lists what a person was told.
func (n *Notices) Notices(_ context.Context, user nexus.UserID, unread bool, p nexus.Page) (nexus.List[nexus.Notice], error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := nexus.List[nexus.Notice]{Items: []nexus.Notice{}}
	var after int64
	if p.After != "" {
		var err error
		if after, err = strconv.ParseInt(p.After, 10, 64); err != nil {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
	}
	for _, x := range n.told[user] {
		if x.Seq <= after || unread && x.ReadAt != nil {
			continue
		}
		if len(list.Items) == p.Limit {
			list.Next = strconv.FormatInt(list.Items[len(list.Items)-1].Seq, 10)
			break
		}
		list.Items = append(list.Items, x)
	}
	return list, nil
}

// Read notes that a person has read a notice.
func (n *Notices) Read(_ context.Context, user nexus.UserID, id string) (nexus.Notice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.told[user], func(x nexus.Notice) bool { return x.ID == id })
	if i < 0 {
		return nexus.Notice{}, nexus.Errorf(nexus.NotFound, "notification %s", id)
	}
	n.read(user, i)
	return n.told[user][i], nil
}

// ReadAll notes that a person has read all up to a seq.
func (n *Notices) ReadAll(_ context.Context, user nexus.UserID, upto int64) (read int64, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, x := range n.told[user] {
		if x.ReadAt == nil && (upto == 0 || x.Seq <= upto) {
			n.read(user, i)
			read++
		}
	}
	return read, nil
}

func (n *Notices) read(user nexus.UserID, i int) {
	if x := &n.told[user][i]; x.ReadAt == nil {
		now := time.Now()
		x.ReadAt = &now
	}
}
