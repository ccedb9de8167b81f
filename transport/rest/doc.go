// Package rest is the REST house under /api/v1: one file for each resource, registered with its access in one line.
//
//	request --> caller and access (access.go, guard.go) --> input checked by its schema, then tidied (input.go, tidy.go)
//	        --> the resource --> a store, or a grain's client (stores.go) --> answer (wire), or problem (problem)
//
// Promises: every error is a problem of RFC 9457 with a code, and names the wrong field; a stranger never sees an internal cause. Every
// route declares who may call it. Times leave in UTC with milliseconds, and lists are never null. A POST that creates
// takes an Idempotency-Key; a resource with a version takes If-Match.
package rest
