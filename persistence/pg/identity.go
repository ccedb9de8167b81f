package pg

import (
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Identity keeps accounts and what hangs on them: roles, profiles, contacts, logins; and the keys of
// devices. Its methods are in accounts.go, logins.go, keys.go, profiles.go and office.go.
type Identity struct{ db *DB }

// NewIdentity returns the identity store in db.
func NewIdentity(db *DB) *Identity { return &Identity{db: db} }

func noSuch(what string) error { return nexus.Errorf(nexus.NotFound, "no such %s", what) }

// orNotFound turns the absence of a row into NotFound.
func orNotFound(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return noSuch(what)
	}
	return err
}

// date checks a day in the form of the contract. It is here and not left to the database, which
// takes many forms of dates and cannot name the field.
func date(name, day string) error {
	if _, err := time.Parse(time.DateOnly, day); err != nil {
		return nexus.InvalidField(name, "is no date of the form YYYY-MM-DD")
	}
	return nil
}

func userOf(v sqlcgen.UserView) nexus.User {
	return nexus.User{
		ID: nexus.UserID(v.ID), Email: v.Email, RegNo: v.RegNo, Name: v.Name, Roles: rolesOf(v.Roles), Status: v.Status,
		AvatarURL: v.AvatarUrl, Department: v.Department, CreatedAt: v.CreatedAt, Version: v.Version,
	}
}

// rolesOf lists the roles with the most powerful first.
func rolesOf(names []string) []nexus.Role {
	roles := make([]nexus.Role, 0, len(names))
	for _, r := range nexus.Roles() {
		if slices.Contains(names, string(r)) {
			roles = append(roles, r)
		}
	}
	return roles
}

func texts[T ~string](vs []T) []string {
	s := make([]string, len(vs))
	for i, v := range vs {
		s[i] = string(v)
	}
	return s
}

func credentialsOf(v sqlcgen.UserView, hash *string, epoch int32) nexus.Credentials {
	c := nexus.Credentials{User: userOf(v), TokenEpoch: int(epoch)}
	if hash != nil {
		c.PasswordHash = *hash
	}
	return c
}
