package e2e_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
)

// TestAnSOSOverTwoNodes: what an officer's device missed comes once and in order, on whichever node it asks, also when the node that it
// was on, or that took the alarm, has died; and afterwards every history is whole, and a change to one is found.
func TestAnSOSOverTwoNodes(t *testing.T) {
	t.Parallel()
	steady(t, sosOverTwoNodes)
}

func sosOverTwoNodes(t testing.TB) {
	a, b := pair(t)
	a.as(t, "admin").call(t, "PUT", "/safety/policies", map[string]any{
		"name": "Default", "everySeconds": 5, "moveSeconds": 300,
		"steps": []any{map[string]any{"afterSeconds": 0, "targets": []any{map[string]any{"role": "SECURITY"}}}},
	}, 200, nil)
	student, token := a.register(t), a.login(t, "officer1", password)
	desk, phone, device := a.bearer(token), a.read(t, student.token), a.read(t, token)

	id := phone.raise("missed").Incident
	device.alert(id)
	device.act(id, nexus.SOSAcknowledged)
	taken := device.of(id)
	for taken.Kind != string(nexus.SOSAcknowledged) { // on a slow machine it may be paged again before
		taken = device.of(id)
	}
	me := *taken.Actor
	desk.acknowledged(t, id, me, taken.Seq)
	device.leave()
	missed := func(n int) (first, last int64) {
		for i := range n {
			last = phone.say(id, fmt.Sprintf("message %d", i))
		}
		return last - int64(n) + 1, last
	}
	hears := func(what string, r *reader, first, last int64) {
		t.Helper()
		for seq := first; seq <= last; seq++ {
			if l := r.next(what); l.IncidentID != id || l.Kind != "MESSAGE" || l.Seq != seq {
				t.Errorf("%s: %+v, want event %d", what, l, seq)
			}
		}
		r.none(what+": one more line", func(e event) bool {
			l, ok := lineOf(t, e)
			return ok && l.Offset > r.offset
		})
	}
	offset := device.offset

	first, last := missed(30)
	device = a.read(t, token, offset)
	hears("back with its offset", device, first, last)
	desk.acknowledged(t, id, me, last)
	device.leave()
	offset = device.offset

	first, last = missed(10)
	device = b.read(t, token)
	device.offset, device.began = offset, true // which it does not say
	hears("back on another node, without an offset", device, first, last)
	device.leave()
	device = b.read(t, token, offset)
	hears("back on another node, with its offset", device, first, last)
	desk.acknowledged(t, id, me, last)
	offset = device.offset

	// The node that it is on takes one more alarm, and dies with the answer.
	colleague := a.read(t, a.login(t, "officer2", password))
	victim := a.register(t)
	other := b.read(t, victim.token)
	pressed := time.Now()
	r := other.raise("last-words")
	b.kill(t)
	paged := colleague.alert(r.Incident)
	took(t, "an alert by the node that is left", pressed)
	again := colleague.alert(r.Incident)
	t.Logf("paged again %v after the press", time.Since(pressed).Round(time.Millisecond))
	if p, q := paged[len(paged)-1], again[len(again)-1]; p.Seq != 2 || q.Seq != 3 {
		t.Errorf("paged with event %d, and again with %d", p.Seq, q.Seq)
	}
	if word := colleague.act(r.Incident, nexus.SOSAcknowledged); word.Seq == 0 {
		t.Errorf("to take it: %+v", word)
	}

	// Without an offset, what was noted before the node died does not come again, and of the rest nothing is left out. With one, it is
	// exactly what came after it.
	first, last = missed(5)
	device = a.read(t, token)
	for l := device.next("back after the node has died, without an offset"); l.IncidentID != id || l.Seq != last; l = device.next("the last message") {
		if l.Offset <= offset {
			t.Errorf("what was acknowledged comes again: %+v", l)
		}
	}
	device.leave()
	want := desk.history(t, r.Incident)[1:]
	device = a.read(t, token, offset)
	for n := len(want) + 5; n > 0; n-- {
		switch l := device.next("back after the node has died"); {
		case l.IncidentID == r.Incident && len(want) > 0 && l.Seq == want[0].Seq:
			want = want[1:]
		case l.IncidentID == id && l.Seq == first:
			first++
		default:
			t.Errorf("back after the node has died: %+v; missing are %d events of one incident, and from %d to %d of the other", l, len(want), first, last)
		}
	}

	a.verify(t, id)
}

// leave closes the socket for good.
func (r *reader) leave() {
	r.t.Helper()
	r.command(map[string]any{"op": "disconnect"})
	r.expect("disconnect")
}

// acknowledged waits until it is stored that somebody's device has an event. Until then a node that knows it may die.
func (c caller) acknowledged(t testing.TB, id nexus.IncidentID, user nexus.UserID, seq int64) {
	t.Helper()
	c.s.until(t, fmt.Sprintf("event %d is acknowledged", seq), func() bool {
		var list nexus.List[nexus.DeliveryRecord]
		c.call(t, "GET", fmt.Sprintf("/safety/incidents/%s/deliveries", id), nil, 200, &list)
		for _, d := range list.Items {
			if d.User == user && d.EventSeq == seq && d.DeliveredAt != nil {
				return true
			}
		}
		return false
	})
}

// verify runs nexus audit verify, which finds every history whole, and then one of an incident that is not.
func (s *server) verify(t testing.TB, id nexus.IncidentID) {
	t.Helper()
	audit := func() (string, error) {
		cmd := exec.Command(s.cmd.Path, "audit", "verify")
		cmd.Env = append(environment(), "NEXUS_DATABASE_URL="+s.database())
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := audit(); err != nil || strings.Count(out, "all fit") != 2 {
		t.Errorf("whole histories: %v: %s", err, out)
	}
	db, err := pgx.Connect(t.Context(), s.database())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context()) //nolint:errcheck // it was only written to
	const changed = 7
	for _, sql := range []string{
		`alter table sos_event disable trigger sos_event_append_only`,
		fmt.Sprintf(`update sos_event set data = replace(data::text, 'message', 'massage')::json where incident_id = '%s' and seq = %d`, id, changed),
		`alter table sos_event enable trigger sos_event_append_only`,
	} {
		if tag, err := db.Exec(t.Context(), sql); err != nil || tag.Update() && tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v, %d rows", sql, err, tag.RowsAffected())
		}
	}
	out, err := audit()
	if want := fmt.Sprintf("incident %s does not fit from seq %d on", id, changed); !strings.Contains(out, want) {
		t.Errorf("a changed history: %q, want %q", out, want)
	}
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != 1 {
		t.Errorf("a changed history ends with %v", err)
	}
}
