package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
	"nexus/actors/mess"
	"nexus/actors/session"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The halls of the tests; north is the default one.
const (
	north = "01890a5d-ac96-774b-bcce-b302099a8057"
	south = "01890a5d-ac96-774b-bcce-b302099a8058"
)

// edge is the real-time edge of a node whose sessions are real grains, in a bubble of its own time.
type edge struct {
	*testing.T
	*Server
	node     *graintest.Node
	tokens   *tokens
	sessions *sessions
	halls    *halls
	registry *prometheus.Registry
	log      *journal
}

// live runs a test of an edge and closes it at the end.
func live(t *testing.T, test func(e *edge), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		node := graintest.NewNode(t, graintest.NewStore(), session.Kind())
		e := &edge{
			T: t, node: node, registry: prometheus.NewRegistry(), log: &journal{},
			tokens:   &tokens{good: map[string]token{}},
			sessions: &sessions{Client: session.NewClient(node)},
			halls:    &halls{list: []nexus.Hall{{ID: south}, {ID: north, Default: true}}},
		}
		cfg := Config{
			Engine: engineio.Config{PingInterval: 1000 * time.Hour}, // tests read only what they ask for
			System: node.System(), Auth: e.tokens, Sessions: e.sessions, Halls: e.halls,
			Log: slog.New(slog.NewTextHandler(e.log, nil)), Registry: e.registry,
		}
		for _, f := range change {
			f(&cfg)
		}
		var err error
		if e.Server, err = New(cfg); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Close(context.Background()) }) // again, for a test that failed on the way
		test(e)
		if err := e.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// pass lets time pass, and what it brings about.
func (e *edge) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// dial opens a connection without any socket.
func (e *edge) dial() *enginetest.Client {
	e.Helper()
	c := enginetest.Dial(e.T, e.Engine(), "", enginetest.Goroutine)
	c.NextText()
	return c
}

// join opens a connection with one socket; an empty token is a stranger's.
func (e *edge) join(namespace, token string) *enginetest.Client {
	e.Helper()
	c := e.dial()
	c.Send("40" + namespace + "," + auth(token))
	if got := c.NextText(); !strings.HasPrefix(got, "40"+shown(namespace)+`{"sid":`) {
		e.Fatalf("%s refused: %s", namespace, got)
	}
	return c
}

func auth(token string) string {
	if token == "" {
		return ""
	}
	return fmt.Sprintf(`{"token":%q}`, token)
}

// shown is a namespace as packets name it.
func shown(namespace string) string {
	if namespace == "/" {
		return ""
	}
	return namespace + ","
}

// publish sends a CROWD_UPDATE of a hall to the edge.
func (e *edge) publish(hall string, n int) {
	topic := mess.Topic(nexus.HallID(hall))
	e.Broadcast(&grain.Broadcast{Topic: topic, Namespace: mess.Namespace, Event: mess.CrowdUpdate, Slot: topic, Payload: fmt.Appendf(nil, `{"n":%d}`, n)})
}

// crowd is what a client gets of publish.
func crowd(n int) string { return fmt.Sprintf(`42/mess,["CROWD_UPDATE",{"n":%d}]`, n) }

// disconnect ends sockets of a user through the user's session, as a logout does.
func (e *edge) disconnect(user nexus.UserID, login nexus.SessionID, reason string) {
	e.Helper()
	if err := e.sessions.Disconnect(e.Context(), user, login, reason); err != nil {
		e.Fatal(err)
	}
}

// empty fails the test if the hub still knows a socket.
func (e *edge) empty() {
	e.Helper()
	synctest.Wait()
	e.hub.mu.RLock()
	defer e.hub.mu.RUnlock()
	if len(e.hub.members)+len(e.hub.topics)+len(e.hub.attached) > 0 {
		e.Errorf("left behind: %d sockets, %d topics, %d sessions", len(e.hub.members), len(e.hub.topics), len(e.hub.attached))
	}
}

// metric is the value of a counter or gauge, all labels summed up; with names only those that have these values.
func (e *edge) metric(name string, values ...string) (sum float64) {
	e.Helper()
	synctest.Wait()
	families, err := e.registry.Gather()
	if err != nil {
		e.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var has []string
			for _, l := range m.GetLabel() {
				has = append(has, l.GetValue())
			}
			if len(values) == 0 || strings.Join(has, " ") == strings.Join(values, " ") {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// token is an access token's meaning.
type token struct {
	caller  nexus.Caller
	expires time.Time
}

// tokens is a Verifier that knows the tokens it gave out.
type tokens struct {
	mu   sync.Mutex
	good map[string]token
	err  error // what it answers instead
}

// issue makes a token of a user's login.
func (v *tokens) issue(user nexus.UserID, login nexus.SessionID, life time.Duration) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := fmt.Sprint("token", len(v.good))
	v.good[name] = token{nexus.Caller{User: user, Session: login}, time.Now().Add(life)}
	return name
}

// end makes a login's tokens bad, as it happens on another node: nobody here is told.
func (v *tokens) end(login nexus.SessionID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, t := range v.good {
		if t.caller.Session == login {
			t.caller = nexus.Caller{}
			v.good[name] = t
		}
	}
}

func (v *tokens) fail(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.err = err
}

func (v *tokens) Verify(_ context.Context, name string) (nexus.Caller, time.Time, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := v.good[name]
	switch {
	case v.err != nil:
		return nexus.Caller{}, time.Time{}, v.err
	case t.caller.User == "" || !time.Now().Before(t.expires):
		return nexus.Caller{}, time.Time{}, nexus.Errorf(nexus.Unauthenticated, "the access token is not valid")
	}
	return t.caller, t.expires, nil
}

// Stands says whether any token of the login is good yet.
func (v *tokens) Stands(_ context.Context, c nexus.Caller) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return v.err
	}
	for _, t := range v.good {
		if t.caller.User == c.User && t.caller.Session == c.Session {
			return nil
		}
	}
	return nexus.Errorf(nexus.Unauthenticated, "the login has ended")
}

// sessions are the users' real sessions, behind what a test puts in front of Attach.
type sessions struct {
	session.Client
	mu     sync.Mutex
	before func(context.Context, session.Socket) error
	last   *actor.PID // the activation attached to last
	calls  int
}

func (s *sessions) set(before func(context.Context, session.Socket) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *sessions) Attach(ctx context.Context, user nexus.UserID, hub *actor.PID, x session.Socket) (*actor.PID, error) {
	s.mu.Lock()
	before := s.before
	s.calls++
	s.mu.Unlock()
	if before != nil {
		if err := before(ctx, x); err != nil {
			return nil, err
		}
	}
	pid, err := s.Client.Attach(ctx, user, hub, x)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = pid
	return pid, err
}

// attached is the activation attached to last, and how often anybody tried.
func (s *sessions) attached() (*actor.PID, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last, s.calls
}

// halls lists halls, or fails, or hangs until its caller gives up.
type halls struct {
	mu    sync.Mutex
	list  []nexus.Hall
	err   error
	hangs bool
	asked int
}

func (h *halls) set(err error, hangs bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.hangs = err, hangs
}

func (h *halls) Halls(ctx context.Context) ([]nexus.Hall, error) {
	h.mu.Lock()
	h.asked++
	list, err, hangs := h.list, h.err, h.hangs
	h.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return list, err
}

// journal is a log that can be read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// codeOf is the code in the JSON of a refusal or a failed acknowledgement.
func codeOf(t *testing.T, packet string) string {
	t.Helper()
	var refusal struct{ Data nexus.Failure }
	var answer []struct{ Error nexus.Failure }
	i := strings.IndexAny(packet, "[{")
	if i < 0 {
		t.Fatalf("no JSON in %q", packet)
	}
	if packet[i] == '{' {
		if err := json.Unmarshal([]byte(packet[i:]), &refusal); err != nil {
			t.Fatal(err)
		}
		return string(refusal.Data.Code)
	}
	if err := json.Unmarshal([]byte(packet[i:]), &answer); err != nil || len(answer) != 1 {
		t.Fatal(packet, err)
	}
	return string(answer[0].Error.Code)
}
