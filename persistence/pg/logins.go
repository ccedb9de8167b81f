package pg

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Open starts a family: the login l, whose ID the caller has made, and its first token. It takes no
// notice of an idempotency key, for a second login of the same kind is another login.
// An address in l that cannot be read is left out. Unauthenticated unless the account is active and its token epoch is
// still epoch: a login whose password was checked before the account changed does not outlive the change.
func (s *Identity) Open(ctx context.Context, by nexus.Caller, user nexus.UserID, epoch int, l nexus.Login, t nexus.RefreshToken) error {
	if by.User == "" && by.Key == "" {
		by.User = user // whoever logs in is a stranger until then
	}
	var ip *netip.Addr
	if a, err := netip.ParseAddr(l.IP); err == nil {
		ip = addressOf(a)
	}
	return s.db.tx(ctx, "open login", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.InsertSession(ctx, sqlcgen.InsertSessionParams{
			ID: string(l.ID), UserID: string(user), TokenEpoch: int32(epoch), Device: l.Device, Ip: ip, ExpiresAt: t.ExpiresAt, //nolint:gosec // it was an int32
		})
		if err != nil {
			return err
		}
		if n == 0 {
			return nexus.Errorf(nexus.Unauthenticated, "the account has changed meanwhile, please log in again")
		}
		if err := q.InsertRefresh(ctx, t.Hash, string(l.ID), t.ExpiresAt); err != nil {
			return err
		}
		return audit(ctx, q, by, "login.open", "login", string(l.ID), nil, map[string]string{"user": string(user), "device": l.Device})
	})
}

var errNoToken = nexus.Errorf(nexus.Unauthenticated, "the refresh token is unknown, expired or revoked")

// Rotate exchanges the token with this hash for next, once. Of two exchanges that race exactly one
// gets next; the other finds the token used and revokes the family, next included: a thief cannot
// be told from the owner, so neither stays. A used token fails with TokenReused
// for as long as it is known, also after its family has ended, and the ids of the login and its user come back then. However
// often it is exchanged, a login ends when it is as old as life.
func (s *Identity) Rotate(ctx context.Context, hash []byte, next nexus.RefreshToken, life time.Duration) (nexus.Login, nexus.Credentials, error) {
	var login nexus.Login
	var creds nexus.Credentials
	var reused bool
	err := s.db.tx(ctx, "rotate token", func(ctx context.Context, q *sqlcgen.Queries) error {
		used, err := q.UseRefresh(ctx, hash)
		if errors.Is(err, pgx.ErrNoRows) {
			reused = true
			login, creds, err = endFamily(ctx, q, hash) // and commit, whatever we answer
			return err
		}
		if err != nil {
			return err
		}
		reused = false
		if used.Expired {
			return errNoToken
		}
		session, err := q.ProlongSession(ctx, next.ExpiresAt, life.Seconds(), used.SessionID)
		if errors.Is(err, pgx.ErrNoRows) {
			return errNoToken
		}
		if err != nil {
			return err
		}
		if err := q.InsertRefresh(ctx, next.Hash, session.ID, session.ExpiresAt); err != nil {
			return err
		}
		login = loginOf(session)
		creds, err = credentials(ctx, q, nexus.UserID(session.UserID))
		return err
	})
	if err != nil {
		return nexus.Login{}, nexus.Credentials{}, err
	}
	if reused {
		return login, creds, nexus.Errorf(nexus.TokenReused, "the refresh token was used before: its login has ended")
	}
	return login, creds, nil
}

// endFamily revokes the family of a used token and returns whose it was, ids alone. Unauthenticated if there is no such token.
func endFamily(ctx context.Context, q *sqlcgen.Queries, hash []byte) (l nexus.Login, c nexus.Credentials, err error) {
	family, err := q.RefreshFamily(ctx, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return l, c, errNoToken
	}
	if err != nil {
		return l, c, err
	}
	l.ID, c.User.ID = nexus.SessionID(family.ID), nexus.UserID(family.UserID)
	n, err := q.RevokeSession(ctx, family.ID, family.UserID)
	if err != nil || n == 0 {
		return l, c, err
	}
	return l, c, audit(ctx, q, nexus.Caller{}, "login.reuse", "login", family.ID, nil, map[string]string{"user": family.UserID})
}

// List returns the user's living logins, the last used first, at most a thousand.
func (s *Identity) List(ctx context.Context, user nexus.UserID) ([]nexus.Login, error) {
	logins := []nexus.Login{}
	err := s.db.do(ctx, "list logins", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.LivingSessions(ctx, string(user))
		for _, r := range rows {
			logins = append(logins, loginOf(r))
		}
		return err
	})
	return logins, err
}

// Revoke ends a login of the user. NotFound if the user has no such living login.
func (s *Identity) Revoke(ctx context.Context, by nexus.Caller, user nexus.UserID, id nexus.SessionID) error {
	_, err := mutate(ctx, s.db, "revoke login", by, func(ctx context.Context, q *sqlcgen.Queries) (struct{}, error) {
		var done struct{}
		n, err := q.RevokeSession(ctx, string(id), string(user))
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, noSuch("login")
		}
		return done, audit(ctx, q, by, "login.revoke", "login", string(id), nil, map[string]string{"user": string(user)})
	})
	return err
}

// State says whether access tokens of a login still count; those of one that has expired do not.
// NotFound for a login that never was, or was purged.
func (s *Identity) State(ctx context.Context, id nexus.SessionID) (nexus.LoginState, error) {
	var st nexus.LoginState
	err := s.db.do(ctx, "read login", func(ctx context.Context, q *sqlcgen.Queries) error {
		r, err := q.SessionState(ctx, string(id))
		st = nexus.LoginState{User: nexus.UserID(r.UserID), Status: r.Status, TokenEpoch: int(r.TokenEpoch), Revoked: r.Revoked}
		return orNotFound(err, "login")
	})
	return st, err
}

// PurgeLogins drops tokens that have expired and logins that expired a month ago, and says how many
// rows that were, also if it fails half way. Like PurgeIdempotency it may run anywhere at any time.
func (s *Identity) PurgeLogins(ctx context.Context) (purged int64, err error) {
	tokens, failed := s.db.purge(ctx, "purge tokens", (*sqlcgen.Queries).PurgeRefresh)
	sessions, err := s.db.purge(ctx, "purge logins", (*sqlcgen.Queries).PurgeSessions)
	return tokens + sessions, errors.Join(failed, err)
}

func loginOf(r sqlcgen.AuthSession) nexus.Login {
	l := nexus.Login{
		ID: nexus.SessionID(r.ID), Device: r.Device, CreatedAt: r.CreatedAt, LastUsedAt: r.LastUsedAt, ExpiresAt: r.ExpiresAt,
	}
	if r.Ip != nil {
		l.IP = r.Ip.String()
	}
	return l
}
