package ai

import (
	"context"
	"time"

	"nexus"
	"nexus/actors/ai/budget"
)

// Spender says what a model's last minute came to; budget.Client is one.
type Spender interface {
	Spent(ctx context.Context, model string) (requests, tokens int, l budget.Limits, err error)
}

// Sparing is an Asker for what can as well be asked tomorrow: it leaves half of each minute's budget to others.
type Sparing struct {
	Asker
	Budget Spender
}

// Ask asks, unless half of the budget is spent or would be, which is RateLimited.
func (s Sparing) Ask(ctx context.Context, p Priority, c Call) (Answer, error) {
	requests, tokens, l, err := s.Budget.Spent(ctx, c.Model)
	if err != nil {
		return Answer{}, err
	}
	if l.Requests > 0 && 2*(requests+1) > l.Requests || l.Tokens > 0 && 2*(tokens+c.Estimate()) > l.Tokens {
		e := nexus.Errorf(nexus.RateLimited, "half of the model's budget is left to others")
		e.RetryAfter = time.Minute
		return Answer{}, e
	}
	return s.Asker.Ask(ctx, p, c)
}
