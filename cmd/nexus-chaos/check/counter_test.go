package check

import (
	"testing"

	"pgregory.net/rapid"

	"nexus/cmd/nexus-chaos/history"
)

func add(call, ret int64, delta int) history.Op {
	return history.Op{Kind: history.CheckIn, Key: "h", Call: call, Return: ret, Delta: delta, Outcome: history.OK}
}

func look(call, ret int64, value int) history.Op {
	return history.Op{Kind: history.Look, Key: "h", Call: call, Return: ret, Value: value, Outcome: history.OK}
}

func as(o history.Op, outcome history.Outcome) history.Op {
	o.Outcome = outcome
	return o
}

func TestLooks(t *testing.T) {
	for _, c := range []struct {
		name string
		ops  []history.Op
		ok   bool
	}{
		{"nothing", nil, true},
		{"one after the other", []history.Op{add(1, 2, 3), look(3, 4, 8)}, true},
		{"what was acknowledged is not seen", []history.Op{add(1, 2, 3), look(3, 4, 5)}, false},
		{"what was never sent is seen", []history.Op{look(1, 2, 6)}, false},
		{"on its way: seen", []history.Op{add(1, 9, 3), look(3, 4, 8)}, true},
		{"on its way: not seen", []history.Op{add(1, 9, 3), look(3, 4, 5)}, true},
		{"seen, and then no more", []history.Op{add(1, 9, 3), look(3, 4, 8), look(5, 6, 5)}, false},
		{"of two on their way each look fits alone", []history.Op{add(1, 9, 1), add(1, 9, 2), look(2, 3, 6), look(4, 5, 7)}, false},
		{"unknown: seen late", []history.Op{as(add(1, 2, 3), history.Unknown), look(3, 4, 5), look(5, 6, 8)}, true},
		{"unknown: seen twice", []history.Op{as(add(1, 2, 3), history.Unknown), look(3, 4, 11)}, false},
		{"refused: seen", []history.Op{as(add(1, 2, 3), history.Failed), look(3, 4, 8)}, false},
		{"a look that failed says nothing", []history.Op{as(look(1, 2, 99), history.Failed)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := Looks(c.ops, map[string]int{"h": 5}); r.OK != c.ok {
				t.Errorf("ok is %v: %s %v", r.OK, r.Measured, r.Detail)
			}
		})
	}
}

func TestStaleLooks(t *testing.T) {
	ops := []history.Op{add(1, 2, 3), look(3, 4, 5), look(5, 6, 8), add(7, 9, -2), look(8, 8, 6), look(8, 8, 9)}
	if r := StaleLooks(ops, map[string]int{"h": 5}); r.OK || len(r.Detail) != 2 {
		t.Errorf("found %v, want two", r.Detail)
	}
}

// TestLooksOfARealCounter has a counter that does everything at some moment between call and return: no check may blame it.
func TestLooksOfARealCounter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ops []history.Op
		value := 5
		for i := range rapid.IntRange(0, 30).Draw(t, "operations") {
			at := int64(10 * (i + 1)) // when it happens
			before, after := rapid.Int64Range(1, 35).Draw(t, "before"), rapid.Int64Range(1, 35).Draw(t, "after")
			if rapid.Bool().Draw(t, "looks") {
				ops = append(ops, look(at-before, at+after, value))
				continue
			}
			delta := rapid.IntRange(-3, 3).Draw(t, "delta")
			value += delta
			ops = append(ops, add(at-before, at+after, delta))
		}
		from := map[string]int{"h": 5}
		if r := Looks(ops, from); !r.OK {
			t.Fatalf("%s %v", r.Measured, r.Detail)
		}
		if r := StaleLooks(ops, from); !r.OK {
			t.Fatalf("%s %v", r.Measured, r.Detail)
		}
	})
}
