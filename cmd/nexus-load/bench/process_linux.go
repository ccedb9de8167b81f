package bench

import "syscall"

// bound has a process die with us, even if we are killed.
func bound() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
