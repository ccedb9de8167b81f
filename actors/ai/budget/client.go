package budget

import (
	"context"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// Client speaks to the accounts, wherever they live. Its errors are those of grain.Ask, and nexus.NotFound for a model that is not configured.
type Client struct{ dir grain.Directory }

// NewClient returns a client that reaches grains through dir.
func NewClient(dir grain.Directory) Client { return Client{dir: dir} }

func ref(model string) grain.Ref { return grain.Ref{Kind: KindName, ID: model} }

// Take asks to make a request of about so many tokens within UseWithin, and returns the grant's number. RateLimited, with when to come again, if the
// minute has no room for it.
func (c Client) Take(ctx context.Context, model string, tokens int) (int64, error) {
	a, err := grain.Ask[*Taken](ctx, c.dir, ref(model), &Take{Tokens: int64(tokens)})
	if err != nil {
		return 0, err
	}
	if a.GetNumber() == 0 {
		e := nexus.Errorf(nexus.RateLimited, "the model's budget of this minute is spent")
		e.RetryAfter = time.Duration(max(1, a.GetWaitMs())) * time.Millisecond
		return 0, e
	}
	return a.GetNumber(), nil
}

// Settle says what a granted request came to; sent is false if it was never made.
func (c Client) Settle(ctx context.Context, model string, number int64, tokens int, sent bool) error {
	_, err := grain.Ask[*grain.Done](ctx, c.dir, ref(model), &Settle{Number: number, Tokens: int64(tokens), Sent: sent})
	return err
}

// Spent returns what a model's last minute came to, and its limits.
func (c Client) Spent(ctx context.Context, model string) (requests, tokens int, l Limits, err error) {
	a, err := grain.Ask[*Spent](ctx, c.dir, ref(model), &Look{})
	return int(a.GetRequests()), int(a.GetTokens()), Limits{Requests: int(a.GetMaxRequests()), Tokens: int(a.GetMaxTokens())}, err
}
