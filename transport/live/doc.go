// Package live is the real-time edge: what NEXUS does with the sockets of package socketio.
//
//	client --CONNECT auth--> namespace --token--> peer --attach--> session grain
//	hall grain --Broadcast--> bus --> Hub --topic--> every peer that listens
//	session grain --Close--> Hub --> peer
//	phone --SOS_RAISE--> /security --> Desk                       its own bucket and lane: it waits for nothing else of its connection
//	streams of class A --news, or a look each second--> courier --Call, urgent--> socket --ack--> cursor of the device
//
// A peer is one socket in one namespace: who it is, what it listens to, and when its token runs out. The Hub is the
// actor of the node that others speak to: it fans broadcasts out, closes sockets when their user's session says so, and
// attaches them again when the session's node is lost. Its keeper does that in the background, and looks after each
// socket's login once a minute, in case the word of its end was lost.
//
// The courier carries what may not be lost on /security: it reads the streams of the sockets that are here, sends their lines in
// order, each again until it is acknowledged, and notes how far each device has come, so that the next socket of the
// device, on whichever node, goes on from there or from the offset that its client names. A connection that broke goes on where it was
// itself, and its client is told so; see recovery.go.
//
// Promises: an event of a lossy slot is latest-wins for each socket, and a slow socket never delays another. A socket whose
// token has run out is closed in that moment, and one whose login was ended within a second, or, where no session knew
// it just then, within seconds of its next look; with a reason that names why. A socket whose session or database
// is away is of use meanwhile. Nothing here blocks a grain.
package live
