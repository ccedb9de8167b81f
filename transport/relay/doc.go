// Package relay lets any node take the requests of any socket, with no sticky sessions. A socket lives on the node that answered its
// handshake, and its session id says which that is; a request that arrives at another node is passed on:
//
//	client --poll, data--> front ------- the same request -------> home   one answer, after up to PollTimeout
//	client --upgrade-----> front --claim, then 101 from the home-> home   bytes both ways until either end closes
//
// The front vouches for the client's address with a seal that only nodes can make, and a request that carries a seal, good or
// not, is never passed on again: there are no loops. If the home leaves, dies or falls silent, what is under way ends as a closed
// transport, and the client comes back with a new handshake.
package relay
