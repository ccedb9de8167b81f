// Package e2e holds the tests that run the real binary: NEXUS as its clients and its operator see it, over REST and through
// the official socket.io-client, with a real PostgreSQL that is killed now and then.
//
//	go test ./cmd/nexus/e2e                        the tests
//	go test ./cmd/nexus/e2e -run '^$' -bench .     the figures
//
// The binary is built once, with the race detector where tests run and without it for figures. Every server has a data directory and a
// port of its own and is ended by its pid. The official client needs Node 18 or newer and, once, `npm ci` in this folder.
package e2e
