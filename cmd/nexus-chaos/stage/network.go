package stage

import (
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// network gives each node a place to listen at.
type network interface {
	host(node int) string                                  // address of a node
	gateway() string                                       // address at which nodes reach the rig
	inside(node int, name string, args []string) *exec.Cmd // a command at a node's place
	close() error
}

// loopback is one address for all; nodes differ by port. It cannot be cut.
type loopback struct{}

func (loopback) host(int) string { return "127.0.0.1" }
func (loopback) gateway() string { return "127.0.0.1" }
func (loopback) inside(_ int, name string, args []string) *exec.Cmd {
	return exec.Command(name, args...)
}
func (loopback) close() error { return nil }

// Spaces is a network namespace for each node, joined by a bridge that can be cut between any two of them. The bridge and
// its rules live in the namespace of the rig itself, which must be one of its own: nothing outside is touched.
type Spaces struct {
	mu      sync.Mutex
	holders map[int]*exec.Cmd // a process keeps each namespace alive
}

// rules are those of the bridge: frames of a pair in cut are dropped, every fifth of a pair in lossy.
const rules = `table bridge chaos {
	set cut { type ifname . ifname; }
	set lossy { type ifname . ifname; }
	chain forward {
		type filter hook forward priority 0;
		iifname . oifname @cut drop
		iifname . oifname @lossy numgen random mod 100 < 20 drop
	}
}
`

const commandLimit = time.Minute

// NewSpaces builds the bridge. It fails, having said why, where the kernel or the rights are not enough; the rig must run in
// a network namespace of its own.
func NewSpaces() (*Spaces, error) {
	for _, tool := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%s is not installed", tool)
		}
	}
	s := &Spaces{holders: make(map[int]*exec.Cmd)}
	for _, c := range []string{
		"link set lo up", "link add chaos0 type bridge", "addr add 10.77.0.1/24 dev chaos0", "link set chaos0 up",
	} {
		if err := run("", "ip", strings.Fields(c)...); err != nil {
			return nil, err
		}
	}
	return s, run(rules, "nft", "-f", "-")
}

// run runs a short command.
func run(input, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.SysProcAttr, cmd.WaitDelay = strings.NewReader(input), bound(), commandLimit
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

func (s *Spaces) host(node int) string { return fmt.Sprintf("10.77.0.%d", 10+node) }
func (s *Spaces) gateway() string      { return "10.77.0.1" }

// inside makes the node's namespace first if it has none.
func (s *Spaces) inside(node int, name string, args []string) *exec.Cmd {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holders[node] == nil {
		if err := s.add(node); err != nil {
			return exec.Command("sh", "-c", "echo >&2 "+strconv.Quote(err.Error())+"; exit 1")
		}
	}
	// nsenter becomes the command, so that signals go to the node itself.
	return exec.Command("nsenter", append([]string{fmt.Sprintf("--net=/proc/%d/ns/net", s.holders[node].Process.Pid), "--", name}, args...)...)
}

// add makes a node's namespace and its cable, or leaves nothing behind.
func (s *Spaces) add(node int) (err error) {
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = apart()
	if err := holder.Start(); err != nil {
		return fmt.Errorf("make a namespace: %w", err)
	}
	s.holders[node] = holder
	defer func() {
		if err != nil {
			err = errors.Join(err, s.remove(node))
		}
	}()
	pid, port := strconv.Itoa(holder.Process.Pid), port(node)
	inside := []string{"nsenter", "--net=/proc/" + pid + "/ns/net", "--"}
	for _, c := range [][]string{
		{"ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", pid},
		{"ip", "link", "set", port, "master", "chaos0", "up"},
		append(inside, "ip", "addr", "add", s.host(node)+"/24", "dev", "eth0"),
		append(inside, "ip", "link", "set", "eth0", "up"),
		append(inside, "ip", "link", "set", "lo", "up"),
	} {
		if err := run("", c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// remove ends a node's holder, with which its namespace goes. The cable goes first: the kernel clears namespaces away in its own
// time, and until then the next cable of this name could not be laid.
func (s *Spaces) remove(node int) error {
	holder := s.holders[node]
	delete(s.holders, node)
	err := errors.Join(run("", "ip", "link", "del", port(node)), holder.Process.Kill())
	_ = holder.Wait() // it was killed
	return err
}

// port is the bridge's end of a node's cable.
func port(node int) string { return "chaos-n" + strconv.Itoa(node) }

// Cut drops what goes from one node to another, in this direction alone.
func (s *Spaces) Cut(from, to int) error { return s.set("add", "cut", from, to) }

// Heal undoes Cut.
func (s *Spaces) Heal(from, to int) error { return s.set("delete", "cut", from, to) }

// Lose drops every fifth frame that goes from one node to another.
func (s *Spaces) Lose(from, to int) error { return s.set("add", "lossy", from, to) }

// Keep undoes Lose.
func (s *Spaces) Keep(from, to int) error { return s.set("delete", "lossy", from, to) }

func (s *Spaces) set(what, set string, from, to int) error {
	return run("", "nft", what, "element", "bridge", "chaos", set, fmt.Sprintf("{ %s . %s }", port(from), port(to)))
}

// close takes the namespaces and the bridge down.
func (s *Spaces) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, node := range slices.Collect(maps.Keys(s.holders)) {
		errs = append(errs, s.remove(node))
	}
	errs = append(errs, run("", "ip", "link", "del", "chaos0"), run("", "nft", "delete", "table", "bridge", "chaos"))
	return errors.Join(errs...)
}
