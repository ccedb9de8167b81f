package mess

import (
	"context"
	"time"

	"nexus"
)

// Recorded is a crowd event as it was kept. Seq orders the events of a hall as its grain took
// them; it grows, and may have gaps.
type Recorded struct {
	Seq   int64
	Event nexus.CrowdEvent
}

// Store keeps what a hall must not lose. Every call but Hall is held to the grain's
// fence and fails with nexus.Fenced, changing nothing, once a newer activation exists.
type Store interface {
	// Hall returns the hall's configuration. NotFound if there is none.
	Hall(ctx context.Context, id nexus.HallID) (nexus.Hall, error)
	// Record keeps those of the events that were not kept before, by (source, event id), and
	// returns the Seqs of those. It has been committed when it returns.
	Record(ctx context.Context, f nexus.Fence, events []Recorded) ([]int64, error)
	// Since returns the hall's events with a Seq above after, in order of Seq. It waits for any
	// Record of this hall that is still under way, so that an uncertain commit is certain afterwards.
	Since(ctx context.Context, f nexus.Fence, after int64) ([]Recorded, error)
	// Save keeps the snapshot and the minute samples together. A sample of a minute that is there already replaces it.
	Save(ctx context.Context, f nexus.Fence, version int64, payload []byte, samples []Sample) error
}

// Sample is how many people were inside at the end of a minute.
type Sample struct {
	Minute    time.Time // start of the minute, UTC
	Occupancy int
	Source    string
}
