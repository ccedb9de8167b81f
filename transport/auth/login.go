package auth

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"nexus"
	"nexus/transport/limit"
)

// Attempt is a try to log in.
type Attempt struct {
	Identifier string // e-mail address or registration number
	Password   string
	Remember   bool
	Device     string // the User-Agent
	Staff      bool   // only accounts with a role beyond STUDENT
}

// Tokens is what a login gives.
type Tokens struct {
	User     nexus.User
	Session  nexus.SessionID
	Access   string
	Expires  time.Time // of Access
	Refresh  string    // empty if the login keeps the one it has
	Until    time.Time // of Refresh
	Remember bool      // Refresh outlives the browser
}

// Registration is an account that somebody asks for.
type Registration struct{ Email, RegNo, Name, Password string }

// Register makes a student's account. Nobody chooses their own roles. RateLimited if too many register from one address.
func (s *Service) Register(ctx context.Context, by nexus.Caller, r Registration) (nexus.User, error) {
	if err := s.Limiter.Allow(ctx, "register:"+limit.Household(by.IP), newcomers).Err(); err != nil {
		return nexus.User{}, err
	}
	return s.Add(ctx, by, r, []nexus.Role{nexus.Student})
}

// Add makes an account with roles. It is for those who may give them: the operator at the command line.
func (s *Service) Add(ctx context.Context, by nexus.Caller, r Registration, roles []nexus.Role) (nexus.User, error) {
	email, err := nexus.NormalEmail(r.Email)
	if err != nil {
		return nexus.User{}, err
	}
	if err := CheckPassword("password", r.Password, email); err != nil {
		return nexus.User{}, err
	}
	hash, err := s.hasher.hash(ctx, r.Password)
	if err != nil {
		return nexus.User{}, err
	}
	return s.Accounts.Create(ctx, by, nexus.NewAccount{
		Email: email, RegNo: strings.ToUpper(r.RegNo), Name: r.Name, PasswordHash: hash, Roles: roles,
	})
}

// Login opens a login. Unauthenticated for a wrong pair, with the same words and in the
// same time whether or not the account exists; RateLimited after failures, or for logins without end; Forbidden for an account that
// is suspended or, where staff is asked for, has no such role.
func (s *Service) Login(ctx context.Context, by nexus.Caller, a Attempt) (Tokens, error) {
	c, err := s.checkLogin(ctx, by, a)
	if err != nil {
		return Tokens{}, err
	}
	switch {
	case c.User.Status != nexus.Active:
		return Tokens{}, nexus.Errorf(nexus.Forbidden, "this account is %s", c.User.Status)
	case a.Staff && !(nexus.Caller{Roles: c.User.Roles}).Has(nexus.Faculty, nexus.MessStaff, nexus.Security, nexus.Admin):
		return Tokens{}, nexus.Errorf(nexus.Forbidden, "this account is not one of the staff")
	}
	return s.open(ctx, by, c, a)
}

func (s *Service) checkLogin(ctx context.Context, by nexus.Caller, a Attempt) (c nexus.Credentials, err error) {
	checks := s.checks(a.Identifier, by.IP)
	if err := s.admit(ctx, checks); err != nil {
		return c, err
	}
	c, err = s.Accounts.ByLogin(ctx, a.Identifier)
	if err != nil && nexus.CodeOf(err) != nexus.NotFound {
		return nexus.Credentials{}, err
	}
	every := check{"login:often:" + cmp.Or(string(c.User.ID), strings.ToLower(a.Identifier)), often}
	if err := s.admit(ctx, []check{every}); err != nil {
		return nexus.Credentials{}, err
	}
	err = s.hasher.do(ctx, func() error {
		// Asked again in turn: many tries may have been let in at once.
		if err := s.admit(ctx, checks); err != nil {
			return err
		}
		if err := s.Limiter.Allow(ctx, every.key, every.rule).Err(); err != nil {
			return err
		}
		ok, err := s.hasher.check(a.Password, c.PasswordHash)
		switch {
		case err != nil:
			return fmt.Errorf("check the password of %s: %w", c.User.ID, err)
		case !ok:
			s.fail(ctx, checks)
			return nexus.Errorf(nexus.Unauthenticated, "wrong name or password")
		}
		s.rehash(ctx, c, a.Password)
		return nil
	})
	if err != nil {
		return nexus.Credentials{}, err
	}
	s.homes.learn(strings.ToLower(a.Identifier), limit.Household(by.IP))
	return c, nil
}

// rehash gives an account whose password was hashed at another cost a hash of today's, now that the password is at hand.
// It is called in the hasher's turn. A failure keeps nobody out: the next login tries again.
func (s *Service) rehash(ctx context.Context, c nexus.Credentials, password string) {
	hash, err := s.hasher.renew(password, c.PasswordHash)
	if err == nil && hash != "" {
		err = s.Accounts.Rehash(ctx, c.User.ID, c.PasswordHash, hash)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "hash a password anew", "user", c.User.ID, "err", err)
	}
}

func (s *Service) open(ctx context.Context, by nexus.Caller, c nexus.Credentials, a Attempt) (Tokens, error) {
	now := time.Now()
	refresh, next := newRefresh(a.Remember, now)
	l := nexus.Login{
		ID: nexus.SessionID(nexus.NewID()), Device: a.Device, IP: by.IP.String(),
		CreatedAt: now, LastUsedAt: now, ExpiresAt: next.ExpiresAt,
	}
	by.User, by.Roles, by.Session = c.User.ID, c.User.Roles, l.ID // the audit log names who logged in
	if err := s.Logins.Open(ctx, by, c.User.ID, c.TokenEpoch, l, next); err != nil {
		return Tokens{}, err
	}
	return s.issue(c, l.ID, refresh, next.ExpiresAt)
}

// Refresh exchanges a refresh token for the next pair. TokenReused if it was exchanged before: the
// login is revoked then, for one of the two who used it is a thief, and its sockets are closed.
func (s *Service) Refresh(ctx context.Context, token string) (Tokens, error) {
	refresh, next := newRefresh(remembers(token), time.Now())
	l, c, err := s.Logins.Rotate(ctx, hashOf(token), next, lifeOf(token))
	if nexus.CodeOf(err) == nexus.TokenReused {
		s.Ended(ctx, c.User.ID, l.ID, ReasonReused)
	}
	if err != nil {
		return Tokens{}, err
	}
	return s.issue(c, l.ID, refresh, l.ExpiresAt)
}

func (s *Service) issue(c nexus.Credentials, id nexus.SessionID, refresh string, until time.Time) (Tokens, error) {
	access, expires, err := s.tokens.sign(c, id, time.Now(), until)
	if err != nil {
		return Tokens{}, fmt.Errorf("sign an access token: %w", err)
	}
	return Tokens{
		User: c.User, Session: id, Access: access, Expires: expires,
		Refresh: refresh, Until: until, Remember: remembers(refresh),
	}, nil
}

// A refresh token carries its kind, which its hash covers like the rest.
const (
	sessionPrefix  = "s."
	rememberPrefix = "r."
)

func remembers(token string) bool { return strings.HasPrefix(token, rememberPrefix) }

// lifeOf is how long the login of a refresh token lives at most.
func lifeOf(token string) time.Duration {
	if remembers(token) {
		return RememberLife
	}
	return SessionLife
}

func newRefresh(remember bool, now time.Time) (string, nexus.RefreshToken) {
	prefix, ttl := sessionPrefix, SessionTTL
	if remember {
		prefix, ttl = rememberPrefix, RememberTTL
	}
	token := prefix + random()
	return token, nexus.RefreshToken{Hash: hashOf(token), ExpiresAt: now.Add(ttl)}
}

func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// random returns 256 random bits as text.
func random() string {
	b := make([]byte, 32)
	rand.Read(b) //nolint:errcheck // crypto/rand.Read never fails: it ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}
