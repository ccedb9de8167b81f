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
	if o.binary == "" {
		o.binary = filepath.Join(o.out, "nexus")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", o.binary, "nexus/cmd/nexus").CombinedOutput(); err != nil {
			return 1, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	if !o.short && o.spaces && !insideSpace() {
		status, err := enterSpace(ctx, o.binary)
		if err == nil {
			return status, nil
		}
		fmt.Fprintln(w, "no network namespaces here:", err)
	}
	reports, remarks, err := trials(ctx, o, w)
	if err != nil {
		return 1, err
	}
	page, err := os.Create(filepath.Join(o.out, "report.txt"))
	if err != nil {
		return 1, err
	}
	scenario.Page(io.MultiWriter(w, page), reports, remarks)
	status := 0
	if slices.ContainsFunc(reports, func(r scenario.Report) bool { return !r.OK() }) {
		status = 1
	}
	return status, page.Close()
}

// trials runs the scenarios one after the other: on one stage those without Redis, on another those with it, and on a last
// one that which spoils its stage.
func trials(ctx context.Context, o options, w io.Writer) (reports []scenario.Report, remarks []string, err error) {
	list, halls, spread := scenario.Long(o.sockets), 12, 8*time.Second
	if o.short {
		list, halls, spread = scenario.Short(), 6, 2*time.Second
	}
	list, unfenced, err := selected(list, o.only)
	if err != nil {
		return nil, nil, err
	}
	plain, redis := []scenario.Scenario{}, []scenario.Scenario{}
	for _, c := range list {
		if c.Redis {
			redis = append(redis, c)
		} else {
			plain = append(plain, c)
		}
	}
	for _, part := range []struct {
		name string
		list []scenario.Scenario
	}{{"plain", plain}, {"redis", redis}, {"no-fence", unfenced}} {
		if len(part.list) == 0 {
			continue
		}
		found, notes, err := on(ctx, stage.Options{
			Binary: o.binary, Out: filepath.Join(o.out, part.name), Nodes: 3, Halls: halls, DrainSpread: spread, Redis: part.name == "redis",
		}, !o.short && o.spaces, part.list, w)
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
func selected(list []scenario.Scenario, only string) (picked, unfenced []scenario.Scenario, err error) {
	last := scenario.Unfenced()
	if only == "" {
		return list, []scenario.Scenario{last}, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(list, func(c scenario.Scenario) bool { return c.Name == name })
		switch {
		case i >= 0:
			picked = append(picked, list[i])
		case name == last.Name:
			unfenced = append(unfenced, last)
		default:
			return nil, nil, fmt.Errorf("no scenario is called %q", name)
		}
	}
	return picked, unfenced, nil
}

// on opens a stage, runs the scenarios on it and closes it.
func on(ctx context.Context, o stage.Options, spaces bool, list []scenario.Scenario, w io.Writer) (reports []scenario.Report, remarks []string, err error) {
	if spaces && insideSpace() {
		if o.Spaces, err = stage.NewSpaces(); err != nil {
			remarks = append(remarks, "no network namespaces: "+err.Error())
			o.Spaces = nil
		}
	}
	_, missing := exec.LookPath("haproxy")
	if o.Balanced = missing == nil; !o.Balanced {
		remarks = append(remarks, "haproxy is not installed: clients go to the nodes themselves")
	}
	s, err := stage.Open(ctx, o)
	if err != nil {
		return nil, nil, fmt.Errorf("set up: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, c := range list {
		r := scenario.Run(ctx, s, c, o.Out)
		reports = append(reports, r)
		fmt.Fprintf(w, "%s: %v\n", r.Name, map[bool]string{true: "pass", false: "FAIL"}[r.OK()])
		if r.Error != "" || ctx.Err() != nil {
			break // the stage is not whole
		}
	}
	return reports, remarks, nil
}
