package pg

import (
	"context"
	"slices"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// User returns an account. NotFound if there is none.
func (s *Identity) User(ctx context.Context, id nexus.UserID) (nexus.User, error) {
	var u nexus.User
	err := s.db.do(ctx, "read account", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		u, err = user(ctx, q, id)
		return err
	})
	return u, err
}

// Users lists accounts whose name, e-mail address or registration number contains query, whatever the
// case, in order of id, which is the cursor.
func (s *Identity) Users(ctx context.Context, query string, p nexus.Page) (nexus.List[nexus.User], error) {
	var list nexus.List[nexus.User]
	var after *string
	if p.After != "" {
		if !nexus.ValidID(p.After) {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
		after = &p.After
	}
	limit := limitOf(p)
	err := s.db.do(ctx, "list accounts", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Users(ctx, after, query, limit+1)
		list = pageOf(rows, limit, userOf, func(u nexus.User) string { return string(u.ID) })
		return err
	})
	return list, err
}

// record is an account and its office data, as the audit log keeps them.
type record struct {
	nexus.User
	Course   string `json:"course"`
	Semester int    `json:"semester"`
	Hostel   string `json:"hostel"`
	Room     string `json:"room"`
	Warden   string `json:"warden"`
}

// lockedRecord reads both and keeps others from changing them until the transaction ends.
func lockedRecord(ctx context.Context, q *sqlcgen.Queries, id nexus.UserID) (record, error) {
	if _, err := q.LockUser(ctx, string(id)); err != nil {
		return record{}, orNotFound(err, "account")
	}
	u, err := user(ctx, q, id)
	if err != nil {
		return record{}, err
	}
	p, err := lockedProfile(ctx, q, id)
	return record{User: u, Course: p.Course, Semester: p.Semester, Hostel: p.Hostel, Room: p.Room, Warden: p.Warden}, err
}

// ChangeUser changes the account's status or its office data. The status becomes active or
// suspended; Conflict for an erased account, and for suspending the last active administrator.
func (s *Identity) ChangeUser(ctx context.Context, by nexus.Caller, id nexus.UserID, version int64, c nexus.UserChange) (nexus.User, error) {
	return mutate(ctx, s.db, "change account", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.User, error) {
		if err := q.LockAdmins(ctx); err != nil {
			return nexus.User{}, err
		}
		before, err := lockedRecord(ctx, q, id)
		if err != nil {
			return nexus.User{}, err
		}
		if err := allowed(before.User, version, c); err != nil {
			return nexus.User{}, err
		}
		if err := change(ctx, q, before.User, c); err != nil {
			return nexus.User{}, err
		}
		after, err := lockedRecord(ctx, q, id)
		if err != nil {
			return nexus.User{}, err
		}
		return after.User, audit(ctx, q, by, "user.change", "user", string(id), before, after)
	})
}

func allowed(u nexus.User, version int64, c nexus.UserChange) error {
	switch {
	case u.Status == nexus.Erased:
		return nexus.Errorf(nexus.Conflict, "the account is erased")
	case c.Status != nil && *c.Status != nexus.Active && *c.Status != nexus.Suspended:
		return nexus.InvalidField("status", "becomes %s or %s", nexus.Active, nexus.Suspended)
	case c.Semester != nil && (*c.Semester < 0 || *c.Semester > 40):
		return nexus.InvalidField("semester", "is out of range")
	}
	return stale(version, u.Version)
}

func change(ctx context.Context, q *sqlcgen.Queries, u nexus.User, c nexus.UserChange) error {
	id := string(u.ID)
	account := sqlcgen.TouchUserParams{ID: id, Status: c.Status, SetRegNo: c.RegNo != nil}
	if c.RegNo != nil {
		account.RegNo = *c.RegNo
	}
	if c.Status != nil && *c.Status == nexus.Suspended && u.Status != nexus.Suspended {
		if err := notLastAdmin(ctx, q, u); err != nil {
			return err
		}
		if _, err := q.RevokeSessions(ctx, id, nil); err != nil {
			return err
		}
		account.Kill = 1
	}
	if err := q.TouchUser(ctx, account); err != nil {
		return err
	}
	office := sqlcgen.ChangeOfficeDataParams{
		UserID: id, FullName: c.Name, Department: c.Department, Course: c.Course, Hostel: c.Hostel, Room: c.Room, Warden: c.Warden,
	}
	if c.Semester != nil {
		n := int16(*c.Semester)
		office.Semester = &n
	}
	return q.ChangeOfficeData(ctx, office)
}

// SetRoles replaces the roles, at least one, and moves the token epoch, so that old tokens die.
func (s *Identity) SetRoles(ctx context.Context, by nexus.Caller, id nexus.UserID, roles []nexus.Role) (nexus.User, error) {
	return mutate(ctx, s.db, "set roles", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.User, error) {
		if len(roles) == 0 {
			return nexus.User{}, nexus.InvalidField("roles", "an account has at least one")
		}
		if err := q.LockAdmins(ctx); err != nil {
			return nexus.User{}, err
		}
		before, err := lockedRecord(ctx, q, id)
		if err != nil {
			return nexus.User{}, err
		}
		if !slices.Contains(roles, nexus.Admin) {
			if err := notLastAdmin(ctx, q, before.User); err != nil {
				return nexus.User{}, err
			}
		}
		if err := q.DeleteRoles(ctx, string(id)); err != nil {
			return nexus.User{}, err
		}
		if err := q.InsertRoles(ctx, string(id), texts(roles)); err != nil {
			return nexus.User{}, err
		}
		if err := q.TouchUser(ctx, sqlcgen.TouchUserParams{ID: string(id), Kill: 1}); err != nil {
			return nexus.User{}, err
		}
		after, err := user(ctx, q, id)
		if err != nil {
			return nexus.User{}, err
		}
		return after, audit(ctx, q, by, "user.roles", "user", string(id), before.Roles, after.Roles)
	})
}

// notLastAdmin fails if u is an active administrator and nobody else is.
func notLastAdmin(ctx context.Context, q *sqlcgen.Queries, u nexus.User) error {
	if u.Status != nexus.Active || !slices.Contains(u.Roles, nexus.Admin) {
		return nil
	}
	others, err := q.OtherAdmins(ctx, string(u.ID))
	if err == nil && others == 0 {
		err = nexus.Errorf(nexus.Conflict, "this is the last active administrator")
	}
	return err
}
