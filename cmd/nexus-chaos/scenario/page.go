package scenario

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Page writes one page of text about all trials.
func Page(w io.Writer, reports []Report, remarks []string) {
	failed := 0
	for _, r := range reports {
		if !r.OK() {
			failed++
		}
	}
	fmt.Fprintf(w, "NEXUS under faults, %s: %d scenarios, %d failed\n", time.Now().UTC().Format(time.RFC3339), len(reports), failed)
	for _, r := range remarks {
		fmt.Fprintln(w, "  "+r)
	}
	for _, r := range reports {
		r.write(w)
	}
}

func (r Report) write(w io.Writer) {
	verdict := map[bool]string{true: "pass", false: "FAIL"}[r.OK()]
	if r.Skipped != "" {
		fmt.Fprintf(w, "\n-     %s: %s: not run: %s\n", r.Name, r.Faults, r.Skipped)
		return
	}
	fmt.Fprintf(w, "\n%s  %s: %s (%v)\n", verdict, r.Name, r.Faults, r.Took)
	if r.Inverse {
		fmt.Fprintln(w, "      must fail: stale writes, wrong counts and wrong seats have to be noticed")
	}
	if r.Error != "" {
		fmt.Fprintln(w, "      the trial went wrong: "+r.Error)
	}
	for _, x := range r.Results {
		mark := map[bool]string{true: "ok  ", false: "MISS"}[x.OK]
		if x.Note {
			mark = "    "
		}
		line := fmt.Sprintf("  %s  %s: %s", mark, x.What, x.Measured)
		if x.Goal != "" {
			line += " (goal: " + x.Goal + ")"
		}
		fmt.Fprintln(w, line)
		if !x.OK || x.Note {
			for _, d := range x.Detail {
				fmt.Fprintln(w, "          "+strings.ReplaceAll(d, "\n", " "))
			}
		}
	}
}
