// Package socketio is the server side of Socket.IO, protocol 5, over package engineio: namespaces that share one connection, events
// with acknowledgements in both directions, binary attachments.
//
// A Server routes the packets of each connection to the Namespace they name:
//
//	CONNECT /ns auth --> Namespace.Connect --nil--> CONNECT {sid}         the Socket is connected
//	                                       --err--> CONNECT_ERROR {message, data}
//	EVENT, ACK       --> Namespace.Event, or the waiting Call
//	DISCONNECT, Socket.Disconnect, or the end of the connection --> Namespace.Disconnect
//
// Calls for the sockets of one connection never overlap, in whatever namespace. A packet for a namespace that is not connected, or anything
// malformed, closes the connection, as the reference server does; so does every limit, each with a reason of its own.
//
// The official client connects again by itself when a connection is closed, and does not after Socket.Disconnect.
package socketio
