package grain

import (
	"context"

	"nexus"
)

// Store keeps the fences and snapshots of all grains.
type Store interface {
	// Claim makes the caller's activation the current one: it raises the epoch, so that every
	// earlier activation is fenced, and returns the snapshot kept last.
	Claim(ctx context.Context, kind, id string) (nexus.Fence, nexus.Snapshot, error)
	// Renew raises the epoch of a fence that is still the present one, and fails with nexus.Fenced otherwise. After
	// it, nothing that was sent under the old epoch can be kept any more, however late it arrives: so an uncertain write is
	// certain, once Renew has returned, to be there or never to come.
	Renew(ctx context.Context, f nexus.Fence) (nexus.Fence, error)
	// Over returns which of the fences are not the present ones.
	Over(ctx context.Context, fences []nexus.Fence) ([]nexus.Fence, error)
	// Save keeps a snapshot. It fails with nexus.Fenced under an older epoch and with nexus.Stale
	// for a version that is not above the kept one.
	Save(ctx context.Context, f nexus.Fence, s nexus.Snapshot) error
}
