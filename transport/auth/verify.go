package auth

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"nexus"
)

var errEnded = nexus.Errorf(nexus.Unauthenticated, "this login has ended")

// Verify returns who an access token speaks for and when it runs out. Unauthenticated for a
// token that is not ours, has run out, or whose login or account has ended. A change made on
// this node counts at once, one made elsewhere within five seconds, but while the database is away: see VerifyNow.
func (s *Service) Verify(ctx context.Context, token string) (nexus.Caller, time.Time, error) {
	who, until, err := s.verify(ctx, token, s.states.get)
	if nexus.CodeOf(err) == nexus.Unavailable { // the signature counts, see the package comment
		s.Log.DebugContext(ctx, "token taken by signature alone", "user", who.User, "err", err)
		err = nil
	}
	return who, until, err
}

// VerifyNow is Verify for what takes a role: it fails with Unavailable while the database cannot say within a second that the
// login stands, and has not said so within five. A stolen token of an administrator must not gain a minute by the
// database's being slow, and hardly anything that staff do works without it anyway.
func (s *Service) VerifyNow(ctx context.Context, token string) (nexus.Caller, time.Time, error) {
	who, until, err := s.verify(ctx, token, s.states.fresh)
	if err != nil {
		return nexus.Caller{}, time.Time{}, err
	}
	return who, until, nil
}

// stateOf remembers the states of logins, or asks for them.
type stateOf func(context.Context, nexus.SessionID, func(context.Context, nexus.SessionID) (nexus.LoginState, error)) (nexus.LoginState, error)

// verify reads a token and asks state for its login. With Unavailable it returns what the token says.
func (s *Service) verify(ctx context.Context, token string, state stateOf) (nexus.Caller, time.Time, error) {
	c, err := s.tokens.read(token)
	if err != nil {
		return nexus.Caller{}, time.Time{}, err
	}
	who := nexus.Caller{User: nexus.UserID(c.Subject), Session: c.Session, Epoch: c.Epoch, Roles: c.Roles}
	err = s.stands(ctx, who, state)
	if errors.Is(err, errEnded) {
		return nexus.Caller{}, time.Time{}, errEnded
	}
	return who, c.ExpiresAt.Time, err
}

// stands returns errEnded for a caller whose login or account has ended, or whose token is of before the account was changed, and another
// error if that cannot be said.
func (s *Service) stands(ctx context.Context, who nexus.Caller, state stateOf) error {
	st, err := state(ctx, who.Session, s.Logins.State)
	switch nexus.CodeOf(err) {
	case "":
		if st.User != who.User || st.Revoked || st.Status != nexus.Active || st.TokenEpoch != who.Epoch {
			return errEnded
		}
		return nil
	case nexus.NotFound, nexus.Unauthenticated:
		return errEnded
	default:
		return err
	}
}

// Stands looks again at the login of a caller that Verify has named: Unauthenticated if it or the account has ended since. While
// the database is away it has not.
func (s *Service) Stands(ctx context.Context, who nexus.Caller) error {
	err := s.stands(ctx, who, s.states.get)
	if nexus.CodeOf(err) == nexus.Unavailable {
		return nil
	}
	return err
}

// Signed reports whether an access token is ours and has not run out. It asks nobody and grants nothing: it is for limits that
// stand before Verify.
func (s *Service) Signed(token string) bool {
	_, err := s.tokens.read(token)
	return err == nil
}

// keyPrefix marks our secrets, so that scanners find leaked ones.
const keyPrefix = "nxk_"

// VerifyKey returns the device that an API key belongs to. Unauthenticated for a key that is unknown, expired
// or revoked; Unavailable for one not seen before while the database is away.
func (s *Service) VerifyKey(ctx context.Context, secret string) (nexus.Caller, error) {
	if !strings.HasPrefix(secret, keyPrefix) || len(secret) > 100 {
		return nexus.Caller{}, nexus.Errorf(nexus.Unauthenticated, "the API key is not valid")
	}
	k, err := s.keys.get(ctx, sha256.Sum256([]byte(secret)), func(ctx context.Context, hash [32]byte) (nexus.APIKey, error) {
		return s.Keys.KeyByHash(ctx, hash[:])
	})
	switch nexus.CodeOf(err) {
	case "":
	case nexus.NotFound, nexus.Unauthenticated:
		return nexus.Caller{}, nexus.Errorf(nexus.Unauthenticated, "the API key is not valid")
	default:
		return nexus.Caller{}, err
	}
	if k.RevokedAt != nil || k.ExpiresAt != nil && !time.Now().Before(*k.ExpiresAt) {
		return nexus.Caller{}, nexus.Errorf(nexus.Unauthenticated, "the API key is not valid")
	}
	return nexus.Caller{Key: k.ID, Scopes: k.Scopes}, nil
}

// KnownKey returns whose API key this is if it was good when it was last looked up. It asks nobody and grants nothing:
// it is for limits that stand before VerifyKey.
func (s *Service) KnownKey(secret string) (nexus.KeyID, bool) {
	k, ok := s.keys.peek(sha256.Sum256([]byte(secret)))
	return k.ID, ok
}
