package nexus

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable reports whether a text holds nothing but what can be shown: no control characters, no broken Unicode, nothing that reverses the
// direction of what follows it. With lines it may hold line feeds and tabs.
func Printable(s string, lines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		switch {
		case lines && (r == '\n' || r == '\t'):
		case unicode.IsControl(r),
			r == utf8.RuneError,
			r == '\u2028', r == '\u2029', // line and paragraph separators
			r >= '\u202A' && r <= '\u202E', // bidirectional embeddings and overrides
			r >= '\u2066' && r <= '\u2069', // bidirectional isolates
			r == '\uFEFF', r&0xFFFE == 0xFFFE,
			r >= '\uFDD0' && r <= '\uFDEF': // byte order mark, non-characters
			return false
		}
	}
	return true
}

// NormalEmail returns an address as it is kept: bare, in lower case. Invalid for anything else.
func NormalEmail(s string) (string, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	a, err := mail.ParseAddress(s)
	local, domain, _ := strings.Cut(s, "@")
	if err != nil || a.Address != s || len(local) > 64 || len(s) > 254 || !strings.Contains(domain, ".") || strings.Contains(s, `"`) {
		return "", InvalidField("email", "expected an e-mail address")
	}
	return s, nil
}
