//go:build !linux

package epoll

import (
	"errors"
	"net"

	"nexus/transport/engineio"
)

// Poller is not to be had here.
type Poller struct{}

// New returns nil here.
func New() *Poller { return nil }

// Link fails here.
func (*Poller) Link(*net.TCPConn) (engineio.Link, error) { return nil, errors.ErrUnsupported }
