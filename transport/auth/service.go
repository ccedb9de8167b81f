package auth

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"github.com/alexedwards/argon2id"

	"nexus"
	"nexus/transport/limit"
)

// How long things live. A login that nobody uses ends with its refresh token; one that is used all the time ends
// with its life, and the password is asked for again.
const (
	AccessTTL    = 15 * time.Minute
	SessionTTL   = 12 * time.Hour      // a refresh token of a login that is not remembered
	SessionLife  = 24 * time.Hour      // and that login, however often it is refreshed
	RememberTTL  = 30 * 24 * time.Hour // the same of one that is remembered
	RememberLife = 90 * 24 * time.Hour
)

// Disconnecter ends live sockets.
type Disconnecter interface {
	// Disconnect closes the user's sockets with the reason: those of one login, or all for an empty session.
	Disconnect(ctx context.Context, user nexus.UserID, session nexus.SessionID, reason string) error
}

// Options is what a Service works with. Every store and the first secret are needed.
type Options struct {
	Accounts Accounts
	Logins   Logins
	Keys     Keys
	Pins     Pins
	Limiter  limit.Limiter
	Sockets  Disconnecter // nil: there are none
	Log      *slog.Logger

	// Secrets sign access tokens: the first signs, all verify, so that a secret
	// is changed by putting a new one in front. At least 32 bytes each.
	Secrets [][]byte

	// Hash is the cost of a password; nil is DefaultHash. Tests use a cheap one.
	Hash *argon2id.Params
}

// Service answers who somebody is. It is safe for concurrent use.
type Service struct {
	Options
	hasher *hasher
	tokens *tokens
	states *remembered[nexus.SessionID, nexus.LoginState]
	keys   *remembered[[32]byte, nexus.APIKey]
	homes  *homes
}

// New returns a service. Invalid if a secret is too short or there is none.
func New(o Options) (*Service, error) {
	t, err := newTokens(o.Secrets)
	if err != nil {
		return nil, err
	}
	h, err := newHasher(o.Hash)
	if err != nil {
		return nil, err
	}
	return &Service{
		Options: o, hasher: h, tokens: t, homes: newHomes(),
		states: newRemembered[nexus.SessionID, nexus.LoginState](50_000),
		keys:   newRemembered[[32]byte, nexus.APIKey](1_000),
	}, nil
}

// Derive returns a key of 32 bytes for the end that label names, made of the first secret and of use for nothing else.
func (s *Service) Derive(label string) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, s.Secrets[0], nil, label, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive a key for %s: %w", label, err)
	}
	return key, nil
}

// Ended forgets what is remembered of a user's logins and closes their sockets with the reason: those
// of one login, or all for an empty session. It is called after the change is committed.
func (s *Service) Ended(ctx context.Context, user nexus.UserID, session nexus.SessionID, reason string) {
	s.states.forget(func(id nexus.SessionID, st nexus.LoginState) bool {
		return st.User == user && (session == "" || id == session)
	})
	if s.Sockets == nil {
		return
	}
	if err := s.Sockets.Disconnect(ctx, user, session, reason); err != nil {
		// The change itself stands: a socket left open loses its rights at its next token.
		s.Log.WarnContext(ctx, "close sockets", "user", user, "reason", reason, "err", err)
	}
}
