package bench

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// folders are those of absolute paths.
var folders = regexp.MustCompile(`(/[^/\s:]+)+/`)

// page is what is written.
type page struct {
	options Options
	size    size
	machine []string
	list    []scenario
	failed  []error
	medians map[string]map[string]figures // by scenario and target
}

const preface = `# Benchmarks

Written by ` + "`make bench`" + `. NEXUS, the same events from a server in Node (socket.io, which keeps nothing and repeats nothing; deploy/bench/node) and a bare loop that
writes prebuilt frames to plain sockets (` + "`nexus-load raw`" + `: the floor) take the same loads by turns, each from a fresh process, with the one load generator
of cmd/nexus-load. Server and generator share the machine, so that latencies are those of both. A figure is the median of %d round%s.

CPU is the server's own, in user space and kernel, without PostgreSQL's. Memory is what the process has grown by, without the kernel's buffers. Ticks are timed from
the edge of the second at which they are due, alarms from when the button is due to be pressed until each officer's client has the alert: NEXUS has committed it to
PostgreSQL by then, Node has only passed it on. While alarms are timed, the crowd that hears ticks beside them runs at a lower priority, for it stands for telephones that do not
share the server's processors.
`

func (p page) text(now time.Time) string {
	var w strings.Builder
	many := "s"
	if p.options.Rounds == 1 {
		many = ""
	}
	fmt.Fprintf(&w, preface, p.options.Rounds, many)
	if p.options.Quick {
		w.WriteString("\n**This was a quick run: few sockets, for a few seconds. It shows that everything works, and no figure of it should be quoted.**\n")
	}
	fmt.Fprintf(&w, "\n%s, on %s.\n", now.UTC().Format(time.DateOnly), strings.Join(p.machine, "; "))
	if len(p.failed) > 0 {
		w.WriteString("\n**Tries that came to nothing, and are in no figure:**\n\n")
	}
	for _, err := range p.failed {
		line, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintf(&w, "- %s\n", folders.ReplaceAllString(line, "")) // where it ran is nobody's business
	}
	p.goals(&w)
	w.WriteString("\n## Figures\n")
	for _, s := range p.list {
		p.scenario(&w, s)
	}
	p.outlook(&w)
	return w.String()
}

func (p page) goals(w *strings.Builder) {
	w.WriteString("\n## Goals\n\n| | measured | goal | |\n|---|---:|---:|---|\n")
	for _, g := range goals() {
		v, ok := g.judge(p.medians)
		if !ok {
			continue
		}
		met := "met"
		if v > g.most {
			met = "**missed**"
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", g.text, round(v), round(g.most), met)
	}
}

func (p page) scenario(w *strings.Builder, s scenario) {
	var names []string
	for _, name := range columns {
		for _, t := range s.targets {
			if _, ok := p.medians[s.name][t][name]; ok {
				names = append(names, name)
				break
			}
		}
	}
	fmt.Fprintf(w, "\n### %s\n\n%s\n\n| | %s |\n|---|%s\n", s.title, p.setting(s), strings.Join(names, " | "), strings.Repeat("---:|", len(names)))
	for _, t := range s.targets {
		fmt.Fprintf(w, "| %s |", t)
		for _, name := range names {
			v, ok := p.medians[s.name][t][name]
			text := "-"
			if ok {
				text = round(v)
			}
			fmt.Fprintf(w, " %s |", text)
		}
		w.WriteString("\n")
	}
}

// setting says with how many sockets, and for how long.
func (p page) setting(s scenario) string {
	z := p.size
	sockets, d := z.sockets, z.measure
	switch s.name {
	case "idle", "logged-in":
		d = z.idle
	case "eight-halls", "sos-eight":
		sockets = z.eight
	case "fifty-at-once":
		sockets = z.burst
	case "sos-quiet":
		return fmt.Sprintf("%d officers hear.", officerNum)
	case "stalled":
		sockets, d = z.eight, z.stalled
	case "many":
		sockets = z.many
	case "three-nodes":
		sockets = z.three
	case "reconnect":
		return fmt.Sprintf("%d sockets.", sockets)
	}
	return fmt.Sprintf("%d sockets, %v.", sockets, d)
}

// outlook says what the figures would make of a larger machine, and that nobody has tried.
func (p page) outlook(w *strings.Builder) {
	one, ok := p.medians["one-hall"][nexusTarget][cpuMessage]
	each, idle := p.medians["idle"][nexusTarget][bytesEach]
	if !ok || !idle || one <= 0 {
		return
	}
	const cores, share = 64, 0.5
	messages := cores * share * 1e6 / one
	fmt.Fprintf(w, `
## A larger machine

Not measured, only multiplied: a node of %d cores that spends half of them on ticks would write %.1f million messages a second at %s µs each, so that it would serve as many
sockets with one hall a second, whose memory would be %.1f GB in the process and about 5 KB of each in the kernel. It would have to be allowed as many descriptors.
`, cores, messages/1e6, round(one), messages*max(each, 0)/1e9)
}
