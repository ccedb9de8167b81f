package ai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nexus"
	"nexus/actors/ai/budget"
	"nexus/actors/grain/graintest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

// fake is a Model that does as it is told.
type fake struct {
	mu    sync.Mutex
	do    func(ctx context.Context, c Call) (Answer, error)
	calls []time.Time
}

func (f *fake) Generate(ctx context.Context, c Call) (Answer, error) {
	f.mu.Lock()
	f.calls = append(f.calls, time.Now())
	do := f.do
	f.mu.Unlock()
	return do(ctx, c)
}

func (f *fake) set(do func(context.Context, Call) (Answer, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.do = do
}

func (f *fake) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

// well answers after a second.
func well(ctx context.Context, c Call) (Answer, error) {
	select {
	case <-time.After(time.Second):
		return Answer{JSON: json.RawMessage(fmt.Sprintf("%q", c.Prompt)), TokensIn: 70, TokensOut: 30}, nil
	case <-ctx.Done():
		return Answer{}, nexus.Wrap(nexus.Unavailable, ctx.Err(), "not reached")
	}
}

func failing(err error) func(context.Context, Call) (Answer, error) {
	return func(context.Context, Call) (Answer, error) { return Answer{}, err }
}

// rig is a pool over a fake model and a true budget.
type rig struct {
	*testing.T
	*Pool
	model  *fake
	budget budget.Client
	store  *graintest.Store
	limits budget.Limits
}

func pooled(t *testing.T, l budget.Limits, workers int, run func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{T: t, model: &fake{do: well}, store: graintest.NewStore(), limits: l}
		r.Pool, r.budget = r.node(workers)
		run(r)
	})
}

// node is one more node of the campus.
func (r *rig) node(workers int) (*Pool, budget.Client) {
	n := graintest.NewNode(r.T, r.store, budget.Kind(r.store, func(model string) (budget.Limits, bool) { return r.limits, model == "flash" }))
	b := budget.NewClient(n)
	p := Start(Options{
		System: n.System(), Model: r.model, Models: []string{"flash"}, Prices: map[string]Price{"flash": {In: 1, Out: 10}}, Budget: b, Workers: workers,
		Log: slog.New(slog.DiscardHandler),
	})
	r.Cleanup(func() {
		if err := p.Close(context.Background()); err != nil {
			r.Error(err)
		}
	})
	return p, b
}

func (r *rig) ask(p Priority, prompt string) (Answer, error) {
	return r.Ask(r.Context(), p, Call{Model: "flash", Prompt: prompt, MaxTokens: 10})
}

// again is when an error says to come again.
func (r *rig) again(err error, want nexus.Code) time.Duration {
	r.Helper()
	var e *nexus.Error
	if !errors.As(err, &e) || e.Code != want || e.RetryAfter <= 0 {
		r.Fatalf("%v, want %s and when to come again", err, want)
	}
	return e.RetryAfter
}

func TestAnAnswerComesWithWhatItCost(t *testing.T) {
	pooled(t, budget.Limits{Requests: 10, Tokens: 10_000}, 2, func(r *rig) {
		a, err := r.ask(Waiting, "hello")
		if err != nil || string(a.JSON) != `"hello"` {
			r.Fatalf("%s %v", a.JSON, err)
		}
		synctest.Wait()
		s := r.Status()
		if m := s.Models[0]; m.Outcomes["answered"] != 1 || m.TokensIn != 70 || m.TokensOut != 30 || m.Cost != 370.0/1e6 || m.Breaker != "closed" || m.LastAnswer == nil || s.Workers != 2 {
			r.Errorf("%+v", s)
		}
		if n, tokens, _, err := r.budget.Spent(r.Context(), "flash"); n != 1 || tokens != 100 || err != nil {
			r.Errorf("%d requests, %d tokens on account (%v)", n, tokens, err)
		}
		if _, err := r.Ask(r.Context(), Waiting, Call{Model: "none"}); nexus.CodeOf(err) != nexus.NotFound {
			r.Errorf("%v", err)
		}
	})
}

// TestWhoWaitsComesFirst: jobs never have the last worker.
func TestWhoWaitsComesFirst(t *testing.T) {
	pooled(t, budget.Limits{}, 3, func(r *rig) {
		var all sync.WaitGroup
		began := time.Now()
		for range 10 {
			all.Go(func() {
				if _, err := r.ask(Background, "job"); err != nil {
					r.Error(err)
				}
			})
		}
		synctest.Wait()
		if _, err := r.ask(Waiting, "me"); err != nil || time.Since(began) > 1100*time.Millisecond {
			r.Errorf("%v after %v", err, time.Since(began))
		}
		all.Wait()
		if took := time.Since(began); took < 4*time.Second || took > 6*time.Second {
			r.Errorf("ten jobs took %v", took)
		}
	})
}

func TestAQueueIsBounded(t *testing.T) {
	pooled(t, budget.Limits{}, 1, func(r *rig) {
		r.model.set(func(ctx context.Context, _ Call) (Answer, error) { <-ctx.Done(); return Answer{}, ctx.Err() })
		var all sync.WaitGroup
		var refused int
		var mu sync.Mutex
		for range maxQueued + 11 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				began := time.Now()
				_, err := r.Ask(ctx, Waiting, Call{Model: "flash"})
				r.again(err, nexus.Unavailable)
				if time.Since(began) < time.Second {
					mu.Lock()
					refused++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		if refused != 10 {
			r.Errorf("%d were refused at once", refused)
		}
	})
}

// TestWhoHasGoneHoldsNoPlace in a queue: others wait there in their stead.
func TestWhoHasGoneHoldsNoPlace(t *testing.T) {
	pooled(t, budget.Limits{}, 1, func(r *rig) {
		release := make(chan struct{})
		r.model.set(func(context.Context, Call) (Answer, error) { <-release; return Answer{JSON: json.RawMessage(`1`)}, nil })
		var all sync.WaitGroup
		all.Go(func() { _, _ = r.ask(Waiting, "the first has the worker") })
		synctest.Wait()
		for range maxQueued {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(r.Context(), time.Second)
				defer cancel()
				_, _ = r.Ask(ctx, Waiting, Call{Model: "flash"})
			})
		}
		time.Sleep(2 * time.Second)
		all.Go(func() {
			if _, err := r.ask(Waiting, "me"); err != nil {
				r.Error(err)
			}
		})
		synctest.Wait()
		close(release)
		all.Wait()
	})
}

// TestALargeCallThatIsDeniedHoldsUpNoSmallOne: that the budget has no room for many tokens says nothing about few.
func TestALargeCallThatIsDeniedHoldsUpNoSmallOne(t *testing.T) {
	pooled(t, budget.Limits{Tokens: 1000}, 2, func(r *rig) {
		large := Call{Model: "flash", MaxTokens: 950}
		if _, err := r.Ask(r.Context(), Background, Call{Model: "flash", MaxTokens: 300}); err != nil {
			r.Fatal(err)
		}
		_, err := r.Ask(r.Context(), Background, large)
		r.again(err, nexus.RateLimited)
		began := time.Now()
		if _, err = r.Ask(r.Context(), Background, large); nexus.CodeOf(err) != nexus.RateLimited || time.Since(began) != 0 || r.model.asked() != 1 {
			r.Errorf("%v after %v", err, time.Since(began)) // nobody needs to find out twice
		}
		if _, err := r.ask(Waiting, "small"); err != nil {
			r.Errorf("%v", err)
		}
		time.Sleep(r.again(err, nexus.RateLimited))
		time.Sleep(2 * time.Minute)
		if _, err := r.Ask(r.Context(), Background, large); err != nil {
			r.Errorf("in its turn: %v", err)
		}
	})
}

// TestAPoolThatIsClosedAnswersAtOnce.
func TestAPoolThatIsClosedAnswersAtOnce(t *testing.T) {
	pooled(t, budget.Limits{}, 1, func(r *rig) {
		if err := r.Close(r.Context()); err != nil {
			r.Fatal(err)
		}
		began := time.Now()
		_, err := r.ask(Waiting, "late")
		if r.again(err, nexus.Unavailable); time.Since(began) != 0 {
			r.Errorf("after %v", time.Since(began))
		}
	})
}

// TestTheBudgetHoldsForAllNodes: three of them ask as often as they may, for ten minutes.
func TestTheBudgetHoldsForAllNodes(t *testing.T) {
	pooled(t, budget.Limits{Requests: 12}, 3, func(r *rig) {
		pools := []*Pool{r.Pool}
		for range 2 {
			p, _ := r.node(3)
			pools = append(pools, p)
		}
		end, answered := time.Now().Add(10*time.Minute), 0
		var all sync.WaitGroup
		var mu sync.Mutex
		for i := range 9 {
			all.Go(func() {
				for time.Now().Before(end) {
					_, err := pools[i%3].Ask(r.Context(), Background, Call{Model: "flash", MaxTokens: 10})
					if err == nil {
						mu.Lock()
						answered++
						mu.Unlock()
						continue
					}
					if nexus.CodeOf(err) == nexus.Unavailable { // the account moves between nodes that do not know of each other
						r.again(err, nexus.Unavailable)
					}
					var e *nexus.Error
					errors.As(err, &e)
					time.Sleep(e.RetryAfter)
				}
			})
		}
		all.Wait()
		for i, first := range r.model.calls {
			n := 0
			for _, at := range r.model.calls[i:] {
				if at.Sub(first) < time.Minute {
					n++
				}
			}
			if n > 12 {
				r.Fatalf("%d requests in a minute", n)
			}
		}
		if answered < 60 {
			r.Errorf("%d answers in ten minutes", answered)
		}
	})
}

// TestARateLimitIsHonoured by everybody, and is none of the breaker's business.
func TestARateLimitIsHonoured(t *testing.T) {
	pooled(t, budget.Limits{}, 2, func(r *rig) {
		limited := nexus.Errorf(nexus.RateLimited, "enough")
		limited.RetryAfter = 40 * time.Second
		r.model.set(failing(limited))
		for range 2 * tripAfter {
			_, err := r.ask(Background, "x")
			if wait := r.again(err, nexus.RateLimited); wait > 40*time.Second {
				r.Errorf("%v", wait)
			}
		}
		if n := r.model.asked(); n != 1 {
			r.Errorf("asked %d times", n)
		}
		r.model.set(well)
		if s := r.Status().Models[0]; s.PausedUntil == nil || s.Breaker != "closed" {
			r.Errorf("%+v", s)
		}
		time.Sleep(40 * time.Second)
		if _, err := r.ask(Waiting, "x"); err != nil {
			r.Errorf("when it was told to: %v", err)
		}
	})
}

// TestABreakerOpens after failures and time-outs, and closes by one call that tries.
func TestABreakerOpens(t *testing.T) {
	pooled(t, budget.Limits{}, 2, func(r *rig) {
		r.model.set(failing(nexus.Errorf(nexus.Unavailable, "500")))
		for range tripAfter {
			_, err := r.ask(Waiting, "x")
			r.again(err, nexus.Unavailable)
		}
		asked := r.model.asked()
		_, err := r.ask(Waiting, "x")
		r.again(err, nexus.Unavailable)
		if r.model.asked() != asked || r.Status().Models[0].Breaker != "open" {
			r.Error("a model that fails is asked on")
		}
		r.model.set(well)
		time.Sleep(openFor + time.Millisecond)
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() { _, _ = r.ask(Waiting, "x") })
		}
		synctest.Wait()
		if n := r.model.asked() - asked; n != 1 {
			r.Errorf("%d try it at once", n)
		}
		all.Wait()
		if _, err := r.ask(Waiting, "x"); err != nil {
			r.Error(err)
		}
		for range 2 * tripAfter { // answers that are none do not open it
			r.model.set(failing(&Unusable{Reason: "blocked"}))
			if _, err := r.ask(Waiting, "x"); !errors.Is(err, ErrUnusable) {
				r.Error(err)
			}
		}
		for range 2 * tripAfter { // nor does who goes away
			ctx, cancel := context.WithCancel(r.Context())
			r.model.set(func(ctx context.Context, c Call) (Answer, error) { cancel(); return well(ctx, c) })
			_, err := r.Ask(ctx, Waiting, Call{Model: "flash"})
			r.again(err, nexus.Unavailable)
			synctest.Wait()
		}
		r.model.set(well)
		if _, err := r.ask(Waiting, "x"); err != nil {
			r.Error(err)
		}
	})
}

// TestAWorkerThatFailsIsReplaced, later and later, and who waited for it is told.
func TestAWorkerThatFailsIsReplaced(t *testing.T) {
	pooled(t, budget.Limits{}, 1, func(r *rig) {
		r.model.set(func(context.Context, Call) (Answer, error) { panic("a bug") })
		var waits []time.Duration
		for range 15 {
			began := time.Now()
			_, err := r.ask(Waiting, "x")
			r.again(err, nexus.Unavailable)
			waits = append(waits, time.Since(began))
		}
		if waits[14] < 5*time.Second || waits[14] > 45*time.Second {
			r.Errorf("%v", waits)
		}
		r.model.set(well)
		if _, err := r.ask(Waiting, "x"); err != nil {
			r.Error(err)
		}
		if s := r.Status(); s.Failures != 15 || s.Workers != 1 || s.Models[0].Breaker != "closed" {
			r.Errorf("%+v", s)
		}
	})
}

// TestAModelThatRefusesIsLeftAlone until somebody has seen to it.
func TestAModelThatRefusesIsLeftAlone(t *testing.T) {
	pooled(t, budget.Limits{}, 1, func(r *rig) {
		r.model.set(failing(nexus.Errorf(nexus.Forbidden, "403")))
		if _, err := r.ask(Waiting, "x"); nexus.CodeOf(err) != nexus.Forbidden {
			r.Error(err)
		}
		_, err := r.ask(Waiting, "x")
		if wait := r.again(err, nexus.RateLimited); wait < shutFor-time.Second || r.model.asked() != 1 {
			r.Errorf("%v, asked %d times", wait, r.model.asked())
		}
	})
}

// TestAtTheEndEverybodyIsTold to come again, and no request goes on.
func TestAtTheEndEverybodyIsTold(t *testing.T) {
	pooled(t, budget.Limits{}, 1, func(r *rig) {
		r.model.set(func(ctx context.Context, _ Call) (Answer, error) {
			<-ctx.Done()
			return Answer{}, nexus.Wrap(nexus.Unavailable, ctx.Err(), "given up")
		})
		var all sync.WaitGroup
		for range 5 {
			all.Go(func() {
				_, err := r.ask(Background, "x")
				r.again(err, nexus.Unavailable)
			})
		}
		synctest.Wait()
		began := time.Now()
		if err := r.Close(r.Context()); err != nil {
			r.Error(err)
		}
		all.Wait()
		if took := time.Since(began); took > 5*time.Second || r.Status().Failures != 0 {
			r.Errorf("%v, %d failures", took, r.Status().Failures)
		}
	})
}
