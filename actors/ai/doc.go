// Package ai asks models for people and for jobs, and never lets anything else wait for them.
//
//	Pool.Ask --> dispatcher --> worker --> budget grain: may this be asked now, by the whole campus?
//	                 |             |-----> Model: the request, each attempt of which is seen here
//	                 |             '-----> budget grain: what it came to
//	                 '- two priorities, one circuit breaker a model, pauses that a model asked for
//
// There is one pool on each node. Its dispatcher is an actor that never blocks; its workers are actors that do nothing else. A worker that fails is replaced after a
// back-off of its own. Whoever asks is answered with a result, with an error that says when to come again, or with ErrUnusable: then only another method helps. What
// must not be forgotten is a job elsewhere, and asks again.
package ai
