// Package cluster decides where grains live and carries messages between them: the ring of
// members, placement of grains on their owners, the keeper of those that must always
// live, and the bus for broadcasts.
//
// A Node is one process of the campus. It is the grain.Directory that callers reach grains
// through, and the grain.Bus that grains publish on:
//
//	Ask -> Node.Locate -> ring: who owns kind/id? -> that member's activator -> the activation
//	grain -> Node.Publish -> every member's hub
//
// Nodes find each other by gossip (membership.go) and carry messages over links of their own (link.go, peer.go). Each
// makes the same ring of the members it knows (ring.go), and each grain lives on the member that the ring names
// (placement.go), which asks those that may have it to give it up first (release.go). Rings differ for moments, and in
// a partition for as long as it lasts: then a grain may live twice, and its fence lets only the newer one write.
//
// The package simnet is a network in memory, on which the tests break all of this.
package cluster
