package client

import (
	"net/http"
	"sync/atomic"
)

// Keys deals API keys out in turn.
type Keys struct {
	all  []http.Header
	next *atomic.Int64
}

// NewKeys returns a deal of the keys.
func NewKeys(all []http.Header) Keys { return Keys{all, new(atomic.Int64)} }

// Next is the next key.
func (k Keys) Next() http.Header { return k.all[int(k.next.Add(1))%len(k.all)] }
