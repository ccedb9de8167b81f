package budget

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// TestNoMinuteSeesMoreThanTheLimit: however late within its time each grant is used, whatever is given back and whatever tokens it came to.
func TestNoMinuteSeesMoreThanTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Requests: rapid.IntRange(0, 8).Draw(t, "requests"), Tokens: rapid.IntRange(0, 400).Draw(t, "tokens")}
		type request struct {
			at     time.Time
			tokens int
		}
		var s State
		var made []request
		now := noon
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 12_000).Draw(t, "later")) * time.Millisecond)
			tokens := rapid.IntRange(1, 200).Draw(t, "estimate")
			number, again := s.Take(l, tokens, now)
			if number == 0 {
				if !again.After(now) || again.After(now.Add(span)) {
					t.Fatalf("denied until %v at %v", again, now)
				}
				later := s
				later.Uses = slices.Clone(s.Uses)
				if n, next := later.Take(l, tokens, again); n == 0 {
					t.Fatalf("come again at %v, and then again at %v", again, next)
				}
				continue
			}
			if !again.IsZero() {
				t.Fatal("granted, and come again")
			}
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				s.Settle(number, 0, false)
				continue
			case 1:
				tokens = rapid.IntRange(1, tokens).Draw(t, "tokens it was")
				s.Settle(number, tokens, true)
			}
			delay := time.Duration(rapid.IntRange(0, int(UseWithin/time.Millisecond)).Draw(t, "delay")) * time.Millisecond
			made = append(made, request{now.Add(delay), tokens})
		}
		for _, first := range made {
			n, sum := 0, 0
			for _, r := range made {
				if !r.at.Before(first.at) && r.at.Before(first.at.Add(time.Minute)) {
					n++
					sum += r.tokens
				}
			}
			if l.Requests > 0 && n > l.Requests || l.Tokens > 0 && n > 1 && sum > l.Tokens {
				t.Fatalf("%d requests of %d tokens in a minute, the limit is %+v", n, sum, l)
			}
		}
	})
}

func TestARequestThatIsTooLargeIsGrantedAlone(t *testing.T) {
	var s State
	l := Limits{Tokens: 100}
	if n, _ := s.Take(l, 1000, noon); n != 1 {
		t.Error("denied for ever")
	}
	if n, again := s.Take(l, 1, noon.Add(time.Second)); n != 0 || again != noon.Add(span) {
		t.Errorf("%d %v", n, again)
	}
	s.Settle(1, 50, true)
	s.Settle(7, 50, true) // no such use
	if n, _ := s.Take(l, 50, noon.Add(2*time.Second)); n != 2 {
		t.Error("there is room by now")
	}
	if n, tokens := s.Spent(noon.Add(3 * time.Second)); n != 2 || tokens != 100 {
		t.Errorf("%d %d", n, tokens)
	}
	if n, _ := s.Spent(noon.Add(2 * span)); n != 0 {
		t.Errorf("%d", n)
	}
}
