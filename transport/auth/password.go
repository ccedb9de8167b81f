package auth

import (
	"strings"
	"unicode/utf8"

	"nexus"
)

// Bounds of a password, in characters.
const (
	MinPassword = 10
	MaxPassword = 200
)

// CheckPassword returns Invalid, naming the field, for a password that an account may not have.
func CheckPassword(field, password, email string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return nexus.InvalidField(field, "needs at least %d characters", MinPassword)
	case n > MaxPassword:
		return nexus.InvalidField(field, "has more than %d characters", MaxPassword)
	case strings.EqualFold(strings.TrimSpace(password), email):
		return nexus.InvalidField(field, "must not be the e-mail address")
	case strings.Count(password, password[:1]) == len(password):
		return nexus.InvalidField(field, "must not repeat one character")
	}
	return nil
}
