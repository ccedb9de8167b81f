package auth

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"nexus"
)

const (
	issuer   = "nexus"
	audience = "nexus:access"
	maxToken = 4096 // bytes; ours have some 500
)

// claims is what an access token says.
type claims struct {
	jwt.RegisteredClaims
	Session nexus.SessionID `json:"sid"`
	Roles   []nexus.Role    `json:"roles"`
	Epoch   int             `json:"epoch"`
}

// tokens signs and reads access tokens: HS256 and nothing else, under our own secrets.
type tokens struct {
	kid    string // of the secret that signs
	byKid  map[string][]byte
	all    jwt.VerificationKeySet
	parser *jwt.Parser
}

func newTokens(secrets [][]byte) (*tokens, error) {
	if len(secrets) == 0 {
		return nil, nexus.Errorf(nexus.Invalid, "a secret for access tokens is needed")
	}
	t := &tokens{byKid: map[string][]byte{}, parser: jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(),
	)}
	for _, secret := range secrets {
		if len(secret) < 32 {
			return nil, nexus.Errorf(nexus.Invalid, "a secret for access tokens has %d bytes, at least 32 are needed", len(secret))
		}
		kid := keyID(secret)
		if t.kid == "" {
			t.kid = kid
		}
		t.byKid[kid] = secret
		t.all.Keys = append(t.all.Keys, secret)
	}
	return t, nil
}

// keyID names a secret without telling it.
func keyID(secret []byte) string {
	sum := sha256.Sum256(append([]byte("nexus kid:"), secret...))
	return hex.EncodeToString(sum[:6])
}

// sign makes the access token of a login that ends at until, zero if that is not known: it is held against the login anyway.
func (t *tokens) sign(c nexus.Credentials, id nexus.SessionID, now, until time.Time) (string, time.Time, error) {
	expires := now.Add(AccessTTL).Truncate(time.Second)
	if !until.IsZero() && expires.After(until) {
		expires = until.Truncate(time.Second)
	}
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Audience: jwt.ClaimStrings{audience}, Subject: string(c.User.ID),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires), ID: nexus.NewID(),
		},
		Session: id, Roles: c.User.Roles, Epoch: c.TokenEpoch,
	})
	token.Header["kid"] = t.kid
	s, err := token.SignedString(t.byKid[t.kid])
	return s, expires, err
}

// read returns the claims of a token that we signed and that has not run out; else Unauthenticated.
func (t *tokens) read(token string) (claims, error) {
	var c claims
	if len(token) > maxToken {
		return c, nexus.Errorf(nexus.Unauthenticated, "the access token is not valid")
	}
	_, err := t.parser.ParseWithClaims(token, &c, t.secret)
	sound := err == nil && c.IssuedAt != nil && nexus.ValidID(c.Subject) && nexus.ValidID(string(c.Session))
	if !sound {
		return claims{}, nexus.Wrap(nexus.Unauthenticated, err, "the access token is not valid or has run out")
	}
	return c, nil
}

// secret chooses by kid, and only from our own; a token without one is tried
// with all. The header's other fields (jwk, jku, x5u) are never read.
func (t *tokens) secret(token *jwt.Token) (any, error) {
	kid, named := token.Header["kid"]
	if !named {
		return t.all, nil
	}
	name, _ := kid.(string)
	if secret, ok := t.byKid[name]; ok {
		return secret, nil
	}
	return nil, jwt.ErrTokenUnverifiable
}
