package auth

import (
	"context"
	"crypto/sha256"
	"time"

	"nexus"
)

// CreateKey makes an API key and returns its secret, which nobody can read again. So a retry makes another key, whatever
// its idempotency key: the first secret could not be told once more.
func (s *Service) CreateKey(ctx context.Context, by nexus.Caller, name string, scopes []nexus.Scope, expires *time.Time) (nexus.APIKey, string, error) {
	if expires != nil && !expires.After(time.Now()) {
		return nexus.APIKey{}, "", nexus.InvalidField("expiresAt", "is in the past")
	}
	secret := keyPrefix + random()
	hash := sha256.Sum256([]byte(secret))
	k, err := s.Keys.CreateKey(ctx, by, nexus.APIKey{
		ID: nexus.KeyID(nexus.NewID()), Name: name, Scopes: scopes, CreatedAt: time.Now(), ExpiresAt: expires,
	}, hash[:])
	return k, secret, err
}

// ListKeys returns every key, the newest first.
func (s *Service) ListKeys(ctx context.Context) ([]nexus.APIKey, error) { return s.Keys.ListKeys(ctx) }

// RevokeKey ends a key: at once on this node, within five seconds on the others.
func (s *Service) RevokeKey(ctx context.Context, by nexus.Caller, id nexus.KeyID) error {
	err := s.Keys.RevokeKey(ctx, by, id)
	s.keys.forget(func(_ [32]byte, k nexus.APIKey) bool { return k.ID == id })
	return err
}
