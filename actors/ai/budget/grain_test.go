package budget

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nexus"
	"nexus/actors/grain/graintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slowly is a store a round trip away, which can be away altogether.
type slowly struct {
	*graintest.Store
	away atomic.Bool
}

func (s *slowly) Save(ctx context.Context, f nexus.Fence, x nexus.Snapshot) error {
	time.Sleep(5 * time.Millisecond)
	if s.away.Load() {
		return nexus.Errorf(nexus.Unavailable, "away")
	}
	return s.Store.Save(ctx, f, x)
}

func limitsOf(l Limits) func(string) (Limits, bool) {
	return func(model string) (Limits, bool) { return l, model == "flash" }
}

func node(t *testing.T, s *slowly, l Limits) (*graintest.Node, Client) {
	n := graintest.NewNode(t, s.Store, Kind(s, limitsOf(l)))
	return n, NewClient(n)
}

// TestTheBudgetIsOneForAllNodes, also when its activation is lost without a word.
func TestTheBudgetIsOneForAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowly{Store: graintest.NewStore()}
		_, a := node(t, s, Limits{Requests: 10})
		_, b := node(t, s, Limits{Requests: 10}) // a second activation fences the first
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				switch _, err := []Client{a, b}[i%2].Take(t.Context(), "flash", 1); nexus.CodeOf(err) {
				case "":
					granted.Add(1)
				case nexus.RateLimited:
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		// What the first activation wrote down and could not answer is on account and not used.
		if n := granted.Load(); n == 0 || n > 10 {
			t.Errorf("%d granted", n)
		}
		_, err := a.Take(t.Context(), "flash", 1)
		e, _ := err.(*nexus.Error)
		if e == nil || e.Code != nexus.RateLimited || e.RetryAfter <= 0 || e.RetryAfter > span {
			t.Fatalf("%v", err)
		}
		time.Sleep(e.RetryAfter)
		if _, err := b.Take(t.Context(), "flash", 1); err != nil {
			t.Errorf("when it was told to: %v", err)
		}
	})
}

// TestWhatIsNotDurableIsNotGranted.
func TestWhatIsNotDurableIsNotGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowly{Store: graintest.NewStore()}
		n, c := node(t, s, Limits{Requests: 2, Tokens: 1000})
		s.away.Store(true)
		if _, err := c.Take(t.Context(), "flash", 10); nexus.CodeOf(err) != nexus.Unavailable {
			t.Errorf("%v", err)
		}
		s.away.Store(false)
		number, err := c.Take(t.Context(), "flash", 10)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Settle(t.Context(), "flash", number, 700, true); err != nil {
			t.Fatal(err)
		}
		n.Close() // a last save
		_, c = node(t, s, Limits{Requests: 2, Tokens: 1000})
		if requests, tokens, l, err := c.Spent(t.Context(), "flash"); err != nil || requests != 2 || tokens != 710 || l != (Limits{2, 1000}) {
			t.Errorf("%d %d %+v %v", requests, tokens, l, err)
		}
		if _, err := c.Take(t.Context(), "pro", 1); nexus.CodeOf(err) != nexus.NotFound {
			t.Errorf("of no model: %v", err)
		}
	})
}

// TestManyAreGrantedTogether: one save for who comes while another is under way.
func TestManyAreGrantedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowly{Store: graintest.NewStore()}
		_, c := node(t, s, Limits{})
		began := time.Now()
		var all sync.WaitGroup
		for range 500 {
			all.Go(func() {
				if _, err := c.Take(t.Context(), "flash", 1); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > 30*time.Millisecond {
			t.Errorf("%v", took)
		}
	})
}
