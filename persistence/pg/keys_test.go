package pg_test

import (
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestKeysLiveUntilTheyExpireOrAreRevoked(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	later := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	gate, err := s.CreateKey(t.Context(), system, nexus.APIKey{Name: "gate", Scopes: []nexus.Scope{nexus.ScopeCheckins}}, hash("gate"))
	ok(t, err)
	mail, err := s.CreateKey(t.Context(), system, nexus.APIKey{
		ID: nexus.KeyID(nexus.NewID()), Name: "mail", Scopes: nexus.Scopes(), ExpiresAt: &later,
	}, hash("mail"))
	ok(t, err)
	got, err := s.KeyByHash(t.Context(), hash("mail"))
	if err != nil || got.ID != mail.ID || got.Name != "mail" || len(got.Scopes) != 2 || !got.ExpiresAt.Equal(later) || got.RevokedAt != nil {
		t.Fatalf("%+v %v", got, err)
	}
	list, err := s.ListKeys(t.Context())
	if err != nil || len(list) != 2 || list[0].ID != mail.ID || list[1].ID != gate.ID {
		t.Fatalf("%+v %v", list, err)
	}
	exec(t, db.Pool(), `update api_key set expires_at = now() where id = $1`, mail.ID)
	_, err = s.KeyByHash(t.Context(), hash("mail"))
	code(t, err, nexus.NotFound)
	code(t, s.RevokeKey(t.Context(), system, mail.ID), nexus.NotFound)
	ok(t, s.RevokeKey(t.Context(), system, gate.ID))
	code(t, s.RevokeKey(t.Context(), system, gate.ID), nexus.NotFound)
	_, err = s.KeyByHash(t.Context(), hash("gate"))
	code(t, err, nexus.NotFound)
	if list, err = s.ListKeys(t.Context()); err != nil || len(list) != 2 || list[1].RevokedAt == nil {
		t.Fatalf("%+v %v", list, err)
	}
}

// A retry holds another secret than the first call: it gets a key that opens with it, never the first one.
func TestARepeatedCreateKeyMakesAnotherKey(t *testing.T) {
	t.Parallel()
	s := pg.NewIdentity(pgfix.DB(t))
	key := nexus.APIKey{Name: "gate", Scopes: []nexus.Scope{nexus.ScopeCheckins}}
	for _, secret := range []string{"one", "two"} {
		made, err := s.CreateKey(t.Context(), keyed(system, "k", "x"), key, hash(secret))
		ok(t, err)
		if found, err := s.KeyByHash(t.Context(), hash(secret)); err != nil || found.ID != made.ID {
			t.Fatalf("%s: made %+v, found %+v %v", secret, made, found, err)
		}
	}
}

func TestCreateKeyRefusesWrongOnes(t *testing.T) {
	t.Parallel()
	s := pg.NewIdentity(pgfix.DB(t))
	key := nexus.APIKey{Name: "gate", Scopes: []nexus.Scope{nexus.ScopeCheckins}}
	_, err := s.CreateKey(t.Context(), system, key, hash("one"))
	ok(t, err)
	_, err = s.CreateKey(t.Context(), system, key, hash("one"))
	onField(t, err, nexus.Conflict, "secret")
	_, err = s.CreateKey(t.Context(), system, nexus.APIKey{Name: "x"}, hash("three"))
	onField(t, err, nexus.Invalid, "scopes")
	_, err = s.CreateKey(t.Context(), system, nexus.APIKey{Name: "x", Scopes: []nexus.Scope{"everything"}}, hash("three"))
	onField(t, err, nexus.Invalid, "scopes")
	_, err = s.CreateKey(t.Context(), system, nexus.APIKey{Scopes: nexus.Scopes()}, hash("three"))
	onField(t, err, nexus.Invalid, "name")
}
