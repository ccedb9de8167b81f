package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/grain"
	"nexus/persistence/pg/sqlcgen"
)

// Grains keeps the fences and snapshots of all grains.
type Grains struct{ db *DB }

var _ grain.Store = (*Grains)(nil)

// NewGrains returns the grains' store in db.
func NewGrains(db *DB) *Grains { return &Grains{db: db} }

// Claim makes the caller's activation the current one and returns the snapshot kept last. It waits
// for writes of the activation before that are under way; whatever that one sends later is fenced.
func (g *Grains) Claim(ctx context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error) {
	var row sqlcgen.ClaimGrainRow
	err := g.db.do(ctx, "claim "+kind, func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		row, err = q.ClaimGrain(ctx, kind, id)
		return err
	})
	if err != nil {
		return nexus.Fence{}, nexus.Snapshot{}, err
	}
	s := nexus.Snapshot{Version: row.Version, Payload: row.Payload}
	if row.SavedAt != nil {
		s.SavedAt = *row.SavedAt
	}
	return nexus.Fence{Kind: kind, ID: id, Epoch: row.Epoch}, s, nil
}

// Renew raises the epoch of a fence that is still the present one. It waits for writes under the old
// epoch that have reached the database; those that come later are fenced.
func (g *Grains) Renew(ctx context.Context, f nexus.Fence) (nexus.Fence, error) {
	err := g.db.do(ctx, "renew "+f.Kind, func(ctx context.Context, q *sqlcgen.Queries) error {
		epoch, err := q.RenewGrain(ctx, f.Kind, f.ID, f.Epoch)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fenced(f)
		case err == nil:
			f.Epoch = epoch
		}
		return err
	})
	return f, err
}

// Save keeps a snapshot. SavedAt is the database's time of saving, not the one in s.
func (g *Grains) Save(ctx context.Context, f nexus.Fence, s nexus.Snapshot) error {
	return g.db.do(ctx, "save "+f.Kind, func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.SaveGrain(ctx, sqlcgen.SaveGrainParams{
			Kind: f.Kind, Identity: f.ID, Epoch: f.Epoch, Version: s.Version, Payload: s.Payload,
		})
		if err != nil || n > 0 {
			return err
		}
		return refused(ctx, q, f, s.Version)
	})
}

// held locks the grain's row until the transaction ends, and fails with Fenced unless f is current.
func held(ctx context.Context, q *sqlcgen.Queries, f nexus.Fence) error {
	_, err := q.HoldFence(ctx, f.Kind, f.ID, f.Epoch)
	if errors.Is(err, pgx.ErrNoRows) {
		return fenced(f)
	}
	return err
}

// refused says why a snapshot was not saved: Fenced, or Stale under a fence that holds.
func refused(ctx context.Context, q *sqlcgen.Queries, f nexus.Fence, version int64) error {
	if err := held(ctx, q, f); err != nil {
		return err
	}
	return nexus.Errorf(nexus.Stale, "%s/%s: version %d is not above the kept one", f.Kind, f.ID, version)
}

func fenced(f nexus.Fence) error {
	return nexus.Errorf(nexus.Fenced, "%s/%s: epoch %d is over", f.Kind, f.ID, f.Epoch)
}
