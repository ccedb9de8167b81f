// Package nexus holds the words of the domain: ids, roles, error codes and the
// plain types that every other package speaks. It imports nothing of ours, so
// that anything may import it.
//
// The types carry JSON tags where the contract with clients names the shape;
// no other package repeats those names.
package nexus

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Ids are UUIDv7 in their canonical text form. They are distinct types so that
// the compiler refuses a hall where a user is meant.
type (
	UserID     string // an account
	IncidentID string // one SOS
	SessionID  string // one login and every refresh token that descends from it
	KeyID      string // an API key of a device
	HallID     string // a mess hall
	MenuID     string // one meal of one hall on one day
	DishID     string // a dish of the catalogue

	CourseID     string // one course of one term
	RoomID       string // a room in which courses meet
	MeetingID    string // when and where a course meets each week
	ClassID      string // one class of a course, the contract's session
	AssignmentID string // work that a course sets

	ListingID  string // what somebody sells
	OfferID    string // what somebody would pay for it
	LostItemID string // what somebody lost or found
	ReportID   string // what somebody finds wrong with either
)

// NewID returns a fresh UUIDv7: unique, and ordered by its time of creation.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// clockTrust is how far the clock of a phone may be off and still be believed.
const clockTrust = 5 * time.Minute

// DerivedID returns the UUIDv7 that belongs to parts, whichever node makes it and however often: its time is at, and what
// would be random is SHA-256 over the parts. An at more than five minutes away from now is not believed: then the id's time is
// now, and only the rest of it is always the same.
func DerivedID(at, now time.Time, parts ...string) string {
	if at.Sub(now).Abs() > clockTrust {
		at = now
	}
	hash := sha256.New()
	for _, p := range parts { // each behind its length, so that no two lists read alike
		hash.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		hash.Write([]byte(p))
	}
	var id uuid.UUID
	copy(id[6:], hash.Sum(nil))
	ms := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70 // the version
	id[8] = id[8]&0x3f | 0x80 // the variant
	return id.String()
}

// ValidID reports whether s is a UUID in canonical form: 36 characters, in lower case, so that one thing has one
// id. Ids from outside are checked with it before they reach a grain or the database; the edges put them in lower case first.
func ValidID(s string) bool {
	u, err := uuid.Parse(s)
	return err == nil && u.String() == s
}

// Role is what a user may be on the campus. A user has one or more.
type Role string

// The roles of the contract.
const (
	Student   Role = "STUDENT"
	Faculty   Role = "FACULTY"
	MessStaff Role = "MESS_STAFF"
	Security  Role = "SECURITY"
	Admin     Role = "ADMIN"
)

// Roles lists every role, the most powerful first.
func Roles() []Role { return []Role{Admin, Security, MessStaff, Faculty, Student} }

// PrimaryRole is the one role that the original client shows: the most
// powerful of those given, or STUDENT for none.
func PrimaryRole(roles []Role) Role {
	for _, r := range Roles() {
		if slices.Contains(roles, r) {
			return r
		}
	}
	return Student
}

// Scope is what an API key may do. Keys belong to devices, never to people.
type Scope string

// The scopes of API keys.
const (
	ScopeCheckins Scope = "mess:checkins" // gates and sensors report crowd events
	ScopeMail     Scope = "mail:inbound"  // mail gateways hand in messages
)

// Scopes lists every scope.
func Scopes() []Scope { return []Scope{ScopeCheckins, ScopeMail} }

// Caller is who asks for something and how: it decides what is allowed, what the
// audit log says, and under which idempotency key the answer is kept. The
// zero Caller is an anonymous stranger.
type Caller struct {
	User      UserID     // empty for devices and strangers
	Session   SessionID  // the login that the access token came from
	Epoch     int        // of the account, when the access token was made
	Key       KeyID      // set for devices
	Roles     []Role     // of User
	Scopes    []Scope    // of Key
	IP        netip.Addr // the client's address, behind trusted proxies
	RequestID string
	Once      Once
}

// Has reports whether the caller is a user with any of the roles.
func (c Caller) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(c.Roles, r) })
}

// May reports whether the caller is a device with the scope.
func (c Caller) May(s Scope) bool { return slices.Contains(c.Scopes, s) }

// Once identifies one intended mutation. The store keeps the answer under Key in
// the transaction that makes the change: the same Key with the same Hash is
// answered alike, with another Hash it fails with KeyReused. An empty Key asks for nothing.
type Once struct {
	Key  string // the Idempotency-Key header
	Hash []byte // SHA-256 over method, path and body
}

// maxOnceKey bounds a key in bytes.
const maxOnceKey = 200

// Check fails with Invalid, naming the header, for a key that no store could keep.
func (o Once) Check() error {
	switch {
	case len(o.Key) > maxOnceKey:
		return InvalidField("Idempotency-Key", "has at most %d bytes", maxOnceKey)
	case !utf8.ValidString(o.Key) || strings.ContainsFunc(o.Key, unicode.IsControl):
		return InvalidField("Idempotency-Key", "is text without control characters")
	}
	return nil
}

// Fence proves that an activation of a grain is the current one. Every write
// of a grain carries its fence into the transaction, and a write under an
// older Epoch fails with Fenced.
type Fence struct {
	Kind  string
	ID    string
	Epoch int64
}

// Snapshot is a grain's kept state. Version grows with each save.
type Snapshot struct {
	Version int64
	Payload []byte    // empty at the first activation
	SavedAt time.Time // zero at the first activation
}

// TimeLayout is how every time is written for clients: UTC with exactly three digits of a second.
const TimeLayout = "2006-01-02T15:04:05.000Z"

// Page bounds a list: at most Limit items after the cursor After.
type Page struct {
	After string
	Limit int
}

// List is one page of a list. Next is the cursor of the next page, empty at the end.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}
