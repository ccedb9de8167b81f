// Package usage reads what processes of this machine take: time on a processor and memory.
package usage

import (
	"errors"
	"time"
)

// Processes are the processes of one server, by pid. What they take is summed up.
type Processes []int

// ErrUnknown tells that this system does not say.
var ErrUnknown = errors.New("what other processes take can only be read on Linux")

// Use is what they have taken so far, and hold now.
type Use struct {
	CPU      time.Duration // in user space and kernel, by all threads that there have been
	Resident int64         // bytes in memory
}

// Read takes the sum; without a process it is zero.
func (p Processes) Read() (sum Use, err error) {
	for _, pid := range p {
		u, err := read(pid)
		if err != nil {
			return Use{}, err
		}
		sum.CPU += u.CPU
		sum.Resident += u.Resident
	}
	return sum, nil
}
