// Package check judges a trial after its end, from the clients' histories and from the database alone: it asks no node to
// vouch for itself. What it cannot decide it does not call good.
package check

import (
	"fmt"
	"slices"
	"time"
)

// Result is one goal and what was measured against it.
type Result struct {
	What     string   `json:"what"`
	Goal     string   `json:"goal"`
	Measured string   `json:"measured"`
	OK       bool     `json:"ok"`
	Note     bool     `json:"note,omitempty"`    // no goal: a figure to know
	Lasting  bool     `json:"lasting,omitempty"` // a miss has damaged what is kept: no slow machine explains it
	Detail   []string `json:"detail,omitempty"`  // the first few cases
}

// The goals that fences stand for.
const (
	StaleWrites = "writes by an activation that had been replaced"
	WrongCounts = "halls whose count is wrong at the end"
	WrongSeats  = "seats that are free while people wait, and people who were told of theirs otherwise than once"
)

// detailed bounds the cases that a result shows.
const detailed = 8

// none is a result whose goal is that there is no case.
func none(what string, of int, cases []string) Result {
	return Result{What: what, Goal: "0", Measured: fmt.Sprintf("%d of %d", len(cases), of), OK: len(cases) == 0, Detail: cases[:min(len(cases), detailed)]}
}

// Figure makes a figure without a goal of a result.
func Figure(r Result) Result {
	r.Note, r.OK, r.Goal = true, true, ""
	r.Detail = r.Detail[:min(len(r.Detail), 3)]
	return r
}

// Note is a figure without a goal.
func Note(what, format string, args ...any) Result {
	return Result{What: what, Measured: fmt.Sprintf(format, args...), OK: true, Note: true}
}

// Lasting marks results a miss of which lasts, and passes them on.
func Lasting(rs []Result) []Result {
	for i := range rs {
		rs[i].Lasting = true
	}
	return rs
}

// Within is a result whose goal is a bound in time.
func Within(what string, took, limit time.Duration) Result {
	return Result{What: what, Goal: "at most " + limit.String(), Measured: took.Round(time.Millisecond).String(), OK: took <= limit}
}

// Holds is a result that either holds or not.
func Holds(what, goal, measured string, ok bool) Result {
	return Result{What: what, Goal: goal, Measured: measured, OK: ok}
}

// Quantile is the value below which the share q of the durations lies; 0 of none.
func Quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
