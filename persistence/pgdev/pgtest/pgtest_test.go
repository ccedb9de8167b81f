package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// victim marks a process that is this test binary run anew, to be killed.
const victim = "PGTEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victim) == "" {
		Main(m)
	}
	if err := theServer.start(); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT) // which is ignored where the tests run in the background
	go func() {
		<-interrupted
		os.Exit(1)
	}()
	fmt.Println(theServer.dir)
	_, err := io.Copy(io.Discard, os.Stdin) // until the test dies, if it does not kill us first
	fmt.Println("end of input", err)
}

var halls = Template{Prepare: func(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE TABLE hall(name text PRIMARY KEY); INSERT INTO hall VALUES ('north')")
	return errors.Join(err, conn.Close(ctx))
}}

func TestEveryTestHasItsOwnClone(t *testing.T) {
	for _, name := range []string{"first", "second", "third"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n int
			err := halls.New(t).QueryRow(t.Context(), "INSERT INTO hall VALUES ('south') RETURNING (SELECT count(*) FROM hall)").Scan(&n)
			if err != nil || n != 1 {
				t.Errorf("%d halls before the insert, %v, want the 1 of the template", n, err)
			}
		})
	}
}

func TestDatabaseGoesWithItsTest(t *testing.T) {
	var name string
	t.Run("user", func(t *testing.T) {
		if err := New(t).QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
		// A connection that the test forgot does not keep its database.
		forgotten, err := pgx.Connect(t.Context(), serverURL(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := forgotten.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	})
	var left int
	if err := New(t).QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d databases of the ended test, %v", left, err)
	}
}

func TestNothingIsLeftOfAKilledProcess(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), victim+"=1")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out := startVictim(t, cmd)
			line, err := bufio.NewReader(out).ReadString('\n')
			dir := strings.TrimSpace(line)
			if err != nil || !filepath.IsAbs(dir) {
				t.Fatalf("victim says %q, %v", line, err)
			}
			if len(processes(t, dir)) == 0 {
				t.Fatal("no process before the kill")
			}
			if err = syscall.Kill(-cmd.Process.Pid, sig); err != nil {
				t.Fatal(err)
			}
			if err = cmd.Wait(); err == nil {
				t.Errorf("victim survived %v", sig)
			}
			await(t, time.Minute, func() bool {
				_, err := os.Stat(dir)
				return len(processes(t, dir)) == 0 && errors.Is(err, os.ErrNotExist)
			})
		})
	}
}

func startVictim(t *testing.T, cmd *exec.Cmd) io.Reader {
	t.Helper()
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
	t.Cleanup(func() {
		if err := in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	return out
}

// processes lists the command lines that name a directory: the guard's and the
// postmaster's. Its children end before it does.
func processes(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), dir) {
			found = append(found, string(text))
		}
	}
	return found
}

// await polls for what has no event: the end of processes that are not our children.
func await(t *testing.T, limit time.Duration, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for timeout := time.After(limit); !done(); {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("still there after %v", limit)
		}
	}
}
