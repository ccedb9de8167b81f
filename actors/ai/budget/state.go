package budget

import "time"

const (
	// UseWithin is for how long a grant may be used: whoever has not sent the request by then gives it back.
	UseWithin = 2 * time.Second
	// slack is what requests may differ in the time from their grant to their arrival at the model, clocks of nodes included. The account is kept for
	// so much longer than a minute that no minute at the model's end sees more than the limit.
	slack = 5 * time.Second
	// span is how far back the account goes.
	span = time.Minute + slack
	// maxUses bounds the account, whatever the limits say.
	maxUses = 10_000
)

// Limits are what a model may be asked for in a minute; 0 is no limit.
type Limits struct {
	Requests int
	Tokens   int
}

// State is the account of a model.
type State struct {
	Uses []Use // in order of time
	Last int64 // the number of the last use
}

// Use is a request that was granted.
type Use struct {
	Number int64
	At     time.Time
	Tokens int // estimated, and then as they came to be
}

// forget drops what is over.
func (s *State) forget(now time.Time) {
	n := 0
	for n < len(s.Uses) && !now.Before(s.Uses[n].At.Add(span)) {
		n++
	}
	s.Uses = s.Uses[n:]
}

// Take grants a request of so many tokens, and returns the use's number; or it says when there may be room for it. A request of more tokens than
// a whole minute has is granted alone, for it would never be.
func (s *State) Take(l Limits, tokens int, now time.Time) (number int64, again time.Time) {
	s.forget(now)
	sum := 0
	for _, u := range s.Uses {
		sum += u.Tokens
	}
	over := func(n, sum int) bool {
		return n >= maxUses || l.Requests > 0 && n >= l.Requests || l.Tokens > 0 && n > 0 && sum+tokens > l.Tokens
	}
	if !over(len(s.Uses), sum) {
		s.Last++
		s.Uses = append(s.Uses, Use{Number: s.Last, At: now, Tokens: tokens})
		return s.Last, time.Time{}
	}
	for i, u := range s.Uses { // when enough of what was used is over
		if sum -= u.Tokens; !over(len(s.Uses)-i-1, sum) {
			return 0, u.At.Add(span)
		}
	}
	return 0, now.Add(span) // there is no room at all: a limit was lowered under what is asked for
}

// Settle replaces the estimate of a use, if it is still on account. Of a request that was never sent nothing is left: sent is false.
func (s *State) Settle(number int64, tokens int, sent bool) {
	for i, u := range s.Uses {
		if u.Number != number {
			continue
		}
		if sent {
			s.Uses[i].Tokens = tokens
		} else {
			s.Uses = append(s.Uses[:i:i], s.Uses[i+1:]...)
		}
		return
	}
}

// Spent is what the last minute came to.
func (s *State) Spent(now time.Time) (requests, tokens int) {
	s.forget(now)
	for _, u := range s.Uses {
		tokens += u.Tokens
	}
	return len(s.Uses), tokens
}
