package pg

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/grain"
	"nexus/persistence/pg/sqlcgen"
)

// Grains keeps the fences and snapshots of all grains.
type Grains struct {
	db     *DB
	claims *gather[claim, claimed]
	saves  *gather[save, struct{}]
}

var _ grain.Store = (*Grains)(nil)

// claim names a grain, claimed is what its claim gives, and save is a snapshot on its way.
type (
	claim   struct{ kind, id string }
	claimed struct {
		fence    nexus.Fence
		snapshot nexus.Snapshot
	}
	save struct {
		fence    nexus.Fence
		snapshot nexus.Snapshot
	}
)

// NewGrains returns the grains' store in db.
func NewGrains(db *DB) *Grains {
	g := &Grains{db: db}
	g.claims = &gather[claim, claimed]{together: g.claimTogether, alone: g.claimAlone}
	g.saves = &gather[save, struct{}]{together: g.saveTogether, alone: g.saveAlone}
	return g
}

// Claim makes the caller's activation the current one and returns the snapshot kept last. It waits
// for writes of the activation before that are under way; whatever that one sends later is fenced.
func (g *Grains) Claim(ctx context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error) {
	c, err := g.claims.do(ctx, claim{kind, id})
	return c.fence, c.snapshot, err
}

func (g *Grains) claimTogether(ctx context.Context, claims []claim) ([]*claimed, error) {
	made := make([]*claimed, len(claims))
	var kinds, ids []string
	for _, c := range claims {
		kinds, ids = append(kinds, c.kind), append(ids, c.id)
	}
	err := g.db.do(ctx, "claim grains", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.ClaimGrains(ctx, kinds, ids)
		for _, r := range rows { // of two claims of one grain it answers one: the other is a claim of its own
			made[slices.Index(claims, claim{r.Kind, r.Identity})] = claimedOf(r)
		}
		return err
	})
	return made, err
}

func (g *Grains) claimAlone(ctx context.Context, c claim) (claimed, error) {
	var made claimed
	err := g.db.do(ctx, "claim "+c.kind, func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.ClaimGrain(ctx, c.kind, c.id)
		made = *claimedOf(sqlcgen.GrainSnapshot{
			Kind: c.kind, Identity: c.id, Epoch: row.Epoch, Version: row.Version, Payload: row.Payload, SavedAt: row.SavedAt,
		})
		return err
	})
	if err != nil {
		return claimed{}, err
	}
	return made, nil
}

func claimedOf(r sqlcgen.GrainSnapshot) *claimed {
	c := claimed{
		fence:    nexus.Fence{Kind: r.Kind, ID: r.Identity, Epoch: r.Epoch},
		snapshot: nexus.Snapshot{Version: r.Version, Payload: r.Payload},
	}
	if r.SavedAt != nil {
		c.snapshot.SavedAt = *r.SavedAt
	}
	return &c
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
	_, err := g.saves.do(ctx, save{f, s})
	return err
}

func (g *Grains) saveTogether(ctx context.Context, saves []save) ([]*struct{}, error) {
	made := make([]*struct{}, len(saves))
	var p sqlcgen.SaveGrainsParams
	for _, s := range saves {
		p.Kinds, p.Identities = append(p.Kinds, s.fence.Kind), append(p.Identities, s.fence.ID)
		p.Epochs, p.Versions, p.Payloads = append(p.Epochs, s.fence.Epoch), append(p.Versions, s.snapshot.Version), append(p.Payloads, s.snapshot.Payload)
	}
	err := g.db.do(ctx, "save grains", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.SaveGrains(ctx, p)
		for _, r := range rows {
			made[slices.IndexFunc(saves, func(s save) bool {
				return s.fence == nexus.Fence{Kind: r.Kind, ID: r.Identity, Epoch: r.Epoch} && s.snapshot.Version == r.Version
			})] = new(struct{})
		}
		return err
	})
	return made, err
}

// saveAlone says why a snapshot is not to be saved.
func (g *Grains) saveAlone(ctx context.Context, s save) (none struct{}, err error) {
	f := s.fence
	return none, g.db.do(ctx, "save "+f.Kind, func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.SaveGrain(ctx, sqlcgen.SaveGrainParams{
			Kind: f.Kind, Identity: f.ID, Epoch: f.Epoch, Version: s.snapshot.Version, Payload: s.snapshot.Payload,
		})
		if err != nil || n > 0 {
			return err
		}
		return refused(ctx, q, f, s.snapshot.Version)
	})
}

// Over returns which of the fences are not the present ones. It waits for no write that is under way.
func (g *Grains) Over(ctx context.Context, fences []nexus.Fence) (over []nexus.Fence, err error) {
	var kinds, ids []string
	var epochs []int64
	for _, f := range fences {
		kinds, ids, epochs = append(kinds, f.Kind), append(ids, f.ID), append(epochs, f.Epoch)
	}
	err = g.db.do(ctx, "check fences", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.PresentGrains(ctx, kinds, ids, epochs)
		present := make(map[nexus.Fence]bool, len(rows))
		for _, r := range rows {
			present[nexus.Fence{Kind: r.Kind, ID: r.Identity, Epoch: r.Epoch}] = true
		}
		over = slices.DeleteFunc(slices.Clone(fences), func(f nexus.Fence) bool { return present[f] })
		return err
	})
	return over, err
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
