package pgdev

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestWatchersRestartAKilledServer(t *testing.T) {
	dir := newDir(t)
	s, other := start(t, Config{Dir: dir}), start(t, Config{Dir: dir})
	value(t, s, "CREATE TABLE kept(n int); INSERT INTO kept VALUES (1) RETURNING n::text")
	for round := range 3 {
		pid := running(t, s)
		kill(t, pid)
		await(t, fmt.Sprintf("server after kill %d", round+1), func() bool { return s.answers() })
		if now := running(t, s); now == pid {
			t.Errorf("postmaster is still %d", pid)
		}
		if got := value(t, other, "SELECT count(*)::text FROM kept"); got != "1" {
			t.Errorf("%s rows left, want the committed 1", got)
		}
	}
}

func TestBackendInALoopDoesNotHoldUpARestart(t *testing.T) {
	s := start(t, Config{Dir: newDir(t)})
	conn, err := pgx.Connect(t.Context(), s.URL())
	if err != nil {
		t.Fatal(err)
	}
	broken := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "DO $$ BEGIN LOOP END LOOP; END $$")
		broken <- err
	}()
	const busy = "SELECT count(*)::text FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DO %'"
	await(t, "loop", func() bool { return value(t, s, busy) == "1" })

	kill(t, running(t, s))
	await(t, "server", func() bool { return s.answers() })
	if err := <-broken; err == nil {
		t.Error("the loop ended by itself")
	}
}

func TestStartRecoversFromAKill(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, h *helper, look *Server)
	}{
		{"of the user", func(t *testing.T, h *helper, _ *Server) { h.signal(t, syscall.SIGKILL) }},
		{"of postgres, a zombie while its parent lives", func(t *testing.T, _ *helper, look *Server) {
			pid := running(t, look)
			kill(t, pid)
			await(t, "zombie", func() bool {
				stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				return err == nil && bytes.Contains(stat, []byte(") Z "))
			})
		}},
		{"of both", func(t *testing.T, h *helper, look *Server) {
			pid := running(t, look)
			h.signal(t, syscall.SIGKILL)
			kill(t, pid)
		}},
		{"of both, its pid now another program's", func(t *testing.T, h *helper, look *Server) {
			pid := running(t, look)
			h.signal(t, syscall.SIGKILL)
			kill(t, pid)
			bystander := exec.Command("sleep", "600")
			bystander.SysProcAttr = &syscall.SysProcAttr{Credential: look.home.credential()}
			if err := bystander.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { endBystander(t, bystander) })
			setPID(t, look.home, fmt.Sprintf("%d\n", bystander.Process.Pid))
		}},
		{"of both, before the pid was written", func(t *testing.T, h *helper, look *Server) {
			pid := running(t, look)
			h.signal(t, syscall.SIGKILL)
			kill(t, pid)
			if err := os.Truncate(filepath.Join(look.home.data(), "postmaster.pid"), 0); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := newDir(t)
			h := startHelper(t, dir).ready(t)
			test.spoil(t, h, &Server{home: mustSettle(t, dir)})
			s := start(t, Config{Dir: dir})
			if got := value(t, s, "SELECT 'well'"); got != "well" {
				t.Errorf("server says %q", got)
			}
		})
	}
}

// setPID puts another pid into postmaster.pid and the lock of the socket.
func setPID(t *testing.T, h home, pid string) {
	t.Helper()
	for _, path := range []string{filepath.Join(h.data(), "postmaster.pid"), filepath.Join(h.socket(), ".s.PGSQL.5432.lock")} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(text, []byte("\n"))
		if err = h.replace(path, append([]byte(pid), rest...)); err != nil {
			t.Fatal(err)
		}
	}
}

// endBystander checks that the program was left alone, and ends it.
func endBystander(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Errorf("the program with the old pid is gone: %v", err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the program with the old pid ended by itself")
	}
}

func TestInitdbKilledHalfWayLeavesNoHalfCluster(t *testing.T) {
	// Where the test stands still at the wrong moment initdb is over before the kill, which then shows nothing.
	dir, caught := "", false
	for tries := 0; !caught; tries++ {
		if tries == 20 {
			t.Fatal("the cluster was never seen half made: it is in its place before it is whole")
		}
		dir = newDir(t)
		caught = killHalfWay(t, dir)
	}
	s := start(t, Config{Dir: dir})
	if got := value(t, s, "SELECT 'well'"); got != "well" {
		t.Errorf("server says %q", got)
	}
}

// killHalfWay has a helper make a cluster and kills it on the way. It reports false if it came too late.
func killHalfWay(t *testing.T, dir string) bool {
	t.Helper()
	h := startHelper(t, dir)
	inPlace := func() bool {
		_, err := os.Stat(filepath.Join(dir, "data"))
		return err == nil
	}
	await(t, "half cluster, or a whole one", func() bool {
		if half := unfinishedClusters(t, dir); len(half) > 0 {
			_, err := os.Stat(filepath.Join(half[0], "PG_VERSION"))
			return err == nil
		}
		return inPlace()
	})
	h.signal(t, syscall.SIGKILL)
	return !inPlace()
}

// TestHandMadeServerIsLeftAlone covers a server that somebody ran by hand on the data.
func TestHandMadeServerIsLeftAlone(t *testing.T) {
	s := start(t, Config{Dir: newDir(t), Unwatched: true})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.home.data(), "-c", "listen_addresses=", "-k", s.home.socket())
	s.home.dress(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "server made by hand", func() bool { return s.answers() })
	again := start(t, Config{Dir: s.home.asked, Unwatched: true})
	if got := running(t, again); got != cmd.Process.Pid {
		t.Errorf("postmaster is %d, want the %d made by hand", got, cmd.Process.Pid)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("server made by hand: %v", err)
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	want := []time.Duration{0, 250 * time.Millisecond, 500 * time.Millisecond, time.Second}
	for quick, d := range want {
		if got := backoff(quick); got != d {
			t.Errorf("backoff(%d) is %v, want %v", quick, got, d)
		}
	}
	if got := backoff(1_000_000); got != lastBackoff {
		t.Errorf("backoff is %v in the end, want %v", got, lastBackoff)
	}
}

func TestLogIsBounded(t *testing.T) {
	s := start(t, Config{Dir: newDir(t), Unwatched: true})
	path := s.home.path(logName)
	if err := os.Truncate(path, maxLog+1); err != nil {
		t.Fatal(err)
	}
	s.runs(t.Context()) // the watcher's look
	value(t, s, "DO $$ BEGIN RAISE WARNING 'after'; END $$; SELECT 'x'")
	info, err := os.Stat(path)
	if err != nil || info.Size() > 10_000 || info.Size() == 0 {
		t.Errorf("log is %d bytes, %v", info.Size(), err)
	}
	old, err := os.Stat(path + ".1")
	if err != nil || old.Size() != maxLog+1 {
		t.Errorf("old log is %d bytes, %v", old.Size(), err)
	}
}
