package usage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// read asks the process's own CPU clock, which counts in nanoseconds and, unlike the files of its threads, those that have ended.
func read(pid int) (Use, error) {
	var ts unix.Timespec
	const sched = 2                                                                  // CPUCLOCK_SCHED, see clock_getcpuclockid(3)
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); pid <= 0 || err != nil { // -1 of pid 0 would be ourselves
		return Use{}, fmt.Errorf("the CPU clock of process %d: %w", pid, err)
	}
	path := fmt.Sprintf("/proc/%d/statm", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return Use{}, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return Use{}, fmt.Errorf("%s is %q", path, text)
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return Use{}, fmt.Errorf("%s: %w", path, err)
	}
	return Use{CPU: time.Duration(ts.Nano()), Resident: pages * int64(os.Getpagesize())}, nil
}
