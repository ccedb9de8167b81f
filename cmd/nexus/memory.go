package main

import (
	"bufio"
	"bytes"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"
)

// memory watches how much of what the process may use is taken.
type memory struct {
	limit int64 // bytes; 0: there is no bound

	mu     sync.Mutex
	at     time.Time // of the last look
	scarce bool
}

// lookEvery is how often memory is looked at, at most: thousands may come in a second.
const lookEvery = 100 * time.Millisecond

// newMemory holds the process to a limit. The collector keeps to the same, unless GOMEMLIMIT says another: what is garbage is no reason to
// refuse anybody.
func newMemory(limit int64) *memory {
	if limit > 0 && debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(limit)
	}
	return &memory{limit: limit}
}

// short reports whether more than nine tenths of the limit are taken.
func (m *memory) short() bool {
	if m.limit <= 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); now.Sub(m.at) >= lookEvery {
		m.at, m.scarce = now, taken() > uint64(m.limit)/10*9
	}
	return m.scarce
}

// taken is what the process needs: all that it has of the system but what is garbage or free. What has come since the last collection is
// not seen; the nearer the limit, the more often there is one.
func taken() uint64 {
	sum := func(names ...string) (n uint64) {
		samples := make([]metrics.Sample, len(names))
		for i, name := range names {
			samples[i].Name = name
		}
		metrics.Read(samples)
		for _, s := range samples {
			n += s.Value.Uint64()
		}
		return n
	}
	all := sum("/memory/classes/total:bytes", "/gc/heap/live:bytes")
	spare := sum("/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes", "/memory/classes/heap/free:bytes", "/memory/classes/heap/released:bytes")
	return all - min(all, spare)
}

// memoryLimit is what the process may use if nobody says: GOMEMLIMIT, or else what its control group may, or one that holds that; 0 if
// there is no bound.
func memoryLimit(root fs.FS) int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return groupLimit(root)
}

// groupLimit is the least memory.max from the process's control group (version 2) up.
func groupLimit(root fs.FS) (least int64) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0 // no such system
	}
	const mount = "sys/fs/cgroup"
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		group, ok := strings.CutPrefix(lines.Text(), "0::/")
		if !ok {
			continue
		}
		for dir := path.Join(mount, group); strings.HasPrefix(dir, mount); dir = path.Dir(dir) {
			text, err := fs.ReadFile(root, path.Join(dir, "memory.max"))
			if err != nil {
				continue // the root has none, and in a container the upper ones are not seen
			}
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && (least == 0 || n < least) { // else it is "max"
				least = n
			}
		}
	}
	return least
}

// parseSize reads a number of bytes, with KiB, MiB or GiB as GOMEMLIMIT takes them.
func parseSize(s string) (int64, error) {
	unit := int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB"} {
		if digits, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = digits, int64(1)<<(10*(i+1))
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, strconv.ErrRange
	}
	return n * unit, nil
}
