package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// healthCmd is how a container asks its own node, for an image of one file has no curl.
type healthCmd struct {
	Addr    string        `env:"NEXUS_ADDR" default:"127.0.0.1:4000" help:"Where the node serves."`
	Ready   bool          `help:"Ask whether it takes traffic, and not only whether it lives. Nobody should kill a node for this: its database may be away."`
	Timeout time.Duration `default:"3s" help:"How long the answer may take."`
}

// Run fails unless the node says in time that it is well. What it says is printed.
func (c *healthCmd) Run(ctx context.Context) error {
	host, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return wrong("NEXUS_ADDR", "takes host:port, such as 127.0.0.1:4000 or :4000; %v", err)
	}
	if c.Timeout <= 0 || c.Timeout > time.Minute {
		return wrong("--timeout", "takes a time up to 1m, such as 3s, not %v", c.Timeout)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1" // it listens everywhere, here too
	}
	path := "/healthz"
	if c.Ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	said, err := ask(ctx, "http://"+net.JoinHostPort(host, port)+path)
	if err != nil {
		return err
	}
	fmt.Println(said)
	return nil
}

// ask returns what the node says of itself, or an error that says it.
func ask(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	// Straight to the node: a proxy of the environment must not answer in its place, nor a redirect lead away.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if e := res.Body.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s: %.500s", url, res.Status, body)
	}
	if !json.Valid(body) {
		return "", fmt.Errorf("%s: is served by something else than a node", url)
	}
	return string(body), nil
}
