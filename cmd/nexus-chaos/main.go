// Command nexus-chaos puts a campus of three real nodes through faults - kills, freezes, drains, partitions, a database that
// dies - under load, and checks from the clients' histories and the database that nothing that was promised is broken. It
// prints one page and exits with 1 when a goal was missed.
//
//	nexus-chaos                 everything, half an hour or less
//	nexus-chaos --only kill     one scenario
//	nexus-chaos --short         what the tests run
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"nexus/cmd/nexus-chaos/scenario"
	"nexus/cmd/nexus-chaos/stage"
)

// options of a run.
type options struct {
	binary  string // built when empty
	next    string // of the next version; built when empty
	out     string
	only    string
	short   bool
	spaces  bool
	sockets int
}

// longest bounds a whole run.
const longest = 45 * time.Minute

func main() {
	var o options
	flag.StringVar(&o.binary, "binary", "", "nexus to run; built from this module if left out")
	flag.StringVar(&o.next, "next", "", "nexus of the next version; built from this module, and what is in the folder next, if left out")
	flag.StringVar(&o.out, "out", filepath.Join(os.TempDir(), "nexus-chaos"), "folder of the report, the histories and the logs")
	flag.StringVar(&o.only, "only", "", "names of scenarios, separated by commas")
	flag.BoolVar(&o.short, "short", false, "the short form")
	flag.BoolVar(&o.spaces, "namespaces", true, "use network namespaces where they are to be had")
	flag.IntVar(&o.sockets, "sockets", 5000, "sockets in the rolling restart")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	status, err := run(ctx, o, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nexus-chaos:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// run returns the exit status: 1 when a goal was missed.
func run(ctx context.Context, o options, w io.Writer) (int, error) {
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return 1, err
	}
	for _, b := range []struct {
		path  *string
		name  string
		build func(context.Context, string) error
	}{{&o.binary, "nexus", stage.Build}, {&o.next, "nexus-next", stage.BuildNext}} {
		if *b.path != "" || o.short && b.path == &o.next { // nothing short has a use for the latter
			continue
		}
		*b.path = filepath.Join(o.out, b.name)
		if err := b.build(ctx, *b.path); err != nil {
			return 1, err
		}
	}
	if !o.short && o.spaces && !insideSpace() {
		status, err := enterSpace(ctx, o.binary, o.next)
		if err == nil {
			return status, nil
		}
		fmt.Fprintln(w, "no network namespaces here:", err)
	}
	remarks := without(o)
	fmt.Fprintln(w, strings.Join(remarks, "\n"))
	reports, notes, err := trials(ctx, o, w)
	if err != nil {
		return 1, err
	}
	page, err := os.Create(filepath.Join(o.out, "report.txt"))
	if err != nil {
		return 1, err
	}
	scenario.Page(io.MultiWriter(w, page), reports, append(remarks, notes...))
	status := 0
	if slices.ContainsFunc(reports, func(r scenario.Report) bool { return !r.OK() }) {
		status = 1
	}
	return status, page.Close()
}

// without says what of the machine this run does not use, and what that leaves untried.
func without(o options) (remarks []string) {
	for _, tool := range []struct{ name, loss string }{
		{"haproxy", "clients go to the nodes themselves, and none is restarted behind a balancer"},
		{"redis-server", "nothing is broadcast by Redis, and it is not killed"},
	} {
		if _, err := exec.LookPath(tool.name); err != nil {
			remarks = append(remarks, "without "+tool.name+": "+tool.loss)
		}
	}
	if o.short || !o.spaces || !insideSpace() {
		remarks = append(remarks, "without network namespaces, which take root, ip, nft and nsenter: no cable is cut, and all nodes are on loopback")
	}
	if len(remarks) == 0 {
		remarks = []string{"with haproxy, redis-server and network namespaces"}
	}
	return append(remarks, fmt.Sprintf("on %d CPUs", runtime.NumCPU()))
}

// trials runs the scenarios one after the other: on one stage those that need nothing of their own, on another those with
// Redis, on a third those with many grains, and on a last one that which spoils its stage.
func trials(ctx context.Context, o options, w io.Writer) (reports []scenario.Report, remarks []string, err error) {
	list, last := scenario.Long(o.sockets), scenario.Unfenced()
	settings := stage.Options{Binary: o.binary, Next: o.next, Grains: scenario.FewGrains, Nodes: 3, Halls: 12, DrainSpread: 8 * time.Second}
	if o.short {
		list, settings.Halls, settings.DrainSpread = scenario.Short(), 6, 2*time.Second
	}
	if list, err = selected(append(list, last), o.only); err != nil {
		return nil, nil, err
	}
	redis, grains := settings, settings
	redis.Redis, grains.Binary, grains.Grains = true, o.next, scenario.Grains
	for _, part := range []struct {
		name    string
		options stage.Options
		has     func(scenario.Scenario) bool
	}{
		{"plain", settings, func(c scenario.Scenario) bool { return !c.Redis && !c.Grains && !c.Unfenced }},
		{"redis", redis, func(c scenario.Scenario) bool { return c.Redis }},
		{"grains", grains, func(c scenario.Scenario) bool { return c.Grains }},
		{"no-fence", settings, func(c scenario.Scenario) bool { return c.Unfenced }},
	} {
		own := slices.DeleteFunc(slices.Clone(list), func(c scenario.Scenario) bool { return !part.has(c) })
		if len(own) == 0 {
			continue
		}
		part.options.Out = filepath.Join(o.out, part.name)
		found, notes, err := on(ctx, part.options, !o.short && o.spaces, own, w)
		if err != nil {
			return nil, nil, err
		}
		reports = append(reports, found...)
		for _, n := range notes {
			if !slices.Contains(remarks, n) {
				remarks = append(remarks, n)
			}
		}
	}
	return reports, remarks, nil
}

// selected picks scenarios by name; no name picks all.
func selected(list []scenario.Scenario, only string) (picked []scenario.Scenario, err error) {
	if only == "" {
		return list, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(list, func(c scenario.Scenario) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario is called %q", name)
		}
		picked = append(picked, list[i])
	}
	return picked, nil
}

// tries is how often a patient scenario is tried: a fault of the house is there each time.
const tries = 3

// on opens a stage, runs the scenarios on it and closes it.
func on(ctx context.Context, o stage.Options, spaces bool, list []scenario.Scenario, w io.Writer) (reports []scenario.Report, remarks []string, err error) {
	_, missing := exec.LookPath("haproxy")
	o.Balanced = missing == nil
	open := func() (*stage.Stage, error) {
		if spaces && insideSpace() {
			if o.Spaces, err = stage.NewSpaces(); err != nil {
				remarks = append(remarks, "no network namespaces: "+err.Error())
				o.Spaces = nil
			}
		}
		return stage.Open(ctx, o)
	}
	s, err := open()
	if err != nil {
		return nil, nil, fmt.Errorf("set up: %w", err)
	}
	defer func() {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	// The logs of a stage that was given up stay as they are.
	anew := func() error {
		spoiled := s
		s = nil
		if err := spoiled.Close(); err != nil {
			return err
		}
		o.Out += "-again"
		s, err = open()
		return err
	}
	for i, c := range list {
		r := scenario.Run(ctx, s, c, o.Out)
		for again := 1; again < tries && c.Patient && !r.OK() && !r.Damaged() && ctx.Err() == nil; again++ {
			scenario.Page(w, []scenario.Report{r}, []string{"which may be the machine's fault: once more, on a new stage"})
			if err := anew(); err != nil {
				return nil, nil, fmt.Errorf("set up again: %w", err)
			}
			r = scenario.Run(ctx, s, c, o.Out)
		}
		reports = append(reports, r)
		fmt.Fprintf(w, "%s: %v\n", r.Name, map[bool]string{true: "pass", false: "FAIL"}[r.OK()])
		if ctx.Err() != nil {
			break
		}
		if r.Error != "" && i < len(list)-1 { // the stage is not whole
			if err := anew(); err != nil {
				return nil, nil, fmt.Errorf("set up again: %w", err)
			}
		}
	}
	return reports, remarks, nil
}
