package pg_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/incident"
	"nexus/actors/incident/alike"
)

// TestDuressTakesAsLongAsACancel: the transaction that takes an alarm back, and the one that only seems to.
func TestDuressTakesAsLongAsACancel(t *testing.T) {
	s, n := newSafe(t), 0
	s.onDuty(s.ravi)
	alike.Timing(t, 200, func(duress bool) time.Duration {
		n++
		raised, _ := s.press(s.asha, fmt.Sprint(n))
		began := time.Now()
		s.cancel(raised.Incident, duress)
		return time.Since(began)
	})
}

// TestAnEndUnderDuressTakesAsLong as a plain one, of safety timers.
func TestAnEndUnderDuressTakesAsLong(t *testing.T) {
	s := newSafe(t)
	s.onDuty(s.ravi)
	alike.Timing(t, 200, func(duress bool) time.Duration {
		timer := s.timer(s.asha)
		began := time.Now()
		_, err := s.end(t.Context(), caller(s.asha), timer.ID, duress)
		took := time.Since(began)
		ok(t, err)
		return took
	})
}

// statements is what was asked of the database: the first line of each statement, and in how many goes.
type statements struct {
	mu    sync.Mutex
	lines []string
	trips int // to the database and back
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.note(q.SQL)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trips++
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trips++
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	s.note(q.SQL)
}

func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *statements) note(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, _, _ := strings.Cut(sql, "\n")
	s.lines = append(s.lines, first)
}

// ways is how often something went to the database.
func (s *statements) ways() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trips
}

// anEnd makes the two ends of a rehearsal alike: the only statement in which it may differ.
var anEnd = strings.NewReplacer("RollbackToSavepoint", "end of the savepoint", "ReleaseSavepoint", "end of the savepoint")

// since returns what was asked since the last call.
func (s *statements) since() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Join(s.lines, "\n\t")
	s.lines = nil
	return anEnd.Replace(text)
}

// TestDuressTakesTheSameStatements: whatever somebody does who took an alarm back, as many and the same statements are made for it whether they
// truly did or were forced to, also after others have acted.
func TestDuressTakesTheSameStatements(t *testing.T) {
	t.Parallel()
	for _, role := range []nexus.Role{nexus.Student, nexus.Security, nexus.Admin} {
		var made [2][]string
		for i := range made {
			asked := &statements{}
			s := newTracedSafe(t, asked)
			u := newUser(t, s.db, "in need", role)
			s.onDuty(s.meera)
			raised, _ := s.press(u, "k")
			timer := s.timer(u)
			may := func(st incident.State) error { return st.Track(u.ID) }
			locate := func(seq int64) error {
				_, err := s.sos.Locate(t.Context(), raised.Incident, []nexus.Fix{{ClientSeq: seq, At: noon}}, may)
				return err
			}
			ok(t, locate(1))
			_, err := s.act(s.meera, raised.Incident, nexus.SOSAcknowledged)
			ok(t, err)
			asked.since()
			note := func(what string, errs ...error) {
				t.Helper()
				ok(t, errors.Join(errs...))
				made[i] = append(made[i], what+"\n\t"+asked.since())
			}
			s.cancel(raised.Incident, i == 1)
			note("cancel")
			if i == 1 {
				_, err := s.act(s.meera, raised.Incident, nexus.SOSOnScene)
				ok(t, err)
				asked.since()
			}
			for range 2 {
				_, err := s.end(t.Context(), caller(u), timer.ID, i == 1)
				note("end a timer", err)
			}
			s.cancel(raised.Incident, i == 1)
			note("cancel again")
			code(t, locate(2), nexus.StateConflict)
			note("locate")
			_, _, err = s.sos.Say(t.Context(), raised.Incident, u.ID, incident.Words{ClientMsgID: "m", Body: "help"}, func(incident.State) error { return nil })
			code(t, err, nexus.StateConflict)
			note("say")
			s.press(u, "k")
			note("the same press")
			_, err = s.incidents.Incident(t.Context(), caller(u), raised.Incident)
			note("the incident", err)
			_, err = s.incidents.Events(t.Context(), caller(u), raised.Incident, 0, 100)
			note("its history", err)
			_, err = s.incidents.Fixes(t.Context(), caller(u), raised.Incident, nexus.Page{})
			note("its positions", err)
			for _, state := range []string{"", "CANCELLED", "open", "ON_SCENE"} {
				_, err = s.incidents.Incidents(t.Context(), caller(u), state, nexus.Page{})
				note("incidents "+state, err)
			}
			_, err = s.incidents.SafetyMetrics(t.Context(), caller(u), noon, time.Now())
			note("metrics", err)
			_, err = s.streams.Standings(t.Context(), []nexus.Reader{{Stream: string(u.ID), Device: nexus.SessionID(nexus.NewID())}})
			note("standings", err)
			_, err = s.streams.Lines(t.Context(), map[string]int64{string(u.ID): 0}, 100)
			note("lines", err)
			_, err = s.office.Timers(t.Context(), caller(u))
			note("timers", err)
			s.press(u, "another")
			note("another press")
		}
		for n := range made[0] {
			if made[0][n] != made[1][n] || !strings.Contains(made[0][n], "-- name: ") {
				t.Errorf("%s: a cancel takes\n%s\nand under duress\n%s", role, made[0][n], made[1][n])
			}
		}
	}
}

// TestMetricsTellNobodyOfTheirOwnDuress: an officer who was forced to take the own alarm back finds in the sums what they would had it been
// taken back, while all others find what was done.
func TestMetricsTellNobodyOfTheirOwnDuress(t *testing.T) {
	t.Parallel()
	began := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	var own, others []string
	for _, duress := range []bool{false, true} {
		s := newSafe(t)
		s.onDuty(s.meera)
		first, _ := s.press(s.ravi, "k")
		s.cancel(first.Incident, duress)
		taken, _ := s.press(s.ravi, "k2") // one that somebody had answered
		_, err := s.act(s.meera, taken.Incident, nexus.SOSAcknowledged)
		ok(t, err)
		s.cancel(taken.Incident, duress)
		armed, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.ravi.ID, ClientKey: "k3", Category: "panic", Countdown: time.Minute})
		ok(t, err)
		s.cancel(armed.Incident, duress)
		s.press(s.asha, "k") // somebody else's
		_, err = s.end(t.Context(), caller(s.ravi), s.timer(s.ravi).ID, duress)
		ok(t, err)
		if duress {
			s.advance(first.Incident)
			s.advance(armed.Incident)
			for _, id := range []nexus.IncidentID{first.Incident, taken.Incident, armed.Incident} {
				_, err := s.act(s.meera, id, nexus.SOSEnRoute)
				ok(t, err)
				_, err = s.act(s.meera, id, nexus.SOSOnScene)
				ok(t, err)
			}
		}
		conn := s.owner()
		set := func(query string, args ...any) {
			t.Helper()
			_, err := conn.Exec(context.Background(), query, args...)
			ok(t, err)
		}
		set(`update sos_incident set raised_at = $1, closed_at = $2 where closed_at is not null`, began, began.Add(8*time.Second))
		set(`update sos_incident set raised_at = $1, on_scene_at = $2 where closed_at is null`, began, began.Add(time.Minute))
		set(`update sos_incident i set on_scene_at = null where not exists (select from sos_event e where e.incident_id = i.id and e.kind = 'ON_SCENE')`)
		set(`update sos_event set at = $1::timestamptz + case kind when 'RAISED' then 0 when 'ARMED' then 0 when 'PAGED' then 0 when 'ACKNOWLEDGED' then 5 when 'CANCELLED' then 8 when 'DURESS' then 8 else 20 end * interval '1 second'`, began)
		// What was under duress from its first moment stays so.
		set(`update sos_event set at = $1 where kind = 'DURESS' and incident_id in (select incident_id from sos_press where client_key like 'timer:%')`, began)
		set(`update safety_delivery d set committed_at = $1, delivered_at = case when event_seq = 2 then $2::timestamptz end where kind = 'ALERT'`, began, began.Add(time.Second))
		sum := func(u nexus.User) string {
			m, err := s.incidents.SafetyMetrics(t.Context(), caller(u), began.Add(-time.Minute), began.Add(time.Minute))
			ok(t, err)
			text, err := json.Marshal(m)
			ok(t, err)
			return string(text)
		}
		own, others = append(own, sum(s.ravi)), append(others, sum(s.admin))
	}
	if own[0] != own[1] || !strings.Contains(own[0], `"incidents":3,`) || !strings.Contains(own[0], `"arrive":{"samples":0,`) {
		t.Errorf("the officer finds\n%s\nand under duress\n%s", own[0], own[1])
	}
	if others[0] != own[0] || others[1] == others[0] || !strings.Contains(others[1], `"incidents":5,`) || !strings.Contains(others[1], `"arrive":{"samples":3,`) {
		t.Errorf("others find\n%s\nand under duress\n%s", others[0], others[1])
	}
}
