package auth

import (
	"context"
	"time"

	"nexus"
)

// Reasons why sockets are closed.
const (
	ReasonLogout   = "logout"
	ReasonRevoked  = "login revoked"
	ReasonReused   = "refresh token reused"
	ReasonPassword = "password changed"
	ReasonRoles    = "roles changed"
	ReasonAccount  = "account changed"
)

// Logout ends the caller's login, or the one that a refresh token belongs to. Nothing to end is no error.
func (s *Service) Logout(ctx context.Context, by nexus.Caller, refresh string) error {
	user, session := by.User, by.Session
	if session == "" {
		if refresh == "" {
			return nil
		}
		_, next := newRefresh(remembers(refresh), time.Now())
		l, c, err := s.Logins.Rotate(ctx, hashOf(refresh), next, lifeOf(refresh))
		switch nexus.CodeOf(err) {
		case "":
		case nexus.TokenReused: // ended by this
			s.Ended(ctx, c.User.ID, l.ID, ReasonReused)
			return nil
		case nexus.Unauthenticated: // ended already
			return nil
		default:
			return err
		}
		user, session, by.User = c.User.ID, l.ID, c.User.ID
	}
	err := s.Logins.Revoke(ctx, by, user, session)
	if err != nil && nexus.CodeOf(err) != nexus.NotFound {
		return err
	}
	s.Ended(ctx, user, session, ReasonLogout)
	return nil
}

// Account returns an account as it is now.
func (s *Service) Account(ctx context.Context, id nexus.UserID) (nexus.User, error) {
	c, err := s.Accounts.ByID(ctx, id)
	return c.User, err
}

// Sessions returns the caller's living logins, the last used first.
func (s *Service) Sessions(ctx context.Context, by nexus.Caller) ([]nexus.Login, error) {
	return s.Logins.List(ctx, by.User)
}

// Revoke ends one of the caller's logins. NotFound for anybody else's.
func (s *Service) Revoke(ctx context.Context, by nexus.Caller, id nexus.SessionID) error {
	if err := s.Logins.Revoke(ctx, by, by.User, id); err != nil {
		return err
	}
	s.Ended(ctx, by.User, id, ReasonRevoked)
	return nil
}

// ChangePassword replaces the caller's password and ends every other login. It returns a new access token: the
// old one died with the password. Invalid, naming the field, for a wrong current password.
func (s *Service) ChangePassword(ctx context.Context, by nexus.Caller, current, next string) (Tokens, error) {
	c, err := s.Accounts.ByID(ctx, by.User)
	if err != nil {
		return Tokens{}, err
	}
	if err := CheckPassword("newPassword", next, c.User.Email); err != nil {
		return Tokens{}, err
	}
	if err := s.confirm(ctx, by, c, "currentPassword", current); err != nil {
		return Tokens{}, err
	}
	hash, err := s.hasher.hash(ctx, next)
	if err != nil {
		return Tokens{}, err
	}
	if err := s.Accounts.SetPassword(ctx, by, by.User, hash); err != nil {
		return Tokens{}, err
	}
	s.Ended(ctx, by.User, "", ReasonPassword)
	if c, err = s.Accounts.ByID(ctx, by.User); err != nil {
		return Tokens{}, err
	}
	return s.issue(c, by.Session, "", time.Time{})
}

// confirm checks the caller's own password, as throttled as a login. Invalid, naming the field, for a wrong one.
func (s *Service) confirm(ctx context.Context, by nexus.Caller, c nexus.Credentials, field, password string) error {
	_, err := s.checkLogin(ctx, by, Attempt{Identifier: c.User.Email, Password: password})
	if nexus.CodeOf(err) == nexus.Unauthenticated {
		return nexus.InvalidField(field, "is wrong")
	}
	return err
}
