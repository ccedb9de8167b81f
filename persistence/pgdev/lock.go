package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

const (
	shared    = syscall.LOCK_SH
	exclusive = syscall.LOCK_EX
)

// lock waits for the lock under which the server is started and stopped.
func (h home) lock(ctx context.Context) (*os.File, error) { return h.flock(ctx, "lock", exclusive) }

// join takes a share of the users' lock. The caller holds the lock, so that
// nobody can be stopping the server meanwhile.
func (h home) join(ctx context.Context) (*os.File, error) { return h.flock(ctx, "users.lock", shared) }

// lease takes the lock that postgres inherits, or returns nil while a process
// of an earlier postgres still holds it.
func (h home) lease() (*os.File, error) {
	f, err := h.openFile("server.lock", os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if free, err := tryFlock(f, exclusive); err != nil || !free {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// idle reports whether no process of a server lives. It is asked with a shared
// lock, so that two who ask at once do not see each other.
func (h home) idle() (bool, error) {
	f, err := h.openFile("server.lock", os.O_RDWR)
	if err != nil {
		return false, err
	}
	free, err := tryFlock(f, shared)
	return free, errors.Join(err, f.Close())
}

func (h home) flock(ctx context.Context, name string, how int) (*os.File, error) {
	f, err := h.openFile(name, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	err = poll(ctx, func() (bool, error) { return tryFlock(f, how) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
	}
	return f, nil
}

// tryFlock takes or converts a lock and reports whether it got it. A failed
// conversion may lose the lock that was held.
func tryFlock(f *os.File, how int) (bool, error) {
	err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// unlock frees a lock even if a child in the midst of fork and exec still
// shares the descriptor.
func unlock(f *os.File) {
	// Neither call can fail on an open file, and a lock goes with the process at the latest.
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	_ = f.Close()
}

// poll calls done every 10 ms until it says yes, fails, or the context ends.
// It serves where the kernel has no event for us: locks of others, processes
// that are not our children, a server that is about to answer.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
