package main

import (
	"context"
	"time"

	"nexus"
	"nexus/actors/course"
	office "nexus/persistence/imports" // a rule of the tests has its name
	"nexus/persistence/pg"
	"nexus/transport/auth"
)

// moveUpWithin is how long the grain of a course that an import has changed has for looking at it.
const moveUpWithin = 10 * time.Second

// openImports begins to carry imports on, and to end those of nodes that are no more.
func (n *node) openImports(guard *auth.Service) *office.Runner {
	courses := course.NewClient(n.cluster)
	r := office.Start(office.Options{
		Store: pg.NewImports(n.db), Log: n.log, MaxBytes: n.cfg.imports,
		Ended: func(ctx context.Context, users []nexus.UserID) {
			for _, u := range users {
				guard.Ended(ctx, u, "", auth.ReasonRoles)
			}
		},
		Fenced: func(ctx context.Context, changed []nexus.CourseID) {
			for _, id := range changed {
				if ctx.Err() != nil {
					return // the node ends
				}
				ctx, cancel := context.WithTimeout(ctx, moveUpWithin)
				if err := courses.MoveUp(ctx, id); err != nil { // the next who asks the course for something has it look
					n.log.Warn("a course has not looked at what an import changed", "course", id, "err", err)
				}
				cancel()
			}
		},
	})
	n.onClose("imports", r.Close)
	return r
}
