//go:build !linux

package stage

import "syscall"

// bound leaves it to the one who runs the rig to look for processes that outlive it.
func bound() *syscall.SysProcAttr { return nil }

// apart is what no other system has; Spaces says so before anybody asks.
func apart() *syscall.SysProcAttr { return nil }
