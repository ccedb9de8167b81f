package incident

import (
	"strings"
	"testing"
	"time"

	"nexus"
)

// asha presses; dev is on duty; sara and omar are of security as well, adi is of the administration, ravi is neither.
const (
	asha = nexus.UserID("asha")
	dev  = nexus.UserID("dev")
	sara = nexus.UserID("sara")
	omar = nexus.UserID("omar")
	adi  = nexus.UserID("adi")
	ravi = nexus.UserID("ravi")
)

var (
	noon   = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	campus = Roster{
		{ID: asha, Roles: []nexus.Role{nexus.Student}},
		{ID: sara, Roles: []nexus.Role{nexus.Security}},
		{ID: dev, Roles: []nexus.Role{nexus.Faculty}, OnDuty: true},
		{ID: omar, Roles: []nexus.Role{nexus.Security, nexus.Faculty}},
		{ID: adi, Roles: []nexus.Role{nexus.Admin}},
		{ID: ravi, Roles: []nexus.Role{nexus.Student}},
	}
	policy = nexus.Policy{ID: "p", Name: "Default", EverySeconds: 60, MoveSeconds: 300, Version: 1, Steps: []nexus.Step{
		{AfterSeconds: 0, Targets: []nexus.Target{{OnDuty: true}}},
		{AfterSeconds: 15, Targets: []nexus.Target{{Role: nexus.Security}}},
		{AfterSeconds: 60, Targets: []nexus.Target{{Role: nexus.Security}, {Role: nexus.Admin}, {Contacts: true}}},
	}}
)

func press() nexus.Press {
	return nexus.Press{User: asha, ClientKey: "key", Category: "panic"}
}

func counting(d time.Duration) nexus.Press {
	p := press()
	p.Countdown = d
	return p
}

// history is an incident that a test drives by hand.
type history struct {
	State
	who    Roster
	now    time.Time
	events []Event
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// raise begins a history at noon.
func raise(t fataler, p nexus.Press, policy nexus.Policy, who Roster) *history {
	t.Helper()
	h := &history{who: who, now: noon}
	h.State = State{Incident: nexus.Incident{ID: "i", User: p.User, Responders: []nexus.Responder{}}}
	events, err := Open("i", p, policy, who, h.now)
	h.take(t, events, err)
	return h
}

// take applies what was decided.
func (h *history) take(t fataler, events []Event, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, e := range events {
		if err := h.Apply(e); err != nil {
			t.Fatalf("%v", err)
		}
		h.events = append(h.events, e)
	}
}

func (h *history) act(t fataler, by nexus.UserID, to nexus.SOSState) {
	t.Helper()
	events, err := h.Act(by, to, "", h.now)
	h.take(t, events, err)
}

func (h *history) cancel(t fataler, duress bool) {
	t.Helper()
	events, err := h.Cancel(duress, h.now)
	h.take(t, events, err)
}

// until lets the clock run: what is due happens in its moment.
func (h *history) until(t fataler, at time.Time) {
	t.Helper()
	for h.NextAt != nil && !h.NextAt.After(at) {
		h.now = *h.NextAt
		events, err := h.Due(h.who, h.now)
		h.take(t, events, err)
	}
	h.now = at
}

func kinds(events []Event) string {
	var ks []string
	for _, e := range events {
		ks = append(ks, e.Kind)
	}
	return strings.Join(ks, " ")
}

func wantCode(t *testing.T, err error, want nexus.Code) {
	t.Helper()
	if nexus.CodeOf(err) != want {
		t.Fatalf("%v, want %q", err, want)
	}
}
