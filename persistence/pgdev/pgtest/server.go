package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"nexus/persistence/pgdev"
)

// memory is how many free bytes make a memory file system fit for a cluster: it
// starts with 60 MB and may hold half a gigabyte of write-ahead log.
const memory = 4 << 30

// guard waits for a line, and is done if that says so. Else the test process
// died: it ends the server without ceremony and removes the directory. It goes
// on until a second has passed in quiet, since a server may be starting at that
// very moment. The pid counts only while it is the postmaster of this directory.
const guard = `
read -r word
[ "$word" = done ] && exit
quiet=0 tries=0
while [ $quiet -lt 20 ] && [ $tries -lt 200 ]; do
	quiet=$((quiet+1)) tries=$((tries+1))
	pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
	if [ -n "$pid" ] && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -qxF "$1/data"; then
		kill -QUIT "$pid"
		quiet=0
	else
		rm -rf "$1"
	fi
	sleep 0.05
done`

// server is the one of this process. It is started at most once, and its guard
// before it.
type server struct {
	once  sync.Once
	err   error
	dir   string
	pg    *pgdev.Server
	url   string
	pipe  io.WriteCloser // the guard's input: open as long as this process lives
	guard *exec.Cmd
}

var theServer server

func (s *server) start() error {
	s.once.Do(func() {
		if err := s.open(); err != nil {
			s.err = fmt.Errorf("start test server: %w", err)
		}
	})
	return s.err
}

func (s *server) open() error {
	var err error
	if s.dir, err = makeDir(); err != nil {
		return err
	}
	s.guard = exec.Command("/bin/sh", "-c", guard, "pgtest-guard", s.dir)
	s.guard.Dir = "/"
	s.guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the tests
	if s.pipe, err = s.guard.StdinPipe(); err != nil {
		return err
	}
	if err = s.guard.Start(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s.pg, err = pgdev.Start(ctx, pgdev.Config{Dir: s.dir, Unwatched: true})
	if err != nil {
		return err
	}
	s.url = s.pg.URL()
	return nil
}

// makeDir makes a directory that PostgreSQL's user can reach, which root's own
// TMPDIR may not be: in memory where there is plenty, since making and removing
// a cluster's thousand files again and again gets slow on a disk.
func makeDir() (string, error) {
	parent := os.TempDir()
	var shm syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &shm); err == nil && shm.Bavail*uint64(shm.Bsize) >= memory {
		parent = "/dev/shm"
	} else if os.Geteuid() == 0 {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, "pgtest-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// close ends the server and sends the guard home. A server that never started
// is no error.
func (s *server) close() error {
	var err error
	if s.pg != nil {
		err = s.pg.Close()
	}
	if s.guard != nil && s.guard.Process != nil {
		_, sent := io.WriteString(s.pipe, "done\n")
		err = errors.Join(err, sent, s.guard.Wait())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
