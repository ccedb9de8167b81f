package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// Options describe a comparison.
type Options struct {
	Out    string   // the page; printed as well
	Work   string   // a folder for logs and results that stay
	Nexus  string   // the binary; built from this module if empty
	Node   string   // the folder of server.mjs, with its packages installed
	Rounds int      // of which medians are taken
	Quick  bool     // small and short: to try it, not to quote it
	Only   []string // scenarios; all if empty
	Log    io.Writer
}

// Run compares and writes the page.
func Run(ctx context.Context, o Options) (err error) {
	b := &bench{Options: o, size: full, took: make(map[string]map[string][]figures)}
	if o.Quick {
		b.size = quick
	}
	list, err := selected(o.Only)
	if err != nil {
		return err
	}
	if err := b.open(ctx); err != nil {
		return errors.Join(err, b.close())
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for round := range o.Rounds {
		for _, s := range list {
			for _, target := range s.targets {
				if err := b.try(ctx, round, s, target); err != nil {
					if ctx.Err() != nil {
						return err
					}
					fmt.Fprintln(b.Log, err)
					b.failed = append(b.failed, err)
				}
			}
		}
	}
	return errors.Join(append(b.failed, b.write(list))...)
}

type bench struct {
	Options
	size    size
	self    string // this program
	data    *data
	machine []string
	took    map[string]map[string][]figures // by scenario and target, one for each round
	failed  []error                         // tries that came to nothing; the others go on
}

// open builds and prepares what all scenarios need.
func (b *bench) open(ctx context.Context) (err error) {
	if err := os.MkdirAll(b.Work, 0o755); err != nil {
		return err
	}
	if b.Work, err = filepath.Abs(b.Work); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(b.Node, "node_modules")); err != nil {
		return fmt.Errorf("the server in Node lacks its packages; type: npm ci --prefix %s (%w)", b.Node, err)
	}
	if b.Nexus == "" {
		b.Nexus = filepath.Join(b.Work, "nexus")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", b.Nexus, "nexus/cmd/nexus").CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	if b.machine, err = machine(ctx); err != nil {
		return err
	}
	b.data, err = openData(ctx, b.Nexus, b.Work, b.size)
	return err
}

func (b *bench) close() error {
	if b.data == nil {
		return nil
	}
	return b.data.close()
}

// try runs one scenario once on one target.
func (b *bench) try(ctx context.Context, round int, s scenario, target string) (err error) {
	began := time.Now()
	defer func() {
		if err != nil {
			err = fmt.Errorf("round %d, %s on %s: %w", round+1, s.name, target, err)
		}
	}()
	s.log = filepath.Join(b.Work, fmt.Sprintf("%d-%s-%s", round+1, s.name, target))
	t, err := b.start(ctx, target, max(s.halls, 1), max(s.nodes, 1), s.log)
	if err != nil {
		return err
	}
	f, err := s.run(ctx, t, b.size)
	if err = errors.Join(err, t.stop()); err != nil {
		return fmt.Errorf("see %s*: %w", s.log, err)
	}
	if b.took[s.name] == nil {
		b.took[s.name] = make(map[string][]figures)
	}
	b.took[s.name][target] = append(b.took[s.name][target], f)
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.Log, "round %d, %s, %s: %s (%.0f s)\n", round+1, s.name, target, text, time.Since(began).Seconds())
	return nil
}

// write writes the page.
func (b *bench) write(list []scenario) error {
	p := page{options: b.Options, size: b.size, machine: b.machine, list: list, failed: b.failed, medians: make(map[string]map[string]figures)}
	for name, targets := range b.took {
		p.medians[name] = make(map[string]figures)
		for target, rounds := range targets {
			p.medians[name][target] = median(rounds)
		}
	}
	text := p.text(time.Now())
	fmt.Fprint(b.Log, "\n", text)
	return os.WriteFile(b.Out, []byte(text), 0o644)
}

// figures are what one try came to, by name.
type figures map[string]float64

// median takes the median of each figure; of two in the middle, the larger.
func median(rounds []figures) figures {
	m := make(figures)
	for name := range rounds[0] {
		var all []float64
		for _, f := range rounds {
			all = append(all, f[name])
		}
		slices.Sort(all)
		m[name] = all[len(all)/2]
	}
	return m
}
