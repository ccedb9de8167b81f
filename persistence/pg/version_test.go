package pg_test

import (
	"context"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// A version is held against the row as it is once all earlier writers are done, not as it was when
// the call began.
func TestVersionsAreCheckedUnderTheLock(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		other string // what another writer does meanwhile
		call  func(ctx context.Context, db *pg.DB, u nexus.User, h nexus.Hall) error
	}{
		"profile": {`update profile set version = version + 1`, func(ctx context.Context, db *pg.DB, u nexus.User, _ nexus.Hall) error {
			_, err := pg.NewIdentity(db).ChangeProfile(ctx, system, u.ID, 1, nexus.ProfileChange{})
			return err
		}},
		"account": {`update app_user set version = version + 1`, func(ctx context.Context, db *pg.DB, u nexus.User, _ nexus.Hall) error {
			_, err := pg.NewIdentity(db).ChangeUser(ctx, system, u.ID, 1, nexus.UserChange{})
			return err
		}},
		"hall": {`update mess_hall set version = version + 1`, func(ctx context.Context, db *pg.DB, _ nexus.User, h nexus.Hall) error {
			_, err := pg.NewMess(db).PutHall(ctx, system, 1, h)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgfix.DB(t)
			u, h := newUser(t, db, "asha"), newHall(t, db, "North")
			tx := begin(t, db)
			_, err := tx.Exec(t.Context(), tc.other)
			ok(t, err)
			done := make(chan error, 1)
			go func() { done <- tc.call(context.Background(), db, u, h) }()
			blocked(t, db.Pool(), 1)
			ok(t, tx.Commit(t.Context()))
			code(t, <-done, nexus.Stale)
		})
	}
}
