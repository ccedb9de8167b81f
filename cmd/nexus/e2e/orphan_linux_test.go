package e2e_test

import "syscall"

// orphaned has a server end in order when the tests die before it does.
func orphaned() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
