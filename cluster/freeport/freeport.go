// Package freeport finds ports for processes that must be told where to listen: those of tests and of the chaos rig.
package freeport

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports to choose from lie below those that systems give to connections going out: no such connection takes a port
// from under a process that is about to listen at it, or that has died and will be started again.
const lowest, highest = 10_000, 32_000

// Row returns the first of n ports in a row at which nobody listens on loopback, by UDP or TCP. They are drawn at random, so
// that those who look at the same time find different ones.
func Row(n int) (int, error) {
	for range 200 {
		if first := lowest + rand.IntN(highest-lowest-n); free(first, n) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

// Addr is a loopback address with a free port.
func Addr() (string, error) {
	port, err := Row(1)
	return at(port), err
}

func at(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func free(first, n int) bool {
	for port := first; port < first+n; port++ {
		l, err := net.Listen("tcp", at(port))
		if err != nil {
			return false
		}
		u, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", at(port))
		if errors.Join(err, l.Close()) != nil || u.Close() != nil {
			return false
		}
	}
	return true
}
