package check

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

func TestAlarmsAgainstTheDatabase(t *testing.T) {
	durable := history.Op{Kind: history.Raise, Client: "student1", Event: "k", Key: "i", Value: 1, Durable: true, Outcome: history.OK}
	alarmed := history.Op{Kind: history.Raise, Client: "student1", Event: "k", Key: "j", Alarmed: true, Once: true, Outcome: history.OK}
	stored := map[string]Press{"k": {User: "student1", Incident: "i", Seq: 1}}
	const (
		lost   = "SOS answered as durable that are lost"
		never  = "SOS answered as not durable yet that never became so"
		wrong  = "SOS stored otherwise than answered"
		refuse = "SOS refused for good"
	)
	for _, c := range []struct {
		name   string
		op     history.Op
		stored map[string]Press
		ended  bool
		wrong  string // the goal that is missed
	}{
		{"kept", durable, stored, false, ""},
		{"lost", durable, nil, false, lost},
		{"lost with a node that ended", durable, nil, true, lost},
		{"another incident", durable, map[string]Press{"k": {User: "student1", Incident: "j", Seq: 1}}, false, wrong},
		{"another event", durable, map[string]Press{"k": {User: "student1", Incident: "i", Seq: 2}}, false, wrong},
		{"another person", durable, map[string]Press{"k": {User: "student2", Incident: "i", Seq: 1}}, false, wrong},
		{"not durable, and joined another", alarmed, stored, false, ""},
		{"not durable, for ever", alarmed, nil, false, never},
		{"not durable, and gone with its node", alarmed, nil, true, ""},
		{"not durable, repeated and gone", func() history.Op { o := alarmed; o.Once = false; return o }(), nil, true, never},
		{"unknown and not there", as(durable, history.Unknown), nil, false, ""},
		{"refused", as(durable, history.Failed), nil, false, refuse},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := missed(Alarms(c.stored, []history.Op{c.op}, c.ended)); got != c.wrong {
				t.Errorf("missed %q, want %q", got, c.wrong)
			}
		})
	}
}

// TestAlarmThatJoinedAnother: while the database is away a person has one alarm, and what is kept is the press that began it.
func TestAlarmThatJoinedAnother(t *testing.T) {
	const asha = "01890a5d-ac96-774b-bcce-b302099a8001"
	at := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	first := history.Op{Kind: history.Raise, Client: "student1", Event: "k", At: at, Key: nexus.DerivedID(at, at, asha, "k"), Alarmed: true, Once: true, Outcome: history.OK}
	second := first
	second.Event, second.At = "l", at.Add(time.Second)
	stored := map[string]Press{"k": {"student1", asha, "another", 7}}
	if got := missed(Alarms(stored, []history.Op{first, second}, false)); got != "" {
		t.Errorf("missed %q", got)
	}
	const never = "SOS answered as not durable yet that never became so"
	if got := missed(Alarms(nil, []history.Op{first, second}, false)); got != never {
		t.Errorf("with neither stored: missed %q", got)
	}
	second.Key = nexus.DerivedID(second.At, second.At, asha, "l")
	if got := missed(Alarms(stored, []history.Op{first, second}, false)); got != never {
		t.Errorf("with one of two stored: missed %q", got)
	}
}

// stream is an officer's stream, and what a device hears of it that misses nothing: 200 lines of 50 incidents.
func stream() (Device, map[string]map[int64]Line, []history.Delivery) {
	lines := make(map[int64]Line)
	var heard []history.Delivery
	for offset := int64(1); offset <= 200; offset++ {
		l := Line{Incident: fmt.Sprint("i", offset%50), Seq: 2 + offset/50}
		lines[offset] = l
		heard = append(heard, history.Delivery{Client: "phone", ID: fmt.Sprint("s:", offset), Name: "INCIDENT_EVENT", Offset: offset, Incident: l.Incident, Seq: l.Seq})
	}
	return Device{Name: "phone", User: "officer1", To: 200}, map[string]map[int64]Line{"officer1": lines}, heard
}

const (
	neverHeard = "lines of SOS streams that a device never heard"
	outOfOrder = "lines heard out of order, or with a gap before them"
	otherwise  = "lines heard otherwise than stored, or otherwise the second time"
	earlier    = "lines that told an earlier state of an incident than one before"
)

// TestSpoiltDeliveriesAreNoticed spoils a history that is in order, in each of the ways in which one can be.
func TestSpoiltDeliveriesAreNoticed(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(heard []history.Delivery, lines map[int64]Line) []history.Delivery
		wrong string
	}{
		{"in order", func(h []history.Delivery, _ map[int64]Line) []history.Delivery { return h }, ""},
		{"every 50th line is dropped", func(h []history.Delivery, _ map[int64]Line) []history.Delivery {
			return slices.DeleteFunc(h, func(d history.Delivery) bool { return d.Offset%50 == 0 })
		}, neverHeard + ", " + outOfOrder},
		{"the last line is dropped", func(h []history.Delivery, _ map[int64]Line) []history.Delivery { return h[:199] }, neverHeard},
		{"one comes late", func(h []history.Delivery, _ map[int64]Line) []history.Delivery {
			h[10], h[11] = h[11], h[10]
			return h
		}, outOfOrder},
		{"one comes when it is of old", func(h []history.Delivery, _ map[int64]Line) []history.Delivery {
			return append(slices.Delete(h, 9, 10), history.Delivery{Client: "phone", ID: "s:10", Name: "INCIDENT_EVENT", Offset: 10, Incident: "i10", Seq: 2})
		}, outOfOrder + ", " + earlier},
		{"a copy is another line", func(h []history.Delivery, _ map[int64]Line) []history.Delivery {
			d := h[10]
			d.ID = "s:12"
			return append(h, d)
		}, otherwise},
		{"copies", func(h []history.Delivery, _ map[int64]Line) []history.Delivery { return append(h, h[100:]...) }, ""},
		{"an alarm that is not stored yet", func(h []history.Delivery, _ map[int64]Line) []history.Delivery {
			return append(h, history.Delivery{Client: "phone", Name: "CRITICAL_ALERT", Incident: "i"})
		}, ""},
		{"a line that nobody stored", func(h []history.Delivery, lines map[int64]Line) []history.Delivery {
			delete(lines, 200)
			return h
		}, otherwise},
		{"a reset", func(h []history.Delivery, _ map[int64]Line) []history.Delivery {
			return append(h, history.Delivery{Client: "phone", Name: "stream:reset", Offset: 150})
		}, otherwise},
	} {
		t.Run(c.name, func(t *testing.T) {
			device, streams, heard := stream()
			heard = c.spoil(heard, streams["officer1"])
			if got := missed(Deliveries([]Device{device}, streams, heard, time.Now())); got != c.wrong {
				t.Errorf("missed %q, want %q", got, c.wrong)
			}
		})
	}
}

// TestDeliveriesOfARealStream has a device that comes back again and again and hears some lines once more: no check may blame it.
func TestDeliveriesOfARealStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		device, streams, all := stream()
		device.From = rapid.Int64Range(0, 200).Draw(t, "from")
		var heard []history.Delivery
		for at, acknowledged := device.From, device.From; at < 200; {
			end := rapid.Int64Range(at+1, 200).Draw(t, "until it breaks")
			heard = append(heard, all[acknowledged:end]...)
			at = end
			acknowledged = rapid.Int64Range(acknowledged, at).Draw(t, "acknowledged")
		}
		if got := missed(Deliveries([]Device{device}, streams, heard, time.Now())); got != "" {
			t.Fatalf("missed %q", got)
		}
	})
}

func TestLooked(t *testing.T) {
	see := func(client string, seq int, state string) history.Op {
		return history.Op{Kind: history.See, Client: client, Key: "i", Value: seq, Event: state, Outcome: history.OK}
	}
	for _, c := range []struct {
		name string
		ops  []history.Op
		ok   bool
	}{
		{"on and on", []history.Op{see("a", 2, "RAISED"), see("a", 2, "RAISED"), see("a", 3, "ACKNOWLEDGED"), see("a", 9, "RESOLVED")}, true},
		{"back", []history.Op{see("a", 3, "ACKNOWLEDGED"), see("a", 2, "RAISED")}, false},
		{"one seq, two states", []history.Op{see("a", 3, "ACKNOWLEDGED"), see("a", 3, "RAISED")}, false},
		{"each by themselves", []history.Op{see("a", 3, "ACKNOWLEDGED"), see("b", 2, "RAISED")}, true},
		{"a look that failed says nothing", []history.Op{see("a", 3, "ACKNOWLEDGED"), as(see("a", 2, "RAISED"), history.Failed)}, true},
	} {
		if r := Looked(c.ops); r.OK != c.ok {
			t.Errorf("%s: ok is %v: %v", c.name, r.OK, r.Detail)
		}
	}
}

func TestActs(t *testing.T) {
	took := history.Op{Kind: history.Act, Client: "officer1", Key: "i", Event: "ACKNOWLEDGED", Value: 3, Outcome: history.OK}
	back := history.Op{Kind: history.Cancel, Client: "student1", Key: "j", Event: "CANCELLED", Outcome: history.OK}
	events := map[string]string{"i 3": "officer1 ACKNOWLEDGED", "j student1 CANCELLED": "student1"}
	for _, c := range []struct {
		name   string
		events map[string]string
		op     history.Op
		ok     bool
	}{
		{"kept", events, took, true},
		{"lost", nil, took, false},
		{"somebody else's", map[string]string{"i 3": "officer2 ACKNOWLEDGED"}, took, false},
		{"refused", nil, as(took, history.Failed), true},
		{"a cancel that is kept", events, back, true},
		{"a cancel that is lost", nil, back, false},
	} {
		if r := Acts(c.events, []history.Op{c.op}); r.OK != c.ok {
			t.Errorf("%s: ok is %v: %v", c.name, r.OK, r.Detail)
		}
	}
}

func TestPressed(t *testing.T) {
	answered := history.Op{Kind: history.Raise, Call: 0, Return: int64(time.Second), Outcome: history.OK}
	for _, c := range []struct {
		name  string
		op    history.Op
		limit time.Duration
		ok    bool
	}{
		{"soon", answered, 2 * time.Second, true},
		{"late", answered, time.Second / 2, false},
		{"never", as(answered, history.Unknown), 2 * time.Second, false},
	} {
		if got := missed(Pressed([]history.Op{c.op}, c.limit)); (got == "") != c.ok {
			t.Errorf("%s: missed %q", c.name, got)
		}
	}
}
