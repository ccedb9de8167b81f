package resttest

import (
	"bytes"
	"context"
	"slices"
	"time"

	"nexus"
)

// Open starts a family.
func (m *Memory) Open(_ context.Context, by nexus.Caller, user nexus.UserID, epoch int, l nexus.Login, t nexus.RefreshToken) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	if a, err := m.account(user); err != nil || a.User.Status != nexus.Active || a.TokenEpoch != epoch {
		return nexus.Errorf(nexus.Unauthenticated, "the account has changed")
	}
	m.logins[l.ID] = &login{Login: l, user: user, tokens: []link{{RefreshToken: t}}}
	m.note(by, "login.open")
	return nil
}

// Rotate exchanges a token once; a used one revokes its family.
func (m *Memory) Rotate(_ context.Context, hash []byte, next nexus.RefreshToken, life time.Duration) (nexus.Login, nexus.Credentials, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.Login{}, nexus.Credentials{}, err
	}
	refused := nexus.Errorf(nexus.Unauthenticated, "the refresh token is not valid")
	for _, l := range m.logins {
		i := slices.IndexFunc(l.tokens, func(k link) bool { return bytes.Equal(k.Hash, hash) })
		if i < 0 {
			continue
		}
		who := m.accounts[l.user].Credentials
		switch k := &l.tokens[i]; {
		case k.used:
			l.revoked = true
			return l.Login, nexus.Credentials{User: nexus.User{ID: l.user}}, nexus.Errorf(nexus.TokenReused, "the refresh token was used before")
		case l.revoked || time.Now().After(k.ExpiresAt) || time.Since(l.CreatedAt) >= life || who.User.Status != nexus.Active:
			return nexus.Login{}, nexus.Credentials{}, refused
		default:
			k.used = true
			if end := l.CreatedAt.Add(life); next.ExpiresAt.After(end) {
				next.ExpiresAt = end
			}
			l.tokens = append(l.tokens, link{RefreshToken: next})
			l.LastUsedAt, l.ExpiresAt = time.Now(), next.ExpiresAt
			return l.Login, who, nil
		}
	}
	return nexus.Login{}, nexus.Credentials{}, refused
}

// List returns the user's living logins, the last used first.
func (m *Memory) List(_ context.Context, user nexus.UserID) ([]nexus.Login, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	var ls []nexus.Login
	for _, l := range m.logins {
		if l.user == user && !l.revoked && time.Now().Before(l.ExpiresAt) {
			ls = append(ls, l.Login)
		}
	}
	slices.SortFunc(ls, func(a, b nexus.Login) int { return b.LastUsedAt.Compare(a.LastUsedAt) })
	return ls, nil
}

// Revoke ends a login of the user.
func (m *Memory) Revoke(_ context.Context, by nexus.Caller, user nexus.UserID, id nexus.SessionID) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	l, ok := m.logins[id]
	if !ok || l.user != user || l.revoked {
		return nexus.Errorf(nexus.NotFound, "no such login")
	}
	l.revoked = true
	m.note(by, "login.revoke")
	return nil
}

// State says whether access tokens of a login still count.
func (m *Memory) State(_ context.Context, id nexus.SessionID) (nexus.LoginState, error) {
	end, err := m.begin()
	defer end()
	m.asked++
	if err != nil {
		return nexus.LoginState{}, err
	}
	l, ok := m.logins[id]
	if !ok {
		return nexus.LoginState{}, nexus.Errorf(nexus.NotFound, "no such login")
	}
	c := m.accounts[l.user].Credentials
	return nexus.LoginState{User: l.user, Status: c.User.Status, TokenEpoch: c.TokenEpoch, Revoked: l.revoked}, nil
}

// CreateKey keeps a key by its hash.
func (m *Memory) CreateKey(_ context.Context, by nexus.Caller, k nexus.APIKey, hash []byte) (nexus.APIKey, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.APIKey{}, err
	}
	m.keys[k.ID] = &key{k, hash}
	m.note(by, "key.create")
	return k, nil
}

// KeyByHash finds a living key.
func (m *Memory) KeyByHash(_ context.Context, hash []byte) (nexus.APIKey, error) {
	end, err := m.begin()
	defer end()
	m.asked++
	if err != nil {
		return nexus.APIKey{}, err
	}
	for _, k := range m.keys {
		if bytes.Equal(k.hash, hash) && k.RevokedAt == nil && (k.ExpiresAt == nil || time.Now().Before(*k.ExpiresAt)) {
			return k.APIKey, nil
		}
	}
	return nexus.APIKey{}, nexus.Errorf(nexus.NotFound, "no such key")
}

// ListKeys returns every key, the newest first.
func (m *Memory) ListKeys(context.Context) ([]nexus.APIKey, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	var ks []nexus.APIKey
	for _, k := range m.keys {
		ks = append(ks, k.APIKey)
	}
	slices.SortFunc(ks, func(a, b nexus.APIKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return ks, nil
}

// RevokeKey ends a key.
func (m *Memory) RevokeKey(_ context.Context, by nexus.Caller, id nexus.KeyID) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	k, ok := m.keys[id]
	if !ok || k.RevokedAt != nil {
		return nexus.Errorf(nexus.NotFound, "no such key")
	}
	now := time.Now()
	k.RevokedAt = &now
	m.note(by, "key.revoke")
	return nil
}
