package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/load"
)

// child is a generator at work.
type child struct {
	process *process
	json    string
	served  chan struct{} // closed when all its clients are served
}

// child starts a generator in a process of its own.
func (t *target) child(args ...string) (*child, error) {
	name := fmt.Sprintf("%s-load%d", t.log, len(t.loads)+1)
	all := []string{"run", "--json", name + ".json", "--within", within.String(), "--url", strings.Join(t.urls, ",")}
	for _, p := range t.processes {
		all = append(all, "--pid", strconv.Itoa(p.pid()))
	}
	cmd := exec.Command(t.bench.self, append(all, args...)...)
	cmd.Env = environment()
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = in
	c := &child{json: name + ".json", served: make(chan struct{})}
	c.process, err = start(cmd, name+".log")
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	t.loads = append(t.loads, c)
	go c.follow(out, name+".txt")
	return c, nil
}

// follow reads what the generator says until it ends, and keeps it.
func (c *child) follow(out *os.File, path string) {
	defer out.Close() //nolint:errcheck // it was only read
	var text strings.Builder
	lines := bufio.NewScanner(io.TeeReader(out, &text))
	waiting := true
	for lines.Scan() {
		if waiting && strings.HasPrefix(lines.Text(), "served ") {
			close(c.served)
			waiting = false
		}
	}
	_ = os.WriteFile(path, []byte(text.String()), 0o644) // a convenience
}

const (
	longest = 10 * time.Minute // of a generator's life
	within  = 3 * time.Minute  // for all of its clients to be served
)

// await waits until its clients are served.
func (c *child) await(ctx context.Context) error {
	select {
	case <-c.served:
		return nil
	case <-c.process.gone:
		return c.process.ended()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// interrupt has it come to an end, and report.
func (c *child) interrupt() error {
	err := c.process.cmd.Process.Signal(syscall.SIGINT)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// result waits for its end.
func (c *child) result(ctx context.Context) (*load.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	select {
	case <-c.process.gone:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if c.process.err != nil {
		return nil, c.process.ended()
	}
	text, err := os.ReadFile(c.json)
	if err != nil {
		return nil, err
	}
	r := new(load.Result)
	return r, json.Unmarshal(text, r)
}

// audience is a crowd, over as many processes as it takes.
type audience []*child

// listen starts a crowd and returns when all are served.
func (t *target) listen(ctx context.Context, sockets int, args ...string) (audience, error) {
	var a audience
	processes := (sockets + t.bench.size.each - 1) / t.bench.size.each
	for i := range processes {
		n := sockets*(i+1)/processes - sockets*i/processes
		c, err := t.child(append([]string{"--loops", "1", "--sockets", strconv.Itoa(n), "--ramp", strconv.Itoa(t.bench.size.ramp / processes)}, args...)...)
		if err != nil {
			return nil, err
		}
		a = append(a, c)
	}
	for _, c := range a {
		if err := c.await(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// giveWay has the crowd give way to all others, as it would on machines of its own.
func (a audience) giveWay() error {
	for _, c := range a {
		if err := giveWay(c.process.pid()); err != nil {
			return err
		}
	}
	return nil
}

// results waits for the crowd's end.
func (a audience) results(ctx context.Context) (*heard, error) {
	h := new(heard)
	var parts []*crowd.Heard
	for _, c := range a {
		r, err := c.result(ctx)
		if err != nil {
			return nil, err
		}
		h.results, parts = append(h.results, r), append(parts, &r.Heard)
	}
	h.Heard = *crowd.Merge(parts...)
	return h, nil
}

// heard is what a whole crowd has heard.
type heard struct {
	crowd.Heard
	results []*load.Result
}

// sum adds up something of each process.
func (h *heard) sum(of func(*load.Result) float64) (sum float64) {
	for _, r := range h.results {
		sum += of(r)
	}
	return sum
}

// mean is the mean of something of each process.
func (h *heard) mean(of func(*load.Result) float64) float64 {
	return h.sum(of) / float64(len(h.results))
}
