//go:build !linux

package crowd

import (
	"context"
	"errors"
)

// ErrSystem tells that a crowd takes Linux.
var ErrSystem = errors.New("a crowd of sockets stands on epoll, which only Linux has")

// Crowd is there on Linux alone.
type Crowd struct{}

// Open fails.
func Open(context.Context, Options, int) (*Crowd, error) { return nil, ErrSystem }

// Grow fails.
func (*Crowd) Grow(int) error { return ErrSystem }

// Served is zero.
func (*Crowd) Served() int { return 0 }

// Err says why.
func (*Crowd) Err() error { return ErrSystem }

// Await fails.
func (*Crowd) Await(context.Context, int, func(int)) error { return ErrSystem }

// Measure fails.
func (*Crowd) Measure(bool) error { return ErrSystem }

// Drop fails.
func (*Crowd) Drop() error { return ErrSystem }

// Heard fails.
func (*Crowd) Heard() (*Heard, error) { return nil, ErrSystem }

// Links fails.
func (*Crowd) Links() (*Links, error) { return nil, ErrSystem }

// Close does nothing.
func (*Crowd) Close() error { return nil }
