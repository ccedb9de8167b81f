package auth

import (
	"context"
	"strings"

	"nexus"
	"nexus/transport/limit"
)

// Pins keeps the two numbers of each person that end an alarm: one that ends it, and one that only seems to.
type Pins interface {
	// Pins returns the hashes of a person's two numbers; empty if there are none.
	Pins(ctx context.Context, user nexus.UserID) (pin, duress string, err error)
	// SetPins replaces them. Audited, without them.
	SetPins(ctx context.Context, by nexus.Caller, pin, duress string) error
}

// Bounds of a PIN, in digits.
const (
	MinPin = 4
	MaxPin = 8
)

// pinTries is how often somebody may try a PIN: a phone in the wrong hands has few guesses, a shaking hand enough.
var pinTries = limit.Rule{Rate: 5.0 / 60, Burst: 5}

// SetPins replaces the caller's two numbers after checking their password. Invalid, with the field, for numbers that are not digits, too short or
// too long, or alike: whoever looks on must not see which one it is by its length either, so both have the same.
func (s *Service) SetPins(ctx context.Context, by nexus.Caller, password, pin, duress string) error {
	switch {
	case !isPin(pin):
		return nexus.InvalidField("pin", "must be %d to %d digits", MinPin, MaxPin)
	case !isPin(duress):
		return nexus.InvalidField("duressPin", "must be %d to %d digits", MinPin, MaxPin)
	case pin == duress:
		return nexus.InvalidField("duressPin", "must not be the PIN")
	case len(pin) != len(duress):
		return nexus.InvalidField("duressPin", "must be as long as the PIN")
	}
	c, err := s.Accounts.ByID(ctx, by.User)
	if err != nil {
		return err
	}
	if err := s.confirm(ctx, by, c, "password", password); err != nil {
		return err
	}
	hash, err := s.hasher.hash(ctx, pin)
	if err != nil {
		return err
	}
	duressHash, err := s.hasher.hash(ctx, duress)
	if err != nil {
		return err
	}
	return s.Pins.SetPins(ctx, by, hash, duressHash)
}

func isPin(p string) bool {
	return len(p) >= MinPin && len(p) <= MaxPin && strings.Trim(p, "0123456789") == ""
}

// CheckPin says whether a number is a person's duress PIN. Forbidden for one that is neither of the two. Somebody who never set
// any needs none. Both numbers are always compared, so that the time tells nothing.
func (s *Service) CheckPin(ctx context.Context, user nexus.UserID, pin string) (duress bool, err error) {
	right, under, err := s.Pins.Pins(ctx, user)
	if err != nil || right == "" {
		return false, err
	}
	if err := s.Limiter.Allow(ctx, "pin:"+string(user), pinTries).Err(); err != nil {
		return false, err
	}
	var ok bool
	err = s.hasher.do(ctx, func() (err error) {
		if ok, err = s.hasher.check(pin, right); err == nil {
			duress, err = s.hasher.check(pin, under)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	if !ok && !duress {
		return false, nexus.Errorf(nexus.Forbidden, "the PIN is wrong")
	}
	return duress, nil
}
