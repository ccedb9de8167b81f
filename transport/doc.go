// Package transport is where HTTP enters: one port for REST, sockets, documents, health
// and metrics.
//
// Server owns the listener and what every request goes through, in this order:
//
//	origin (request id, client address) -> metrics and access log -> recover -> headers -> CORS
//	-> encodings -> flood limit -> a route
//
// Everything else mounts on App before Open: the REST house (package rest), the Socket.IO
// adapter, the console.
package transport
