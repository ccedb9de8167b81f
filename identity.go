package nexus

import "time"

// Statuses of an account.
const (
	Active    = "active"
	Suspended = "suspended" // may not log in; tokens are refused
	Erased    = "erased"    // personal data is gone, the id remains
)

// User is an account as others may see it.
type User struct {
	ID         UserID    `json:"id"`
	Email      string    `json:"email"`
	RegNo      string    `json:"regNo,omitempty"`
	Name       string    `json:"name"`
	Roles      []Role    `json:"roles"`
	Status     string    `json:"status"`
	AvatarURL  string    `json:"avatarUrl,omitempty"`
	Department string    `json:"department,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	Version    int64     `json:"version"`
}

// NewAccount is an account about to be made.
type NewAccount struct {
	Email        string
	RegNo        string
	Name         string
	PasswordHash string
	Roles        []Role
}

// Credentials is what a login is checked against.
type Credentials struct {
	User         User
	PasswordHash string // argon2id in PHC form; empty for an account without a password
	TokenEpoch   int    // grows whenever every token of the account must die
}

// UserChange is what the office may change of an account; nil leaves a field as it is.
type UserChange struct {
	Status     *string
	Name       *string
	RegNo      *string
	Department *string
	Course     *string
	Semester   *int
	Hostel     *string
	Room       *string
	Warden     *string
}

// Profile is what a person says of themselves and what the office says of them.
// Dates are "YYYY-MM-DD"; empty strings are unknown.
type Profile struct {
	UserID     UserID
	Name       string
	Phone      string
	Address    string
	Bio        string
	DOB        string
	AvatarURL  string
	Hostel     string
	Room       string
	Warden     string
	Department string
	Course     string
	Semester   int // 0 is unknown
	Locale     string
	TZ         string
	Version    int64
}

// ProfileChange is what a person may change of their own profile; nil leaves a field as it is.
type ProfileChange struct {
	Phone   *string
	Address *string
	Bio     *string
	DOB     *string
	Locale  *string
	TZ      *string
}

// Contact is someone to tell in an emergency; rank 1 is told first.
type Contact struct {
	Name    string `json:"name"`
	Channel string `json:"channel"` // sms, email or user
	Address string `json:"address"`
}

// Login is one device that is logged in: a family of refresh tokens.
type Login struct {
	ID         SessionID `json:"id"`
	Device     string    `json:"device"` // the User-Agent at login
	IP         string    `json:"ip"`
	CreatedAt  time.Time `json:"createdAt"`
	LastUsedAt time.Time `json:"lastUsedAt"`
	ExpiresAt  time.Time `json:"expiresAt"`
}

// RefreshToken is one link in the chain of a login. Only the token's SHA-256 is kept.
type RefreshToken struct {
	Hash      []byte
	ExpiresAt time.Time
}

// LoginState is what an access token is held against while it lives.
type LoginState struct {
	User       UserID
	Status     string // of the account
	TokenEpoch int
	Revoked    bool
}

// APIKey is a device's key. Its secret is shown once, when it is made, and only its hash is kept.
type APIKey struct {
	ID        KeyID      `json:"id"`
	Name      string     `json:"name"`
	Scopes    []Scope    `json:"scopes"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt,omitempty"`
	RevokedAt *time.Time `json:"revokedAt,omitempty"`
}

// AuditEntry is one line of the audit log. Seq has no gaps; Hash covers the entry and the hash before it.
type AuditEntry struct {
	Seq       int64     `json:"seq"`
	At        time.Time `json:"at"`
	Actor     string    `json:"actor"` // a user id, "key:<id>", or "system"
	Action    string    `json:"action"`
	Entity    string    `json:"entity"`
	EntityID  string    `json:"entityId"`
	RequestID string    `json:"requestId,omitempty"`
	Before    any       `json:"before,omitempty"`
	After     any       `json:"after,omitempty"`
	Hash      string    `json:"hash"`
}

// AuditFilter narrows the audit log; zero fields do not.
type AuditFilter struct {
	Actor, Action, Entity, EntityID string
	From, To                        time.Time
}
