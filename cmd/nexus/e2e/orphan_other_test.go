//go:build !linux

package e2e_test

import "syscall"

// orphaned leaves it to the one who runs the tests to look for servers that outlive them.
func orphaned() *syscall.SysProcAttr { return nil }
