package e2e_test

import (
	"fmt"
	"testing"

	"nexus"
)

// TestAnSOSGoesOnWhereTheClientWas: the official client, which knows nothing of offsets, comes back on its node, on another, and after its
// node was killed; each time it is told that it is recovered, and hears exactly what it has not acknowledged, and each line once.
func TestAnSOSGoesOnWhereTheClientWas(t *testing.T) {
	t.Parallel()
	steady(t, sosRecovered)
}

func sosRecovered(t testing.TB) {
	a, b := pair(t)
	student, token := a.register(t), a.login(t, "officer1", password)
	desk, phone := a.bearer(token), a.read(t, student.token)
	device := &reader{s: b, client: dial(t, b, "/security", with(token))}
	if device.expect("connect").Recovered {
		t.Error("recovered at first")
	}
	id := phone.raise("story").Incident
	device.alert(id)
	device.act(id, nexus.SOSAcknowledged)
	l := device.of(id)
	for l.Kind != string(nexus.SOSAcknowledged) { // on a slow machine it may be paged again before
		l = device.of(id)
	}
	me, said := *l.Actor, 0
	say := func(n int) (last int64) {
		for range n {
			said++
			last = phone.say(id, fmt.Sprintf("message %d", said))
		}
		return last
	}
	hears := func(what string, last int64) {
		t.Helper()
		for l.Seq < last {
			if l = device.next(what); l.IncidentID != id || l.Kind != "MESSAGE" {
				t.Errorf("%s: %+v", what, l)
			}
		}
		device.none(what+": one more line", func(e event) bool {
			x, ok := lineOf(t, e)
			return ok && x.Offset > device.offset
		})
	}
	back := func(what string, want bool) {
		t.Helper()
		if got := device.expect("connect").Recovered; got != want {
			t.Errorf("%s: recovered is %v", what, got)
		}
	}

	hears("before anything happens", say(3))
	desk.acknowledged(t, id, me, l.Seq)
	device.command(map[string]any{"op": "drop"})
	back("a broken connection", true)
	hears("after a broken connection", say(3))
	desk.acknowledged(t, id, me, l.Seq)

	device.leave()
	missed := say(20)
	device.command(map[string]any{"op": "move", "url": a.url})
	device.command(map[string]any{"op": "connect"})
	back("on another node", true)
	device.s = a
	hears("on another node", missed)
	desk.acknowledged(t, id, me, l.Seq)

	device.command(map[string]any{"op": "move", "url": b.url})
	device.command(map[string]any{"op": "drop"})
	back("on the first node again", true)
	hears("on the first node again", say(3))
	desk.acknowledged(t, id, me, l.Seq)

	device.command(map[string]any{"op": "move", "url": a.url})
	b.kill(t)
	missed = say(5)
	back("after its node was killed", true)
	hears("after its node was killed", missed)
	desk.acknowledged(t, id, me, l.Seq)

	device.command(map[string]any{"op": "auth", "auth": map[string]any{"token": a.login(t, "officer1", password)}})
	device.command(map[string]any{"op": "drop"})
	back("by another login", false)
}
