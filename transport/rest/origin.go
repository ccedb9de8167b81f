package rest

import (
	"context"
	"net/netip"

	"nexus"
)

// Origin is where a request came from, as the server's first middleware found out.
type Origin struct {
	IP        netip.Addr // the client's, behind trusted proxies and other nodes
	Relayed   bool       // another node passed the request on
	RequestID string
}

type (
	originKey struct{}
	callerKey struct{}
)

// WithOrigin returns a context that carries the origin.
func WithOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the request's origin, the zero one outside a request.
func OriginOf(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

// caller returns who asks: checked against the operation's access before its handler runs.
func caller(ctx context.Context) nexus.Caller {
	c, _ := ctx.Value(callerKey{}).(nexus.Caller)
	return c
}
