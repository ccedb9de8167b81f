package bench

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// bound has a process die with us, even if we are killed.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// yielding is the niceness of who gives way to others.
const yielding = 10

// giveWay has every thread of a process, and those that they start, give way to other processes.
func giveWay(pid int) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	for _, t := range threads {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, tid, yielding); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("lower the priority of thread %d: %w", tid, err)
		}
	}
	return nil
}
