// Package epoll makes engineio.Links of TCP connections, on Linux: a few loops wait for all of them, so that a socket on which nothing
// happens costs neither a goroutine nor a buffer. Elsewhere there is no Poller, and connections keep their goroutines.
package epoll
