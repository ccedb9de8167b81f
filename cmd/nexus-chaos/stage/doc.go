// Package stage sets up what a trial needs, and breaks it: NEXUS nodes as real processes over one private PostgreSQL, each
// behind a small TCP proxy of its own, a balancer, Redis, and where the machine allows it a network namespace for each node.
//
//	clients -> balancer -> node 1..n -> proxy of the node -> PostgreSQL
//	                       node <- gossip and messages -> node         over loopback, or a bridge that can be cut
//
// It ends only the processes that it started, and all of them, however the trial ends.
package stage
