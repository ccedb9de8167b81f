package auth

import (
	"context"
	"time"

	"nexus"
)

// Accounts keeps who may log in. Every mutation writes its audit entry in the same transaction.
type Accounts interface {
	// ByLogin finds an account by e-mail address or registration number, whatever their case. NotFound if there is none.
	ByLogin(ctx context.Context, identifier string) (nexus.Credentials, error)
	// ByID finds an account by its id. NotFound if there is none.
	ByID(ctx context.Context, id nexus.UserID) (nexus.Credentials, error)
	// Create makes an account and its profile. Conflict, with the field, for an e-mail address or
	// registration number that is taken.
	Create(ctx context.Context, by nexus.Caller, a nexus.NewAccount) (nexus.User, error)
	// SetPassword replaces the password, moves the token epoch and revokes every login but the caller's own.
	SetPassword(ctx context.Context, by nexus.Caller, id nexus.UserID, hash string) error
	// Rehash puts another hash of the same password in the place of old, and does nothing if old is not the
	// present one. Nothing that anybody sees changes, so that there is no audit entry and no login ends.
	Rehash(ctx context.Context, id nexus.UserID, old, hash string) error
}

// Logins keeps the families of refresh tokens.
type Logins interface {
	// Open starts a family for an account that is active and still at the token epoch that it had when its password
	// was checked. Unauthenticated otherwise.
	Open(ctx context.Context, by nexus.Caller, user nexus.UserID, epoch int, l nexus.Login, t nexus.RefreshToken) error
	// Rotate exchanges the token with this hash for next, once, and returns the login with its new end: that of next, or
	// life after the login was opened if that is sooner. A token that was used before revokes its whole family, also when
	// two exchanges race, and fails with TokenReused; unknown, expired or revoked ones, those of a family that has
	// lived its life, and those of an account that is not active fail with Unauthenticated.
	// With TokenReused the login's id and the user's come back too, so that its sockets can be closed.
	Rotate(ctx context.Context, hash []byte, next nexus.RefreshToken, life time.Duration) (nexus.Login, nexus.Credentials, error)
	// List returns the user's living logins, the last used first.
	List(ctx context.Context, user nexus.UserID) ([]nexus.Login, error)
	// Revoke ends a login of the user. NotFound if the user has no such living login.
	Revoke(ctx context.Context, by nexus.Caller, user nexus.UserID, id nexus.SessionID) error
	// State says whether access tokens of a login still count.
	State(ctx context.Context, id nexus.SessionID) (nexus.LoginState, error)
}

// Keys keeps the API keys of devices.
type Keys interface {
	// CreateKey keeps a key by the SHA-256 of its secret. It takes no notice of an idempotency key: whoever
	// repeats the call holds another secret, and the first answer's key would not open with it.
	CreateKey(ctx context.Context, by nexus.Caller, k nexus.APIKey, secretHash []byte) (nexus.APIKey, error)
	// KeyByHash finds a key that is neither expired nor revoked. NotFound otherwise.
	KeyByHash(ctx context.Context, secretHash []byte) (nexus.APIKey, error)
	// ListKeys returns every key, the newest first.
	ListKeys(ctx context.Context) ([]nexus.APIKey, error)
	// RevokeKey ends a key. NotFound if there is none that lives.
	RevokeKey(ctx context.Context, by nexus.Caller, id nexus.KeyID) error
}
