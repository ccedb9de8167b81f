// Package incident is the SOS: the rules of its life, the grain that keeps its time, and the desk where everybody else
// brings what they want of it.
//
//	phone --Raise--> Desk of any node --one transaction--> store       the answer comes after the commit
//	                      |--news--> hubs: read your streams           lossy, for readers look by themselves every second
//	                      +--Changed--> the incident's grain           keeps the clock: pages the next step, raises again
//	every node's watch: what a grain should have done, and safety timers
//
// An incident is the fold of its events (State), which are numbered and chained. No node owns the right to change it: the row in the
// store is the referee, so that a press, an answer and a message work on any node, whatever has become of the grain's. The
// grain is there to act in time; when it does not, whoever notices does it, and says so loudly.
package incident
