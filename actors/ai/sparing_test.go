package ai

import (
	"context"
	"strings"
	"testing"

	"nexus"
	"nexus/actors/ai/budget"
)

type spent struct {
	requests, tokens int
	limits           budget.Limits
}

func (s spent) Spent(context.Context, string) (int, int, budget.Limits, error) {
	return s.requests, s.tokens, s.limits, nil
}

// TestHalfOfABudgetIsLeftToOthers.
func TestHalfOfABudgetIsLeftToOthers(t *testing.T) {
	call := Call{Prompt: strings.Repeat("x", 200), MaxTokens: 100} // 200 tokens by the estimate
	for what, x := range map[string]struct {
		spent
		asked bool
	}{
		"nothing spent":        {spent{0, 0, budget.Limits{Requests: 10, Tokens: 1000}}, true},
		"the last of the half": {spent{4, 300, budget.Limits{Requests: 10, Tokens: 1000}}, true},
		"half of the requests": {spent{5, 0, budget.Limits{Requests: 10}}, false},
		"half of the tokens":   {spent{0, 301, budget.Limits{Tokens: 1000}}, false},
		"one request a minute": {spent{0, 0, budget.Limits{Requests: 1}}, false},
		"no limits":            {spent{1e6, 1e9, budget.Limits{}}, true},
	} {
		a := &adviser{answer: func(Call) (string, error) { return `{}`, nil }}
		_, err := Sparing{a, x.spent}.Ask(t.Context(), Background, call)
		if (len(a.calls) == 1) != x.asked || (nexus.CodeOf(err) == nexus.RateLimited) == x.asked {
			t.Errorf("%s: asked %d times, %v", what, len(a.calls), err)
		}
	}
}
