package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// ByLogin finds an account by e-mail address or registration number, whatever their case. Where
// one person's registration number is another's address, the address counts.
func (s *Identity) ByLogin(ctx context.Context, identifier string) (nexus.Credentials, error) {
	var c nexus.Credentials
	err := s.db.do(ctx, "find account", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.CredentialsByLogin(ctx, identifier)
		c = credentialsOf(row.UserView, row.PasswordHash, row.TokenEpoch)
		return orNotFound(err, "account")
	})
	return c, err
}

// ByID finds an account by its id. NotFound if there is none.
func (s *Identity) ByID(ctx context.Context, id nexus.UserID) (nexus.Credentials, error) {
	var c nexus.Credentials
	err := s.db.do(ctx, "find account", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		c, err = credentials(ctx, q, id)
		return err
	})
	return c, err
}

func credentials(ctx context.Context, q *sqlcgen.Queries, id nexus.UserID) (nexus.Credentials, error) {
	row, err := q.CredentialsByID(ctx, string(id))
	if err != nil {
		return nexus.Credentials{}, orNotFound(err, "account")
	}
	return credentialsOf(row.UserView, row.PasswordHash, row.TokenEpoch), nil
}

// Create makes an account and its profile. The address is kept as it is given; a registration
// number is optional, at least one role is not.
func (s *Identity) Create(ctx context.Context, by nexus.Caller, a nexus.NewAccount) (nexus.User, error) {
	return mutate(ctx, s.db, "create account", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.User, error) {
		if len(a.Roles) == 0 {
			return nexus.User{}, nexus.InvalidField("roles", "an account has at least one")
		}
		id := nexus.NewID()
		err := q.InsertUser(ctx, sqlcgen.InsertUserParams{ID: id, Email: a.Email, RegNo: a.RegNo, PasswordHash: a.PasswordHash})
		if err != nil {
			return nexus.User{}, err
		}
		if err := q.InsertProfile(ctx, id, a.Name); err != nil {
			return nexus.User{}, err
		}
		if err := q.InsertRoles(ctx, id, texts(a.Roles)); err != nil {
			return nexus.User{}, err
		}
		u, err := user(ctx, q, nexus.UserID(id))
		if err != nil {
			return nexus.User{}, err
		}
		return u, audit(ctx, q, by, "user.create", "user", id, nil, u)
	})
}

// SetPassword replaces the password, moves the token epoch and revokes every login but the caller's
// own, which stays only if the caller changes their own password.
func (s *Identity) SetPassword(ctx context.Context, by nexus.Caller, id nexus.UserID, hash string) error {
	_, err := mutate(ctx, s.db, "set password", by, func(ctx context.Context, q *sqlcgen.Queries) (struct{}, error) {
		var done struct{}
		if _, err := q.LockUser(ctx, string(id)); err != nil {
			return done, orNotFound(err, "account")
		}
		if err := q.SetPasswordHash(ctx, &hash, string(id)); err != nil {
			return done, err
		}
		var own *string
		if by.User == id && by.Session != "" {
			session := string(by.Session)
			own = &session
		}
		if _, err := q.RevokeSessions(ctx, string(id), own); err != nil {
			return done, err
		}
		return done, audit(ctx, q, by, "user.password", "user", string(id), nil, nil)
	})
	return err
}

// Rehash puts another hash of the same password in the place of old, unless that has changed meanwhile.
func (s *Identity) Rehash(ctx context.Context, id nexus.UserID, old, hash string) error {
	return s.db.do(ctx, "hash a password anew", func(ctx context.Context, q *sqlcgen.Queries) error {
		return q.Rehash(ctx, &hash, string(id), &old)
	})
}

func user(ctx context.Context, q *sqlcgen.Queries, id nexus.UserID) (nexus.User, error) {
	row, err := q.UserByID(ctx, string(id))
	if err != nil {
		return nexus.User{}, orNotFound(err, "account")
	}
	return userOf(row), nil
}
