package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/relay"
	"nexus/transport/rest"
)

// socketPath is where sockets are served.
const socketPath = "/socket.io/"

// openRelay prepares to pass on requests of sockets that live on other nodes.
func (n *node) openRelay() (err error) {
	n.relay, err = relay.New(relay.Config{
		Tag: n.cluster.Tag(), Members: n.cluster, Keys: n.cfg.secrets, Path: socketPath, ClientIP: clientIP,
		Log: n.log, Registry: n.registry,
	})
	if err != nil {
		return fmt.Errorf("set up the relay: %w", err)
	}
	return nil
}

func clientIP(c *fiber.Ctx) netip.Addr { return rest.OriginOf(c.UserContext()).IP }

func clientAddr(c *fiber.Ctx) string { return clientIP(c).String() }

func (n *node) closeRelay(context.Context) error {
	n.relay.Close()
	return nil
}

// announce tells the other nodes where this one's HTTP server is.
func (n *node) announce() error {
	u, err := url.Parse(n.http.URL())
	if err != nil {
		return fmt.Errorf("own address: %w", err)
	}
	host, _, err := net.SplitHostPort(n.cfg.Addr)
	if err != nil {
		return fmt.Errorf("own address: %w", err)
	}
	n.cluster.Announce("http://" + net.JoinHostPort(n.cfg.reachable(host), u.Port()))
	return nil
}

// reachable is the host at which other nodes find this one's HTTP server: what they are told of the cluster, else the host that it listens
// at, and if that is every address, the one that the cluster listens at, which is not.
func (c *Config) reachable(host string) string {
	if c.ClusterAdvertise != "" {
		return c.ClusterAdvertise
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return host
	}
	bind, _, _ := net.SplitHostPort(c.ClusterBind) // checked
	return bind
}
