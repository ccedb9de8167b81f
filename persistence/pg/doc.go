// Package pg keeps the campus in PostgreSQL. It implements the store interfaces that the actors and
// the transport declare, one type per aggregate, over queries that sqlc checks and turns into Go.
//
//	Open -> DB -+- NewGrains    grain.Store          fences and snapshots of every grain
//	            +- NewHall      mess.Store           crowd events, samples, a hall's snapshot
//	            +- NewIdentity  auth.* and rest.*    accounts, logins, keys, profiles
//	            +- NewMess      rest.Halls, .Menus   halls, menus, dishes, ratings
//	            +- NewAuditLog  rest.Audit           who changed what
//	            +- NewIncidents rest.Incidents       incidents, as a caller may see them
//	            +- NewSafetyOffice rest.SafetyOffice policies, shifts, timers, PINs, mass alerts
//	Open -> DB -+- NewSOS       incident.Store       incidents, for those who act: a small pool of its own,
//	            +- NewStreams   live.Streams         for an alarm waits for nobody
//	            +- NewPages     page.Store           what leaves the campus
//
// What holds for every method:
//
//   - A mutation is one transaction: the change, its audit entry and its idempotent answer are
//     all kept or none is. Serialization failures and deadlocks are tried again inside.
//   - Time is bounded: for getting a connection, for a lock, for a statement and for the whole
//     call, besides whatever bound the caller's context has.
//   - Errors carry a code of package nexus. Unavailable means that the database is away or too
//     busy: nothing is known about the change that was asked for, and the same call with the same
//     idempotency key finds out. A caller's context that ended stays context.Canceled or
//     context.DeadlineExceeded. Anything without a code is our fault.
//   - Times are UTC with microseconds, and lists go by keyset cursors.
package pg
