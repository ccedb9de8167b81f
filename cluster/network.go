package cluster

import (
	"context"
	"crypto/tls"
	"net"
)

// TCP is the Network of real nodes.
type TCP struct {
	// TLS holds the certificate that this node shows and the authorities that it trusts, in both directions. Nil:
	// connections are plain, fit for a private network alone.
	TLS *tls.Config
}

// Listen implements Network.
func (t TCP) Listen(address string) (net.Listener, error) {
	if t.TLS != nil {
		return tls.Listen("tcp", address, t.TLS)
	}
	return net.Listen("tcp", address)
}

// Dial implements Network.
func (t TCP) Dial(ctx context.Context, address string) (net.Conn, error) {
	if t.TLS != nil {
		return (&tls.Dialer{Config: t.TLS}).DialContext(ctx, "tcp", address)
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}
