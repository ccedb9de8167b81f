package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"nexus/cmd/nexus-chaos/history"
)

// OneRetry checks that nothing that went through the balancer needed more than one repetition.
func OneRetry(ops []history.Op) Result {
	var wrong []string
	count, repeated := 0, 0
	for _, o := range ops {
		if o.Scattered {
			continue
		}
		count++
		switch {
		case o.Kind == history.Login || o.Kind == history.Refresh, o.Kind == history.Edit && strings.Contains(strings.Join(o.Troubles, ""), " 412 "):
			// judged by themselves
		case o.Attempts > 2 || o.Outcome != history.OK && o.Kind != history.Look && o.Kind != history.Edit:
			wrong = append(wrong, fmt.Sprintf("%s %s at %v: %d attempts, %s: %v", o.Kind, o.Client, time.Duration(o.Call).Round(time.Millisecond), o.Attempts, o.Outcome, o.Troubles))
		case len(o.Troubles) > 0:
			repeated++
		}
	}
	r := none("requests through the balancer that fail with one retry", count, wrong)
	r.Measured += fmt.Sprintf("; %d had trouble at the first attempt", repeated)
	return r
}

// Answered checks that nothing that clients insist on was left without an answer.
func Answered(ops []history.Op) Result {
	var open []string
	for _, o := range ops {
		if o.Outcome == history.Unknown && o.Kind != history.Edit { // which is tried once
			open = append(open, fmt.Sprintf("%s %s at %v: %d attempts: %v",
				o.Kind, o.Client, time.Duration(o.Call).Round(time.Millisecond), o.Attempts, o.Troubles[max(0, len(o.Troubles)-3):]))
		}
	}
	return none("requests that were never answered", len(ops), open)
}

// Troubles sums up what attempts were answered with in place of success.
func Troubles(ops []history.Op) Result {
	counts := make(map[string]int)
	for _, o := range ops {
		for _, t := range o.Troubles {
			if o.Kind == history.Edit && strings.Contains(t, " 412 ") {
				continue // the other device was faster
			}
			_, what, _ := strings.Cut(t, ": ")
			counts[shorten(what)]++
		}
	}
	r := Note("attempts in trouble", "%d kinds", len(counts))
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		r.Detail = append(r.Detail, fmt.Sprintf("%d x %s", counts[what], what))
	}
	return r
}

// shorten keeps the words of a trouble that many have in common.
func shorten(what string) string {
	for _, common := range []string{"connection refused", "connection reset", "EOF", "no answer in time", "context canceled", "broken pipe", "i/o timeout"} {
		if strings.Contains(what, common) {
			return common
		}
	}
	if _, rest, found := strings.Cut(what, `"detail":"`); found {
		detail, _, _ := strings.Cut(rest, `"`)
		status, _, _ := strings.Cut(what, " ")
		return status + " " + detail
	}
	return what[:min(len(what), 80)]
}

// Latency sums up how long operations took that were answered.
func Latency(ops []history.Op, kind string) Result {
	var took []time.Duration
	for _, o := range ops {
		if o.Kind == kind && o.Outcome == history.OK {
			took = append(took, time.Duration(o.Return-o.Call))
		}
	}
	round := func(q float64) time.Duration { return Quantile(took, q).Round(100 * time.Microsecond) }
	return Note(kind+" latency", "%d answered, p50 %v, p99 %v, max %v", len(took), round(0.5), round(0.99), round(1))
}
