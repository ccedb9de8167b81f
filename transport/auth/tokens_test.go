package auth

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"nexus"
)

var secret = []byte("a secret of tests, 32 bytes long")

func someone() nexus.Credentials {
	return nexus.Credentials{User: nexus.User{ID: nexus.UserID(nexus.NewID()), Roles: []nexus.Role{nexus.Student}}, TokenEpoch: 3}
}

func mustTokens(t *testing.T, secrets ...[]byte) *tokens {
	t.Helper()
	tk, err := newTokens(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// forge signs claims of our own shape, changed, under any header, method and key.
func forge(t *testing.T, method jwt.SigningMethod, key any, head, change map[string]any) string {
	t.Helper()
	now := time.Now()
	c := jwt.MapClaims{
		"iss": issuer, "aud": audience, "sub": nexus.NewID(), "sid": nexus.NewID(), "roles": []string{"ADMIN"}, "epoch": 0,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	for k, v := range change {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	token := jwt.NewWithClaims(method, c)
	maps.Copy(token.Header, head)
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAttacksOnTokens(t *testing.T) {
	tk := mustTokens(t, secret)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	hs, none := jwt.SigningMethodHS256, jwt.UnsafeAllowNoneSignatureType
	good := forge(t, hs, secret, nil, nil)
	parts := strings.Split(good, ".")
	b64 := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	hour := time.Now().Add(time.Hour).Unix()

	for name, token := range map[string]string{
		"none":                  forge(t, jwt.SigningMethodNone, none, nil, nil),
		"None by case":          b64(`{"alg":"NoNe","typ":"JWT"}`) + "." + parts[1] + ".",
		"no algorithm":          b64(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"signature cut off":     parts[0] + "." + parts[1] + ".",
		"two parts":             parts[0] + "." + parts[1],
		"RS256":                 forge(t, jwt.SigningMethodRS256, private, nil, nil),
		"HS256 by a public key": forge(t, hs, public, nil, nil),
		"HS512":                 forge(t, jwt.SigningMethodHS512, secret, nil, nil),
		"HS384":                 forge(t, jwt.SigningMethodHS384, secret, nil, nil),
		"another secret":        forge(t, hs, []byte("another secret, also 32 bytes lo"), nil, nil),
		"empty secret":          forge(t, hs, []byte{}, nil, nil),
		"kid of nobody":         forge(t, hs, secret, map[string]any{"kid": "nobody"}, nil),
		"kid is a path":         forge(t, hs, []byte{}, map[string]any{"kid": "../../../dev/null"}, nil),
		"kid is a query":        forge(t, hs, []byte{}, map[string]any{"kid": "x' UNION SELECT ''--"}, nil),
		"kid is no text":        forge(t, hs, secret, map[string]any{"kid": 7}, nil),
		"kid is empty":          forge(t, hs, []byte{}, map[string]any{"kid": ""}, nil),
		"key in the header":     forge(t, hs, []byte("mine"), map[string]any{"jwk": map[string]any{"kty": "oct", "k": b64("mine")}}, nil),
		"wrong issuer":          forge(t, hs, secret, nil, map[string]any{"iss": "evil"}),
		"no issuer":             forge(t, hs, secret, nil, map[string]any{"iss": nil}),
		"wrong audience":        forge(t, hs, secret, nil, map[string]any{"aud": "nexus:refresh"}),
		"no audience":           forge(t, hs, secret, nil, map[string]any{"aud": nil}),
		"expired":               forge(t, hs, secret, nil, map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"never expires":         forge(t, hs, secret, nil, map[string]any{"exp": nil}),
		"expires as text":       forge(t, hs, secret, nil, map[string]any{"exp": "tomorrow"}),
		"issued tomorrow":       forge(t, hs, secret, nil, map[string]any{"iat": hour}),
		"never issued":          forge(t, hs, secret, nil, map[string]any{"iat": nil}),
		"not yet":               forge(t, hs, secret, nil, map[string]any{"nbf": hour}),
		"no subject":            forge(t, hs, secret, nil, map[string]any{"sub": nil}),
		"subject is no id":      forge(t, hs, secret, nil, map[string]any{"sub": "admin"}),
		"no login":              forge(t, hs, secret, nil, map[string]any{"sid": nil}),
		"tampered":              parts[0] + "." + b64(`{"sub":"`+nexus.NewID()+`","roles":["ADMIN"]}`) + "." + parts[2],
		"padded":                good + "=",
		"with a blank":          good + " ",
		"huge":                  good + strings.Repeat("A", 10_000),
		"empty":                 "",
		"words":                 "hello",
	} {
		if c, err := tk.read(token); nexus.CodeOf(err) != nexus.Unauthenticated {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
	for name, token := range map[string]string{"without kid": good, "with our kid": forge(t, hs, secret, map[string]any{"kid": keyID(secret)}, nil)} {
		if _, err := tk.read(token); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEveryBitOfATokenCounts flips each bit of each part.
func TestEveryBitOfATokenCounts(t *testing.T) {
	tk := mustTokens(t, secret)
	good, _, err := tk.sign(someone(), nexus.SessionID(nexus.NewID()), time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(good) {
		for bit := range 7 {
			bad := []byte(good)
			bad[i] ^= 1 << bit
			if _, err := tk.read(string(bad)); err == nil {
				t.Fatalf("bit %d of byte %d does not count", bit, i)
			}
		}
	}
}

func TestTokensLiveFifteenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tk := mustTokens(t, secret)
		c, id := someone(), nexus.SessionID(nexus.NewID())
		token, expires, err := tk.sign(c, id, time.Now(), time.Time{})
		if err != nil || time.Until(expires) != AccessTTL {
			t.Fatalf("expires %v, %v", expires, err)
		}
		time.Sleep(AccessTTL - time.Second)
		got, err := tk.read(token)
		if err != nil || got.Subject != string(c.User.ID) || got.Session != id || got.Epoch != 3 || got.Roles[0] != nexus.Student {
			t.Errorf("%+v %v", got, err)
		}
		time.Sleep(time.Second)
		if _, err := tk.read(token); err == nil {
			t.Error("lives on")
		}
	})
}

func TestSecretsAreRotated(t *testing.T) {
	next := []byte("the next secret, also 32 bytes l")
	old, both, fresh := mustTokens(t, secret), mustTokens(t, next, secret), mustTokens(t, next)
	sign := func(tk *tokens) string {
		s, _, err := tk.sign(someone(), nexus.SessionID(nexus.NewID()), time.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name  string
		token string
		by    *tokens
		ok    bool
	}{
		{"old by both", sign(old), both, true},
		{"new by both", sign(both), both, true},
		{"new by the new", sign(both), fresh, true},
		{"old by the new", sign(old), fresh, false},
		{"new by the old", sign(both), old, false},
	} {
		if _, err := c.by.read(c.token); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for name, secrets := range map[string][][]byte{"none": nil, "short": {[]byte("short")}, "short old one": {next, []byte("short")}} {
		if _, err := newTokens(secrets); nexus.CodeOf(err) != nexus.Invalid || strings.Contains(err.Error(), "short") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
