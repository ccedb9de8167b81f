package live

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/actors/grain"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/limit"
)

// The people of the tests, and an incident of asha's.
const (
	asha    = "01890a5d-ac96-774b-bcce-b302099a8001"
	ravi    = "01890a5d-ac96-774b-bcce-b302099a8002"
	guardID = "01890a5d-ac96-774b-bcce-b302099a8003"
	fire    = "01890a5d-ac96-774b-bcce-b302099a80f1"
	flood   = "01890a5d-ac96-774b-bcce-b302099a80f2"
)

// safe is an edge with all that an SOS needs.
type safe struct {
	*edge
	ns        string // of its phones: what packets say
	store     *streams
	desk      *desk
	incidents *incidents
}

// safely runs a test of an edge with the safety streams.
func safely(t *testing.T, test func(s *safe), change ...func(*Config)) {
	t.Helper()
	s := &safe{ns: securityNamespace, store: newStreams(), desk: &desk{}, incidents: &incidents{open: map[nexus.IncidentID]nexus.Incident{}}}
	change = append([]func(*Config){func(cfg *Config) {
		cfg.Outbox = s.store
		cfg.Safety = &Safety{
			Desk: s.desk, Pins: s.desk, Incidents: s.incidents, Streams: s.store, Limiter: limit.NewMemory(1000), RecoveryKey: []byte("a key that all nodes have in common"),
		}
	}}, change...)
	live(t, func(e *edge) {
		s.edge = e
		test(s)
	}, change...)
}

// streams keeps streams in memory, or is away.
type streams struct {
	mu        sync.Mutex
	lines     map[string][]nexus.Delivery
	cursors   map[nexus.Reader]int64
	marks     map[place]nexus.Mark
	err       error         // what it answers instead
	slow      time.Duration // how long it takes
	placed    []int         // readers of each query for standings
	reads     int           // queries for lines
	refuse    string        // the stream whose reader cannot be placed
	notes     int
	mostMarks int
}

func newStreams() *streams {
	return &streams{lines: map[string][]nexus.Delivery{}, cursors: map[nexus.Reader]int64{}, marks: map[place]nexus.Mark{}}
}

// begin is what every query does first; the lock is held after it.
func (s *streams) begin(ctx context.Context) error {
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	if slow > 0 && !nexus.Pause(ctx, slow) {
		s.mu.Lock()
		return ctx.Err()
	}
	s.mu.Lock()
	return s.err
}

func (s *streams) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *streams) Standings(ctx context.Context, readers []nexus.Reader) (found []nexus.Standing, err error) {
	err = s.begin(ctx)
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s.placed = append(s.placed, len(readers))
	if slices.ContainsFunc(readers, func(r nexus.Reader) bool { return r.Stream == s.refuse }) {
		return nil, errAway
	}
	for _, r := range readers {
		_, known := s.cursors[r]
		found = append(found, nexus.Standing{Reader: r, Cursor: s.cursors[r], Known: known || len(s.lines[r.Stream]) == 0, Last: int64(len(s.lines[r.Stream]))})
	}
	return found, nil
}

func (s *streams) Lines(ctx context.Context, after map[string]int64, most int) (found []nexus.Delivery, err error) {
	err = s.begin(ctx)
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	s.reads++
	for _, id := range slices.Sorted(maps.Keys(after)) {
		lines := s.lines[id][min(after[id], int64(len(s.lines[id]))):]
		found = append(found, lines[:min(most, len(lines))]...)
	}
	return found, nil
}

func (s *streams) Heads(ctx context.Context, ids []string) (map[string]int64, error) {
	err := s.begin(ctx)
	defer s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	heads := map[string]int64{}
	for _, id := range ids {
		heads[id] = int64(len(s.lines[id]))
	}
	return heads, nil
}

func (s *streams) Note(ctx context.Context, marks []nexus.Mark, cursors []nexus.Standing) error {
	err := s.begin(ctx)
	defer s.mu.Unlock()
	if err != nil {
		return err
	}
	s.notes++
	s.mostMarks = max(s.mostMarks, len(marks))
	for _, m := range marks {
		at := place{m.Stream, m.Seq}
		was := s.marks[at]
		if was.Sent.IsZero() {
			was.Sent = m.Sent
		}
		if was.Got.IsZero() {
			was.Got = m.Got
		}
		s.marks[at] = was
	}
	for _, c := range cursors {
		s.cursors[c.Reader] = max(s.cursors[c.Reader], c.Cursor)
	}
	return nil
}

// commit adds n events to a stream, and tells nobody.
func (s *streams) commit(stream string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range n {
		seq := int64(len(s.lines[stream]) + 1)
		d := nexus.Delivery{Stream: stream, Seq: seq, At: time.Now()}
		if strings.Contains(stream, "/") {
			d.Kind, d.Payload = course.ScheduleUpdate, json.RawMessage(`{"type":"moved"}`)
		} else if stream == nexus.CampusStream {
			d.Kind, d.Mass = nexus.DeliverMass, &nexus.MassAlert{Identifier: fmt.Sprint("m", seq), Severity: "Severe", Expires: time.Now()}
		} else {
			d.Kind, d.Event = nexus.DeliverEvent, &nexus.SOSEvent{Incident: fire, Seq: seq, Kind: "MESSAGE", Actor: ravi, Data: json.RawMessage(`{}`), At: time.Now(), Hash: []byte{0xab}}
		}
		s.lines[stream] = append(s.lines[stream], d)
	}
}

func (s *streams) cursor(stream, device string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[nexus.Reader{Stream: stream, Device: nexus.SessionID(device)}]
}

// publish adds n events to a stream and says so.
func (s *safe) publish(stream string, n int) {
	s.store.commit(stream, n)
	s.Broadcast(&grain.Broadcast{News: []string{stream}})
	synctest.Wait()
}

// issue makes a token of a user with roles.
func (s *safe) issue(user, login string, roles ...nexus.Role) string {
	name := s.tokens.issue(nexus.UserID(user), nexus.SessionID(login), 1000*time.Hour)
	s.tokens.mu.Lock()
	defer s.tokens.mu.Unlock()
	t := s.tokens.good[name]
	t.caller.Roles = roles
	s.tokens.good[name] = t
	return name
}

// phone is a client of a namespace with streams.
type phone struct {
	*safe
	*enginetest.Client
}

// phone connects a login of a user; more is what else CONNECT says, such as `,"offset":7`.
func (s *safe) phone(user, login, more string, roles ...nexus.Role) *phone {
	s.Helper()
	c := s.dial()
	c.Send(fmt.Sprintf(`40%s{"token":%q%s}`, shown(s.ns), s.issue(user, login, roles...), more))
	if got := c.NextText(); !strings.HasPrefix(got, "40"+shown(s.ns)+`{"sid":`) {
		s.Fatalf("refused: %s", got)
	}
	synctest.Wait()
	return &phone{s, c}
}

// delivery is a line as a client gets it.
type delivery struct {
	event, ack string
	Offset     int64
	DeliveryID string
	raw        string
}

func (p *phone) next() delivery {
	p.Helper()
	text := p.NextText()
	rest, ok := strings.CutPrefix(text, "42"+shown(p.ns))
	i := strings.IndexByte(rest, '[')
	if !ok || i < 0 {
		p.Fatalf("got %s", text)
	}
	d := delivery{ack: rest[:i], raw: rest[i:]}
	if err := json.Unmarshal([]byte(d.raw), &[]any{&d.event, &d}); err != nil {
		p.Fatal(text, err)
	}
	return d
}

// take reads the lines with these offsets, and acknowledges them.
func (p *phone) take(offsets ...int64) {
	p.Helper()
	for _, want := range offsets {
		d := p.next()
		if d.Offset != want {
			p.Fatalf("line %d came, want %d", d.Offset, want)
		}
		p.answer(d)
	}
	synctest.Wait()
}

// get reads the lines with these offsets, and keeps silent.
func (p *phone) get(offsets ...int64) (got []delivery) {
	p.Helper()
	for _, want := range offsets {
		d := p.next()
		if d.Offset != want {
			p.Fatalf("line %d came, want %d", d.Offset, want)
		}
		got = append(got, d)
	}
	return got
}

func (p *phone) answer(d delivery) {
	p.Helper()
	p.Send("43" + shown(p.ns) + d.ack + "[]")
}

// quiet fails the test if anything waits for the client.
func (p *phone) quiet() {
	p.Helper()
	synctest.Wait()
	if got := p.ask(`["nothing"]`); !strings.Contains(got, "not_found") {
		p.Errorf("heard %s", got)
	}
}

// ask sends an event and returns the acknowledgement's arguments.
func (p *phone) ask(event string) string {
	p.Helper()
	p.Send("42" + shown(p.ns) + "77" + event)
	got := p.NextText()
	rest, ok := strings.CutPrefix(got, "43"+shown(p.ns)+"77")
	if !ok {
		p.Errorf("heard %s", got)
	}
	return rest
}

// upTo is 1 to n, from m.
func upTo(m, n int64) (seqs []int64) {
	for i := m; i <= n; i++ {
		seqs = append(seqs, i)
	}
	return seqs
}

// desk writes down what it is asked, and answers.
type desk struct {
	mu    sync.Mutex
	log   []string
	err   error
	press nexus.Press
	fixes []nexus.Fix
	slow  func(ctx context.Context, what string) error // what happens first, if set; what is cancel, locate or pin
}

// wait is what happens before an answer.
func (d *desk) wait(ctx context.Context, what string) error {
	if d.slow == nil {
		return nil
	}
	return d.slow(ctx, what)
}

func (d *desk) say(format string, args ...any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.log = append(d.log, fmt.Sprintf(format, args...))
	return d.err
}

// heard is what it was asked since the last time.
func (d *desk) heard() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	log := d.log
	d.log = nil
	return strings.Join(log, "|")
}

func (d *desk) Raise(_ context.Context, by nexus.Caller, p nexus.Press) (nexus.Raised, error) {
	d.mu.Lock()
	d.press = p
	d.mu.Unlock()
	return nexus.Raised{Incident: fire, State: nexus.SOSRaised, Seq: 2, Durable: true}, d.say("raise %s", by.User)
}

func (d *desk) Act(_ context.Context, by nexus.Caller, id nexus.IncidentID, to nexus.SOSState, note string) (int64, error) {
	return 7, d.say("act %s %s %s %s", by.User, id, to, note)
}

func (d *desk) Cancel(ctx context.Context, by nexus.Caller, id nexus.IncidentID, duress bool) (nexus.SOSState, error) {
	if err := d.wait(ctx, "cancel"); err != nil {
		return "", err
	}
	return nexus.SOSCancelled, d.say("cancel %s %s %v", by.User, id, duress)
}

func (d *desk) Say(_ context.Context, by nexus.Caller, id nexus.IncidentID, msg, body string) (int64, error) {
	return 8, d.say("say %s %s %s %s", by.User, id, msg, body)
}

func (d *desk) Locate(ctx context.Context, by nexus.Caller, id nexus.IncidentID, fixes []nexus.Fix) error {
	if err := d.wait(ctx, "locate"); err != nil {
		return err
	}
	d.mu.Lock()
	d.fixes = append(d.fixes, fixes...)
	d.mu.Unlock()
	return d.say("locate %s %s %d", by.User, id, len(fixes))
}

// CheckPin knows 1234, and 4321 under duress.
func (d *desk) CheckPin(ctx context.Context, _ nexus.UserID, pin string) (bool, error) {
	if err := d.wait(ctx, "pin"); err != nil {
		return false, err
	}
	if pin != "" && pin != "1234" && pin != "4321" {
		return false, nexus.Errorf(nexus.Forbidden, "the PIN is wrong")
	}
	return pin == "4321", nil
}

// incidents knows open ones, whose raiser and responders may see them, and officers.
type incidents struct {
	open   map[nexus.IncidentID]nexus.Incident
	events int    // of each
	last   string // the kind of the last one, PAGED if not set
}

func (x *incidents) Incident(_ context.Context, by nexus.Caller, id nexus.IncidentID) (nexus.Incident, error) {
	i, ok := x.open[id]
	responds := slices.ContainsFunc(i.Responders, func(r nexus.Responder) bool { return r.User == by.User })
	if !ok || i.User != by.User && !responds && !officer(by) {
		return nexus.Incident{}, nexus.Errorf(nexus.NotFound, "no such incident")
	}
	return i, nil
}

func (x *incidents) Events(ctx context.Context, by nexus.Caller, id nexus.IncidentID, after int64, most int) (found []nexus.SOSEvent, err error) {
	if _, err := x.Incident(ctx, by, id); err != nil {
		return nil, err
	}
	for seq := after + 1; seq <= int64(x.events) && len(found) < min(most, 200); seq++ { // no more, like the true store
		e := nexus.SOSEvent{Incident: id, Seq: seq, Kind: "PAGED", Data: json.RawMessage(`{}`)}
		if seq == int64(x.events) {
			e.Kind = cmp.Or(x.last, e.Kind)
		}
		found = append(found, e)
	}
	return found, nil
}

var errAway = errors.New("the database is away")
