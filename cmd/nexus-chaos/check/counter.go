package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"nexus/cmd/nexus-chaos/history"
)

// deciding bounds the search for an order of one stretch of operations.
const deciding = time.Minute

// counter is a hall as its clients should see it: a number that check-ins change, each once, and looks read. An op of
// several attempts changes it once, at some moment between the first attempt and the answer.
func counter(from int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return from },
		Step: func(state, input, _ any) (bool, any) {
			n, o := state.(int), input.(history.Op)
			if o.Kind == history.Look {
				return o.Value == n, n
			}
			return true, n + o.Delta
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// Looks checks that what readers saw of each hall fits one order of all operations that agrees with real time. from is how
// many people were in each hall at the beginning.
func Looks(ops []history.Op, from map[string]int) Result {
	halls, looks := byHall(ops)
	var wrong, open []string
	for hall, of := range halls {
		at := from[hall]
		for _, stretch := range stretches(of) {
			switch porcupine.CheckOperationsTimeout(counter(at), operations(stretch), deciding) {
			case porcupine.Illegal:
				wrong = append(wrong, fmt.Sprintf("hall %s: no order explains %d operations from %v on, with %d inside: %s",
					hall, len(stretch), time.Duration(stretch[0].Call).Round(time.Millisecond), at, oddLook(stretch, at)))
			case porcupine.Unknown:
				open = append(open, fmt.Sprintf("hall %s: %d operations from %v on are too many at once", hall, len(stretch), time.Duration(stretch[0].Call)))
			case porcupine.Ok:
			}
			for _, o := range stretch {
				at += o.Delta // of the last stretch it may have happened or not, and there is no next
			}
		}
	}
	r := none("looks are linearizable (porcupine)", looks, append(wrong, open...))
	r.Measured = fmt.Sprintf("%d stretches wrong, %d undecided, of %d looks", len(wrong), len(open), looks)
	return r
}

// StaleLooks counts the looks that saw what cannot have been: less or more people than those who had come by then, give
// or take who was on their way. It is a figure where a node may be cut off and go on showing what it knew.
func StaleLooks(ops []history.Op, from map[string]int) Result {
	halls, looks := byHall(ops)
	var wrong []string
	for hall, of := range halls {
		for _, o := range of {
			if o.Kind != history.Look {
				continue
			}
			if low, high := bounds(of, o, from[hall]); o.Value < low || o.Value > high {
				wrong = append(wrong, fmt.Sprintf("%s saw %d of hall %s via %s at %v, not %d to %d", o.Client, o.Value, hall, o.Via, time.Duration(o.Call).Round(time.Millisecond), low, high))
			}
		}
	}
	return none("looks that showed what was no more", looks, wrong)
}

// byHall sorts what has happened, or may have, by hall and call, and counts the looks among it.
func byHall(ops []history.Op) (halls map[string][]history.Op, looks int) {
	halls = make(map[string][]history.Op)
	for _, o := range ops {
		switch {
		case o.Outcome == history.Failed:
			continue
		case o.Outcome == history.Unknown:
			o.Return = math.MaxInt64 // it may still happen
		case o.Kind == history.Look:
			looks++
		}
		halls[o.Key] = append(halls[o.Key], o)
	}
	for _, of := range halls {
		slices.SortFunc(of, func(a, b history.Op) int { return cmp.Compare(a.Call, b.Call) })
	}
	return halls, looks
}

// stretches cuts operations in order of their calls wherever nothing is under way. At a cut the count is known.
func stretches(ops []history.Op) (all [][]history.Op) {
	begin, until := 0, int64(math.MinInt64)
	for i, o := range ops {
		if i > begin && o.Call > until {
			all = append(all, ops[begin:i])
			begin = i
		}
		until = max(until, o.Return)
	}
	return append(all, ops[begin:])
}

func operations(ops []history.Op) []porcupine.Operation {
	out := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		out[i] = porcupine.Operation{ClientId: i, Input: o, Call: o.Call, Return: o.Return}
	}
	return out
}

// oddLook names the first look that is out of its bounds, if a single one shows it.
func oddLook(ops []history.Op, from int) string {
	for _, o := range ops {
		if low, high := bounds(ops, o, from); o.Kind == history.Look && (o.Value < low || o.Value > high) {
			return fmt.Sprintf("%s saw %d via %s, not %d to %d", o.Client, o.Value, o.Via, low, high)
		}
	}
	return "the looks contradict each other"
}

// bounds are the least and the most that a look may have seen.
func bounds(ops []history.Op, look history.Op, from int) (low, high int) {
	low, high = from, from
	for _, o := range ops {
		switch {
		case o.Kind != history.CheckIn || o.Call > look.Return:
		case o.Return < look.Call:
			low, high = low+o.Delta, high+o.Delta
		default:
			low, high = low+min(0, o.Delta), high+max(0, o.Delta)
		}
	}
	return low, high
}
