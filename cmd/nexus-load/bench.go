package main

import (
	"context"
	"os"
	"path/filepath"

	"nexus/cmd/nexus-load/bench"
)

type benchCmd struct {
	Quick  bool     `help:"Few sockets and one round: to try it in minutes, not to quote it."`
	Rounds int      `default:"3" help:"Rounds, of which the median counts."`
	Only   []string `help:"Scenarios to run, by name."`
	Out    string   `type:"path" help:"The page; docs/benchmarks.md, or with --quick or --only a file beside the logs."`
	Work   string   `type:"path" help:"A folder for logs and results; in the system's folder for temporary files by default."`
	Nexus  string   `type:"existingfile" help:"The nexus to measure; built from this module if left out."`
	Node   string   `default:"deploy/bench/node" type:"existingdir" help:"The folder of the server in Node."`
}

// Run compares.
func (b *benchCmd) Run(ctx context.Context) error {
	o := bench.Options{Out: b.Out, Work: b.Work, Nexus: b.Nexus, Node: b.Node, Rounds: max(b.Rounds, 1), Quick: b.Quick, Only: b.Only, Log: os.Stdout}
	if o.Quick {
		o.Rounds = 1
	}
	if o.Work == "" {
		o.Work = filepath.Join(os.TempDir(), "nexus-bench")
	}
	if o.Out == "" {
		o.Out = filepath.Join("docs", "benchmarks.md")
		if o.Quick || len(o.Only) > 0 {
			o.Out = filepath.Join(o.Work, "benchmarks.md")
		}
	}
	return bench.Run(ctx, o)
}
