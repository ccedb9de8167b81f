package pg_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestClaimRaisesTheEpochAndReturnsTheLastSnapshot(t *testing.T) {
	t.Parallel()
	g := pg.NewGrains(pgfix.DB(t))
	f, s, err := g.Claim(t.Context(), "mess", "h1")
	ok(t, err)
	if f != (nexus.Fence{Kind: "mess", ID: "h1", Epoch: 1}) || s.Version != 0 || s.Payload != nil || !s.SavedAt.IsZero() {
		t.Fatalf("first claim: %+v %+v", f, s)
	}
	ok(t, g.Save(t.Context(), f, nexus.Snapshot{Version: 7, Payload: []byte("seven")}))
	f, s, err = g.Claim(t.Context(), "mess", "h1")
	ok(t, err)
	if f.Epoch != 2 || s.Version != 7 || string(s.Payload) != "seven" || s.SavedAt.IsZero() {
		t.Fatalf("second claim: %+v %+v", f, s)
	}
	if f, _, err = g.Claim(t.Context(), "poll", "h1"); err != nil || f.Epoch != 1 {
		t.Fatalf("another kind is another grain: %+v %v", f, err)
	}
}

func TestSaveRefusesOldEpochsAndOldVersions(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	g := pg.NewGrains(db)
	old, _, err := g.Claim(t.Context(), "mess", "h1")
	ok(t, err)
	cur, _, err := g.Claim(t.Context(), "mess", "h1")
	ok(t, err)
	ok(t, g.Save(t.Context(), cur, nexus.Snapshot{Version: 5, Payload: []byte("a")}))
	for name, tc := range map[string]struct {
		fence   nexus.Fence
		version int64
		want    nexus.Code
	}{
		"old epoch":            {old, 6, nexus.Fenced},
		"old epoch, stale too": {old, 5, nexus.Fenced},
		"same version":         {cur, 5, nexus.Stale},
		"lower version":        {cur, 4, nexus.Stale},
		"unknown grain":        {nexus.Fence{Kind: "mess", ID: "h2", Epoch: 1}, 6, nexus.Fenced},
		"future epoch":         {nexus.Fence{Kind: "mess", ID: "h1", Epoch: 3}, 6, nexus.Fenced},
	} {
		t.Run(name, func(t *testing.T) {
			code(t, g.Save(t.Context(), tc.fence, nexus.Snapshot{Version: tc.version, Payload: []byte("b")}), tc.want)
			if n := count(t, db.Pool(), `select count(*) from grain_snapshot where version = 5 and payload = 'a'`); n != 1 {
				t.Fatal("the refused save has changed something")
			}
		})
	}
}

func TestRacingClaimsGetDifferentEpochs(t *testing.T) {
	t.Parallel()
	g := pg.NewGrains(pgfix.DB(t))
	fences := make([]nexus.Fence, 8)
	for _, err := range race(8, func(i int) (err error) {
		fences[i], _, err = g.Claim(t.Context(), "mess", "h1")
		return err
	}) {
		ok(t, err)
	}
	saved := 0
	for i, err := range race(8, func(i int) error {
		return g.Save(t.Context(), fences[i], nexus.Snapshot{Version: 1})
	}) {
		if fences[i].Epoch == 8 {
			ok(t, err)
			saved++
		} else {
			code(t, err, nexus.Fenced)
		}
	}
	if saved != 1 {
		t.Fatalf("%d activations are current", saved)
	}
}

// TestManyGrainsMoveSideBySide: claims and saves that share statements come to what each would come to alone.
func TestManyGrainsMoveSideBySide(t *testing.T) {
	t.Parallel()
	const grains, rounds = 150, 3
	db := pgfix.DB(t)
	g := pg.NewGrains(db)
	fences := make([]nexus.Fence, grains)
	for round := range int64(rounds) {
		for i, err := range race(grains, func(i int) error {
			f, s, err := g.Claim(t.Context(), "mess", fmt.Sprint(i))
			if want := (nexus.Fence{Kind: "mess", ID: fmt.Sprint(i), Epoch: round + 1}); err == nil && f != want {
				return fmt.Errorf("claimed %+v, want %+v", f, want)
			}
			if err == nil && round > 0 && (s.Version != round || string(s.Payload) != fmt.Sprint(round, " of ", i) || s.SavedAt.IsZero()) {
				return fmt.Errorf("snapshot %+v in round %d", s, round)
			}
			fences[i] = f
			return err
		}) {
			if err != nil {
				t.Errorf("claim of %d: %v", i, err)
			}
		}
		// Each saves under its fence, under an older one, and once more.
		for i, err := range race(3*grains, func(i int) error {
			f, version := fences[i/3], round+1
			if i%3 == 1 {
				f.Epoch--
			}
			err := g.Save(t.Context(), f, nexus.Snapshot{Version: version, Payload: fmt.Append(nil, version, " of ", f.ID)})
			if code := nexus.CodeOf(err); i%3 == 1 && code != nexus.Fenced || i%3 != 1 && err != nil && code != nexus.Stale {
				return fmt.Errorf("save %d: %w", i%3, errors.Join(err, errors.New("or it was kept")))
			}
			return nil
		}) {
			if err != nil {
				t.Errorf("%d: %v", i/3, err)
			}
		}
	}
	old := slices.Clone(fences[:10])
	for i := range old {
		old[i].Epoch--
	}
	over, err := g.Over(t.Context(), slices.Concat(fences[:50], old, fences[50:]))
	ok(t, err)
	if diff := cmp.Diff(old, over); diff != "" {
		t.Errorf("over: %s", diff)
	}
	if n := count(t, db.Pool(), `select count(*) from grain_snapshot where epoch = 3 and version = 3`); n != grains {
		t.Errorf("%d grains are as they should be", n)
	}
}

// TestAGrainThatIsBeingWrittenHoldsUpNoOther.
func TestAGrainThatIsBeingWrittenHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	g := pg.NewGrains(db)
	const grains = 20
	fences := make([]nexus.Fence, grains)
	for i := range fences {
		var err error
		fences[i], _, err = g.Claim(t.Context(), "mess", fmt.Sprint(i))
		ok(t, err)
	}
	tx, err := db.Pool().Begin(t.Context())
	ok(t, err)
	defer tx.Rollback(t.Context()) //nolint:errcheck // it was rolled back before, or the test has failed
	_, err = tx.Exec(t.Context(), `select from grain_snapshot where identity in ('3', '4') for update`)
	ok(t, err)
	blocked := make(chan error, 2)
	go func() { _, _, err := g.Claim(t.Context(), "mess", "3"); blocked <- err }()
	go func() { blocked <- g.Save(t.Context(), fences[4], nexus.Snapshot{Version: 1}) }()
	for i, err := range race(grains, func(i int) (err error) {
		switch {
		case i == 3 || i == 4:
		case i%2 == 0:
			_, _, err = g.Claim(t.Context(), "mess", fmt.Sprint(i))
		default:
			err = g.Save(t.Context(), fences[i], nexus.Snapshot{Version: 1})
		}
		return err
	}) {
		if err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	select {
	case err := <-blocked:
		t.Fatalf("a locked row was passed over: %v", err)
	default:
	}
	ok(t, tx.Rollback(t.Context()))
	ok(t, <-blocked)
	ok(t, <-blocked)
}
