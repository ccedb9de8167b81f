// Package resttest holds what tests of the REST house share: stores in memory that
// keep the promises of the interfaces, and a generator of wrong input that works against
// any server that serves its OpenAPI document.
package resttest

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/rest"
)

// Memory keeps accounts, logins, keys and profiles. Setting Err makes every call fail with it, as while
// the database is away. It is safe for concurrent use.
type Memory struct {
	mu       sync.Mutex
	err      error
	accounts map[nexus.UserID]*account
	logins   map[nexus.SessionID]*login
	keys     map[nexus.KeyID]*key
	once     map[string]once
	log      []nexus.AuditEntry
	asked    int // calls of State and KeyByHash
}

type account struct {
	nexus.Credentials
	profile  nexus.Profile
	contacts []nexus.Contact
	jpeg     []byte
}

type login struct {
	nexus.Login
	user    nexus.UserID
	revoked bool
	tokens  []link // the last one counts
}

type link struct {
	nexus.RefreshToken
	used bool
}

type key struct {
	nexus.APIKey
	hash []byte
}

type once struct {
	hash []byte
	user nexus.User
}

var (
	_ auth.Accounts = (*Memory)(nil)
	_ auth.Logins   = (*Memory)(nil)
	_ auth.Keys     = (*Memory)(nil)
	_ rest.Profiles = (*Memory)(nil)
	_ rest.Office   = (*Memory)(nil)
	_ rest.Audit    = (*Memory)(nil)
)

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{
		accounts: map[nexus.UserID]*account{}, logins: map[nexus.SessionID]*login{},
		keys: map[nexus.KeyID]*key{}, once: map[string]once{},
	}
}

// Fail makes every call fail with err until it is nil.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// Asked returns how often State and KeyByHash were called.
func (m *Memory) Asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

// begin locks, and reports the failure that was asked for.
func (m *Memory) begin() (func(), error) {
	m.mu.Lock()
	return m.mu.Unlock, m.err
}

func (m *Memory) note(by nexus.Caller, action string) {
	m.log = append(m.log, nexus.AuditEntry{
		Seq: int64(len(m.log) + 1), At: time.Now(), Actor: cmp.Or(string(by.User), "system"), Action: action, RequestID: by.RequestID,
	})
}

func (m *Memory) account(id nexus.UserID) (*account, error) {
	a, ok := m.accounts[id]
	if !ok {
		return nil, nexus.Errorf(nexus.NotFound, "user %s", id)
	}
	return a, nil
}

// ByLogin finds an account by e-mail address or registration number.
func (m *Memory) ByLogin(_ context.Context, identifier string) (nexus.Credentials, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.Credentials{}, err
	}
	for _, a := range m.accounts {
		if strings.EqualFold(a.User.Email, identifier) || a.User.RegNo != "" && strings.EqualFold(a.User.RegNo, identifier) {
			return a.Credentials, nil
		}
	}
	return nexus.Credentials{}, nexus.Errorf(nexus.NotFound, "no such account")
}

// ByID finds an account by its id.
func (m *Memory) ByID(_ context.Context, id nexus.UserID) (nexus.Credentials, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.Credentials{}, err
	}
	a, err := m.account(id)
	if err != nil {
		return nexus.Credentials{}, err
	}
	return a.Credentials, nil
}

// Create makes an account, once per idempotency key.
func (m *Memory) Create(_ context.Context, by nexus.Caller, n nexus.NewAccount) (nexus.User, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.User{}, err
	}
	if first, ok := m.once[by.Once.Key]; ok && by.Once.Key != "" {
		if !bytes.Equal(first.hash, by.Once.Hash) {
			return nexus.User{}, nexus.Errorf(nexus.KeyReused, "this key came with another body")
		}
		return first.user, nil
	}
	for _, a := range m.accounts {
		switch {
		case a.User.Email == n.Email:
			return nexus.User{}, taken("email")
		case n.RegNo != "" && a.User.RegNo == n.RegNo:
			return nexus.User{}, taken("regNo")
		}
	}
	u := nexus.User{
		ID: nexus.UserID(nexus.NewID()), Email: n.Email, RegNo: n.RegNo, Name: n.Name, Roles: n.Roles,
		Status: nexus.Active, CreatedAt: time.Now(), Version: 1,
	}
	m.accounts[u.ID] = &account{
		Credentials: nexus.Credentials{User: u, PasswordHash: n.PasswordHash},
		profile:     nexus.Profile{UserID: u.ID, Name: u.Name, Version: 1},
	}
	if by.Once.Key != "" {
		m.once[by.Once.Key] = once{by.Once.Hash, u}
	}
	m.note(by, "user.create")
	return u, nil
}

func taken(field string) error {
	return &nexus.Error{Code: nexus.Conflict, Message: field + " is taken", Fields: []nexus.FieldError{{Field: field, Detail: "is taken"}}}
}

// SetPassword replaces the password and ends the other logins.
func (m *Memory) SetPassword(_ context.Context, by nexus.Caller, id nexus.UserID, hash string) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	a, err := m.account(id)
	if err != nil {
		return err
	}
	a.PasswordHash = hash
	a.TokenEpoch++
	m.revokeAll(id, by.Session)
	m.note(by, "user.password")
	return nil
}

// Rehash puts another hash in the place of old.
func (m *Memory) Rehash(_ context.Context, id nexus.UserID, old, hash string) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	a, err := m.account(id)
	if err == nil && a.PasswordHash == old {
		a.PasswordHash = hash
	}
	return err
}

func (m *Memory) revokeAll(id nexus.UserID, but nexus.SessionID) {
	for _, l := range m.logins {
		l.revoked = l.revoked || l.user == id && l.ID != but
	}
}

// Profile returns a person's profile.
func (m *Memory) Profile(_ context.Context, id nexus.UserID) (nexus.Profile, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.Profile{}, err
	}
	a, err := m.account(id)
	if err != nil {
		return nexus.Profile{}, err
	}
	return a.profile, nil
}

// ChangeProfile applies the change.
func (m *Memory) ChangeProfile(_ context.Context, by nexus.Caller, id nexus.UserID, version int64, c nexus.ProfileChange) (nexus.Profile, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nexus.Profile{}, err
	}
	a, err := m.account(id)
	switch {
	case err != nil:
		return nexus.Profile{}, err
	case version != 0 && version != a.profile.Version:
		return nexus.Profile{}, nexus.Errorf(nexus.Stale, "the profile has changed")
	}
	p := &a.profile
	for to, from := range map[*string]*string{
		&p.Phone: c.Phone, &p.Address: c.Address, &p.Bio: c.Bio, &p.DOB: c.DOB, &p.Locale: c.Locale, &p.TZ: c.TZ,
	} {
		set(to, from)
	}
	p.Version++
	m.note(by, "profile.change")
	return *p, nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// SetAvatar keeps a picture in place of the one before.
func (m *Memory) SetAvatar(_ context.Context, _ nexus.Caller, id nexus.UserID, url string, jpeg []byte) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	a, err := m.account(id)
	if err != nil {
		return err
	}
	a.profile.AvatarURL, a.User.AvatarURL, a.jpeg = url, url, slices.Clone(jpeg)
	return nil
}

// Avatar returns the picture kept under a URL.
func (m *Memory) Avatar(_ context.Context, url string) ([]byte, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	for _, a := range m.accounts {
		if a.profile.AvatarURL == url {
			return slices.Clone(a.jpeg), nil
		}
	}
	return nil, nexus.Errorf(nexus.NotFound, "no such picture")
}

// Contacts returns the emergency contacts.
func (m *Memory) Contacts(_ context.Context, id nexus.UserID) ([]nexus.Contact, error) {
	end, err := m.begin()
	defer end()
	if err != nil {
		return nil, err
	}
	a, err := m.account(id)
	if err != nil {
		return nil, err
	}
	return slices.Clone(a.contacts), nil
}

// SetContacts replaces the emergency contacts.
func (m *Memory) SetContacts(_ context.Context, _ nexus.Caller, id nexus.UserID, cs []nexus.Contact) error {
	end, err := m.begin()
	defer end()
	if err != nil {
		return err
	}
	a, err := m.account(id)
	if err != nil {
		return err
	}
	a.contacts = slices.Clone(cs)
	return nil
}
