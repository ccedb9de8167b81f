package live

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// back connects a login of a user with a pid, "" for none, and returns the pid that it is answered.
func (s *safe) back(user, login, pid, more string) (*phone, string) {
	s.Helper()
	c := s.dial()
	c.Send(fmt.Sprintf(`40/security,{"token":%q,"pid":%q%s}`, s.issue(user, login), pid, more))
	var answer struct{ SID, PID string }
	got := c.NextText()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "40/security,")), &answer); err != nil || answer.SID == "" || answer.PID == "" {
		s.Fatalf("answered %s", got)
	}
	synctest.Wait()
	return &phone{s, c}, answer.PID
}

// TestAClientThatComesBackGoesOnBehindWhatItAcknowledged, whatever another tab of its login has, and is told that it is the same.
func TestAClientThatComesBackGoesOnBehindWhatItAcknowledged(t *testing.T) {
	for name, c := range map[string]struct {
		more string
		want []int64
	}{
		"as the node knows": {"", []int64{3, 4, 5, 6}},
		"as it says itself": {`,"offset":4`, []int64{5, 6}},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				first, pid := s.back(asha, "l1", "", "")
				other, another := s.back(asha, "l1", "", "")
				if pid == another {
					s.Error("two tabs are one")
				}
				s.publish(asha, 5)
				first.take(1, 2)
				first.get(3, 4, 5)
				other.take(1, 2, 3, 4, 5)
				first.Hangup()
				s.publish(asha, 1)
				other.take(6)
				for range 2 { // also right after, when nothing was acknowledged meanwhile
					var now string
					if first, now = s.back(asha, "l1", pid, c.more); now != pid {
						s.Errorf("it is another: %s, was %s", now, pid)
					}
					first.get(c.want...)
					first.Hangup()
				}
				if n := s.metric("nexus_socket_recoveries_total", "true"); n != 2 {
					s.Errorf("%v are counted", n)
				}
			})
		})
	}
}

// TestAClientThatMissedNothingIsRecoveredToo, though no line was ever sent to it.
func TestAClientThatMissedNothingIsRecoveredToo(t *testing.T) {
	safely(t, func(s *safe) {
		first, pid := s.back(asha, "l1", "", "")
		first.Hangup()
		if _, now := s.back(asha, "l1", pid, ""); now != pid {
			s.Error("it is another")
		}
	})
}

// TestWhoIsNotRecovered is given another name, and what its login has missed.
func TestWhoIsNotRecovered(t *testing.T) {
	const key = "a key that all nodes have in common"
	for name, c := range map[string]struct {
		as   func(pid string) (user, login, claims string)
		when func(s *safe)
	}{
		"another user":            {as: func(pid string) (string, string, string) { return ravi, "l1", pid }},
		"another login":           {as: func(pid string) (string, string, string) { return asha, "l2", pid }},
		"a changed id":            {as: func(pid string) (string, string, string) { return asha, "l1", flip(pid, 0) }},
		"a changed signature":     {as: func(pid string) (string, string, string) { return asha, "l1", flip(pid, 31) }},
		"no pid at all":           {as: func(string) (string, string, string) { return asha, "l1", "guess" }},
		"one of another secret":   {as: func(string) (string, string, string) { return asha, "l1", pids{[]byte("x")}.name(asha, asha, "l1") }},
		"one that is too old":     {as: func(string) (string, string, string) { return asha, "l1", pids{[]byte(key)}.name(fire, asha, "l1") }},
		"a history set back":      {when: func(s *safe) { s.store.lines[asha] = s.store.lines[asha][:1] }},
		"while the store is away": {when: func(s *safe) { s.store.err = errAway }},
		"while the store hangs":   {when: func(s *safe) { s.store.slow = 2 * time.Second }},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				first, pid := s.back(asha, "l1", "", "")
				s.publish(asha, 3)
				first.take(1, 2)
				first.get(3)
				first.Hangup()
				s.pass(time.Second)
				user, login, claims := asha, "l1", pid
				if c.as != nil {
					user, login, claims = c.as(pid)
				}
				if c.when != nil {
					s.store.mu.Lock()
					c.when(s)
					s.store.mu.Unlock()
				}
				start := time.Now()
				p, now := s.back(user, login, claims, "")
				if now == claims || now == pid {
					s.Error("it is the same")
				}
				if took := time.Since(start); took > recoverWait {
					s.Errorf("it waited %v", took)
				}
				s.store.mu.Lock()
				s.store.err, s.store.slow = nil, 0
				s.store.mu.Unlock()
				s.pass(5 * time.Second)
				if len(s.store.lines[asha]) == 3 && user == asha && login == "l1" {
					p.get(3)
				}
			})
		})
	}
}

// flip changes one bit of a pid's ith byte.
func flip(pid string, i int) string {
	raw, err := base64.RawURLEncoding.DecodeString(pid)
	if err != nil {
		panic(err)
	}
	raw[i] ^= 1
	return base64.RawURLEncoding.EncodeToString(raw)
}

// TestNoEventEndsWithAString: a client that has a pid would send it as the offset that it has come to.
func TestNoEventEndsWithAString(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(guardID, "l1", "", nexus.Security)
		s.Broadcast(&grain.Broadcast{Topic: "safety/alerts", Namespace: securityNamespace, Event: "x", Payload: []byte(` "7"`)})
		s.Broadcast(&grain.Broadcast{Topic: "safety/alerts", Namespace: securityNamespace, Event: "x", Payload: []byte(`{"n":"7"}`)})
		p.Expect(`42/security,["x",{"n":"7"}]`)
		s.publish(guardID, 1)
		if d := p.next(); !strings.HasSuffix(d.raw, "}]") || d.ack == "" {
			s.Errorf("a line is %s", d.raw)
		}
	})
}
