package stage

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nexus/cluster/freeport"
)

// FrozenStatus is the exit status of a node that stood still for too long.
const FrozenStatus = 3

// Node is one NEXUS process and its supervisor.
type Node struct {
	Name string // node1, node2, ...: also the role by which PostgreSQL knows it
	URL  string // of its HTTP server
	// Database is between the node and PostgreSQL, Redis between it and Redis; Redis may be nil.
	Database, Redis *Proxy

	number  int
	binary  string
	starts  int // of the process, so far
	gossip  string
	log     *os.File
	process process
}

// web asks nodes about themselves.
var web = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (s *Stage) newNode(number int, binary string) (_ *Node, err error) {
	n := &Node{Name: "node" + strconv.Itoa(number), number: number, binary: binary}
	host, first := s.network.host(number), 4000
	if s.Spaces == nil {
		if first, err = freeport.Row(3); err != nil {
			return nil, err
		}
	}
	addr := fmt.Sprintf("%s:%d", host, first)
	n.URL, n.gossip = "http://"+addr, fmt.Sprintf("%s:%d", host, first+1)
	socket, err := s.Postgres.socket()
	if err != nil {
		return nil, err
	}
	if n.Database, err = NewProxy(s.network.gateway(), "unix", socket); err != nil {
		return nil, err
	}
	if s.Redis != nil {
		if n.Redis, err = NewProxy(s.network.gateway(), "tcp", s.Redis.addr); err != nil {
			return nil, err
		}
	}
	if err := s.makeRole(n.Name); err != nil {
		return nil, err
	}
	if n.log, err = os.Create(filepath.Join(s.options.Out, n.Name+".log")); err != nil {
		return nil, err
	}
	n.process = process{name: n.Name, out: n.log, command: func() *exec.Cmd { return s.nodeCommand(n, addr) }}
	return n, nil
}

// Secret signs the access tokens of a stage: a thousand people need not log in one by one.
const Secret = "of-a-trial-alone-and-known-to-everybody"

// nodeCommand runs the node at its place, with the seeds of now. Its connections to PostgreSQL tell one run of it from the next.
func (s *Stage) nodeCommand(n *Node, addr string) *exec.Cmd {
	n.starts++
	cmd := s.network.inside(n.number, n.binary, []string{"serve"})
	cmd.Env = append(environment(),
		"NEXUS_ENV=development", "NEXUS_DEMO=false", "NEXUS_LOG_FORMAT=json", "NEXUS_LOG_LEVEL=info",
		"NEXUS_ADDR="+addr, "NEXUS_DATA_DIR="+filepath.Join(s.dir, n.Name),
		"NEXUS_CLUSTER_BIND="+n.gossip, "NEXUS_CLUSTER_SEEDS="+strings.Join(s.seedsOf(n), ","),
		"NEXUS_DATABASE_URL=postgres://"+n.Name+"@"+n.Database.Addr()+"/nexus?sslmode=disable&options=-cchaos.run%3D"+strconv.Itoa(n.starts), "NEXUS_DATABASE_CONNS=8",
		"NEXUS_JWT_SECRET="+Secret, "NEXUS_TRUSTED_PROXIES=127.0.0.0/8,10.77.0.0/24",
		"NEXUS_FLOOD_RATE=100000", "CHAOS_GRAINS="+strconv.Itoa(s.options.Grains),
		"NEXUS_DRAIN_DELAY="+drainDelay.String(), "NEXUS_DRAIN_SPREAD="+s.options.DrainSpread.String(),
	)
	if n.Redis != nil {
		cmd.Env = append(cmd.Env, "NEXUS_REDIS_URL=redis://"+n.Redis.Addr())
	}
	return cmd
}

// environment is ours without any NEXUS_* of the one who runs the rig.
func environment() (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEXUS_") {
			env = append(env, kv)
		}
	}
	return env
}

// Start starts the node and its supervisor. It does not wait for it to be ready.
func (n *Node) Start() error { return n.process.start() }

// Kill ends the node as a crash does; it stays down until Start.
func (n *Node) Kill() error {
	gone, err := n.process.signal(syscall.SIGKILL, false)
	if err == nil {
		<-gone
	}
	return err
}

// Freeze stops the node's clock, so to speak; Thaw lets it go on. If it ends of that, its supervisor starts it again.
func (n *Node) Freeze() error {
	_, err := n.process.signal(syscall.SIGSTOP, true)
	return err
}

// Thaw undoes Freeze.
func (n *Node) Thaw() error {
	_, err := n.process.signal(syscall.SIGCONT, true)
	return err
}

// Stop has the node end in order and returns how long that took. It is killed after the limit.
func (n *Node) Stop(limit time.Duration) (time.Duration, error) {
	began := time.Now()
	err := n.process.stop(limit)
	return time.Since(began), err
}

// Exits returns the status of each end of the process so far, -1 for a signal.
func (n *Node) Exits() []int { return n.process.ends() }

// Ready reports whether the node says that it takes traffic.
func (n *Node) Ready(ctx context.Context) bool {
	status, _, err := get(ctx, n.URL+"/readyz")
	return err == nil && status == http.StatusOK
}

// Metric is the value of one of the node's metrics without labels.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	status, body, err := get(ctx, n.URL+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s (status %d)", n.Name, name, status)
}

// Logged counts the lines that the node has logged with a text in them.
func (n *Node) Logged(text string) (lines int, err error) {
	f, err := os.Open(n.log.Name())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if strings.Contains(in.Text(), text) {
			lines++
		}
	}
	return lines, in.Err()
}

func get(ctx context.Context, url string) (status int, body string, err error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := web.Do(q)
	if err != nil {
		return 0, "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	data, err := io.ReadAll(res.Body)
	return res.StatusCode, string(data), err
}

func (n *Node) close() error {
	_ = n.Thaw() // a frozen one could not end
	_, err := n.Stop(endLimit)
	err = errors.Join(err, n.Database.Close(), n.log.Close())
	if n.Redis != nil {
		err = errors.Join(err, n.Redis.Close())
	}
	return err
}
