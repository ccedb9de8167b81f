package pgdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// errGone says that no process of the server lives.
var errGone = errors.New("postgres ended")

// ensure returns once the server answers, launching it if it does not run. The
// caller holds the lock.
func (s *Server) ensure(ctx context.Context) error {
	var err error
	// A server that we find may be about to end, and one of a killed starter may
	// come up beside ours: a second look settles both.
	for range 3 {
		if err = s.launch(); err != nil {
			return err
		}
		if err = s.await(ctx); !errors.Is(err, errGone) {
			return err
		}
	}
	return fmt.Errorf("%w: %s", err, s.home.logTail())
}

// launch starts postgres unless a process of it lives.
func (s *Server) launch() (err error) {
	lease, err := s.home.lease()
	if err != nil || lease == nil {
		return err
	}
	// Closed, not unlocked: the lock is postgres's too.
	defer func() { err = errors.Join(err, lease.Close()) }()
	if _, alive := s.home.postmaster(); alive {
		return nil // somebody ran postgres by hand
	}
	if err = s.home.clearStale(); err != nil {
		return err
	}
	log, err := s.home.openFile(logName, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), append([]string{"-D", s.home.data()}, s.settings()...)...)
	s.home.dress(cmd)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{lease}
	if err = cmd.Start(); err != nil {
		return err
	}
	s.child = cmd.Process.Pid
	return cmd.Process.Release() // it is to outlive us; reap looks after it while we live
}

// settings fit a small machine. They are given on the command line, so that a
// newer version of ours brings its own to an old cluster.
func (s *Server) settings() []string {
	onOff := map[bool]string{true: "on", false: "off"}[s.cfg.Durable]
	var args []string
	for _, set := range [][2]string{
		{"listen_addresses", ""},
		{"port", port},
		{"unix_socket_directories", s.home.socket()},
		{"unix_socket_permissions", "0700"},
		{"cluster_name", s.home.name()}, // titles every child, see orphans
		{"max_connections", "200"},
		{"shared_buffers", "128MB"},
		{"max_wal_size", "512MB"},
		{"max_parallel_workers_per_gather", "0"}, // short queries on few cores; and no need of much /dev/shm
		{"jit", "off"},
		{"fsync", onOff},
		{"full_page_writes", onOff},
		{"synchronous_commit", "on"},
		{"timezone", "UTC"},
		{"log_timezone", "UTC"},
		{"log_checkpoints", "off"},
		{"log_error_verbosity", "terse"}, // details quote people's data
		{"log_line_prefix", "%m [%p] "},
	} {
		args = append(args, "-c", set[0]+"="+set[1])
	}
	return args
}

// await returns nil once the server answers, errGone once none of its processes
// lives. Those that outlived their postmaster are ended: nothing can be stored
// through them any more, and they keep a new one from starting.
func (s *Server) await(ctx context.Context) error {
	var last error // what the server answered, for want of a better cause
	err := poll(ctx, func() (bool, error) {
		if last = s.probe(ctx); last == nil {
			return true, nil
		}
		s.reap()
		if err := s.home.endOrphans(); err != nil {
			return false, err
		}
		idle, err := s.home.idle()
		if _, alive := s.home.postmaster(); err != nil || alive || !idle {
			return false, err
		}
		return false, errGone
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

// probe returns nil if a query succeeds within a second.
func (s *Server) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := s.home.query(ctx, "SELECT 1")
	return err
}

// stop ends the server: fast, then without a checkpoint, then by force. The
// caller holds the lock.
func (s *Server) stop(ctx context.Context) error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if pid, alive := s.home.postmaster(); alive {
			s.child = pid
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("signal postgres %d: %w", pid, err)
			}
		}
		err := s.awaitEnd(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		s.cfg.Log.Warn("postgres does not stop", "signal", sig.String())
	}
	return errors.New("processes of postgres are left that cannot be ended from here")
}

func (s *Server) awaitEnd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	return poll(ctx, func() (bool, error) {
		s.reap()
		if err := s.home.endOrphans(); err != nil {
			return false, err
		}
		idle, err := s.home.idle()
		_, alive := s.home.postmaster()
		return idle && !alive, err
	})
}

// reap takes the exit status of the last postmaster we knew, so that no zombie
// stays if it was our child by birth, or by adoption as process 1 of a
// container. For any other process the kernel says ECHILD, which is no error.
func (s *Server) reap() {
	if s.child != 0 {
		_, _ = syscall.Wait4(s.child, nil, syscall.WNOHANG, nil)
	}
}

// tail is the end of an output, for an error's text.
func tail(out []byte) []byte {
	out = bytes.TrimSpace(out)
	return out[max(0, len(out)-600):]
}
