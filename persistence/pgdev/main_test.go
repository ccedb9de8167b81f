package pgdev

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"
)

// helperDir names the directory of a helper process, which is this test binary
// run anew as another user of the server.
const helperDir = "PGDEV_TEST_HELPER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(help(dir))
	}
	goleak.VerifyTestMain(m)
}

// patience bounds what a test waits for. It only ends one that has failed: machines may be slow, or stand still for a while.
const patience = time.Minute

// help starts the server, says so on standard output, and closes it when
// standard input ends, which it also does if the test dies.
func help(dir string) int {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT) // which is ignored where the tests run in the background
	go func() {
		<-interrupted
		os.Exit(1)
	}()
	s, err := Start(context.Background(), Config{Dir: dir, Unwatched: true})
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	fmt.Println("ready")
	if _, err = io.Copy(io.Discard, os.Stdin); err != nil {
		fmt.Println("error", err)
	}
	if err = s.Close(); err != nil {
		fmt.Println("error", err)
		return 1
	}
	return 0
}

// helper is another process that uses the server.
type helper struct {
	*exec.Cmd
	in  io.Closer
	out *bufio.Reader
}

func startHelper(t *testing.T, dir string) *helper {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &helper{Cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() { h.signal(t, syscall.SIGKILL) })
	return h
}

// ready waits until the helper's Start has returned.
func (h *helper) ready(t *testing.T) *helper {
	t.Helper()
	if line, err := h.out.ReadString('\n'); line != "ready\n" {
		t.Fatalf("helper says %q, %v", line, err)
	}
	return h
}

// close lets the helper close its Server and waits for its end.
func (h *helper) close(t *testing.T) {
	t.Helper()
	if err := h.in.Close(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(h.out)
	if err = errors.Join(err, h.Wait()); err != nil || len(said) > 0 {
		t.Fatalf("helper ends with %q, %v", said, err)
	}
}

// signal ends the helper and all of its process group, as Ctrl-C does.
func (h *helper) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if h.ProcessState != nil {
		return
	}
	if err := syscall.Kill(-h.Process.Pid, sig); err != nil {
		t.Errorf("signal helper: %v", err)
	}
	if err := h.Wait(); err == nil {
		t.Errorf("helper survived %v", sig)
	}
}

// newDir is a directory for a server. Whatever is left running in it is ended
// with the test.
func newDir(t *testing.T) string {
	t.Helper()
	dir := newDirOnly(t)
	t.Cleanup(func() { endServer(t, dir) })
	return dir
}

// newDirOnly is a directory that PostgreSQL's user can reach, unlike root's
// t.TempDir.
func newDirOnly(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgdev-")
	if err != nil {
		t.Fatal(err)
	}
	if err = os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove directory: %v", err)
		}
	})
	return dir
}

// endServer ends what a killed user has left running.
func endServer(t *testing.T, dir string) {
	t.Helper()
	s := start(t, Config{Dir: dir, Unwatched: true})
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, alive := s.home.postmaster(); alive {
		t.Errorf("postgres survived its last user in %s", dir)
	}
}

// start is Start with a fallback directory and a log of the test.
func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := Start(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// value runs statements and returns the first value of the last one.
func value(t *testing.T, s *Server, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgconn.Connect(ctx, s.URL())
	if err != nil {
		t.Fatal(err)
	}
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return string(results[len(results)-1].Rows[0][0])
}

// answers reports whether the server accepts queries.
func (s *Server) answers() bool { return s.probe(context.Background()) == nil }

// running is the pid of the postmaster, which must be alive.
func running(t *testing.T, s *Server) int {
	t.Helper()
	pid, alive := s.home.postmaster()
	if !alive {
		t.Fatalf("no postmaster in %s", s.home.dir)
	}
	return pid
}

// kill ends a process with SIGKILL and waits until it is at least a zombie.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "end of the killed process", func() bool { return commandLine(fmt.Sprint(pid)) == "" })
}

// await polls for what has no event.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := poll(ctx, func() (bool, error) { return done(), nil }); err != nil {
		t.Fatalf("no %s within %v", what, patience)
	}
}

// unfinishedClusters lists what initdb works on or has left behind.
func unfinishedClusters(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinished) {
			found = append(found, filepath.Join(dir, entry.Name()))
		}
	}
	return found
}
