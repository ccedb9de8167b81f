//go:build !linux

package bench

import "syscall"

func bound() *syscall.SysProcAttr { return nil }

// giveWay does nothing here.
func giveWay(int) error { return nil }
