package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nexus/cluster/freeport"
)

// patience bounds every wait for something that should come soon. It only ends a test that has failed: machines may be slow, or stand still.
const patience = 2 * time.Minute

// A server is one nexus process. It may be started again after it has ended, at the same address and over the same data.
type server struct {
	binary *binary
	dir    string
	env    []string // NEXUS_* beyond the usual
	addr   string
	url    string
	took   time.Duration // of the last start, from exec to the first ready answer

	cmd   *exec.Cmd
	log   *logLines
	ended chan struct{} // closed when the process is gone and reaped
	exit  error         // how, after ended
}

// start runs a server over a fresh data directory. It is ended, and checked to have found no race, with the test.
func start(t testing.TB, env ...string) *server {
	t.Helper()
	s, err := newServer(raced, env...)
	if err == nil {
		err = s.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.cleanup(t)
	return s
}

func newServer(b *binary, env ...string) (*server, error) {
	dir, err := os.MkdirTemp(work, "data-")
	if err != nil {
		return nil, err
	}
	addr, err := freeport.Addr()
	if err != nil {
		return nil, err
	}
	return &server{binary: b, dir: dir, env: env, addr: addr}, os.Chmod(dir, 0o755)
}

// cleanup ends the server with the test, and shows its log if the test has failed.
func (s *server) cleanup(t testing.TB) {
	t.Cleanup(func() {
		if err := s.end(); err != nil {
			t.Errorf("the server's end: %v", err)
		}
		if race := s.log.race(); race != "" {
			forGood(t).Error(race)
		}
		if t.Failed() {
			t.Logf("the server's last words:\n%s", s.log.tail())
		}
	})
}

// start returns when the server is ready.
func (s *server) start() error {
	path, err := s.binary.build()
	if err != nil {
		return err
	}
	s.cmd = exec.Command(path, "serve")
	s.cmd.Env = append(environment(), "NEXUS_ADDR="+s.addr, "NEXUS_DATA_DIR="+s.dir, "NEXUS_LOG_FORMAT=json")
	s.cmd.Env = append(s.cmd.Env, s.env...)
	s.cmd.SysProcAttr = orphaned()
	s.log = newLogLines()
	s.cmd.Stderr = s.log
	s.ended = make(chan struct{})
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() {
		s.exit = s.cmd.Wait()
		close(s.ended)
	}()
	var serving struct{ URL string }
	if err := s.wait("serving", &serving); err != nil {
		return errors.Join(err, s.end())
	}
	s.took = time.Since(began)
	if s.url == "" { // it stays what it is: callers read it while the server starts again
		s.url = serving.URL
	}
	return nil
}

// environment is ours without any NEXUS_* of the one who runs the tests.
func environment() (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEXUS_") {
			env = append(env, kv)
		}
	}
	return env
}

// wait waits for a line of the log since the last wait, and reads it.
func (s *server) wait(msg string, line any) error {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		raw, more := s.log.take(msg)
		if raw != nil {
			return json.Unmarshal(raw, line)
		}
		select {
		case <-more:
		case <-s.ended:
			return fmt.Errorf("the server has ended (%v) before %q:\n%s", s.exit, msg, s.log.tail())
		case <-timeout.C:
			return fmt.Errorf("no %q within %v:\n%s", msg, patience, s.log.tail())
		}
	}
}

// signal sends a signal and does not wait for what it does.
func (s *server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal the server: %v", err)
	}
}

// kill ends the process as a crash does, and waits until it is gone.
func (s *server) kill(t testing.TB) {
	t.Helper()
	s.signal(t, syscall.SIGKILL)
	<-s.ended
}

// restart starts it again.
func (s *server) restart(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("start again: %v", err)
	}
}

// stop asks for an orderly end and returns how it went. The log of a server that does not end tells where it hangs.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return s.exit
	case <-time.After(patience):
	}
	err := s.cmd.Process.Signal(syscall.SIGQUIT)
	<-s.ended
	return errors.Join(errors.New("still there after SIGTERM"), err, s.endPostgres())
}

// end ends the server if it still runs, and what a killed one left behind.
func (s *server) end() error {
	select {
	case <-s.ended:
		return s.endPostgres()
	default:
		return s.stop()
	}
}

// endPostgres ends the private PostgreSQL that a killed server left running.
func (s *server) endPostgres() error {
	pid, err := s.postmaster()
	if pid == 0 {
		return err
	}
	return syscall.Kill(pid, syscall.SIGQUIT)
}

// postmaster is the pid of the server's private PostgreSQL, 0 if none runs.
func (s *server) postmaster() (int, error) {
	return postmaster(filepath.Join(s.dir, "postgres", "data"))
}

func postmaster(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0, err
	}
	// The pid of a file that a crash left may be anybody's by now.
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !bytes.Contains(cmdline, []byte(data)) {
		return 0, nil
	}
	return pid, nil
}

// The server that tests share which leave it as they found it.
var shared struct {
	once sync.Once
	s    *server
	err  error
}

// campus returns the shared server.
func campus(t testing.TB) *server {
	t.Helper()
	shared.once.Do(func() {
		if shared.s, shared.err = newServer(raced); shared.err == nil {
			shared.err = shared.s.start()
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's last words:\n%s", shared.s.log.tail())
		}
	})
	return shared.s
}

func endShared() error {
	if shared.s == nil || shared.s.cmd == nil {
		return nil
	}
	err := shared.s.end()
	if race := shared.s.log.race(); race != "" {
		err = errors.Join(err, errors.New(race))
	}
	return err
}
