package check

import (
	"strings"
	"testing"
	"time"

	"nexus/cmd/nexus-chaos/history"
)

func TestEventsAgainstTheTable(t *testing.T) {
	sent := history.Op{Kind: history.CheckIn, Key: "h", Event: "e", Delta: 2, Outcome: history.OK, Attempts: 1, Accepted: true}
	stored := event{hall: "h", delta: 2, times: 1}
	for _, c := range []struct {
		name  string
		op    history.Op
		table map[string]event
		wrong string // the goal that is missed
	}{
		{"kept", sent, map[string]event{"e": stored}, ""},
		{"lost", sent, nil, "acknowledged check-ins that are lost"},
		{"twice", sent, map[string]event{"e": {"h", 2, 2}}, "events stored twice, otherwise than sent, or from nowhere"},
		{"another number", sent, map[string]event{"e": {"h", 3, 1}}, "events stored twice, otherwise than sent, or from nowhere"},
		{"another hall", sent, map[string]event{"e": {"g", 2, 1}}, "events stored twice, otherwise than sent, or from nowhere"},
		{"from nowhere", sent, map[string]event{"e": stored, "f": stored}, "events stored twice, otherwise than sent, or from nowhere"},
		{"unknown and there", as(sent, history.Unknown), map[string]event{"e": stored}, ""},
		{"unknown and not there", as(sent, history.Unknown), nil, ""},
		{"refused", as(sent, history.Failed), nil, "check-ins refused for good"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := missed(judge(c.table, []history.Op{c.op})); got != c.wrong {
				t.Errorf("missed %q, want %q", got, c.wrong)
			}
		})
	}
}

// missed names the goals that were missed.
func missed(rs []Result) string {
	var names []string
	for _, r := range rs {
		if !r.OK {
			names = append(names, r.What)
		}
	}
	return strings.Join(names, ", ")
}

func TestOneRetry(t *testing.T) {
	for _, c := range []struct {
		name string
		op   history.Op
		ok   bool
	}{
		{"at once", history.Op{Kind: history.CheckIn, Outcome: history.OK, Attempts: 1}, true},
		{"with one retry", history.Op{Kind: history.CheckIn, Outcome: history.OK, Attempts: 2, Troubles: []string{"a: EOF"}}, true},
		{"with two", history.Op{Kind: history.CheckIn, Outcome: history.OK, Attempts: 3, Troubles: []string{"a: EOF", "b: EOF"}}, false},
		{"never", history.Op{Kind: history.Rate, Outcome: history.Unknown, Attempts: 2}, false},
		{"past the balancer", history.Op{Kind: history.CheckIn, Outcome: history.OK, Attempts: 9, Scattered: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := OneRetry([]history.Op{c.op}); r.OK != c.ok {
				t.Errorf("ok is %v: %v", r.OK, r.Detail)
			}
		})
	}
}

func TestAnswered(t *testing.T) {
	ops := []history.Op{
		{Kind: history.CheckIn, Outcome: history.OK}, {Kind: history.Refresh, Outcome: history.Failed}, {Kind: history.Edit, Outcome: history.Unknown},
	}
	if r := Answered(ops); !r.OK {
		t.Errorf("blames %v", r.Detail)
	}
	if r := Answered(append(ops, history.Op{Kind: history.Rate, Outcome: history.Unknown, Troubles: []string{"a: EOF"}})); r.OK {
		t.Error("does not miss an answer")
	}
}

func TestJitter(t *testing.T) {
	at := func(seq int64, ms int64) history.Tick {
		return history.Tick{Client: "c", Connection: 1, Hall: "h", Seq: 1<<30 + seq, At: ms * int64(time.Millisecond)}
	}
	for _, c := range []struct {
		name  string
		ticks []history.Tick
		ok    bool
	}{
		{"even", []history.Tick{at(1, 1000), at(2, 2010), at(3, 2990)}, true},
		{"late", []history.Tick{at(1, 1000), at(2, 2500)}, false},
		{"one missing is not jitter", []history.Tick{at(1, 1000), at(3, 3000)}, true},
		{"another connection", []history.Tick{at(1, 1000), {Client: "c", Connection: 2, Hall: "h", Seq: 1<<30 + 2, At: 9e9}}, true},
		{"another activation", []history.Tick{at(1, 1000), at(1<<30, 9000)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := Jitter(c.ticks, 300*time.Millisecond)[0]; r.OK != c.ok {
				t.Errorf("ok is %v: %s", r.OK, r.Measured)
			}
		})
	}
}

func TestQuantile(t *testing.T) {
	all := []time.Duration{4, 1, 3, 2}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := Quantile(all, q); got != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
}
