// Package live is the real-time edge: what NEXUS does with the sockets of package socketio.
//
//	client --CONNECT auth--> namespace --token--> peer --attach--> session grain
//	hall grain --Broadcast--> bus --> Hub --topic--> every peer that listens
//	session grain --Close--> Hub --> peer
//
// A peer is one socket in one namespace: who it is, what it listens to, and when its token runs out. The Hub is the
// actor of the node that others speak to: it fans broadcasts out, closes sockets when their user's session says so, and
// attaches them again when the session's node is lost. Its keeper does that in the background, and looks after each
// socket's login once a minute, in case the word of its end was lost.
//
// Promises: an event of a lossy slot is latest-wins for each socket, and a slow socket never delays another. A socket whose
// token has run out is closed in that moment, and one whose login was ended within a second, or, where no session knew
// it just then, within seconds of its next look; with a reason that names why. A socket whose session or database
// is away is of use meanwhile. Nothing here blocks a grain.
package live
