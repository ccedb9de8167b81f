package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"nexus/cluster/freeport"
	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/load"
)

// The targets.
const (
	nexusTarget = "NEXUS"
	nodeTarget  = "Node"
	rawTarget   = "raw"
)

// startLimit bounds how long a server may take until it serves.
const startLimit = time.Minute

// target is a running server.
type target struct {
	bench     *bench
	kind      string
	log       string // the beginning of the names of its files
	urls      []string
	processes []*process
	loads     []*child
}

// start starts a server, or several nodes of one, and returns when it serves.
func (b *bench) start(ctx context.Context, kind string, halls, nodes int, log string) (_ *target, err error) {
	t := &target{bench: b, kind: kind, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.stop())
		}
	}()
	ports := make([]int, nodes)
	seeds := make([]string, nodes)
	for i := range nodes {
		if ports[i], err = freeport.Row(3); err != nil {
			return nil, err
		}
		seeds[i] = local(ports[i] + 1)
	}
	for i, port := range ports {
		cmd, err := b.command(kind, halls, port, seeds)
		if err != nil {
			return nil, err
		}
		p, err := start(cmd, fmt.Sprintf("%s-server%d.log", log, i+1))
		if err != nil {
			return nil, err
		}
		t.processes, t.urls = append(t.processes, p), append(t.urls, "http://"+local(port))
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for i := range t.urls {
		if err := t.await(ctx, i); err != nil {
			return nil, err
		}
	}
	if nodes > 1 { // which may take a while to agree on who ticks for all
		for _, url := range t.urls {
			if err := hears(ctx, url); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// hears waits until a listener at a node has heard several ticks.
func hears(ctx context.Context, url string) (err error) {
	to, err := load.Resolve(ctx, url, false)
	if err != nil {
		return err
	}
	c, err := crowd.Open(ctx, crowd.Options{Addrs: []netip.AddrPort{to.Addr}, Sockets: 1}, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if err := c.Measure(true); err != nil {
		return err
	}
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		if h, err := c.Heard(); err != nil || h.Messages >= 3 {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("a listener at %s hears nothing: %w", url, ctx.Err())
		}
	}
}

// command is a server's.
func (b *bench) command(kind string, halls, port int, seeds []string) (*exec.Cmd, error) {
	addr := local(port)
	switch kind {
	case rawTarget:
		return exec.Command(b.self, "raw", "--addr", addr, "--halls", strconv.Itoa(halls)), nil
	case nodeTarget:
		return exec.Command("node", filepath.Join(b.Node, "server.mjs"), "--port", strconv.Itoa(port), "--halls", strconv.Itoa(halls)), nil
	}
	database, err := b.data.url(halls)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(b.Nexus, "serve")
	cmd.Env = append(environment(),
		"NEXUS_ADDR="+addr, "NEXUS_DATABASE_URL="+database, "NEXUS_DATA_DIR="+filepath.Join(b.data.dir, "node"), "NEXUS_JWT_SECRET="+secret,
		"NEXUS_DEMO=false", "NEXUS_FLOOD_RATE=1000000", "NEXUS_LOG_LEVEL=warn",
		"NEXUS_CLUSTER_BIND="+local(port+1), "NEXUS_CLUSTER_SEEDS="+strings.Join(seeds, ","),
	)
	return cmd, nil
}

// await waits until a node serves, and sees all others.
func (t *target) await(ctx context.Context, i int) error {
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		err := t.serves(ctx, t.urls[i])
		if err == nil {
			return nil
		}
		if e := t.processes[i].ended(); e != nil {
			return e
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("%s does not serve within %v: %w", t.urls[i], startLimit, err)
		}
	}
}

// serves asks a node whether it does.
func (t *target) serves(ctx context.Context, url string) error {
	if t.kind != nexusTarget {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return err
		}
		return conn.Close()
	}
	if _, err := get(ctx, url+"/readyz"); err != nil {
		return err
	}
	metrics, err := get(ctx, url+"/metrics")
	if want := fmt.Sprintf("\nnexus_cluster_members %d\n", len(t.urls)); err == nil && !strings.Contains(metrics, want) {
		err = errors.New("not all nodes see each other")
	}
	return err
}

func get(ctx context.Context, url string) (_ string, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	q.Close = true
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s is answered %s", url, res.Status)
	}
	return string(text), err
}

// stop ends the server, and what of its load is left when a scenario has failed.
func (t *target) stop() error {
	var errs []error
	for _, c := range t.loads {
		errs = append(errs, c.process.stop())
	}
	for _, p := range t.processes {
		errs = append(errs, p.ended(), p.stop())
	}
	return errors.Join(errs...)
}
