// Package bench runs NEXUS, a server in Node and a bare loop of writes through the same loads, by turns, and writes what came of it beside
// the goals.
//
// Each scenario gets a server of its own, fresh, for each target and round: first all targets of a scenario, then the next scenario, then all
// again, so that what the machine does meanwhile meets all alike. A figure is the median over the rounds. Who listens, who presses the button
// and the server are processes of their own.
package bench
