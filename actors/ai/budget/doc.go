// Package budget holds what a campus may ask of each AI model: so many requests and tokens in any minute, over all nodes. One grain a model, whose
// identity is the model's name, keeps account of the last minute.
//
//	Take --> granted: ask within UseWithin --> Settle with the tokens that it came to
//	     --> denied: come again at ...
//
// What was granted is durable before it is answered, so that a node that dies takes nothing along.
package budget
