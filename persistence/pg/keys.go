package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// CreateKey keeps a key by the SHA-256 of its secret. An empty ID is filled in. It takes no notice of an
// idempotency key: a repeated call comes with a secret of its own, to which the first call's key would be no answer.
func (s *Identity) CreateKey(ctx context.Context, by nexus.Caller, k nexus.APIKey, secretHash []byte) (nexus.APIKey, error) {
	by.Once = nexus.Once{}
	return mutate(ctx, s.db, "create key", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.APIKey, error) {
		id := string(k.ID)
		if id == "" {
			id = nexus.NewID()
		}
		row, err := q.InsertKey(ctx, sqlcgen.InsertKeyParams{
			ID: id, Name: k.Name, SecretHash: secretHash, Scopes: texts(k.Scopes), ExpiresAt: k.ExpiresAt,
		})
		if err != nil {
			return nexus.APIKey{}, err
		}
		made := keyOf(row)
		return made, audit(ctx, q, by, "key.create", "key", id, nil, made)
	})
}

// KeyByHash finds a key that is neither expired nor revoked. NotFound otherwise.
func (s *Identity) KeyByHash(ctx context.Context, secretHash []byte) (nexus.APIKey, error) {
	var k nexus.APIKey
	err := s.db.do(ctx, "find key", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.KeyByHash(ctx, secretHash)
		k = keyOf(row)
		return orNotFound(err, "key")
	})
	return k, err
}

// ListKeys returns every key, the newest first.
func (s *Identity) ListKeys(ctx context.Context) ([]nexus.APIKey, error) {
	keys := []nexus.APIKey{}
	err := s.db.do(ctx, "list keys", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Keys(ctx)
		for _, r := range rows {
			keys = append(keys, keyOf(r))
		}
		return err
	})
	return keys, err
}

// RevokeKey ends a key. NotFound if there is none that lives.
func (s *Identity) RevokeKey(ctx context.Context, by nexus.Caller, id nexus.KeyID) error {
	_, err := mutate(ctx, s.db, "revoke key", by, func(ctx context.Context, q *sqlcgen.Queries) (struct{}, error) {
		var done struct{}
		row, err := q.RevokeKey(ctx, string(id))
		if err != nil {
			return done, orNotFound(err, "key")
		}
		return done, audit(ctx, q, by, "key.revoke", "key", string(id), nil, keyOf(row))
	})
	return err
}

func keyOf(r sqlcgen.ApiKey) nexus.APIKey {
	k := nexus.APIKey{
		ID: nexus.KeyID(r.ID), Name: r.Name, Scopes: make([]nexus.Scope, len(r.Scopes)),
		CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, RevokedAt: r.RevokedAt,
	}
	for i, s := range r.Scopes {
		k.Scopes[i] = nexus.Scope(s)
	}
	return k
}
