// Package redistest runs a real redis-server for a test.
package redistest

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"nexus/cluster/freeport"
)

// Server is one redis-server process on a port of its own, which keeps nothing on disk.
type Server struct {
	t    testing.TB
	addr string
	cmd  *exec.Cmd
}

// patience bounds the start.
const patience = time.Minute

// Start runs a server until the test ends.
func Start(t testing.TB) *Server {
	t.Helper()
	addr, err := freeport.Addr()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, addr: addr}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// URL is where clients find it.
func (s *Server) URL() string { return "redis://" + s.addr + "/0" }

// Restart starts it again, empty, after Kill. It returns when the server answers.
func (s *Server) Restart() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("redis-server is needed; type: sudo apt-get install -y redis-server")
	}
	_, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.t.TempDir())
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is for the test to handle
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; <-time.After(10 * time.Millisecond) {
		err := s.ping()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("redis-server does not answer: %v", err)
		}
	}
}

func (s *Server) ping() error {
	c, err := net.DialTimeout("tcp", s.addr, time.Second)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it was only asked
	if err := c.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+PONG") {
		err = fmt.Errorf("answered %q", line)
	}
	return err
}

// Kill ends it as a crash does. A second call does nothing.
func (s *Server) Kill() {
	if s.cmd.ProcessState != nil {
		return
	}
	s.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait() // tells of the signal
}

// Signal sends a signal: SIGSTOP freezes the server, SIGCONT lets it go on.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal redis-server: %v", err)
	}
}
