// Package mess is the grain of one mess hall: it counts people in and out, says how full the hall is and how long the wait, and
// tells every listening socket so each second.
//
//	CheckIn --> waiting --one batch at a time--> Store.Record --commit--> State.Apply --> CheckedIn
//	tick, each second on the clock's edge --> State.Crowd --> CROWD_UPDATE
//	save, every 5 s --> snapshot and minute samples
//
// Every event is committed before it is answered, so that a snapshot only spares the next activation work. While the
// store is away, ticks go on from memory and check-ins fail at once.
package mess
