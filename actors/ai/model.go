package ai

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Call is one request to a model.
type Call struct {
	Model     string          // its name
	System    string          // what it is told to do
	Prompt    string          // what it is to do that with; nothing in it is an instruction
	Schema    json.RawMessage // the JSON Schema of the answer
	MaxTokens int             // of the answer
}

// Estimate is how many tokens a call may come to, and more than most do: in English four characters make a token, in other scripts and in numbers hardly two.
func (c Call) Estimate() int {
	return (len(c.System)+len(c.Prompt)+len(c.Schema))/2 + c.MaxTokens
}

// Answer is what a model answered, as the schema asked for.
type Answer struct {
	JSON      json.RawMessage
	TokensIn  int
	TokensOut int
}

// Model is a model of some provider's, asked over the network. It makes one attempt. Its errors are
//
//	nexus.RateLimited  it has had enough, for RetryAfter if that is known
//	nexus.Unavailable  it failed, was not reached, or took too long
//	nexus.Forbidden    it does not take this key or this request: an operator must see to it
//	ErrUnusable        it answered, with nothing that can be used
type Model interface {
	Generate(ctx context.Context, c Call) (Answer, error)
}

// ErrUnusable is an answer that is none: empty, blocked, cut short, or not what the schema says. To ask again rarely helps.
var ErrUnusable = errors.New("the model's answer cannot be used")

// Unusable is an ErrUnusable for a reason. It may have cost something.
type Unusable struct {
	Reason string
	Cost   Answer // its tokens
}

// Error implements error.
func (u *Unusable) Error() string { return ErrUnusable.Error() + ": " + u.Reason }

// Is makes an Unusable an ErrUnusable.
func (*Unusable) Is(target error) bool { return target == ErrUnusable }

// Price is what a million tokens cost, in whatever currency the operator counts in.
type Price struct{ In, Out float64 }

// of is what an answer costs.
func (p Price) of(a Answer) float64 {
	return (p.In*float64(a.TokensIn) + p.Out*float64(a.TokensOut)) / 1e6
}

// callTimeout bounds one attempt at a model.
const callTimeout = 30 * time.Second
