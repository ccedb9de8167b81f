package auth

import (
	"net/mail"
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

// NormalEmail returns the address as it is kept: bare, in lower case. Invalid for anything else.
func NormalEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	local, domain, _ := strings.Cut(s, "@")
	if err != nil || a.Address != s || len(local) > 64 || len(s) > 254 || !strings.Contains(domain, ".") || strings.Contains(s, `"`) {
		return "", nexus.InvalidField("email", "expected an e-mail address")
	}
	return s, nil
}
