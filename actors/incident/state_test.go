package incident

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus"
)

// standing makes an incident that stands in a state. dev brought it there, step by step.
func standing(t *testing.T, state string) *history {
	t.Helper()
	if state == Armed {
		return raise(t, counting(10*time.Second), policy, campus)
	}
	h := raise(t, press(), policy, campus)
	path := map[string][]nexus.SOSState{
		Acknowledged: {nexus.SOSAcknowledged},
		EnRoute:      {nexus.SOSAcknowledged, nexus.SOSEnRoute},
		OnScene:      {nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene},
		Resolved:     {nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene, nexus.SOSResolved},
		FalseAlarm:   {nexus.SOSFalseAlarm},
	}
	for _, to := range path[state] {
		h.act(t, dev, to)
	}
	if state == Cancelled || state == Duress {
		h.cancel(t, state == Duress)
	}
	if want := state; state != Duress && string(h.State.State) != want || state == Duress && h.State.State != nexus.SOSRaised {
		t.Fatalf("it stands at %s, want %s", h.State.State, want)
	}
	return h
}

// TestEveryCommandInEveryState is the whole of what may happen: the events that a command makes in a state, - for none, or the
// state that a conflict names.
func TestEveryCommandInEveryState(t *testing.T) {
	act := func(by nexus.UserID, to nexus.SOSState) func(*history) ([]Event, error) {
		return func(h *history) ([]Event, error) { return h.Act(by, to, "note", h.now) }
	}
	say := func(by nexus.UserID) func(*history) ([]Event, error) {
		return func(h *history) ([]Event, error) { return h.Say(by, Words{"1", "hello"}, h.now) }
	}
	type row struct {
		name string
		do   func(*history) ([]Event, error)
		want string // in the order of the states
	}
	states := strings.Fields("ARMED RAISED ACKNOWLEDGED EN_ROUTE ON_SCENE RESOLVED FALSE_ALARM CANCELLED DURESS")
	for _, r := range []row{
		{"a second one takes it", act(sara, nexus.SOSAcknowledged), "!ARMED ACKNOWLEDGED !ACKNOWLEDGED !EN_ROUTE !ON_SCENE !RESOLVED !FALSE_ALARM !CANCELLED ACKNOWLEDGED"},
		{"the first one takes it", act(dev, nexus.SOSAcknowledged), "!ARMED ACKNOWLEDGED - - - - !FALSE_ALARM !CANCELLED ACKNOWLEDGED"},
		{"a second one goes", act(sara, nexus.SOSEnRoute), "!ARMED EN_ROUTE EN_ROUTE EN_ROUTE EN_ROUTE !RESOLVED !FALSE_ALARM !CANCELLED EN_ROUTE"},
		{"the first one goes", act(dev, nexus.SOSEnRoute), "!ARMED EN_ROUTE EN_ROUTE - - - !FALSE_ALARM !CANCELLED EN_ROUTE"},
		{"a second one arrives", act(sara, nexus.SOSOnScene), "!ARMED ON_SCENE ON_SCENE ON_SCENE ON_SCENE !RESOLVED !FALSE_ALARM !CANCELLED ON_SCENE"},
		{"it is over", act(sara, nexus.SOSResolved), "!ARMED RESOLVED RESOLVED RESOLVED RESOLVED - !FALSE_ALARM !CANCELLED RESOLVED"},
		{"it was nothing", act(sara, nexus.SOSFalseAlarm), "!ARMED FALSE_ALARM FALSE_ALARM FALSE_ALARM FALSE_ALARM !RESOLVED - !CANCELLED FALSE_ALARM"},
		{"more help", func(h *history) ([]Event, error) { return h.Escalate(sara, "", h.who, h.now) }, "!ARMED ESCALATED+PAGED ESCALATED+PAGED ESCALATED+PAGED ESCALATED+PAGED !RESOLVED !FALSE_ALARM !CANCELLED ESCALATED+PAGED"},
		{"taken back", func(h *history) ([]Event, error) { return h.Cancel(false, h.now) }, "CANCELLED CANCELLED CANCELLED CANCELLED !ON_SCENE !RESOLVED !FALSE_ALARM - -"},
		{"taken back under duress", func(h *history) ([]Event, error) { return h.Cancel(true, h.now) }, "DURESS DURESS DURESS DURESS !ON_SCENE !RESOLVED !FALSE_ALARM - -"},
		{"a helper speaks", say(sara), "MESSAGE MESSAGE MESSAGE MESSAGE MESSAGE !RESOLVED !FALSE_ALARM !CANCELLED MESSAGE"},
		{"its raiser speaks", say(asha), "MESSAGE MESSAGE MESSAGE MESSAGE MESSAGE !RESOLVED !FALSE_ALARM !CANCELLED !CANCELLED"},
		{"its raiser tells where", func(h *history) ([]Event, error) { return nil, h.Track(asha) }, "- - - - - !RESOLVED !FALSE_ALARM !CANCELLED !CANCELLED"},
		{"another press", func(h *history) ([]Event, error) { return h.Press(press(), h.who, h.now) }, "RAISED+PAGED JOINED JOINED JOINED JOINED"},
		{"another press that counts down", func(h *history) ([]Event, error) { return h.Press(counting(time.Second), h.who, h.now) }, "JOINED JOINED JOINED JOINED JOINED"},
		{"its raiser takes it", act(asha, nexus.SOSAcknowledged), strings.Repeat("forbidden ", 9)},
		{"its raiser ends it", act(asha, nexus.SOSResolved), strings.Repeat("forbidden ", 9)},
		{"its raiser wants more", func(h *history) ([]Event, error) { return h.Escalate(asha, "", h.who, h.now) }, strings.Repeat("forbidden ", 9)},
		{"somebody else tells where", func(h *history) ([]Event, error) { return nil, h.Track(sara) }, strings.Repeat("forbidden ", 9)},
		{"no answer: raised", act(sara, nexus.SOSRaised), strings.Repeat("invalid ", 9)},
		{"no answer: cancelled", act(sara, nexus.SOSCancelled), strings.Repeat("invalid ", 9)},
		{"no answer: nonsense", act(sara, "NONSENSE"), strings.Repeat("invalid ", 9)},
	} {
		for i, want := range strings.Fields(r.want) {
			t.Run(r.name+" at "+states[i], func(t *testing.T) {
				h := standing(t, states[i])
				events, err := r.do(h)
				var e *nexus.Error
				got := strings.ReplaceAll(kinds(events), " ", "+")
				switch {
				case errors.As(err, &e) && e.Code == nexus.StateConflict:
					got = "!" + e.State
				case err != nil:
					got = string(nexus.CodeOf(err))
				case got == "":
					got = "-"
				}
				if got != want {
					t.Fatalf("%s, want %s", got, want)
				}
				h.take(t, events, nil)
			})
		}
	}
}

// TestWhatFollowsFromEvents tells where an incident stands after some of them, and when it is due next, in seconds after noon.
func TestWhatFollowsFromEvents(t *testing.T) {
	h := raise(t, counting(10*time.Second), policy, campus)
	want := func(state nexus.SOSState, next float64, responders ...string) {
		t.Helper()
		var got []string
		for _, r := range h.Responders {
			got = append(got, fmt.Sprintf("%s %s %v", r.User, r.State, r.Since.Sub(noon).Seconds()))
		}
		if h.State.State != state || !slices.Equal(got, responders) {
			t.Fatalf("%s %q, want %s %q", h.State.State, got, state, responders)
		}
		if due := noon.Add(time.Duration(next * float64(time.Second))); h.NextAt == nil || !h.NextAt.Equal(due) {
			t.Fatalf("due at %v, want %v", h.NextAt, due)
		}
	}
	want(nexus.SOSArmed, 10)
	h.until(t, noon.Add(12*time.Second))
	want(nexus.SOSRaised, 25, "dev PAGED 10")
	if !h.RaisedAt.Equal(noon.Add(10*time.Second)) || !h.CancelUntil.Equal(h.RaisedAt.Add(CancelWindow)) {
		t.Fatalf("raised at %v, to be cancelled until %v", h.RaisedAt, h.CancelUntil)
	}
	h.act(t, dev, nexus.SOSAcknowledged)
	want(nexus.SOSAcknowledged, 312, "dev ACKNOWLEDGED 12")
	h.until(t, noon.Add(312*time.Second))
	want(nexus.SOSRaised, 327, "dev PAGED 312") // the first step is paged again in the same moment
	if h.AckedAt != nil || h.Said(dev, nexus.SOSAcknowledged) != 0 {
		t.Fatal("what was said before it was raised again counts")
	}
	h.act(t, dev, nexus.SOSAcknowledged) // and may be said again
	want(nexus.SOSAcknowledged, 612, "dev ACKNOWLEDGED 312")
	h.until(t, noon.Add(400*time.Second))
	h.act(t, dev, nexus.SOSEnRoute)
	want(nexus.SOSEnRoute, 1300, "dev EN_ROUTE 400")
	h.until(t, noon.Add(500*time.Second))
	h.act(t, sara, nexus.SOSOnScene)
	want(nexus.SOSOnScene, 1400, "dev EN_ROUTE 400", "sara ON_SCENE 500")
	h.until(t, noon.Add(600*time.Second))
	h.act(t, omar, nexus.SOSEnRoute) // the incident stands where the furthest does, and its clock with it
	want(nexus.SOSOnScene, 1400, "dev EN_ROUTE 400", "sara ON_SCENE 500", "omar EN_ROUTE 600")
	h.until(t, noon.Add(1400*time.Second))
	want(nexus.SOSOnScene, 2300, "dev EN_ROUTE 400", "sara ON_SCENE 500", "omar EN_ROUTE 600")
	if got := h.Said(omar, nexus.SOSEnRoute); h.events[got-1].Kind != EnRoute || h.events[got-1].Actor != omar {
		t.Fatalf("omar said so in event %d", got)
	}
	h.act(t, adi, nexus.SOSResolved)
	if h.NextAt != nil || h.ClosedAt == nil || !h.AckedAt.Equal(noon.Add(312*time.Second)) || !h.OnSceneAt.Equal(noon.Add(500*time.Second)) {
		t.Fatalf("%+v", h.Incident)
	}
	if h.Said(sara, nexus.SOSResolved) != h.Seq || h.Said(sara, nexus.SOSFalseAlarm) != 0 {
		t.Fatal("the end is not known by its seq")
	}
}

// TestStepsComeOnTheirSecond lets the clock run and tells when which step was paged, and whom it reached.
func TestStepsComeOnTheirSecond(t *testing.T) {
	nobodyOnDuty := slices.DeleteFunc(slices.Clone(campus), func(p Person) bool { return p.OnDuty })
	nobody := Roster{{ID: asha, Roles: []nexus.Role{nexus.Security, nexus.Admin}, OnDuty: true}}
	contactsFirst := policy
	contactsFirst.Steps = []nexus.Step{{Targets: []nexus.Target{{Contacts: true}}}, {AfterSeconds: 20, Targets: []nexus.Target{{User: adi}}}}
	drill, silent := press(), press()
	drill.Drill, silent.Silent = true, true
	all := "60:2:adi,omar,sara+contacts 120:2:adi,omar,sara+contacts"
	for _, c := range []struct {
		name   string
		press  nexus.Press
		policy nexus.Policy
		who    Roster
		meant  func(*history)
		want   string // second:step:users
	}{
		{"the default", press(), policy, campus, nil, "0:0:dev 15:1:omar,sara " + all},
		{"after a countdown", counting(5 * time.Second), policy, campus, nil, "5:0:dev 20:1:omar,sara 65:2:adi,omar,sara+contacts 125:2:adi,omar,sara+contacts"},
		{"a step that reaches nobody falls through", press(), policy, nobodyOnDuty, nil, "0:1:omar,sara " + all},
		{"nobody at all", press(), policy, nobody, nil, "0:2:+contacts 60:2:+contacts 120:2:+contacts"},
		{"contacts alone do not hold up the next step", press(), contactsFirst, campus, nil, "0:1:adi+contacts 60:1:adi 120:1:adi"},
		{"a drill pages no contacts", drill, policy, campus, nil, "0:0:dev 15:1:omar,sara 60:2:adi,omar,sara 120:2:adi,omar,sara"},
		{"a silent alarm pages no contacts", silent, policy, campus, nil, "0:0:dev 15:1:omar,sara 60:2:adi,omar,sara 120:2:adi,omar,sara"},
		{"an answer ends it", press(), policy, campus, func(h *history) { h.act(t, dev, nexus.SOSAcknowledged) }, "0:0:dev"},
		{"a cancel ends it", press(), policy, campus, func(h *history) { h.cancel(t, false) }, "0:0:dev"},
		{"duress does not, and pages no contacts", press(), policy, campus, func(h *history) { h.cancel(t, true) }, "0:0:dev 15:1:omar,sara 60:2:adi,omar,sara 120:2:adi,omar,sara"},
		{"a human may ask for the next step at once", press(), policy, campus, func(h *history) {
			events, err := h.Escalate(sara, "", h.who, h.now)
			h.take(t, events, err)
		}, "0:0:dev 0:1:omar,sara " + all},
		{"and for all while another is at it", press(), policy, campus, func(h *history) {
			h.act(t, dev, nexus.SOSEnRoute)
			events, err := h.Escalate(sara, "", h.who, h.now)
			h.take(t, events, err)
		}, "0:0:dev 0:2:adi,omar,sara+contacts"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := raise(t, c.press, c.policy, c.who)
			if c.meant != nil {
				c.meant(h)
			}
			h.until(t, noon.Add(2*time.Minute+10*time.Second))
			if got := pages(t, h); got != c.want {
				t.Fatalf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func pages(t *testing.T, h *history) string {
	t.Helper()
	var got []string
	for _, e := range h.events {
		if e.Kind != Paged {
			continue
		}
		var p Page
		if err := json.Unmarshal(e.Data, &p); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%v:%d:", e.At.Sub(noon).Seconds(), p.Step)
		for i, u := range p.Users {
			line += strings.Repeat(",", min(i, 1)) + string(u)
		}
		if p.Contacts {
			line += "+contacts"
		}
		got = append(got, line)
	}
	return strings.Join(got, " ")
}

// Whoever looks late does all that was missed, once.
func TestWhatWasMissedIsDoneAtOnce(t *testing.T) {
	h := raise(t, press(), policy, campus)
	h.now = noon.Add(10 * time.Minute)
	events, err := h.Due(campus, h.now)
	h.take(t, events, err)
	if got := pages(t, h); got != "0:0:dev 600:1:omar,sara 600:2:adi,omar,sara+contacts" || !h.NextAt.Equal(noon.Add(11*time.Minute)) {
		t.Fatalf("%s, due at %v", got, h.NextAt)
	}
}

func TestCancelIsPossibleForFiveMinutes(t *testing.T) {
	h := raise(t, press(), policy, campus)
	if _, err := h.Cancel(false, h.CancelUntil); err != nil {
		t.Fatal(err)
	}
	for _, duress := range []bool{false, true} {
		if _, err := h.Cancel(duress, h.CancelUntil.Add(time.Microsecond)); nexus.CodeOf(err) != nexus.StateConflict {
			t.Fatalf("duress %v: %v", duress, err)
		}
	}
}

func TestWhatIsSaidIsBounded(t *testing.T) {
	h := raise(t, press(), policy, campus)
	for i := range MaxMessages {
		events, err := h.Say(asha, Words{fmt.Sprint(i), "hello"}, h.now)
		h.take(t, events, err)
	}
	_, err := h.Say(asha, Words{"one more", "hello"}, h.now)
	wantCode(t, err, nexus.TooLarge)
	for range MaxJoins {
		events, err := h.Press(press(), h.who, h.now)
		h.take(t, events, err)
	}
	if events, err := h.Press(press(), h.who, h.now); err != nil || len(events) != 0 {
		t.Fatalf("%v, %v", events, err)
	}
}

func TestWhatCannotBeFoldedIsRefused(t *testing.T) {
	endless, immobile := policy, policy
	endless.EverySeconds, immobile.MoveSeconds = 0, 0
	for name, e := range map[string]Event{
		"an unknown event":            {Kind: "NONSENSE"},
		"no data":                     {Kind: Raised},
		"a policy without steps":      event(Raised, asha, noon, Opening{Policy: nexus.Policy{EverySeconds: 1, MoveSeconds: 1}}),
		"steps without a pause":       event(Raised, asha, noon, Opening{Policy: endless}),
		"an answer that never lapses": event(Raised, asha, noon, Opening{Policy: immobile}),
		"a page of nothing":           {Kind: Paged, Data: json.RawMessage("[]")},
	} {
		if _, err := Fold("i", asha, []Event{e}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestWhoMaySee(t *testing.T) {
	h := raise(t, press(), policy, campus)
	for _, c := range []struct {
		by   nexus.Caller
		want bool
	}{
		{nexus.Caller{User: asha}, true},
		{nexus.Caller{User: dev}, true}, // was paged
		{nexus.Caller{User: ravi, Roles: []nexus.Role{nexus.Student, nexus.Faculty, nexus.MessStaff}}, false},
		{nexus.Caller{User: ravi, Roles: []nexus.Role{nexus.Security}}, true},
		{nexus.Caller{User: ravi, Roles: []nexus.Role{nexus.Admin}}, true},
		{nexus.Caller{Key: "k", Roles: []nexus.Role{nexus.Admin}}, false},
		{nexus.Caller{}, false},
	} {
		if h.May(c.by) != c.want {
			t.Errorf("%+v: %v", c.by, !c.want)
		}
	}
}

func TestWhomAnEventIsFor(t *testing.T) {
	h := raise(t, press(), policy, campus)
	h.act(t, omar, nexus.SOSEnRoute)
	events, err := h.Escalate(sara, "", Roster{{ID: dev, Roles: []nexus.Role{nexus.Admin}}}, h.now)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		h.take(t, []Event{e}, nil)
		for _, to := range h.Audience(e) {
			got = append(got, fmt.Sprint(e.Kind, " ", to))
		}
	}
	if want := []string{
		"ESCALATED {asha EVENT false}", "ESCALATED {dev EVENT false}", "ESCALATED {omar EVENT false}",
		"PAGED {asha EVENT false}", "PAGED {dev ALERT false}", "PAGED {omar EVENT false}", // dev is paged again
	}; !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

// legal is where each event may lead from where.
var legal = map[string][]string{
	Armed: {"->ARMED"},
	Raised: {
		"->RAISED", "ARMED->RAISED",
	},
	Acknowledged:   {"RAISED->ACKNOWLEDGED"},
	EnRoute:        {"RAISED->EN_ROUTE", "ACKNOWLEDGED->EN_ROUTE", "EN_ROUTE->EN_ROUTE", "ON_SCENE->ON_SCENE"},
	OnScene:        {"RAISED->ON_SCENE", "ACKNOWLEDGED->ON_SCENE", "EN_ROUTE->ON_SCENE", "ON_SCENE->ON_SCENE"},
	Unacknowledged: {"ACKNOWLEDGED->RAISED"},
	Reminded:       {"EN_ROUTE->EN_ROUTE", "ON_SCENE->ON_SCENE"},
	Resolved:       {"RAISED->RESOLVED", "ACKNOWLEDGED->RESOLVED", "EN_ROUTE->RESOLVED", "ON_SCENE->RESOLVED"},
	FalseAlarm:     {"RAISED->FALSE_ALARM", "ACKNOWLEDGED->FALSE_ALARM", "EN_ROUTE->FALSE_ALARM", "ON_SCENE->FALSE_ALARM"},
	Cancelled:      {"ARMED->CANCELLED", "RAISED->CANCELLED", "ACKNOWLEDGED->CANCELLED", "EN_ROUTE->CANCELLED"},
	Duress:         {"ARMED->ARMED", "RAISED->RAISED", "ACKNOWLEDGED->ACKNOWLEDGED", "EN_ROUTE->EN_ROUTE"},
	Joined:         {"ARMED->ARMED", "RAISED->RAISED", "ACKNOWLEDGED->ACKNOWLEDGED", "EN_ROUTE->EN_ROUTE", "ON_SCENE->ON_SCENE"},
	Message:        {"ARMED->ARMED", "RAISED->RAISED", "ACKNOWLEDGED->ACKNOWLEDGED", "EN_ROUTE->EN_ROUTE", "ON_SCENE->ON_SCENE"},
	Escalated:      {"RAISED->RAISED", "ACKNOWLEDGED->ACKNOWLEDGED", "EN_ROUTE->EN_ROUTE", "ON_SCENE->ON_SCENE"},
	Paged:          {"RAISED->RAISED", "ACKNOWLEDGED->ACKNOWLEDGED", "EN_ROUTE->EN_ROUTE", "ON_SCENE->ON_SCENE"},
}

// draw makes a history of any press, and run of any commands at any times. After each the history is checked by check.
func draw(t *rapid.T) *history {
	p := press()
	p.Silent, p.Drill = rapid.Bool().Draw(t, "silent"), rapid.Bool().Draw(t, "drill")
	p.Countdown = time.Duration(rapid.IntRange(0, 2).Draw(t, "countdown")) * 5 * time.Second
	who := rapid.Permutation(campus).Draw(t, "roster")[:rapid.IntRange(0, len(campus)).Draw(t, "there")]
	h := raise(t, p, policy, who)
	checkHistory(t, h, 0)
	return h
}

// step does one command, by a random person, after a random time; without the raiser only by others.
func step(t *rapid.T, h *history, raiser bool) {
	switch rapid.IntRange(0, 2).Draw(t, "clock") {
	case 0:
		if h.NextAt != nil && h.NextAt.After(h.now) {
			h.now = *h.NextAt
		}
	case 1:
		h.now = h.now.Add(time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second)
	}
	people := []nexus.UserID{sara, dev, omar, adi}
	if raiser {
		people = append(people, asha)
	}
	by := rapid.SampledFrom(people).Draw(t, "by")
	before, was := h.State, len(h.events)
	kept := deepCopy(t, h)
	var events []Event
	var err error
	switch rapid.IntRange(0, 6).Draw(t, "command") {
	case 0, 1:
		events, err = h.Due(h.who, h.now)
		if err != nil {
			t.Fatalf("the clock failed: %v", err)
		}
	case 2, 3:
		to := rapid.SampledFrom(answers).Draw(t, "to")
		if events, err = h.Act(by, to, "", h.now); err == nil {
			defer func() { checkSaid(t, h, by, to) }()
		}
	case 4:
		events, err = h.Escalate(by, "", h.who, h.now)
	case 5:
		events, err = h.Say(by, Words{"1", "hello"}, h.now)
	case 6:
		if raiser && !h.Duress && h.ClosedAt == nil {
			p := press()
			p.Countdown = time.Duration(rapid.IntRange(0, 1).Draw(t, "press")) * time.Second
			events, err = h.Press(p, h.who, h.now)
		}
	}
	checkRefusal(t, before, by, err)
	if !reflect.DeepEqual(kept, h.State) {
		t.Fatalf("deciding changed the state")
	}
	if err == nil {
		h.take(t, events, nil)
	}
	if !reflect.DeepEqual(kept, before) {
		t.Fatalf("a copy of the state changed with it")
	}
	checkHistory(t, h, was)
}

// deepCopy is the state as its events say, which shares nothing.
func deepCopy(t *rapid.T, h *history) State {
	s, err := Fold(h.ID, h.User, h.events)
	if err != nil {
		t.Fatalf("fold: %v", err)
	}
	return s
}

func checkRefusal(t *rapid.T, s State, by nexus.UserID, err error) {
	var e *nexus.Error
	switch {
	case err == nil:
	case !errors.As(err, &e):
		t.Fatalf("%v has no code", err)
	case e.Code == nexus.StateConflict && e.State != string(s.SeenBy(by).State):
		t.Fatalf("%s is told %s, and sees %s", by, e.State, s.SeenBy(by).State)
	case e.Code == nexus.Forbidden && by != asha:
		t.Fatalf("%s: %v", by, err)
	}
}

func checkSaid(t *rapid.T, h *history, by nexus.UserID, to nexus.SOSState) {
	seq := h.Said(by, to)
	if seq < 1 || seq > h.Seq {
		t.Fatalf("%s said %s in event %d of %d", by, to, seq, h.Seq)
	}
	if e := h.events[seq-1]; e.Kind != string(to) || e.Actor != by && !to.Closed() {
		t.Fatalf("%s said %s in event %d, which is %s by %s", by, to, seq, e.Kind, e.Actor)
	}
}

// checkHistory holds for every history, and looks at each event since was.
func checkHistory(t *rapid.T, h *history, was int) {
	s, err := Fold(h.ID, h.User, h.events)
	if err != nil || !reflect.DeepEqual(s, h.State) {
		t.Fatalf("kept:   %+v\nfolded: %+v, %v", h.State, s, err)
	}
	if closed := s.State.Closed(); closed != (s.ClosedAt != nil) || closed != (s.NextAt == nil) {
		t.Fatalf("%s, closed at %v, next at %v", s.State, s.ClosedAt, s.NextAt)
	}
	if s.Seq != int64(len(h.events)) {
		t.Fatalf("seq %d after %d events", s.Seq, len(h.events))
	}
	if s, err = Fold(h.ID, h.User, h.events[:was]); err != nil {
		t.Fatalf("%v", err)
	}
	for i, e := range h.events[was:] {
		from := s.State
		if err := s.Apply(e); err != nil {
			t.Fatalf("%v", err)
		}
		if way := string(from) + "->" + string(s.State); !slices.Contains(legal[e.Kind], way) {
			t.Fatalf("%s: %s", e.Kind, way)
		}
		if asked := was+i > 0 && h.events[was+i-1].Kind == Escalated; e.Kind == Paged && from != nexus.SOSRaised && !asked {
			t.Fatalf("somebody has it, and the clock pages others")
		}
		if e.Kind == Paged && e.Actor != "" {
			t.Fatalf("paged by %s", e.Actor)
		}
		if slices.ContainsFunc(s.Responders, func(r nexus.Responder) bool { return r.User == asha }) {
			t.Fatalf("the person in need responds")
		}
	}
}

func TestAnyOrderOfCommandsKeepsTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := draw(t)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			if rapid.IntRange(0, 15).Draw(t, "cancel") == 0 {
				was := len(h.events)
				events, err := h.Cancel(rapid.Bool().Draw(t, "duress"), h.now)
				checkRefusal(t, h.State, asha, err)
				h.take(t, events, nil)
				checkHistory(t, h, was)
			}
			step(t, h, true)
		}
	})
}

// Whoever asks, and however often: what is due happens once, and never before its time.
func TestDueIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := draw(t)
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			step(t, h, true)
			if h.NextAt != nil && h.NextAt.After(h.now) {
				if events, err := h.Due(h.who, h.NextAt.Add(-time.Microsecond)); err != nil || len(events) != 0 {
					t.Fatalf("%s before its time, %v", kinds(events), err)
				}
			}
			events, err := h.Due(h.who, h.now)
			h.take(t, events, err)
			if again, err := h.Due(h.who, h.now); err != nil || len(again) != 0 {
				t.Fatalf("%s once more, %v", kinds(again), err)
			}
			if h.NextAt != nil && !h.NextAt.After(h.now) {
				t.Fatalf("still due")
			}
		}
	})
}

// TestDuressLooksLikeACancel lives one history up to a cancel, and from there two: one truly cancelled, one under duress, with helpers who
// act on and a clock that runs. In nothing that its raiser sees, does or gets do the two differ.
func TestDuressLooksLikeACancel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := draw(t)
		for range rapid.IntRange(0, 10).Draw(t, "before") {
			step(t, h, true)
		}
		cancelled, forced := *h, *h
		cancelled.events, forced.events = slices.Clone(h.events), slices.Clone(h.events)
		real, err := h.Cancel(false, h.now)
		seeming, seemingErr := h.Cancel(true, h.now)
		if !reflect.DeepEqual(err, seemingErr) || len(real) != len(seeming) {
			t.Fatalf("%d and %v, under duress %d and %v", len(real), err, len(seeming), seemingErr)
		}
		if len(real) == 0 {
			return // too late
		}
		cancelled.take(t, real, nil)
		forced.take(t, seeming, nil)
		r, s := real[0], seeming[0]
		if kind, ok := forced.Mask(forced.Seq, s.Kind); !ok || kind != r.Kind || string(r.Data) != string(s.Data) || r.Actor != s.Actor || !r.At.Equal(s.At) {
			t.Fatalf("%+v is seen as %s", s, kind)
		}
		a, b := cancelled.Audience(r), forced.Audience(s)
		for i := range b {
			if b[i].Masked != (b[i].User == asha) {
				t.Fatalf("%+v", b[i])
			}
			b[i].Masked = false
		}
		if !slices.Equal(a, b) {
			t.Fatalf("for %v, under duress for %v", a, b)
		}
		for range rapid.IntRange(0, 20).Draw(t, "after") {
			was := len(forced.events)
			step(t, &forced, false)
			at, err := Fold("i", asha, forced.events[:was])
			if err != nil {
				t.Fatalf("%v", err)
			}
			for _, e := range forced.events[was:] {
				if err := at.Apply(e); err != nil {
					t.Fatalf("%v", err)
				}
				if slices.ContainsFunc(at.Audience(e), func(to To) bool { return to.User == asha }) {
					t.Fatalf("its raiser hears of %s", e.Kind)
				}
			}
			compareAsRaiser(t, &cancelled, &forced)
		}
	})
}

// compareAsRaiser compares two histories in all that the raiser can see and try, at one time.
func compareAsRaiser(t *rapid.T, a, b *history) {
	if !reflect.DeepEqual(a.SeenBy(asha), b.SeenBy(asha)) {
		t.Fatalf("%+v\n%+v", a.SeenBy(asha), b.SeenBy(asha))
	}
	for i, e := range b.events {
		kind, ok := b.Mask(int64(i+1), e.Kind)
		if ok != (i < len(a.events)) || ok && kind != a.events[i].Kind {
			t.Fatalf("event %d: %s %v", i+1, kind, ok)
		}
	}
	tries := func(h *history) (out []string) {
		note := func(events []Event, err error) { out = append(out, fmt.Sprint(kinds(events), err)) }
		note(h.Cancel(false, b.now))
		note(h.Cancel(true, b.now))
		note(h.Say(asha, Words{"1", "hello"}, b.now))
		note(h.Escalate(asha, "", h.who, b.now))
		note(nil, h.Track(asha))
		for _, to := range answers {
			note(h.Act(asha, to, "", b.now))
		}
		return out
	}
	if x, y := tries(a), tries(b); !slices.Equal(x, y) {
		t.Fatalf("%q\nunder duress %q", x, y)
	}
}
