package course

import (
	"context"

	"nexus/actors/grain"
)

// SeatStore keeps who has a seat and who waits for one.
type SeatStore interface{}

// seats is the part of the grain that gives out seats.
type seats struct {
	store SeatStore
}

func (s *seats) load(context.Context, *grain.Context) error { return nil }

func (s *seats) stop(*grain.Context) {}
