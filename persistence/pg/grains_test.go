package pg_test

import (
	"testing"

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
