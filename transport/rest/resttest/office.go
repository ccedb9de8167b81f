package resttest

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"nexus"
)

// User returns an account.
func (m *Memory) User(ctx context.Context, id nexus.UserID) (nexus.User, error) {
	c, err := m.ByID(ctx, id)
	return c.User, err
}

// Users lists accounts in order of id.
func (m *Memory) Users(_ context.Context, query string, p nexus.Page) (nexus.List[nexus.User], error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.List[nexus.User]{}, err
	}
	var us []nexus.User
	for _, a := range m.accounts {
		u := a.User
		found := strings.Contains(strings.ToLower(u.Name+"\n"+u.Email+"\n"+u.RegNo), strings.ToLower(query))
		if found && string(u.ID) > p.After {
			us = append(us, u)
		}
	}
	slices.SortFunc(us, func(a, b nexus.User) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return cut(us, p.Limit, func(u nexus.User) string { return string(u.ID) }), nil
}

func cut[T any](items []T, limit int, cursor func(T) string) nexus.List[T] {
	if len(items) <= limit {
		return nexus.List[T]{Items: items}
	}
	return nexus.List[T]{Items: items[:limit], Next: cursor(items[limit-1])}
}

// ChangeUser changes an account; suspending ends its logins.
func (m *Memory) ChangeUser(_ context.Context, by nexus.Caller, id nexus.UserID, version int64, c nexus.UserChange) (nexus.User, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.User{}, err
	}
	a, err := m.account(id)
	switch {
	case err != nil:
		return nexus.User{}, err
	case version != 0 && version != a.User.Version:
		return nexus.User{}, nexus.Errorf(nexus.Stale, "the account has changed")
	}
	if c.Status != nil && *c.Status != nexus.Active {
		a.TokenEpoch++
		m.revokeAll(id, "")
	}
	set(&a.User.Status, c.Status)
	set(&a.User.Name, c.Name)
	set(&a.User.RegNo, c.RegNo)
	set(&a.User.Department, c.Department)
	set(&a.profile.Course, c.Course)
	set(&a.profile.Semester, c.Semester)
	set(&a.profile.Hostel, c.Hostel)
	set(&a.profile.Room, c.Room)
	set(&a.profile.Warden, c.Warden)
	a.User.Version++
	m.note(by, "user.change")
	return a.User, nil
}

// SetRoles replaces the roles; one active administrator always remains.
func (m *Memory) SetRoles(_ context.Context, by nexus.Caller, id nexus.UserID, roles []nexus.Role) (nexus.User, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.User{}, err
	}
	a, err := m.account(id)
	if err != nil {
		return nexus.User{}, err
	}
	others := 0
	for _, o := range m.accounts {
		if o != a && o.User.Status == nexus.Active && slices.Contains(o.User.Roles, nexus.Admin) {
			others++
		}
	}
	if others == 0 && !slices.Contains(roles, nexus.Admin) {
		return nexus.User{}, nexus.Errorf(nexus.Conflict, "the campus needs an administrator")
	}
	a.User.Roles = slices.Clone(roles)
	a.TokenEpoch++
	a.User.Version++
	m.note(by, "user.roles")
	return a.User, nil
}

// Entries lists the log, the newest first.
func (m *Memory) Entries(_ context.Context, f nexus.AuditFilter, p nexus.Page) (nexus.List[nexus.AuditEntry], error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.List[nexus.AuditEntry]{}, err
	}
	after, _ := strconv.ParseInt(p.After, 10, 64)
	var es []nexus.AuditEntry
	for _, e := range slices.Backward(m.log) {
		if (after == 0 || e.Seq < after) && (f.Action == "" || f.Action == e.Action) && (f.Actor == "" || f.Actor == e.Actor) {
			es = append(es, e)
		}
	}
	return cut(es, p.Limit, func(e nexus.AuditEntry) string { return strconv.FormatInt(e.Seq, 10) }), nil
}

// Verify finds every entry sound.
func (m *Memory) Verify(context.Context) (entries, firstBad int64, err error) {
	end, err := m.begin()
	defer end()
	return int64(len(m.log)), 0, err
}
