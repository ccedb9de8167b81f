package pgdev

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// noPID is larger than any pid that a kernel gives out.
const noPID = 1 << 30

// postmaster returns the pid in postmaster.pid, and whether the process of that
// pid is the postmaster of this cluster. A pid that now belongs to another
// program does not count, and neither does a zombie, whose command line is empty.
func (h home) postmaster() (pid int, alive bool) {
	text, err := os.ReadFile(filepath.Join(h.data(), "postmaster.pid"))
	if err != nil {
		return 0, false
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	pid, err = strconv.Atoi(string(line))
	if err != nil || pid <= 0 {
		return 0, false
	}
	return pid, strings.Contains(commandLine(strconv.Itoa(pid)), "\x00-D\x00"+h.data()+"\x00")
}

// commandLine is the NUL-separated command line of a process, "" if it is gone
// or a zombie.
func commandLine(pid string) string {
	text, err := os.ReadFile(filepath.Join("/proc", pid, "cmdline"))
	if err != nil {
		return ""
	}
	return string(text)
}

// clearStale makes way for a new postmaster when no process of the old one
// lives. In postmaster.pid only the pid is voided, since PostgreSQL believes any
// live process of that pid, a zombie too. The rest stays: by the shared memory
// named there PostgreSQL makes sure itself that the data has no other server.
func (h home) clearStale() error {
	path := filepath.Join(h.data(), "postmaster.pid")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, rest, ok := bytes.Cut(text, []byte("\n")); ok {
		err = h.replace(path, fmt.Appendf(nil, "%d\n%s", noPID, rest))
	} else {
		err = os.Remove(path) // killed while it wrote its first line
	}
	for _, name := range []string{"", ".lock"} {
		gone := os.Remove(filepath.Join(h.socket(), ".s.PGSQL."+port+name))
		if !errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// replace writes a file of the cluster in one step.
func (h home) replace(path string, text []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return err
	}
	if err := h.give(next); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// endOrphans kills the children of a postmaster that was killed. Most see its
// death at once; one in a long computation does not.
func (h home) endOrphans() error {
	if _, alive := h.postmaster(); alive {
		return nil
	}
	// Looked for again once they are listed: a child seen here has a parent that
	// wrote its pid file earlier, so if there is none after that, it is dead.
	orphans, err := h.children()
	if _, alive := h.postmaster(); alive || err != nil {
		return err
	}
	for _, pid := range orphans {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("end orphan %d of postgres: %w", pid, err)
		}
	}
	return nil
}

// children lists the processes that carry the title of this cluster's children.
func (h home) children() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && strings.HasPrefix(commandLine(entry.Name()), "postgres: "+h.name()+": ") {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}
