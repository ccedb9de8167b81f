// Package grain is the plumbing that every kind of grain stands on: an addressable,
// single-threaded owner of one piece of live state, of which the campus has at
// most one that may write.
//
//	          Ask                    claim epoch + load            messages, ticks
//	nobody ---------> activated by --------------------> serving -----------------+
//	          its node's directory        |                 |  ^                  |
//	                                      | fails           |  +------------------+
//	                                      v                 | idle, released, or fenced
//	                           answers the error, ends <----+ (Stop: last save)
//
// A kind of grain is described by a Kind and written as a Grain: Load builds the state,
// Receive handles one message at a time, Stop ends it. What a grain must not lose it writes
// under its fence before it answers; see Context.Work for doing so without holding up its ticks.
//
// Callers reach grains with Ask, which activates them where needed. Nothing in
// this package knows where grains live: that is the Directory's business.
//
// Bounds: a Directory admits a limited number of calls at once and every caller waits for its
// answer, so a mailbox never holds more than that; ticks re-arm themselves only after they were handled.
package grain
