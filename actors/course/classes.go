package course

import (
	"context"

	"nexus/actors/grain"
)

// ClassStore keeps classes and who attended them.
type ClassStore interface{}

// classes is the part of the grain that holds the open class.
type classes struct {
	store ClassStore
}

func (x *classes) load(context.Context, *grain.Context) error { return nil }

func (x *classes) busy() bool { return false }

func (x *classes) stop(*grain.Context) {}
