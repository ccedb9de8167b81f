package stage

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nexus/cluster/freeport"
)

// Redis is a Redis that keeps nothing on disk.
type Redis struct {
	addr    string
	process process
}

// openRedis starts Redis if the binary has a use for it; without, it returns nil and why.
func openRedis(binary string, out io.Writer) (*Redis, string, error) {
	help, err := exec.Command(binary, "serve", "--help").CombinedOutput()
	if err != nil {
		return nil, "", fmt.Errorf("ask the binary for its flags: %w", err)
	}
	if !strings.Contains(string(help), "NEXUS_REDIS_URL") {
		return nil, "this binary does not know NEXUS_REDIS_URL", nil
	}
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, "redis-server is not installed", nil
	}
	port, err := freeport.Row(1)
	if err != nil {
		return nil, "", err
	}
	r := &Redis{addr: "127.0.0.1:" + strconv.Itoa(port)}
	r.process = process{name: "redis", out: out, command: func() *exec.Cmd {
		return exec.Command(path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "", "--appendonly", "no")
	}}
	return r, "", r.process.start()
}

// Start starts it again after Kill.
func (r *Redis) Start() error { return r.process.start() }

// Kill ends it as a crash does.
func (r *Redis) Kill() error {
	gone, err := r.process.signal(syscall.SIGKILL, false)
	if err == nil {
		<-gone
	}
	return err
}

// Freeze leaves it there and silent; Thaw undoes that.
func (r *Redis) Freeze() error {
	_, err := r.process.signal(syscall.SIGSTOP, true)
	return err
}

// Thaw undoes Freeze.
func (r *Redis) Thaw() error {
	_, err := r.process.signal(syscall.SIGCONT, true)
	return err
}

func (r *Redis) close() error {
	_ = r.Thaw() // a frozen one could not end
	return r.process.stop(3 * time.Second)
}
