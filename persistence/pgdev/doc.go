// Package pgdev runs a private PostgreSQL for a server that was given no
// database of its own. It finds the installed binaries, makes a cluster under a
// directory, and shares one server among all processes that name that
// directory: the first starts it, the last stops it.
//
//	          Start                                        Close
//	first:    find binaries, initdb, launch  ─┐
//	                                          ├─ in use ── not the last: leave it be
//	others:   wait until it answers          ─┘    │       the last: fast shutdown
//	                                               │
//	kill -9 of a user    its lock is gone, the server stays; the next Start attaches
//	kill -9 of postgres  every user watches; the first to see it restarts the server
//	kill -9 of both      the next Start finds a stale pid file, and recovers
//
// Three files in the directory are locks. The kernel frees them when their
// holders die, however they die, so that no pid has to be believed:
//
//	lock         exclusive, for as long as it takes to start or to stop
//	users.lock   shared by every user, all its life; who gets it alone is the last
//	server.lock  handed down to postgres and its children; free means that none lives
//
// Below that, PostgreSQL's own interlock stands: a stale postmaster.pid loses its
// pid and keeps the name of its shared memory, by which a new postmaster makes
// sure that nothing of an old one is left.
//
// Whoever keeps a Server open reaps the postmaster if that is its child. Where
// the starter closed its Server before other users did, and lives on, a zombie
// stays until it starts another or ends; nobody mistakes it for a server.
//
// # Who may connect
//
// The server listens on a Unix socket alone, in a directory of mode 0700 that
// belongs to the user that PostgreSQL runs as: that user and root come in,
// others cannot reach the socket. Behind that door authentication is "trust".
// "peer" would name the same two users once more, but before PostgreSQL 16 it
// needs a line for each role that a migration may create, and it fails for a
// user without an entry in the password database.
//
// # Root
//
// PostgreSQL refuses root. Started by root it runs as the owner of the existing
// data, else as postgres, else as nobody. Where that user cannot reach the
// directory (below a home of mode 0700) the data goes to /var/lib/nexus/<hash of
// the path>, and a text file in the directory says so.
package pgdev
