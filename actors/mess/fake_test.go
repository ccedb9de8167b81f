package mess

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

// fake is a Store in memory. Its fences are those of graintest.
type fake struct {
	fences *graintest.Store
	row    chan struct{} // the row lock that holds the writes of a hall apart; whoever waits lets virtual time pass

	mu     sync.Mutex // for what follows
	hall   nexus.Hall
	kept   []Recorded
	seen   map[[2]string]bool
	minute map[time.Time]Sample
	calls  map[string]int
	// Hooks of a test, nil when nothing is to happen. before runs ahead of each call and may block or
	// fail it; committed runs after a Record was committed and may make it seem to have failed.
	before    func(ctx context.Context, call string) error
	committed func() error
}

var _ Store = (*fake)(nil)

func newFake() *fake {
	return &fake{
		fences: graintest.NewStore(), row: make(chan struct{}, 1), hall: hall,
		seen: make(map[[2]string]bool), minute: make(map[time.Time]Sample), calls: make(map[string]int),
	}
}

// with runs do with the fake to itself.
func (f *fake) with(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fake) on(before func(ctx context.Context, call string) error) {
	f.with(func() { f.before = before })
}

// doubt makes the next Record fail although it was committed.
func (f *fake) doubt(err error) {
	f.with(func() {
		f.committed = func() error { f.committed = nil; return err }
	})
}

func (f *fake) called(call string) (n int) {
	f.with(func() { n = f.calls[call] })
	return n
}

// forget drops the events, so that only a snapshot knows of them.
func (f *fake) forget() { f.with(func() { f.kept = nil }) }

func (f *fake) sample(minute time.Time) (s Sample, ok bool) {
	f.with(func() { s, ok = f.minute[minute] })
	return s, ok
}

func (f *fake) samples() (n int) {
	f.with(func() { n = len(f.minute) })
	return n
}

// people sums the deltas that are kept.
func (f *fake) people() (n int) {
	f.with(func() {
		for _, r := range f.kept {
			n += *r.Event.Delta
		}
	})
	return n
}

// call does one call of the store: the hook, the row lock, the fence if there is one, and then do.
func (f *fake) call(ctx context.Context, name string, fence nexus.Fence, do func() error) error {
	var before func(context.Context, string) error
	f.with(func() { before = f.before })
	if before != nil {
		if err := before(ctx, name); err != nil {
			return err
		}
	}
	select {
	case f.row <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.row }()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[name]++
	if fence != (nexus.Fence{}) {
		if err := f.fences.Check(fence); err != nil {
			return err
		}
	}
	return do()
}

func (f *fake) Hall(ctx context.Context, id nexus.HallID) (h nexus.Hall, err error) {
	err = f.call(ctx, "hall", nexus.Fence{}, func() error {
		if h = f.hall; id != h.ID {
			return nexus.Errorf(nexus.NotFound, "hall %s", id)
		}
		return nil
	})
	return h, err
}

func (f *fake) Record(ctx context.Context, fence nexus.Fence, events []Recorded) (seqs []int64, err error) {
	err = f.call(ctx, "record", fence, func() error {
		for _, r := range events {
			if f.keep(r) {
				seqs = append(seqs, r.Seq)
			}
		}
		if f.committed != nil {
			return f.committed()
		}
		return nil
	})
	return seqs, err
}

func (f *fake) keep(r Recorded) bool {
	key := [2]string{r.Event.Source, r.Event.EventID}
	if f.seen[key] {
		return false
	}
	f.seen[key] = true
	f.kept = append(f.kept, r)
	return true
}

func (f *fake) Since(ctx context.Context, fence nexus.Fence, after int64) (rs []Recorded, err error) {
	err = f.call(ctx, "since", fence, func() error {
		for _, r := range f.kept {
			if r.Seq > after {
				rs = append(rs, r)
			}
		}
		slices.SortFunc(rs, func(a, b Recorded) int { return cmp.Compare(a.Seq, b.Seq) })
		return nil
	})
	return rs, err
}

func (f *fake) Save(ctx context.Context, fence nexus.Fence, version int64, payload []byte, samples []Sample) error {
	return f.call(ctx, "save", fence, func() error {
		if err := f.fences.Save(ctx, fence, nexus.Snapshot{Version: version, Payload: payload}); err != nil {
			return err
		}
		for _, s := range samples {
			f.minute[s.Minute] = s
		}
		return nil
	})
}

// node starts a node that hosts the hall.
func (f *fake) node(t *testing.T) (*graintest.Node, Client) {
	t.Helper()
	n := graintest.NewNode(t, f.fences, Kind(f))
	return n, NewClient(n)
}

// in is somebody who comes in now.
func in(id string) nexus.CrowdEvent {
	n := 1
	return nexus.CrowdEvent{Source: "gate", EventID: id, At: time.Now(), Delta: &n}
}

func mustCheckIn(t *testing.T, c Client, events ...nexus.CrowdEvent) nexus.CheckInResult {
	t.Helper()
	got, err := c.CheckIn(t.Context(), hall.ID, events)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func wantInside(t *testing.T, c Client, want int) {
	t.Helper()
	if live, err := c.Live(t.Context(), hall.ID); err != nil || live.Occupancy != want {
		t.Fatalf("%d inside, %v; want %d", live.Occupancy, err, want)
	}
}

func updates(t *testing.T, bs []*grain.Broadcast) []crowdUpdate {
	t.Helper()
	us := make([]crowdUpdate, len(bs))
	for i, b := range bs {
		if b.GetTopic() != Topic(hall.ID) || b.GetNamespace() != Namespace || b.GetEvent() != CrowdUpdate || b.GetSlot() == "" {
			t.Fatalf("odd broadcast %v", b)
		}
		if err := json.Unmarshal(b.GetPayload(), &us[i]); err != nil {
			t.Fatal(err)
		}
		if b.GetSeq() != us[i].Seq {
			t.Fatalf("hubs see the seq %d, clients %d", b.GetSeq(), us[i].Seq)
		}
	}
	return us
}
