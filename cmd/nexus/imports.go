package main

import (
	"context"

	"nexus"
	office "nexus/persistence/imports" // a rule of the tests has its name
	"nexus/persistence/pg"
	"nexus/transport/auth"
)

// openImports begins to carry imports on, and to end those of nodes that are no more.
func (n *node) openImports(guard *auth.Service) *office.Runner {
	r := office.Start(office.Options{
		Store: pg.NewImports(n.db), Log: n.log, MaxBytes: n.cfg.imports,
		Ended: func(ctx context.Context, users []nexus.UserID) {
			for _, u := range users {
				guard.Ended(ctx, u, "", auth.ReasonRoles)
			}
		},
		// Of courses whose seats have changed behind their grains' backs, new activations begin from what is there now.
		Fenced: func(context.Context, []nexus.CourseID) { n.cluster.Recheck() },
	})
	n.onClose("imports", r.Close)
	return r
}
