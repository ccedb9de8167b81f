package resttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/alexedwards/argon2id"
	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/incident"
	"nexus/transport"
	"nexus/transport/auth"
	"nexus/transport/limit"
	"nexus/transport/rest"
)

// Password is that of every account of a House.
const Password = "campus-demo"

// CheapHash makes tests fast; it protects nothing.
var CheapHash = &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 8, KeyLength: 16}

// House is the REST house over stores in memory, with one account of each role, named by its role in lower case
// @example.edu.
type House struct {
	*Memory
	Mess     *Mess
	Safety   *Safety
	Notices  *Notices
	Mail     *Mail
	Academic *Academic
	Imports  *Imports
	Auth     *auth.Service
	API      *rest.API
	Server   *transport.Server
	People   map[nexus.Role]nexus.User
	Log      *Journal
	Sockets  *Sockets
	t        testing.TB
}

// Journal is a log to look into. It is safe for concurrent use.
type Journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// String is what was logged so far.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// Sockets notes which live sockets were ended.
type Sockets struct {
	mu    sync.Mutex
	ended []string
}

// Disconnect notes user, session and reason.
func (s *Sockets) Disconnect(_ context.Context, user nexus.UserID, session nexus.SessionID, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, strings.Join([]string{string(user), string(session), reason}, "|"))
	return nil
}

// Ended returns what Disconnect noted, as "user|session|reason".
func (s *Sockets) Ended() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.ended...)
}

// Config changes a House before it is built.
type Config struct {
	Server transport.Options
	Limits rest.Limits
	Secure bool
}

// Unlimited is a rule that nobody reaches.
var Unlimited = limit.Rule{Rate: 1e6, Burst: 1_000_000}

// New returns a house whose limits nobody reaches, changed by the functions.
func New(t testing.TB, change ...func(*Config)) *House {
	t.Helper()
	h := &House{Memory: NewMemory(), Mess: NewMess(), Safety: NewSafety(), Notices: &Notices{}, Mail: &Mail{}, Academic: NewAcademic(), Imports: NewImports(), Log: &Journal{}, Sockets: &Sockets{}, People: map[nexus.Role]nexus.User{}, t: t}
	log := slog.New(slog.NewJSONHandler(h.Log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c := Config{Limits: rest.Limits{Stranger: Unlimited, User: Unlimited, Device: Unlimited, SOS: Unlimited, Incident: Unlimited, Import: Unlimited, Summary: Unlimited}}
	c.Server = transport.Options{
		Addr: "127.0.0.1:0", Log: log, Limiter: limit.NewMemory(10_000), Flood: Unlimited, Metrics: prometheus.NewRegistry(),
		AnyLocalhost: true, Ready: func(context.Context) transport.Readiness { return transport.Readiness{Ready: true} },
	}
	for _, f := range change {
		f(&c)
	}
	var err error
	h.Auth, err = auth.New(auth.Options{
		Accounts: h, Logins: h, Keys: h, Pins: h.Safety, Limiter: c.Server.Limiter, Sockets: h.Sockets, Log: log,
		Secrets: [][]byte{[]byte("a secret of tests, 32 bytes long")}, Hash: CheapHash,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range nexus.Roles() {
		h.People[r] = h.user(r)
	}
	for _, r := range []nexus.Role{nexus.Security, nexus.Admin} {
		h.Safety.Staff = append(h.Safety.Staff, incident.Person{ID: h.People[r].ID, Roles: []nexus.Role{r}})
	}
	c.Server.Device = h.Auth.KnownKey
	h.Server = transport.New(c.Server)
	h.API = rest.New(h.Server.App(), rest.Deps{
		Auth: h.Auth, Profiles: h, Office: h, Audit: h, Halls: h.Mess, Menus: h.Mess, LiveHalls: h.Mess, Publisher: h.Mess,
		Desk: h.Safety, Incidents: h.Safety, SafetyOffice: h.Safety, Notices: h.Notices, Cluster: h.Safety,
		Mails: h.Mail, Inbox: h.Mail, MailHookKey: []byte(MailHookKey), Summarizer: h.Mail, Models: h.Mail, Forecasts: h.Mess,
		Catalogue: h.Academic, Seats: h.Academic, Enrollments: h.Academic, LiveClasses: h.Academic, Classes: h.Academic,
		Timetables: h.Academic, Assignments: h.Academic, Importer: h.Imports, Imports: h.Imports, ImportBytes: ImportBytes,
		Limiter: c.Server.Limiter, Limits: c.Limits, Log: log, Secure: c.Secure,
	})
	return h
}

func (h *House) user(r nexus.Role) nexus.User {
	h.t.Helper()
	name := strings.ToLower(string(r))
	u, err := h.Auth.Register(context.Background(), nexus.Caller{}, auth.Registration{
		Email: name + "@example.edu", RegNo: "REG-" + name, Name: "The " + name, Password: Password,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accounts[u.ID].User.Roles = []nexus.Role{r}
	u.Roles = []nexus.Role{r}
	return u
}

// Login opens a login for the account of a role.
func (h *House) Login(r nexus.Role) auth.Tokens {
	h.t.Helper()
	tk, err := h.Auth.Login(context.Background(), nexus.Caller{IP: netip.MustParseAddr("127.0.0.1")}, auth.Attempt{
		Identifier: h.People[r].Email, Password: Password,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return tk
}

// Key makes an API key with the scopes and returns its secret.
func (h *House) Key(scopes ...nexus.Scope) string {
	h.t.Helper()
	_, secret, err := h.Auth.CreateKey(context.Background(), nexus.Caller{}, "gate", scopes, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return secret
}

// Do sends a request through the server without a network.
func (h *House) Do(r *http.Request) (*http.Response, error) { return h.Server.App().Test(r, -1) }

// Reply is an answer that was read.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON returns the body as JSON decodes it.
func (r Reply) JSON() (v map[string]any) {
	_ = json.Unmarshal(r.Body, &v) // a body that is not an object is nil, which the caller's checks show
	return v
}

// Call sends a JSON body (a string is sent as it is, nil is none) with headers in pairs.
func (h *House) Call(method, path string, body any, headers ...string) Reply {
	h.t.Helper()
	var content io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			h.t.Fatal(err)
		}
		content = bytes.NewReader(data)
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, path, content)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := h.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return Reply{res.StatusCode, res.Header, data}
}

// As returns the headers by which the account of a role calls.
func (h *House) As(r nexus.Role) []string {
	h.t.Helper()
	return []string{"Authorization", "Bearer " + h.Login(r).Access}
}
